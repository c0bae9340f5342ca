//! Keeps the spelling of values that mean the same: `"60s"` stays, though the API answers `"1m0s"`.

use tfplugin_schema::{
    Attribute, AttributeKind, BlockNesting, Members, Nesting, ObjectSchema, SetValue, Value,
};

use super::tree::{NULL, any_attribute};

/// How many respelled elements of a set are sought pair by pair.
const MAX_PAIRWISE: usize = 32;

/// Gives values in `new` the spelling that they have in `old` (a prior state, or a plan) where both mean the
/// same. After create, update and read.
pub fn keep_spelling(schema: &ObjectSchema, old: &Value, new: &mut Value) {
    if any_attribute(schema, &|attribute| attribute.same.is_some()) {
        object(schema, old, new);
    }
}

/// Whether two objects mean the same. Unknown on the left agrees with anything.
pub(super) fn means_same(schema: &ObjectSchema, left: &Value, right: &Value) -> bool {
    let (Value::Map(a), Value::Map(b)) = (left, right) else { return left.is_unknown() || left == right };
    let get = |members: &'_ Members, name: &str| members.get(name).cloned().unwrap_or(Value::Null);
    schema.attributes.iter().all(|attribute| {
        let (a, b) = (a.get(&attribute.name).unwrap_or(&NULL), b.get(&attribute.name).unwrap_or(&NULL));
        a.is_unknown() || a == b || is_same(attribute, a, b) || nested_same(&attribute.kind, a, b)
    }) && schema.blocks.iter().all(|block| get(a, &block.name) == get(b, &block.name))
}

fn nested_same(kind: &AttributeKind, a: &Value, b: &Value) -> bool {
    let AttributeKind::Nested(nesting, schema) = kind else { return false };
    match (nesting, a, b) {
        (Nesting::Single, Value::Map(_), Value::Map(_)) => means_same(schema, a, b),
        (Nesting::List, Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| means_same(schema, a, b))
        }
        (Nesting::Map, Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((ka, a), (kb, b))| ka == kb && means_same(schema, a, b))
        }
        _ => false,
    }
}

fn is_same(attribute: &Attribute, a: &Value, b: &Value) -> bool {
    let known = |value: &Value| !value.is_null() && value.is_wholly_known();
    attribute.same.is_some_and(|same| known(a) && known(b) && same(a, b))
}

fn object(schema: &ObjectSchema, old: &Value, new: &mut Value) {
    let (Some(old), Value::Map(new)) = (old.as_map(), new) else { return };
    for attribute in &schema.attributes {
        let (Some(old), Some(new)) = (old.get(&attribute.name), new.get_mut(&attribute.name)) else {
            continue;
        };
        if old == new {
            continue;
        }
        if is_same(attribute, old, new) {
            new.clone_from(old);
        } else if let AttributeKind::Nested(nesting, object) = &attribute.kind {
            container(*nesting, object, old, new);
        }
    }
    for block in &schema.blocks {
        let nesting = match block.nesting {
            BlockNesting::Single | BlockNesting::Group => Nesting::Single,
            BlockNesting::List => Nesting::List,
            BlockNesting::Set => Nesting::Set,
            BlockNesting::Map => Nesting::Map,
        };
        if let (Some(old), Some(new)) = (old.get(&block.name), new.get_mut(&block.name)) {
            container(nesting, &block.object, old, new);
        }
    }
}

fn container(nesting: Nesting, schema: &ObjectSchema, old: &Value, new: &mut Value) {
    match (nesting, old, new) {
        (Nesting::Single, old, new) => object(schema, old, new),
        (Nesting::List, Value::List(old), Value::List(new)) => {
            old.iter().zip(new).for_each(|(old, new)| object(schema, old, new));
        }
        (Nesting::Map, Value::Map(old), Value::Map(new)) => {
            for (key, new) in new {
                if let Some(old) = old.get(key) {
                    object(schema, old, new);
                }
            }
        }
        (Nesting::Set, Value::Set(old), Value::Set(new)) => set(schema, old, new),
        _ => {}
    }
}

/// Elements that stand in both sets are left alone; of the others, few enough are compared in pairs.
fn set(schema: &ObjectSchema, old: &SetValue, new: &mut SetValue) {
    let mut left: Vec<&Value> = old.iter().filter(|element| !new.contains(element)).collect();
    let fresh = new.iter().filter(|element| !old.contains(element)).count();
    if left.is_empty() || left.len() > MAX_PAIRWISE || fresh > MAX_PAIRWISE {
        return;
    }
    let mut elements = std::mem::take(new).into_vec();
    for element in &mut elements {
        if old.contains(element) {
            continue;
        }
        if let Some(position) = left.iter().position(|old| means_same(schema, old, element)) {
            let old = left.swap_remove(position);
            object(schema, old, element);
        }
    }
    *new = SetValue::new(elements);
}
