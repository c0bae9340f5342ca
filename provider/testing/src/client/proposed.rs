//! What Terraform core proposes for an object: the configuration, with the prior value wherever the provider
//! decides and the configuration is silent (core's `ProposedNew`, written anew).

use std::collections::BTreeMap;

use tfplugin_framework::schema::{BlockNesting, Members, Nesting, Value};

use super::schema::{Attribute, Block, Kind};

/// The proposed object. A null prior is a create.
pub(super) fn proposed(block: &Block, prior: &Value, config: &Value) -> Value {
    let Value::Map(said) = config else { return config.clone() };
    let mut members = Members::new();
    for attribute in &block.attributes {
        let (prior, config) = (prior.get(&attribute.name), member(said, &attribute.name));
        members.insert(attribute.name.clone(), proposed_attribute(attribute, prior, config));
    }
    for nested in &block.blocks {
        let (prior, config) = (prior.get(&nested.name), member(said, &nested.name));
        let single = matches!(nested.nesting, BlockNesting::Single | BlockNesting::Group);
        members.insert(nested.name.clone(), proposed_nested(&nested.block, single, prior, config));
    }
    Value::Map(members)
}

fn member<'a>(members: &'a Members, name: &str) -> &'a Value {
    members.get(name).unwrap_or(&Value::Null)
}

fn proposed_attribute(attribute: &Attribute, prior: &Value, config: &Value) -> Value {
    if attribute.write_only {
        return Value::Null;
    }
    if attribute.computed && config.is_null() {
        return prior.clone();
    }
    match &attribute.kind {
        Kind::Plain(_) => config.clone(),
        Kind::Nested(nesting, block) => proposed_nested(block, *nesting == Nesting::Single, prior, config),
    }
}

fn proposed_nested(block: &Block, single: bool, prior: &Value, config: &Value) -> Value {
    match config {
        Value::Map(_) if single => proposed(block, prior, config),
        Value::Map(elements) => {
            let each =
                |(key, element): (&String, &Value)| (key.clone(), proposed(block, prior.get(key), element));
            Value::Map(elements.iter().map(each).collect())
        }
        Value::List(elements) => {
            let before = prior.as_elements().unwrap_or_default();
            let each = |(index, element): (usize, &Value)| {
                proposed(block, before.get(index).unwrap_or(&Value::Null), element)
            };
            Value::List(elements.iter().enumerate().map(each).collect())
        }
        Value::Set(elements) => {
            // An element is the one that was there before if they agree in all that can be configured.
            let mut before: BTreeMap<Value, Vec<&Value>> = BTreeMap::new();
            for element in prior.as_elements().unwrap_or_default().iter().rev() {
                before.entry(configured_part(block, element)).or_default().push(element);
            }
            let mut take = |element: &Value| {
                let same = before.get_mut(&configured_part(block, element)).and_then(Vec::pop);
                proposed(block, same.unwrap_or(&Value::Null), element)
            };
            Value::set(elements.iter().map(&mut take))
        }
        other => other.clone(),
    }
}

/// The object with null in the place of what only the provider decides.
pub(super) fn configured_part(block: &Block, value: &Value) -> Value {
    let Value::Map(members) = value else { return value.clone() };
    let mut kept = members.clone();
    for attribute in block.attributes.iter().filter(|attribute| !attribute.is_configurable()) {
        kept.insert(attribute.name.clone(), Value::Null);
    }
    for attribute in block.attributes.iter().filter(|attribute| attribute.is_configurable()) {
        if let Kind::Nested(nesting, inner) = &attribute.kind {
            let value = each_object(member(members, &attribute.name), *nesting == Nesting::Single, inner);
            kept.insert(attribute.name.clone(), value);
        }
    }
    for nested in &block.blocks {
        let single = matches!(nested.nesting, BlockNesting::Single | BlockNesting::Group);
        let value = each_object(member(members, &nested.name), single, &nested.block);
        kept.insert(nested.name.clone(), value);
    }
    Value::Map(kept)
}

fn each_object(value: &Value, single: bool, block: &Block) -> Value {
    match value {
        Value::Map(_) if single => configured_part(block, value),
        Value::Map(elements) => Value::Map(
            elements.iter().map(|(key, element)| (key.clone(), configured_part(block, element))).collect(),
        ),
        Value::List(elements) => {
            Value::List(elements.iter().map(|element| configured_part(block, element)).collect())
        }
        Value::Set(elements) => Value::set(elements.iter().map(|element| configured_part(block, element))),
        other => other.clone(),
    }
}
