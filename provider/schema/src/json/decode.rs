//! JSON to values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::codec::{check_depth, check_one_type, noun, tuple_length, unsupported_attribute};
use crate::json::reader::Reader;
use crate::{Number, ObjectType, SetValue, Step, Type, Value, ValueError, type_json};

/// Reads a value of that type. An attribute that is absent is null; one that the type does not have is an error.
/// Memory is bounded by the text, the stack by a depth of 200 levels.
pub fn decode(json: &[u8], ty: &Type) -> Result<Value, ValueError> {
    decode_with(json, ty, Extra::Refused)
}

/// Reads a state that an older schema wrote: attributes that the type does not have are passed over at any depth,
/// absent ones are null.
pub fn decode_state(json: &[u8], ty: &Type) -> Result<Value, ValueError> {
    decode_with(json, ty, Extra::Ignored)
}

/// The same as [`decode`] from a JSON value that is in memory already.
pub fn decode_value(json: &serde_json::Value, ty: &Type) -> Result<Value, ValueError> {
    decode(json.to_string().as_bytes(), ty)
}

/// What becomes of attributes that the type does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Refused,
    Ignored,
}

fn decode_with(json: &[u8], ty: &Type, extra: Extra) -> Result<Value, ValueError> {
    let mut decoder = Decoder { reader: Reader::new(json)?, extra };
    let value = decoder.value(ty, 0)?;
    decoder.reader.finish()?;
    Ok(value)
}

struct Decoder<'a> {
    reader: Reader<'a>,
    extra: Extra,
}

impl Decoder<'_> {
    fn value(&mut self, ty: &Type, depth: usize) -> Result<Value, ValueError> {
        check_depth(depth)?;
        if self.reader.peek()? == b'n' {
            self.reader.literal("null")?;
            return Ok(Value::Null);
        }
        match ty {
            Type::Bool => self.bool(),
            Type::Number => self.number(),
            Type::String => self.string(),
            Type::Dynamic => self.dynamic(depth),
            Type::List(element) => Ok(Value::List(self.elements(element, noun(ty), depth)?)),
            Type::Set(element) => Ok(Value::Set(SetValue::new(self.elements(element, noun(ty), depth)?))),
            Type::Map(element) => self.map(element, depth),
            Type::Tuple(elements) => self.tuple(elements, depth),
            Type::Object(object) => self.object(object, depth),
        }
    }

    fn bool(&mut self) -> Result<Value, ValueError> {
        match self.reader.peek()? {
            b't' => self.reader.literal("true").map(|()| Value::Bool(true)),
            b'f' => self.reader.literal("false").map(|()| Value::Bool(false)),
            _ => match &*self.reader.string("a bool")? {
                "true" | "1" => Ok(Value::Bool(true)),
                "false" | "0" => Ok(Value::Bool(false)),
                _ => {
                    Err(ValueError::new("a bool is required, not a string other than \"true\" and \"false\""))
                }
            },
        }
    }

    fn number(&mut self) -> Result<Value, ValueError> {
        let text = match self.reader.peek()? {
            b'"' => self.reader.string("a number")?,
            _ => Cow::Borrowed(self.reader.number("a number")?),
        };
        parse_number(&text).map(Value::Number)
    }

    fn string(&mut self) -> Result<Value, ValueError> {
        let text = match self.reader.peek()? {
            b't' => self.reader.literal("true").map(|()| Cow::Borrowed("true"))?,
            b'f' => self.reader.literal("false").map(|()| Cow::Borrowed("false"))?,
            b'-' | b'0'..=b'9' => Cow::Borrowed(self.reader.number("a string")?),
            _ => self.reader.string("a string")?,
        };
        Ok(Value::String(text.into_owned()))
    }

    // The value may stand before its type, and cty writes it so: it is passed over, and read when the type is known.
    fn dynamic(&mut self, depth: usize) -> Result<Value, ValueError> {
        let mut members = self.reader.object("an object of \"type\" and \"value\"")?;
        let (mut ty, mut value_at) = (None, None);
        while let Some(key) = self.reader.key(&mut members)? {
            match &*key {
                "type" => ty = Some(type_json::read(&mut self.reader, 1)?),
                "value" => {
                    self.reader.peek()?;
                    value_at = Some(self.reader);
                    self.reader.skip()?;
                }
                _ => {
                    return Err(ValueError::new(
                        "a value of dynamic type has no keys but \"type\" and \"value\"",
                    ));
                }
            }
        }
        let ty = ty.ok_or_else(|| ValueError::new("a value of dynamic type lacks its \"type\""))?;
        let reader =
            value_at.ok_or_else(|| ValueError::new("a value of dynamic type lacks its \"value\""))?;
        let value = Decoder { reader, extra: self.extra }.value(&ty, depth + 1)?;
        Ok(Value::dynamic(ty, value))
    }

    fn elements(&mut self, ty: &Type, noun: &str, depth: usize) -> Result<Vec<Value>, ValueError> {
        let mut elements = Vec::new();
        let mut sequence = self.reader.array(noun)?;
        while self.reader.element(&mut sequence)? {
            let element = self.value(ty, depth + 1);
            elements.push(element.map_err(|e| e.inside(Step::Index(elements.len())))?);
        }
        check_one_type(ty, &elements)?;
        Ok(elements)
    }

    fn map(&mut self, ty: &Type, depth: usize) -> Result<Value, ValueError> {
        let mut members = BTreeMap::new();
        let mut sequence = self.reader.object("a map")?;
        while let Some(key) = self.reader.key(&mut sequence)? {
            let key = key.into_owned();
            match self.value(ty, depth + 1) {
                Ok(value) => members.insert(key, value),
                Err(error) => return Err(error.inside(Step::Key(key))),
            };
        }
        check_one_type(ty, members.values())?;
        Ok(Value::Map(members))
    }

    fn tuple(&mut self, types: &[Type], depth: usize) -> Result<Value, ValueError> {
        let mut elements = Vec::with_capacity(types.len());
        let mut sequence = self.reader.array("a tuple")?;
        while self.reader.element(&mut sequence)? {
            let index = elements.len();
            let ty = types.get(index).ok_or_else(|| tuple_length(types.len(), index + 1))?;
            elements.push(self.value(ty, depth + 1).map_err(|e| e.inside(Step::Index(index)))?);
        }
        if elements.len() != types.len() {
            return Err(tuple_length(types.len(), elements.len()));
        }
        Ok(Value::List(elements))
    }

    fn object(&mut self, object: &ObjectType, depth: usize) -> Result<Value, ValueError> {
        let mut members = BTreeMap::new();
        let mut sequence = self.reader.object("an object")?;
        while let Some(key) = self.reader.key(&mut sequence)? {
            let Some((name, ty)) = object.attributes.get_key_value(&*key) else {
                match self.extra {
                    Extra::Refused => return Err(unsupported_attribute(&key)),
                    Extra::Ignored => self.reader.skip()?,
                }
                continue;
            };
            let value = self.value(ty, depth + 1).map_err(|e| e.in_attribute(name))?;
            members.insert(name.clone(), value);
        }
        for name in object.attributes.keys() {
            if !members.contains_key(name) {
                members.insert(name.clone(), Value::Null);
            }
        }
        Ok(Value::Map(members))
    }
}

fn parse_number(text: &str) -> Result<Number, ValueError> {
    // The error of the parser would show the text.
    text.parse().map_err(|_| ValueError::new("a number is required, in decimal and of a sensible size"))
}
