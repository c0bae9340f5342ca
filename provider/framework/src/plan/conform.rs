//! Whether a value has the types of its schema. Typed handlers cannot get this wrong; those that make values
//! by hand can.

use tfplugin_schema::{AttributeKind, BlockNesting, Diagnostics, Nesting, ObjectSchema, Type, Value};

use super::at::At;
use super::blame::{Blame, Report};

/// Whether a value has the types of its schema: null, or an object with exactly its attributes and blocks.
pub fn check_type(schema: &ObjectSchema, value: &Value, blame: &Blame<'_>) -> Diagnostics {
    let mut check = Check { report: Report::new("Wrong type", blame) };
    check.object(schema, value, &At::ROOT);
    check.report.found
}

struct Check<'b> {
    report: Report<'b>,
}

impl Check<'_> {
    fn wrong(&mut self, expected: &str, found: &Value, at: &At<'_>) {
        let path = at.path();
        let place = if path.is_root() { "The result".to_owned() } else { format!("`{path}`") };
        let kind = found.kind();
        self.report.add(at, &format!("{place} must be {expected}, but the provider gave {kind}."));
    }

    fn object(&mut self, schema: &ObjectSchema, value: &Value, at: &At<'_>) {
        let members = match value {
            Value::Null | Value::Unknown(_) => return,
            Value::Map(members) => members,
            other => return self.wrong("an object", other, at),
        };
        for attribute in &schema.attributes {
            let at = at.attribute(&attribute.name);
            match members.get(&attribute.name) {
                None => self.missing(&at),
                Some(value) => match &attribute.kind {
                    AttributeKind::Plain(ty) => self.plain(ty, value, &at),
                    AttributeKind::Nested(nesting, object) => self.nested(*nesting, object, value, &at),
                },
            }
        }
        for block in &schema.blocks {
            let at = at.attribute(&block.name);
            let nesting = match block.nesting {
                BlockNesting::Single | BlockNesting::Group => Nesting::Single,
                BlockNesting::List => Nesting::List,
                BlockNesting::Set => Nesting::Set,
                BlockNesting::Map => Nesting::Map,
            };
            match members.get(&block.name) {
                None => self.missing(&at),
                Some(value) if value.is_null() && nesting != Nesting::Single => {
                    self.wrong("empty where there is no block", value, &at);
                }
                Some(value) => self.nested(nesting, &block.object, value, &at),
            }
        }
        if members.len() > schema.attributes.len() + schema.blocks.len() {
            let known = |name: &str| {
                schema.find(name).is_some() || schema.blocks.iter().any(|block| block.name == name)
            };
            for name in members.keys().filter(|name| !known(name)) {
                self.report.add(
                    at,
                    &format!("The provider gave an attribute `{name}`, which is not in its schema."),
                );
            }
        }
    }

    fn missing(&mut self, at: &At<'_>) {
        self.report.add(
            at,
            &format!("`{}` is missing in what the provider gave; null it where it has no value.", at.path()),
        );
    }

    fn nested(&mut self, nesting: Nesting, schema: &ObjectSchema, value: &Value, at: &At<'_>) {
        match (nesting, value) {
            (_, Value::Null | Value::Unknown(_)) => {}
            (Nesting::Single, value) => self.object(schema, value, at),
            (Nesting::List, Value::List(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    self.object(schema, element, &at.index(index));
                }
            }
            (Nesting::Set, Value::Set(elements)) => {
                for element in elements.iter() {
                    self.object(schema, element, &at.element(element));
                }
            }
            (Nesting::Map, Value::Map(elements)) => {
                for (key, element) in elements {
                    self.object(schema, element, &at.key(key));
                }
            }
            (Nesting::List, other) => self.wrong("a list of objects", other, at),
            (Nesting::Set, other) => self.wrong("a set of objects", other, at),
            (Nesting::Map, other) => self.wrong("a map of objects", other, at),
        }
    }

    fn plain(&mut self, ty: &Type, value: &Value, at: &At<'_>) {
        match (ty, value) {
            (_, Value::Null | Value::Unknown(_))
            | (Type::Bool, Value::Bool(_))
            | (Type::Number, Value::Number(_))
            | (Type::String, Value::String(_)) => {}
            (Type::Dynamic, Value::Dynamic(dynamic)) => self.plain(&dynamic.ty, &dynamic.value, at),
            (Type::List(ty), Value::List(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    self.plain(ty, element, &at.index(index));
                }
            }
            (Type::Set(ty), Value::Set(elements)) => {
                for element in elements.iter() {
                    self.plain(ty, element, &at.element(element));
                }
            }
            (Type::Map(ty), Value::Map(elements)) => {
                for (key, element) in elements {
                    self.plain(ty, element, &at.key(key));
                }
            }
            (Type::Tuple(types), Value::List(elements)) if types.len() == elements.len() => {
                for (index, (ty, element)) in types.iter().zip(elements).enumerate() {
                    self.plain(ty, element, &at.index(index));
                }
            }
            (Type::Object(object), Value::Map(members)) if object.attributes.keys().eq(members.keys()) => {
                for ((name, ty), value) in object.attributes.iter().zip(members.values()) {
                    self.plain(ty, value, &at.attribute(name));
                }
            }
            (Type::Dynamic, other) => self.wrong("a value that brings its type", other, at),
            (ty, other) => self.wrong(&format!("of type {ty}"), other, at),
        }
    }
}
