//! Pages of what has a schema: resources, data sources, ephemeral resources, and the provider itself.

use std::collections::BTreeMap;

use tfplugin_framework::{ProviderTable, ResourceInfo, SourceInfo};
use tfplugin_schema::{AttributeKind, ObjectSchema, Operation};

use crate::examples::Examples;
use crate::facts;
use crate::hcl;
use crate::markdown::{code, fence};
use crate::page::{Front, Page};
use crate::schema::{self, About};

/// Who asks for pages.
pub(crate) struct Maker<'a> {
    /// The provider's title, for titles of pages.
    pub(crate) title: &'a str,
    /// `acme/acme`, with the host unless it is Terraform's own.
    pub(crate) source: &'a str,
    pub(crate) examples: &'a Examples,
}

impl Maker<'_> {
    /// The index page.
    pub(crate) fn provider(&self, path: &str, table: &ProviderTable) -> String {
        let heading = format!("{} Provider", self.title);
        let front = Front { title: &heading, description: &table.config.description, has_category: false };
        let mut page = Page::new(&front, &heading);
        introduce(&mut page, &table.config);
        let example = self.examples.demand(path, "provider", "provider.tf");
        page.example(Some(&example.unwrap_or_else(|| self.required_providers(table.name))));
        page.add("## Schema");
        page.add(&schema::render(&table.config, &About::default()));
        if let Some(meta) = &table.meta {
            page.add("## Schema of `provider_meta`");
            let block = code(&format!("provider_meta {}", hcl::string(table.name)));
            page.add(&format!("What modules may say in a block {block} inside their `terraform` block."));
            page.add(&meta.description);
            page.add(&schema::render(meta, &About { prefix: Some("provider_meta"), ..About::default() }));
        }
        page.finish()
    }

    fn required_providers(&self, name: &str) -> String {
        format!(
            "terraform {{\n  required_providers {{\n    {name} = {{\n      source = {}\n    }}\n  }}\n}}\n",
            hcl::string(self.source)
        )
    }

    /// The page of a managed resource.
    pub(crate) fn resource(&self, path: &str, name: &str, info: &ResourceInfo) -> String {
        let mut page = self.begin(name, "Resource", &info.schema);
        let folder = format!("resources/{name}");
        page.example(self.examples.demand(path, &folder, "resource.tf").as_deref());
        let used = Operation::ALL.into_iter().filter(|&one| one != Operation::Update || info.updatable);
        let timeouts = used.filter_map(|one| Some((one.name(), info.timeouts.get(one)?))).collect();
        page.add("## Schema");
        page.add(&schema::render(&info.schema, &About { managed: true, timeouts, prefix: None }));
        if info.importable {
            self.import(&mut page, path, &folder, name);
        }
        page.finish()
    }

    fn import(&self, page: &mut Page, path: &str, folder: &str, name: &str) {
        let command = self.examples.get(folder, "import.sh");
        let block = self.examples.get(folder, "import-by-string-id.tf");
        if command.is_none() && block.is_none() {
            self.examples.miss(path, folder, "import.sh");
        }
        page.add("## Import");
        page.add(
            "An object that exists already comes into the state by an [`import` \
             block](https://developer.hashicorp.com/terraform/language/import), from Terraform 1.5 on:",
        );
        let generated = || import_block(name, command.as_deref());
        page.add(&fence("terraform", &block.unwrap_or_else(generated)));
        if let Some(command) = &command {
            page.add("Or on the command line:");
            page.add(&fence("shell", command));
        }
    }

    /// The page of a data source.
    pub(crate) fn data_source(&self, path: &str, name: &str, info: &SourceInfo) -> String {
        let page = self.begin(name, "Data Source", &info.schema);
        let example = self.examples.demand(path, &format!("data-sources/{name}"), "data-source.tf");
        finish_source(page, example.as_deref(), info)
    }

    /// The page of an ephemeral resource.
    pub(crate) fn ephemeral(&self, path: &str, name: &str, info: &SourceInfo) -> String {
        let mut page = self.begin(name, "Ephemeral Resource", &info.schema);
        page.note(
            "**Note:** Ephemeral resources need Terraform 1.10 or OpenTofu 1.11, or later. Nothing of them is in \
             the plan or the state.",
        );
        let folder = format!("ephemeral-resources/{name}");
        let example = self.examples.demand(path, &folder, "ephemeral-resource.tf");
        finish_source(page, example.as_deref(), info)
    }

    fn begin(&self, name: &str, kind: &str, object: &ObjectSchema) -> Page {
        let front = Front {
            title: &format!("{name} {kind} - {}", self.title),
            description: &object.description,
            has_category: true,
        };
        let mut page = Page::new(&front, &format!("{name} ({kind})"));
        introduce(&mut page, object);
        page
    }
}

/// The block that does what the command does, if that is a plain one.
fn import_block(name: &str, command: Option<&str>) -> String {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let plain = command.unwrap_or_default().lines().map(words).find_map(|words| match words.as_slice() {
        [terraform, import, to, id] if terraform == "terraform" && import == "import" => {
            let quote = |c: char| c == '\'' || c == '"';
            Some((to.trim_matches(quote).to_owned(), id.trim_matches(quote).to_owned()))
        }
        _ => None,
    });
    let (to, id) = plain.unwrap_or_else(|| (format!("{name}.example"), "ID".to_owned()));
    format!("import {{\n  to = {to}\n  id = {}\n}}\n", hcl::string(&id))
}

fn introduce(page: &mut Page, object: &ObjectSchema) {
    if let Some(message) = &object.deprecation {
        page.note(&facts::deprecation(message));
    }
    page.add(&object.description);
    let mut found = WriteOnly::default();
    found.look(object);
    if found.any {
        page.note(&found.explained());
    }
}

fn finish_source(mut page: Page, example: Option<&str>, info: &SourceInfo) -> String {
    page.example(example);
    // One deadline for every operation; `read` sets it.
    let timeouts = BTreeMap::from([(Operation::Read.name(), info.timeout)]);
    page.add("## Schema");
    page.add(&schema::render(&info.schema, &About { timeouts, ..About::default() }));
    page.finish()
}

/// Which write-only attributes there are, at any depth, and with which twins.
#[derive(Default)]
struct WriteOnly {
    any: bool,
    versions: bool,
    references: bool,
}

impl WriteOnly {
    fn look(&mut self, object: &ObjectSchema) {
        for attribute in &object.attributes {
            if attribute.write_only {
                self.any = true;
                let name = &attribute.name;
                self.versions |= object.find(&format!("{name}_version")).is_some();
                let stem = name.strip_suffix("_wo").unwrap_or(name);
                self.references |= object.find(&format!("{stem}_ref")).is_some();
            }
            if let AttributeKind::Nested(_, inner) = &attribute.kind {
                self.look(inner);
            }
        }
        for block in &object.blocks {
            self.look(&block.object);
        }
    }

    fn explained(&self) -> String {
        let mut text =
            "**Note:** Write-only arguments are in no plan and no state. They need Terraform 1.11 or \
                        OpenTofu 1.11, or later."
                .to_owned();
        if self.versions {
            text.push_str(
                " Terraform cannot see that such a value changed: raise the number in its twin `…_wo_version` \
                 with it.",
            );
        }
        if self.references {
            text.push_str(
                " The twin `…_ref` works everywhere: it says where the value is found instead of what it is.",
            );
        }
        text
    }
}
