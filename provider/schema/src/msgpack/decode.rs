//! msgpack to values.

use std::collections::BTreeMap;

use super::reader::{Digits, Reader};
use super::refinement;
use crate::codec::{
    check_depth, check_one_type, missing_attribute, noun, tuple_length, unsupported_attribute,
};
use crate::{Number, NumberError, ObjectType, SetValue, Step, Type, Value, ValueError};

/// Reads a value of that type. Every attribute must be there, and no other; nothing may follow the value.
pub fn decode(msgpack: &[u8], ty: &Type) -> Result<Value, ValueError> {
    let mut reader = Reader::new(msgpack);
    let value = decode_value(&mut reader, ty, 0)?;
    reader.finish()?;
    Ok(value)
}

// A length in the data is a claim. What is reserved for it beforehand stays small; honest data pays a few more
// allocations.
const MAX_RESERVED: usize = 512;

fn decode_value(reader: &mut Reader<'_>, ty: &Type, depth: usize) -> Result<Value, ValueError> {
    check_depth(depth)?;
    if reader.nil()? {
        return Ok(Value::Null);
    }
    if let Some((code, body)) = reader.extension()? {
        return refinement::decode(code, body, ty);
    }
    match ty {
        Type::Bool => reader.bool("a bool").map(Value::Bool),
        Type::Number => decode_number(reader).map(Value::Number),
        Type::String => reader.text("a string").map(Value::from),
        Type::Dynamic => decode_dynamic(reader, depth),
        Type::List(element) => Ok(Value::List(decode_elements(reader, element, noun(ty), depth)?)),
        Type::Set(element) => {
            Ok(Value::Set(SetValue::new(decode_elements(reader, element, noun(ty), depth)?)))
        }
        Type::Map(element) => decode_map(reader, element, depth),
        Type::Tuple(elements) => decode_tuple(reader, elements, depth),
        Type::Object(object) => decode_object(reader, object, depth),
    }
}

pub(super) fn decode_number(reader: &mut Reader<'_>) -> Result<Number, ValueError> {
    match reader.digits("a number")? {
        Digits::Int(int) => Ok(Number::from(int)),
        Digits::Uint(uint) => Ok(Number::from(uint)),
        Digits::Float(float) => decode_float(float)
            .map_err(|_| ValueError::new("a finite number is required, not infinity or no number at all")),
        // The error of the parser would show the text.
        Digits::Text(text) => text
            .parse()
            .map_err(|_| ValueError::new("a number is required; the text is none, or too long for one")),
    }
}

// A double with a fraction stands for the shortest decimal that reads back as it: that is what cty writes into the state,
// and it calls two numbers equal that are written alike. So 0.1 as a double (another provider's output) is the
// 0.1 of a configuration. Whole numbers cty compares by value, so there each digit counts.
fn decode_float(float: f64) -> Result<Number, NumberError> {
    if float.fract() == 0.0 { Number::from_f64_exact(float) } else { Number::from_f64(float) }
}

fn decode_dynamic(reader: &mut Reader<'_>, depth: usize) -> Result<Value, ValueError> {
    const EXPECTED: &str = "an array of a type and its value";
    let length = reader.array(EXPECTED)?;
    if length != 2 {
        return Err(ValueError::new(format!("{EXPECTED} is required, not an array of {length}")));
    }
    let ty = Type::from_json(reader.bytes("the JSON of a type")?)?;
    let value = decode_value(reader, &ty, depth + 1)?;
    Ok(Value::dynamic(ty, value))
}

fn decode_elements(
    reader: &mut Reader<'_>,
    ty: &Type,
    noun: &str,
    depth: usize,
) -> Result<Vec<Value>, ValueError> {
    let length = reader.array(noun)?;
    let mut elements = Vec::with_capacity(length.min(MAX_RESERVED));
    for index in 0..length {
        elements.push(decode_value(reader, ty, depth + 1).map_err(|e| e.inside(Step::Index(index)))?);
    }
    check_one_type(ty, &elements)?;
    Ok(elements)
}

fn decode_map(reader: &mut Reader<'_>, ty: &Type, depth: usize) -> Result<Value, ValueError> {
    let length = reader.map("a map")?;
    let mut members = BTreeMap::new();
    for _ in 0..length {
        let key = reader.text("a key")?;
        let value = decode_value(reader, ty, depth + 1).map_err(|e| e.inside(Step::Key(key.to_owned())))?;
        // Of a key that comes twice the last one counts, as in cty.
        members.insert(key.to_owned(), value);
    }
    check_one_type(ty, members.values())?;
    Ok(Value::Map(members))
}

fn decode_tuple(reader: &mut Reader<'_>, types: &[Type], depth: usize) -> Result<Value, ValueError> {
    let length = reader.array("a tuple")?;
    if length != types.len() {
        return Err(tuple_length(types.len(), length));
    }
    let mut elements = Vec::with_capacity(length);
    for (index, ty) in types.iter().enumerate() {
        elements.push(decode_value(reader, ty, depth + 1).map_err(|e| e.inside(Step::Index(index)))?);
    }
    Ok(Value::List(elements))
}

fn decode_object(reader: &mut Reader<'_>, object: &ObjectType, depth: usize) -> Result<Value, ValueError> {
    let length = reader.map("an object")?;
    let mut members = Vec::with_capacity(length.min(object.attributes.len()));
    // Attributes come in alphabetical order, so the next one is a good guess; else it is looked up.
    let mut guess = object.attributes.iter();
    for _ in 0..length {
        let key = reader.text("the name of an attribute")?;
        let (name, ty) = guess
            .next()
            .filter(|(name, _)| name.as_str() == key)
            .or_else(|| object.attributes.get_key_value(key))
            .ok_or_else(|| unsupported_attribute(key))?;
        if members.len() == object.attributes.len() {
            return Err(twice(name));
        }
        let value = decode_value(reader, ty, depth + 1).map_err(|e| e.in_attribute(name))?;
        members.push((name.clone(), value));
    }
    let count = members.len();
    // Sorted already, which makes this linear.
    let members = BTreeMap::from_iter(members);
    if members.len() < count {
        return Err(ValueError::new("an attribute comes twice"));
    }
    if count < object.attributes.len()
        && let Some(name) = object.attributes.keys().find(|name| !members.contains_key(*name))
    {
        return Err(missing_attribute(name));
    }
    Ok(Value::Map(members))
}

fn twice(name: &str) -> ValueError {
    ValueError::new("the attribute comes twice").in_attribute(name)
}
