//! All pages of a provider, in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tfplugin_framework::{Provider, ProviderTable};

use crate::examples::Examples;
use crate::finding::{Finding, MAX_BYTES, MAX_PAGES};
use crate::function;
use crate::managed::Maker;

/// What pages need to know besides the provider.
#[derive(Clone, Debug)]
pub struct Options {
    /// The source address: `registry.terraform.io/acme/acme`.
    pub address: String,
    /// What readers call the provider: `Acme`.
    pub provider_title: String,
    /// The folder of examples. What is missing in it is a [`Finding`].
    pub examples: PathBuf,
}

/// The pages of a provider, by path: `index.md`, `resources/cache.md`. The same schemas and examples give the
/// same bytes.
#[derive(Clone, Debug)]
pub struct Pages {
    pub(crate) pages: BTreeMap<String, String>,
    findings: Vec<Finding>,
}

impl Pages {
    /// Writes the pages of a provider, in memory. Reads the examples.
    pub fn of<P: Provider>(options: Options) -> Pages {
        Pages::of_table(&ProviderTable::of::<P>(), options)
    }

    /// The same, for a provider without its types.
    pub fn of_table(table: &ProviderTable, options: Options) -> Pages {
        let examples = Examples::new(options.examples);
        let address = options.address;
        let source = address.strip_prefix("registry.terraform.io/").unwrap_or(&address);
        let maker = Maker { title: &options.provider_title, source, examples: &examples };
        let mut out = Pages { pages: BTreeMap::new(), findings: Vec::new() };

        if !is_name(table.name) {
            out.invalid("provider", table.name);
        }
        let parts: Vec<&str> = source.split('/').collect();
        if !matches!(parts.len(), 2 | 3) || parts.iter().any(|part| part.is_empty()) {
            out.invalid("provider's source address", &address);
        }
        out.insert("index.md".to_owned(), |path| maker.provider(path, table));
        for handler in &table.resources {
            let name = handler.type_name();
            let Some(path) = out.path("resource", "resources", &name, table.name) else { continue };
            out.insert(path, |path| maker.resource(path, &name, &handler.info()));
        }
        for handler in &table.data_sources {
            let name = handler.type_name();
            let Some(path) = out.path("data source", "data-sources", &name, table.name) else { continue };
            out.insert(path, |path| maker.data_source(path, &name, &handler.info()));
        }
        for handler in &table.ephemerals {
            let name = handler.type_name();
            let folder = "ephemeral-resources";
            let Some(path) = out.path("ephemeral resource", folder, &name, table.name) else { continue };
            out.insert(path, |path| maker.ephemeral(path, &name, &handler.info()));
        }
        for function in &table.functions {
            let name = &function.name;
            let Some(path) = out.path("function", "functions", name, "") else { continue };
            out.insert(path, |path| {
                let example = examples.demand(path, &format!("functions/{name}"), "function.tf");
                function::page(table.name, &options.provider_title, function, example.as_deref())
            });
        }

        if out.pages.len() > MAX_PAGES {
            out.findings.push(Finding::TooMany { pages: out.pages.len() });
        }
        out.findings.extend(examples.into_findings());
        out.findings.sort();
        out
    }

    /// Each page by its path, in the order of paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pages.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of a page.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.pages.get(path).map(String::as_str)
    }

    /// How many pages there are.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there is none. There is always the index.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// What is not as it should be: examples that are missing, names that are none, pages that are too large.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn invalid(&mut self, what: &'static str, name: &str) {
        self.findings.push(Finding::InvalidName { what, name: name.to_owned() });
    }

    /// Where the page of that part is, if its name is fit to be one of a file.
    fn path(&mut self, what: &'static str, folder: &str, name: &str, provider: &str) -> Option<String> {
        if !is_name(name) {
            self.invalid(what, name);
            return None;
        }
        let own = name.strip_prefix(provider).and_then(|rest| rest.strip_prefix('_'));
        let own = own.filter(|own| !own.is_empty()).unwrap_or(name);
        Some(format!("{folder}/{own}.md"))
    }

    fn insert(&mut self, path: String, write: impl FnOnce(&str) -> String) {
        if self.pages.contains_key(&path) {
            self.findings.push(Finding::Duplicate { page: path });
            return;
        }
        let text = write(&path);
        if text.len() > MAX_BYTES {
            self.findings.push(Finding::TooLarge { page: path.clone(), bytes: text.len() });
        }
        self.pages.insert(path, text);
    }
}

/// Whether it is a name in HCL, in lower case: nothing in it can leave a folder.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
}
