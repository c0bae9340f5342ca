//! Which prior element of a nested set each configured one was. Elements have no name, so what the
//! configuration says of them is their identity; what the provider computed is not.

use tfplugin_schema::{Attribute, AttributeKind, NestedBlock, ObjectSchema, Value};

use super::contest;
use super::correlate::pair;
use super::spelling::means_same;
use super::tree::{NULL, any_attribute, said};

/// How many unmatched elements are compared pair by pair, in search of one that was only respelled.
const MAX_PAIRWISE: usize = 32;

/// For each configured element its prior self. One that is not wholly known has none.
pub(super) fn match_prior<'a>(
    schema: &ObjectSchema,
    config: &[Value],
    prior: &'a [Value],
) -> Vec<Option<&'a Value>> {
    if prior.is_empty() {
        return vec![None; config.len()];
    }
    let template = |element: &Value| element.is_wholly_known().then(|| template(schema, element));
    let templates: Vec<Option<Value>> = config.iter().map(template).collect();
    let mut pairs = pair(&templates, prior);
    contest::contest(schema, config, prior, &mut pairs);
    match_respelled(schema, &templates, prior, &mut pairs);
    pairs.into_iter().map(|index| index.and_then(|index| prior.get(index))).collect()
}

/// `same` cannot be hashed, so respelled elements are only sought where few are left.
fn match_respelled(
    schema: &ObjectSchema,
    templates: &[Option<Value>],
    prior: &[Value],
    pairs: &mut [Option<usize>],
) {
    let open: Vec<usize> =
        (0..pairs.len()).filter(|i| pairs[*i].is_none() && templates[*i].is_some()).collect();
    if open.is_empty()
        || open.len() > MAX_PAIRWISE
        || !any_attribute(schema, &|attribute| attribute.same.is_some())
    {
        return;
    }
    let mut free = vec![true; prior.len()];
    pairs.iter().flatten().for_each(|index| free[*index] = false);
    let mut left: Vec<usize> = (0..prior.len()).filter(|index| free[*index]).collect();
    if left.len() > MAX_PAIRWISE {
        return;
    }
    for index in open {
        let Some(template) = &templates[index] else { continue };
        if let Some(position) = left.iter().position(|p| means_same(schema, template, &prior[*p])) {
            pairs[index] = Some(left.remove(position));
        }
    }
}

/// A configured object as its prior self must look: defaults applied, unknown where the provider chose.
pub(super) fn template(schema: &ObjectSchema, value: &Value) -> Value {
    let Value::Map(members) = value else { return value.clone() };
    let get = |name: &str| members.get(name).unwrap_or(&NULL);
    let attributes = schema.attributes.iter().map(|a| (a.name.as_str(), attribute(a, get(&a.name))));
    let blocks = schema.blocks.iter().map(|b| (b.name.as_str(), block(b, get(&b.name))));
    Value::map(attributes.chain(blocks))
}

fn attribute(attribute: &Attribute, config: &Value) -> Value {
    if attribute.write_only {
        return Value::Null;
    }
    let said = said(attribute, config);
    if said.is_null() && attribute.presence.is_computed() {
        return Value::UNKNOWN;
    }
    match &attribute.kind {
        AttributeKind::Plain(_) => said.clone(),
        AttributeKind::Nested(nesting, object) => {
            nested(object, said, *nesting == tfplugin_schema::Nesting::Single)
        }
    }
}

fn block(block: &NestedBlock, config: &Value) -> Value {
    use tfplugin_schema::BlockNesting::{Group, List, Map, Set, Single};
    match block.nesting {
        Single => nested(&block.object, config, true),
        Group if config.is_null() => template(&block.object, &Value::map::<String>([])),
        Group => nested(&block.object, config, true),
        List if config.is_null() => Value::list([]),
        Set if config.is_null() => Value::set([]),
        Map if config.is_null() => Value::map::<String>([]),
        List | Set | Map => nested(&block.object, config, false),
    }
}

fn nested(schema: &ObjectSchema, value: &Value, single: bool) -> Value {
    match value {
        Value::Map(_) if single => template(schema, value),
        Value::Map(elements) => {
            Value::map(elements.iter().map(|(key, element)| (key.as_str(), template(schema, element))))
        }
        Value::List(elements) => Value::list(elements.iter().map(|element| template(schema, element))),
        Value::Set(elements) => Value::set(elements.iter().map(|element| template(schema, element))),
        other => other.clone(),
    }
}
