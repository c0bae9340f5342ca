//! Values to JSON.

use crate::codec::{
    check_depth, check_one_type, mismatch, missing_attribute, tuple_length, unsupported_attribute,
};
use crate::{Step, Type, Value, ValueError};

/// The value as JSON of that type, attributes and keys in alphabetical order. An unknown value is an error, and so is
/// one that does not have the shape of the type.
pub fn encode(value: &Value, ty: &Type) -> Result<Vec<u8>, ValueError> {
    let mut out = Vec::new();
    write(value, ty, 0, &mut out)?;
    Ok(out)
}

fn write(value: &Value, ty: &Type, depth: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
    check_depth(depth)?;
    match (ty, value) {
        (_, Value::Null) => out.extend_from_slice(b"null"),
        (_, Value::Unknown(_)) => {
            return Err(ValueError::new("the value is not known; JSON has no way to say that"));
        }
        (Type::Dynamic, Value::Dynamic(dynamic)) => {
            out.extend_from_slice(b"{\"value\":");
            write(&dynamic.value, &dynamic.ty, depth + 1, out)?;
            out.extend_from_slice(b",\"type\":");
            dynamic.ty.write_json(out);
            out.push(b'}');
        }
        // A value that brings the very type that is asked for.
        (_, Value::Dynamic(dynamic)) if dynamic.ty == *ty => write(&dynamic.value, ty, depth + 1, out)?,
        (Type::Bool, Value::Bool(bool)) => out.extend_from_slice(if *bool { b"true" } else { b"false" }),
        (Type::Number, Value::Number(number)) => out.extend_from_slice(number.to_string().as_bytes()),
        (Type::String, Value::String(text)) => write_string(text, out),
        (Type::List(element), Value::List(elements)) => write_elements(elements, element, depth, out)?,
        (Type::Set(element), Value::Set(set)) => write_elements(set.as_slice(), element, depth, out)?,
        (Type::Tuple(types), Value::List(elements)) => {
            if types.len() != elements.len() {
                return Err(tuple_length(types.len(), elements.len()));
            }
            out.push(b'[');
            for (index, (element, ty)) in elements.iter().zip(types.iter()).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(element, ty, depth + 1, out).map_err(|e| e.inside(Step::Index(index)))?;
            }
            out.push(b']');
        }
        (Type::Map(ty), Value::Map(members)) => {
            check_one_type(ty, members.values())?;
            out.push(b'{');
            for (index, (key, value)) in members.iter().enumerate() {
                write_key(index, key, out);
                write(value, ty, depth + 1, out).map_err(|e| e.inside(Step::Key(key.clone())))?;
            }
            out.push(b'}');
        }
        (Type::Object(object), Value::Map(members)) => {
            if let Some(name) = members.keys().find(|name| !object.attributes.contains_key(*name)) {
                return Err(unsupported_attribute(name));
            }
            out.push(b'{');
            for (index, (name, ty)) in object.attributes.iter().enumerate() {
                write_key(index, name, out);
                let value = members.get(name).ok_or_else(|| missing_attribute(name))?;
                write(value, ty, depth + 1, out).map_err(|e| e.in_attribute(name))?;
            }
            out.push(b'}');
        }
        _ => return Err(mismatch(ty, value)),
    }
    Ok(())
}

fn write_elements(elements: &[Value], ty: &Type, depth: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
    check_one_type(ty, elements)?;
    out.push(b'[');
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(element, ty, depth + 1, out).map_err(|e| e.inside(Step::Index(index)))?;
    }
    out.push(b']');
    Ok(())
}

fn write_key(index: usize, key: &str, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
    write_string(key, out);
    out.push(b':');
}

/// The string in quotes, with what must be escaped escaped.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}
