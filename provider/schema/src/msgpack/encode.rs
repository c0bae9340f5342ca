//! Values to msgpack.

use super::{refinement, writer};
use crate::codec::{
    check_depth, check_one_type, mismatch, missing_attribute, tuple_length, unsupported_attribute,
};
use crate::{Number, Step, Type, Value, ValueError};

/// The value as msgpack of that type, attributes and keys in alphabetical order. A value that does not have the shape
/// of the type is an error: an attribute missing or too many, a list instead of a set.
pub fn encode(value: &Value, ty: &Type) -> Result<Vec<u8>, ValueError> {
    let mut out = Vec::new();
    write(value, ty, 0, &mut out)?;
    Ok(out)
}

fn write(value: &Value, ty: &Type, depth: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
    check_depth(depth)?;
    match (ty, value) {
        (_, Value::Null) => writer::nil(out),
        (_, Value::Unknown(refinement)) => refinement::write(refinement.as_deref(), ty, out)?,
        (Type::Dynamic, Value::Dynamic(dynamic)) => {
            writer::array(2, out)?;
            let mut json = Vec::new();
            dynamic.ty.write_json(&mut json);
            writer::binary(&json, out)?;
            write(&dynamic.value, &dynamic.ty, depth + 1, out)?;
        }
        // A value that brings the very type that is asked for.
        (_, Value::Dynamic(dynamic)) if dynamic.ty == *ty => write(&dynamic.value, ty, depth + 1, out)?,
        (Type::Bool, Value::Bool(bool)) => writer::bool(*bool, out),
        (Type::Number, Value::Number(number)) => write_number(number, out)?,
        (Type::String, Value::String(text)) => writer::text(text, out)?,
        (Type::List(element), Value::List(elements)) => write_elements(elements, element, depth, out)?,
        (Type::Set(element), Value::Set(set)) => write_elements(set.as_slice(), element, depth, out)?,
        (Type::Tuple(types), Value::List(elements)) => {
            if types.len() != elements.len() {
                return Err(tuple_length(types.len(), elements.len()));
            }
            writer::array(elements.len(), out)?;
            for (index, (element, ty)) in elements.iter().zip(types.iter()).enumerate() {
                write(element, ty, depth + 1, out).map_err(|e| e.inside(Step::Index(index)))?;
            }
        }
        (Type::Map(ty), Value::Map(members)) => {
            check_one_type(ty, members.values())?;
            writer::map(members.len(), out)?;
            for (key, value) in members {
                writer::text(key, out)?;
                write(value, ty, depth + 1, out).map_err(|e| e.inside(Step::Key(key.clone())))?;
            }
        }
        (Type::Object(object), Value::Map(members)) => {
            if members.len() > object.attributes.len()
                && let Some(name) = members.keys().find(|name| !object.attributes.contains_key(*name))
            {
                return Err(unsupported_attribute(name));
            }
            writer::map(object.attributes.len(), out)?;
            for (name, ty) in &object.attributes {
                // Fewer members than attributes, or the same number and another name: one attribute is missing.
                let value = members.get(name).ok_or_else(|| missing_attribute(name))?;
                writer::text(name, out)?;
                write(value, ty, depth + 1, out).map_err(|e| e.in_attribute(name))?;
            }
        }
        _ => return Err(mismatch(ty, value)),
    }
    Ok(())
}

fn write_elements(elements: &[Value], ty: &Type, depth: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
    check_one_type(ty, elements)?;
    writer::array(elements.len(), out)?;
    for (index, element) in elements.iter().enumerate() {
        write(element, ty, depth + 1, out).map_err(|e| e.inside(Step::Index(index)))?;
    }
    Ok(())
}

// A double only for a fraction that it holds exactly and that its shortest decimal spells out; so it reads back as the same
// number, here and in cty (see `decode_float`). Large integers are text in cty too, though a double may hold them.
pub(super) fn write_number(number: &Number, out: &mut Vec<u8>) -> Result<(), ValueError> {
    if let Some(int) = number.to_i64() {
        writer::int(int, out);
    } else if let Some(float) = fraction(number) {
        writer::float(float, out);
    } else {
        writer::text(&number.to_string(), out)?;
    }
    Ok(())
}

fn fraction(number: &Number) -> Option<f64> {
    if number.is_integer() {
        return None;
    }
    number.to_f64_exact().filter(|float| Number::from_f64(*float).is_ok_and(|shortest| shortest == *number))
}
