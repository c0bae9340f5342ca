//! The properties of the codecs, each a function of bytes that panics when it does not hold. Proptest and the fuzzers
//! call the same functions.
#![allow(clippy::panic, clippy::expect_used, reason = "a property that does not hold must be seen")]

use super::Choices;
use crate::{Type, Value, ValueError, json, msgpack};

/// Any bytes against any type: either an error, or a value of that type that survives the round trip.
pub fn msgpack_decode(data: &[u8]) {
    let mut choices = Choices::new(data);
    let ty = choices.ty();
    match msgpack::decode(choices.rest(), &ty) {
        Ok(value) => msgpack_round_trip(&ty, &value),
        Err(error) => is_readable(&error),
    }
}

/// Any text against any type, as the codec for states (`lenient`) or for values.
pub fn json_decode(data: &[u8], lenient: bool) {
    let mut choices = Choices::new(data);
    let ty = choices.ty();
    let strict = json::decode(choices.rest(), &ty);
    let result = if lenient { json::decode_state(choices.rest(), &ty) } else { strict.clone() };
    match result {
        Ok(value) => {
            json_round_trip(&ty, &value);
            msgpack_round_trip(&ty, &value);
        }
        Err(error) => is_readable(&error),
    }
    if lenient && let Ok(value) = strict {
        assert_eq!(
            json::decode_state(choices.rest(), &ty),
            Ok(value),
            "a state that is current reads the same"
        );
    }
}

/// A value of any type, its known part as the state of an older schema, read with the type less some attributes.
pub fn upgrade(data: &[u8]) {
    let mut choices = Choices::new(data);
    let ty = choices.ty();
    let value = choices.known_value(&ty);
    let state = json::encode(&value, &ty).unwrap_or_else(|e| panic!("no JSON of {value:?} as {ty}: {e}"));
    let newer = with_other_attributes(&ty, &mut choices);
    let upgraded = json::decode_state(&state, &newer).unwrap_or_else(|e| {
        panic!("state {} of {ty} cannot be read as {newer}: {e}", String::from_utf8_lossy(&state))
    });
    msgpack_round_trip(&newer, &upgraded);
    // Whatever follows is a state too, more likely a broken one.
    if let Err(error) = json::decode_state(choices.rest(), &newer) {
        is_readable(&error);
    }
}

/// Any bytes as the body of a refinement.
pub fn refinements(data: &[u8]) {
    let mut choices = Choices::new(data);
    let ty = choices.ty();
    let body = choices.rest();
    let mut wire = vec![0xc9];
    wire.extend_from_slice(&(body.len() as u32).to_be_bytes());
    wire.push(12);
    wire.extend_from_slice(body);
    match msgpack::decode(&wire, &ty) {
        Ok(value) => msgpack_round_trip(&ty, &value),
        Err(error) => is_readable(&error),
    }
}

/// Encoding and decoding gives the same value, and encoding that the same bytes.
pub fn msgpack_round_trip(ty: &Type, value: &Value) {
    let bytes = msgpack::encode(value, ty).unwrap_or_else(|e| panic!("no msgpack of {value:?} as {ty}: {e}"));
    let back = msgpack::decode(&bytes, ty).unwrap_or_else(|e| panic!("{value:?} as {ty} is unreadable: {e}"));
    assert_eq!(&without_what_is_not_said(value), &without_what_is_not_said(&back), "as {ty}");
    assert_eq!(msgpack::encode(&back, ty).ok(), Some(bytes), "{value:?} as {ty}");
}

/// The same in JSON, which has no unknown values.
pub fn json_round_trip(ty: &Type, value: &Value) {
    match json::encode(value, ty) {
        Ok(text) => {
            let back = json::decode(&text, ty);
            let text = String::from_utf8_lossy(&text);
            assert_eq!(back.as_ref(), Ok(value), "as {ty}: {text}");
            assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "not JSON: {text}");
        }
        Err(error) => {
            is_readable(&error);
            assert!(!value.is_wholly_known(), "{error}");
        }
    }
}

// Long bounds and long prefixes are cut on the wire, so what comes back may say less.
fn without_what_is_not_said(value: &Value) -> Value {
    match value {
        Value::Unknown(Some(refinement)) => {
            let mut known = (**refinement).clone();
            if let Some(prefix) = &mut known.prefix {
                prefix.truncate(prefix.floor_char_boundary(256));
            }
            let short = |bound: &crate::Bound| bound.number.to_string().len() <= 480;
            known.lower = known.lower.filter(short);
            known.upper = known.upper.filter(short);
            Value::refined(known)
        }
        Value::List(elements) => Value::List(elements.iter().map(without_what_is_not_said).collect()),
        Value::Set(set) => Value::set(set.iter().map(without_what_is_not_said)),
        Value::Map(members) => {
            Value::map(members.iter().map(|(k, v)| (k.clone(), without_what_is_not_said(v))))
        }
        Value::Dynamic(dynamic) => {
            Value::dynamic(dynamic.ty.clone(), without_what_is_not_said(&dynamic.value))
        }
        _ => value.clone(),
    }
}

// The type of a later version of the schema: each object lost some attributes and got a new one.
fn with_other_attributes(ty: &Type, choices: &mut Choices<'_>) -> Type {
    match ty {
        Type::List(element) => Type::list(with_other_attributes(element, choices)),
        Type::Set(element) => Type::set(with_other_attributes(element, choices)),
        Type::Map(element) => Type::map(with_other_attributes(element, choices)),
        Type::Tuple(types) => {
            Type::tuple(types.iter().map(|ty| with_other_attributes(ty, choices)).collect::<Vec<_>>())
        }
        Type::Object(object) => {
            let mut attributes = object.attributes.clone();
            attributes.retain(|_, _| choices.byte() & 1 == 0);
            for ty in attributes.values_mut() {
                *ty = with_other_attributes(ty, choices);
            }
            attributes.entry("new in this version".to_owned()).or_insert(Type::Bool);
            Type::object(attributes)
        }
        _ => ty.clone(),
    }
}

fn is_readable(error: &ValueError) {
    let text = error.to_string();
    assert!(!error.message().is_empty());
    assert!(error.message().len() < 400, "an error says what is wrong, not what was sent: {text}");
}
