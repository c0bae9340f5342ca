//! Validation of a configuration, as far as it is known: required attributes, validators, rules between
//! attributes, and what the command line is too old for.

use tfplugin_schema::validate::check_known;
use tfplugin_schema::{
    Attribute, AttributeKind, BlockNesting, Diagnostics, Nesting, ObjectSchema, Presence, Value,
};

use super::at::At;
use super::rules;
use super::tree::NULL;

/// What the command line is able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether it knows write-only attributes (Terraform and OpenTofu 1.11).
    pub write_only_allowed: bool,
}

/// Judges a configuration. What is unknown is judged by what is known about it, and refused only if no
/// completion can save it.
pub fn validate(schema: &ObjectSchema, config: &Value, capabilities: &Capabilities) -> Diagnostics {
    let mut walk = Walk { capabilities, diagnostics: Diagnostics::new() };
    if let Some(message) = &schema.deprecation {
        walk.diagnostics.warning("Deprecated", message.clone());
    }
    walk.object(schema, config, &At::ROOT);
    if walk.diagnostics.len() >= MAX_FOUND {
        let detail = "Only the first problems are shown. Correct them to see whether there are others.";
        walk.diagnostics.error("Too many problems", detail);
    }
    walk.diagnostics
}

/// Nobody reads more.
const MAX_FOUND: usize = 100;

struct Walk<'c> {
    capabilities: &'c Capabilities,
    diagnostics: Diagnostics,
}

impl Walk<'_> {
    fn object(&mut self, schema: &ObjectSchema, config: &Value, at: &At<'_>) {
        let Value::Map(members) = config else { return };
        if self.diagnostics.len() >= MAX_FOUND {
            return;
        }
        for attribute in &schema.attributes {
            let value = members.get(&attribute.name).unwrap_or(&NULL);
            let at = at.attribute(&attribute.name);
            self.attribute(schema, attribute, value, &at);
        }
        for block in &schema.blocks {
            let value = members.get(&block.name).unwrap_or(&NULL);
            let nesting = match block.nesting {
                BlockNesting::Single | BlockNesting::Group => Nesting::Single,
                BlockNesting::List => Nesting::List,
                BlockNesting::Set => Nesting::Set,
                BlockNesting::Map => Nesting::Map,
            };
            self.nested(nesting, &block.object, value, &at.attribute(&block.name));
        }
        rules::check(schema, members, at, &mut self.diagnostics);
    }

    fn attribute(&mut self, schema: &ObjectSchema, attribute: &Attribute, value: &Value, at: &At<'_>) {
        if value.is_null() {
            if attribute.presence == Presence::Required {
                let path = at.path();
                let detail = format!("`{path}` is required: give it a value that is not null.");
                self.diagnostics.error_at(path, format!("Missing {}", attribute.name), detail);
            }
            return;
        }
        // Command lines before 1.15 know that an attribute is deprecated, but say nothing.
        if let Some(message) = &attribute.deprecation {
            let path = at.path();
            let detail = format!("`{path}` is deprecated. {message}");
            self.diagnostics.warning_at(path, format!("{} is deprecated", at.name()), detail);
        }
        if attribute.write_only && !self.capabilities.write_only_allowed {
            self.too_old(schema, attribute, at);
        }
        for validator in &attribute.validators {
            if let Err(why) = check_known(validator.as_ref(), value) {
                let path = at.path();
                let detail = format!("The value of `{path}` {why}.");
                self.diagnostics.error_at(path, format!("Invalid value for {}", at.name()), detail);
            }
        }
        if let AttributeKind::Nested(nesting, object) = &attribute.kind {
            self.nested(*nesting, object, value, at);
        }
    }

    fn too_old(&mut self, schema: &ObjectSchema, attribute: &Attribute, at: &At<'_>) {
        let path = at.path();
        // `password_wo` has a twin `password_ref` that works everywhere.
        let twin = attribute.name.strip_suffix("_wo").map(|name| format!("{name}_ref"));
        let twin = twin.filter(|twin| schema.find(twin).is_some());
        let instead = match twin {
            Some(twin) => format!(" or set `{twin}` instead, which works with every version"),
            None => String::new(),
        };
        let detail = format!(
            "`{path}` is write-only, which this version of the command line does not know. Use Terraform 1.11 \
             / OpenTofu 1.11 or later{instead}."
        );
        self.diagnostics.error_at(
            path,
            format!("{} needs a newer Terraform or OpenTofu", attribute.name),
            detail,
        );
    }

    fn nested(&mut self, nesting: Nesting, schema: &ObjectSchema, value: &Value, at: &At<'_>) {
        match (nesting, value) {
            (Nesting::Single, _) => self.object(schema, value, at),
            (Nesting::List, Value::List(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    self.element(schema, element, &at.index(index));
                }
            }
            (Nesting::Set, Value::Set(elements)) => {
                for element in elements.iter() {
                    self.element(schema, element, &at.element(element));
                }
            }
            (Nesting::Map, Value::Map(elements)) => {
                for (key, element) in elements {
                    self.element(schema, element, &at.key(key));
                }
            }
            // Null, unknown, or of a wrong type, which decoding has refused.
            _ => {}
        }
    }

    fn element(&mut self, schema: &ObjectSchema, element: &Value, at: &At<'_>) {
        if element.is_null() {
            let path = at.path();
            let detail =
                format!("`{path}` is null, where an object is expected: leave the element out instead.");
            self.diagnostics.error_at(path, format!("Null element in {}", at.name()), detail);
        } else {
            self.object(schema, element, at);
        }
    }
}
