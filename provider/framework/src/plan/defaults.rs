//! Defaults alone, for what is configured but not planned: data sources and ephemeral resources.

use tfplugin_schema::{AttributeKind, BlockNesting, Nesting, ObjectSchema, Presence, Value};

/// The configuration with defaults where it is null, at any depth.
pub fn with_defaults(schema: &ObjectSchema, config: Value) -> Value {
    let Value::Map(mut members) = config else { return config };
    for attribute in &schema.attributes {
        let value = members.remove(&attribute.name).unwrap_or(Value::Null);
        let value = match &attribute.default {
            Some(default) if value.is_null() || attribute.presence == Presence::Computed => default.clone(),
            _ => value,
        };
        let value = match &attribute.kind {
            AttributeKind::Plain(_) => value,
            AttributeKind::Nested(nesting, object) => nested(*nesting, object, value),
        };
        members.insert(attribute.name.clone(), value);
    }
    for block in &schema.blocks {
        let value = members.remove(&block.name).unwrap_or(Value::Null);
        let nesting = match block.nesting {
            BlockNesting::Single | BlockNesting::Group => Nesting::Single,
            BlockNesting::List => Nesting::List,
            BlockNesting::Set => Nesting::Set,
            BlockNesting::Map => Nesting::Map,
        };
        members.insert(block.name.clone(), nested(nesting, &block.object, value));
    }
    Value::Map(members)
}

fn nested(nesting: Nesting, schema: &ObjectSchema, value: Value) -> Value {
    match (nesting, value) {
        (Nesting::Single, value) => with_defaults(schema, value),
        (Nesting::List, Value::List(elements)) => {
            Value::list(elements.into_iter().map(|element| with_defaults(schema, element)))
        }
        (Nesting::Set, Value::Set(elements)) => {
            Value::set(elements.into_vec().into_iter().map(|element| with_defaults(schema, element)))
        }
        (Nesting::Map, Value::Map(elements)) => {
            Value::map(elements.into_iter().map(|(key, element)| (key, with_defaults(schema, element))))
        }
        (_, other) => other,
    }
}
