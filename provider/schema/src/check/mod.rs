//! Whether a schema is valid: what Terraform core would refuse (and with it the whole provider), and what
//! could only ever fail later. The derive refuses most of it earlier; this sees schemas made by hand too.

mod attributes;
mod blocks;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use crate::validate::Rule;
use crate::{AttributeKind, ObjectSchema, Path, Role};

/// What a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckKind {
    /// The provider block.
    Provider,
    /// A managed resource.
    Resource {
        /// Whether a create that did not finish is continued by the next apply.
        resumable: bool,
    },
    /// A data source.
    DataSource,
    /// An ephemeral resource.
    Ephemeral,
}

impl CheckKind {
    /// Names that mean something to Terraform itself at the top of such a block.
    fn reserved(self) -> &'static [&'static str] {
        match self {
            CheckKind::Provider => {
                &["alias", "version", "count", "for_each", "depends_on", "source", "lifecycle", "locals"]
            }
            CheckKind::Resource { .. } => {
                &["count", "for_each", "depends_on", "lifecycle", "provider", "connection", "provisioner"]
            }
            CheckKind::DataSource | CheckKind::Ephemeral => {
                &["count", "for_each", "depends_on", "lifecycle", "provider"]
            }
        }
    }
}

/// What is wrong with a schema, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFinding {
    /// The attribute or block.
    pub path: Path,
    /// What is wrong and what to do, in sentences.
    pub message: String,
}

impl fmt::Display for SchemaFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_root() {
            f.write_str(&self.message)
        } else {
            write!(f, "`{}`: {}", self.path, self.message)
        }
    }
}

/// All that is wrong with a schema. Empty: Terraform will load it.
pub fn check_schema(schema: &ObjectSchema, kind: CheckKind) -> Vec<SchemaFinding> {
    let mut check = Check { kind, top: schema, at: Path::root(), found: Vec::new() };
    check.reserved_names(schema);
    check.object(schema);
    if schema.attributes.iter().filter(|a| a.role == Role::DeletionProtection).count() > 1 {
        check.add("only one attribute can be the deletion protection: remove the others.");
    }
    if kind == (CheckKind::Resource { resumable: true }) && !has_computed(schema) {
        check.add(
            "a resumable resource needs a computed attribute: what an unfinished create left null in it tells \
             the next plan that there is something to do. Add one, such as its identifier.",
        );
    }
    check.found
}

fn has_computed(schema: &ObjectSchema) -> bool {
    let nested =
        |kind: &AttributeKind| matches!(kind, AttributeKind::Nested(_, object) if has_computed(object));
    schema.attributes.iter().any(|a| (a.presence.is_computed() && a.default.is_none()) || nested(&a.kind))
        || schema.blocks.iter().any(|block| has_computed(&block.object))
}

struct Check<'a> {
    kind: CheckKind,
    top: &'a ObjectSchema,
    at: Path,
    found: Vec<SchemaFinding>,
}

impl Check<'_> {
    fn add(&mut self, message: impl Into<String>) {
        self.found.push(SchemaFinding { path: self.at.clone(), message: message.into() });
    }

    /// Does something one step further inside.
    fn inside(&mut self, name: &str, check: impl FnOnce(&mut Self)) {
        self.at.push(crate::Step::Attribute(name.to_owned()));
        check(self);
        self.at.pop();
    }

    fn reserved_names(&mut self, schema: &ObjectSchema) {
        let attributes = schema.attributes.iter().map(|attribute| &attribute.name);
        for name in attributes.chain(schema.blocks.iter().map(|block| &block.name)) {
            if self.kind.reserved().contains(&name.as_str()) {
                self.inside(name, |check| {
                    check.add("Terraform itself uses this name here: choose another.");
                });
            }
        }
    }

    fn object(&mut self, schema: &ObjectSchema) {
        let mut names = BTreeSet::new();
        let attributes = schema.attributes.iter().map(|attribute| &attribute.name);
        for name in attributes.chain(schema.blocks.iter().map(|block| &block.name)) {
            let twice = !names.insert(name);
            self.inside(name, |check| {
                if twice {
                    check.add(
                        "there are two of this name; if one comes from a flattened struct, rename it there.",
                    );
                }
                check.name(name);
            });
        }
        if schema.deprecation.as_ref().is_some_and(|message| message.trim().is_empty()) {
            self.add("the deprecation says nothing: say what to use instead.");
        }
        for attribute in &schema.attributes {
            self.inside(&attribute.name, |check| check.attribute(schema, attribute));
        }
        for block in &schema.blocks {
            self.inside(&block.name, |check| check.block(block));
        }
        for rule in &schema.rules {
            self.rule(schema, rule);
        }
    }

    fn name(&mut self, name: &str) {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(legal) {
            self.add("names consist of lower case letters, digits and underscores: rename it.");
        } else if name.starts_with(|c: char| c.is_ascii_digit()) {
            self.add("names do not begin with a digit: rename it.");
        }
    }

    fn rule(&mut self, schema: &ObjectSchema, rule: &Rule) {
        let names: Vec<&String> = match rule {
            Rule::Conflicts(names)
            | Rule::AtLeastOneOf(names)
            | Rule::ExactlyOneOf(names)
            | Rule::RequiredTogether(names) => names.iter().collect(),
            Rule::Requires(first, others) => std::iter::once(first).chain(others).collect(),
            Rule::RequiredWhen(first, second, _) => vec![first, second],
        };
        if names.is_empty() {
            self.add("a rule names no attribute: name some or remove it.");
        }
        for name in names {
            if !has(schema, name) {
                let hint = nearest(schema, name);
                self.add(format!("a rule names `{name}`, which is not there{hint}: correct the name."));
            }
        }
    }
}

fn has(schema: &ObjectSchema, name: &str) -> bool {
    schema.find(name).is_some() || schema.blocks.iter().any(|block| block.name == name)
}

/// `" (did you mean `x`?)"`, if something is near.
fn nearest(schema: &ObjectSchema, name: &str) -> String {
    let attributes = schema.attributes.iter().map(|attribute| attribute.name.as_str());
    let names = attributes.chain(schema.blocks.iter().map(|block| block.name.as_str()));
    match crate::validate::nearest(name, names) {
        Some(near) => format!(" (did you mean `{near}`?)"),
        None => String::new(),
    }
}
