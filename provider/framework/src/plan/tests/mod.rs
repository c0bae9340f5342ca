//! Tests of planning, by table and by property, with a small language for schemas and values.

// Values are handed over where they are written: a table full of `&` reads worse.
#![allow(clippy::needless_pass_by_value)]

mod changing;
mod checking;
mod matching;
mod planning;
mod properties;
mod random;
mod scale;
mod spelling;
mod validation;

use tfplugin_schema::{Attribute, Members, ObjectSchema, Path, Type, Value};

use super::{PlanInput, PlanOutput, plan};

/// An object. Attributes that the schema has and this does not are null.
pub(super) fn obj<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::map(members)
}

/// A list.
pub(super) fn list<const N: usize>(elements: [Value; N]) -> Value {
    Value::list(elements)
}

/// A set.
pub(super) fn set<const N: usize>(elements: [Value; N]) -> Value {
    Value::set(elements)
}

/// A value.
pub(super) fn v(value: impl Into<Value>) -> Value {
    value.into()
}

pub(super) const NULL: Value = Value::Null;
pub(super) const UNKNOWN: Value = Value::UNKNOWN;

/// A required string.
pub(super) fn required(name: &str) -> Attribute {
    Attribute::plain(name, Type::String).describe("A text.")
}

/// An optional string.
pub(super) fn optional(name: &str) -> Attribute {
    required(name).optional()
}

/// A computed string.
pub(super) fn computed(name: &str) -> Attribute {
    required(name).computed()
}

/// A schema of these attributes.
pub(super) fn schema<const N: usize>(attributes: [Attribute; N]) -> ObjectSchema {
    ObjectSchema::new("A thing.").attributes(attributes)
}

/// The value with every member that the schema has.
pub(super) fn fill(schema: &ObjectSchema, value: &Value) -> Value {
    use tfplugin_schema::{AttributeKind, BlockNesting, Nesting};
    fn nested(nesting: Nesting, schema: &ObjectSchema, value: &Value) -> Value {
        match (nesting, value) {
            (Nesting::Single, value) => fill(schema, value),
            (_, Value::List(elements)) => Value::list(elements.iter().map(|e| fill(schema, e))),
            (_, Value::Set(elements)) => Value::set(elements.iter().map(|e| fill(schema, e))),
            (_, Value::Map(elements)) => {
                Value::map(elements.iter().map(|(k, e)| (k.clone(), fill(schema, e))))
            }
            (_, other) => other.clone(),
        }
    }
    let Value::Map(members) = value else { return value.clone() };
    let mut full = Members::new();
    for attribute in &schema.attributes {
        let value = members.get(&attribute.name).unwrap_or(&NULL);
        let value = match &attribute.kind {
            AttributeKind::Plain(_) => value.clone(),
            AttributeKind::Nested(nesting, object) => nested(*nesting, object, value),
        };
        full.insert(attribute.name.clone(), value);
    }
    for block in &schema.blocks {
        let value = match (block.nesting, members.get(&block.name)) {
            (BlockNesting::Single, None) => NULL,
            (BlockNesting::Group, None) => fill(&block.object, &obj([])),
            (BlockNesting::List, None) => list([]),
            (BlockNesting::Set, None) => set([]),
            (BlockNesting::Map, None) => obj([]),
            (BlockNesting::Single | BlockNesting::Group, Some(value)) => fill(&block.object, value),
            (BlockNesting::List, Some(value)) => nested(Nesting::List, &block.object, value),
            (BlockNesting::Set, Some(value)) => nested(Nesting::Set, &block.object, value),
            (BlockNesting::Map, Some(value)) => nested(Nesting::Map, &block.object, value),
        };
        full.insert(block.name.clone(), value);
    }
    assert!(members.keys().all(|name| full.contains_key(name)), "a value outside the schema: {value:?}");
    Value::Map(full)
}

/// Plans a change. Prior null is a create, config null a destroy.
pub(super) fn plan_of(schema: &ObjectSchema, prior: Value, config: Value) -> PlanOutput {
    run(schema, prior, config, false)
}

fn run(schema: &ObjectSchema, prior: Value, config: Value, pending: bool) -> PlanOutput {
    let (prior, config) = (fill(schema, &prior), fill(schema, &config));
    plan(PlanInput { schema, config: &config, prior: &prior, pending })
}

/// What is planned, where there is nothing to tell.
pub(super) fn planned(schema: &ObjectSchema, prior: Value, config: Value) -> Value {
    let output = plan_of(schema, prior, config);
    assert!(output.diagnostics.is_empty(), "{:?}", output.diagnostics);
    output.planned
}

/// What forces replacement, as HCL spells it.
pub(super) fn replaced_by(schema: &ObjectSchema, prior: Value, config: Value) -> Vec<String> {
    plan_of(schema, prior, config).requires_replace.iter().map(Path::to_string).collect()
}
