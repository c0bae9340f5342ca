//! The type that a JSON value has by itself.

use crate::codec::check_depth;
use crate::{ObjectType, Step, Type, Value, ValueError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Type and value of JSON whose type nobody declared: arrays become tuples, objects become objects, null is of dynamic
/// type. `Value::dynamic(ty, value)` then fits an attribute of dynamic type. Fails where a number is beyond all bounds.
pub fn infer(json: &serde_json::Value) -> Result<(Type, Value), ValueError> {
    infer_at(json, 0)
}

fn infer_at(json: &serde_json::Value, depth: usize) -> Result<(Type, Value), ValueError> {
    check_depth(depth)?;
    Ok(match json {
        serde_json::Value::Null => (Type::Dynamic, Value::Null),
        serde_json::Value::Bool(bool) => (Type::Bool, Value::Bool(*bool)),
        serde_json::Value::String(text) => (Type::String, Value::String(text.clone())),
        serde_json::Value::Number(number) => {
            let number = number.to_string().parse();
            (Type::Number, Value::Number(number.map_err(|_| ValueError::new("the number is too long"))?))
        }
        serde_json::Value::Array(elements) => {
            let (mut types, mut values) = (Vec::new(), Vec::new());
            for (index, element) in elements.iter().enumerate() {
                let (ty, value) = infer_at(element, depth + 1).map_err(|e| e.inside(Step::Index(index)))?;
                types.push(ty);
                values.push(value);
            }
            (Type::tuple(types), Value::List(values))
        }
        serde_json::Value::Object(members) => {
            let (mut attributes, mut values) = (BTreeMap::new(), BTreeMap::new());
            for (name, member) in members {
                let (ty, value) = infer_at(member, depth + 1).map_err(|e| e.in_attribute(name))?;
                attributes.insert(name.clone(), ty);
                values.insert(name.clone(), value);
            }
            (Type::Object(Arc::new(ObjectType { attributes, optional: BTreeSet::new() })), Value::Map(values))
        }
    })
}
