//! What must hold between the attributes of one object ([`Rule`]). With values still unknown a rule refuses
//! only what no completion can save.

use tfplugin_schema::validate::Rule;
use tfplugin_schema::{Attribute, Diagnostics, Members, ObjectSchema, Value};

use super::at::At;
use super::tree::NULL;

/// Checks the rules of one object.
pub(super) fn check(schema: &ObjectSchema, members: &Members, at: &At<'_>, diagnostics: &mut Diagnostics) {
    let mut judge = Judge { schema, members, at, diagnostics };
    for rule in &schema.rules {
        judge.rule(rule);
    }
}

/// What the configuration says of an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// A value.
    Set,
    /// Nothing.
    Null,
    /// That is not known yet.
    Perhaps,
}

struct Judge<'a> {
    schema: &'a ObjectSchema,
    members: &'a Members,
    at: &'a At<'a>,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Judge<'a> {
    fn rule(&mut self, rule: &'a Rule) {
        match rule {
            Rule::Conflicts(names) => self.at_most_one(names),
            Rule::AtLeastOneOf(names) => self.at_least_one(names),
            Rule::ExactlyOneOf(names) => {
                self.at_most_one(names);
                self.at_least_one(names);
            }
            Rule::RequiredTogether(names) => {
                if let Some(set) = names.iter().find(|name| self.said(name) == Said::Set) {
                    let missing: Vec<&str> = names.iter().map(String::as_str).collect();
                    self.require(set, &missing, &format!("as `{set}` is set"));
                }
            }
            Rule::Requires(first, others) => {
                if self.said(first) == Said::Set {
                    let others: Vec<&str> = others.iter().map(String::as_str).collect();
                    self.require(first, &others, &format!("as `{first}` is set"));
                }
            }
            Rule::RequiredWhen(first, second, values) => {
                let value = self.effective(second);
                let value = match value {
                    Value::Dynamic(dynamic) => &dynamic.value,
                    value => value,
                };
                if values.contains(value) {
                    let why = format!("with this value of `{second}`");
                    self.require(second, &[first], &why);
                }
            }
        }
    }

    fn value(&self, name: &str) -> &'a Value {
        self.members.get(name).unwrap_or(&NULL)
    }

    fn attribute(&self, name: &str) -> Option<&'a Attribute> {
        self.schema.find(name)
    }

    /// The value, or else the default.
    fn effective(&self, name: &str) -> &'a Value {
        let value = self.value(name);
        match self.attribute(name).and_then(|attribute| attribute.default.as_ref()) {
            Some(default) if value.is_null() => default,
            _ => value,
        }
    }

    fn said(&self, name: &str) -> Said {
        let is_block = || self.schema.blocks.iter().any(|block| block.name == name);
        match self.value(name) {
            value if value.is_null() => Said::Null,
            Value::Unknown(Some(refinement)) if refinement.null == Some(false) => Said::Set,
            Value::Unknown(Some(refinement)) if refinement.null == Some(true) => Said::Null,
            value if value.is_unknown() => Said::Perhaps,
            // A collection of blocks is empty where the configuration has none.
            Value::List(elements) if elements.is_empty() && is_block() => Said::Null,
            Value::Set(elements) if elements.is_empty() && is_block() => Said::Null,
            Value::Map(elements) if elements.is_empty() && is_block() => Said::Null,
            _ => Said::Set,
        }
    }

    fn at_most_one(&mut self, names: &'a [String]) {
        let mut set = names.iter().filter(|name| self.said(name) == Said::Set);
        let (Some(first), Some(second)) = (set.next(), set.next()) else { return };
        let detail = format!(
            "{} `{first}` is set, so remove `{second}`, or the other way round.",
            self.of(&format!("Only one of {} can be set.", list(names)))
        );
        self.refuse(second, "Conflicting attributes", detail);
    }

    fn at_least_one(&mut self, names: &'a [String]) {
        if names.iter().all(|name| self.said(name) == Said::Null) {
            let detail = self.of(&format!("One of {} must be set.", list(names)));
            self.diagnostics.error_at(self.at.path(), "Missing attribute", detail);
        }
    }

    /// A missing attribute has no place in the configuration; the one that asks for it has.
    fn require(&mut self, asking: &str, names: &[&str], why: &str) {
        for name in names {
            if self.said(name) == Said::Null && self.effective(name).is_null() {
                let detail = self.of(&format!("`{name}` must be set {why}."));
                self.refuse(asking, &format!("Missing {name}"), detail);
            }
        }
    }

    fn refuse(&mut self, name: &str, summary: &str, detail: String) {
        self.diagnostics.error_at(self.at.path().attr(name), summary, detail);
    }

    /// A sentence, with the object that it is about unless that is the resource itself.
    fn of(&self, sentence: &str) -> String {
        let path = self.at.path();
        if path.is_root() { sentence.to_owned() } else { format!("In `{path}`: {sentence}") }
    }
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}
