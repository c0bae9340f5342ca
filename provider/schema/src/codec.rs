//! What the msgpack and JSON codecs have in common: the depth limit and the words of their errors.

use crate::{Type, Value, ValueError};

/// How deep a value may nest, dynamic values within dynamic values included. A type bounds the depth of its
/// values; a dynamic value brings its own type and could go on for ever.
pub(crate) const MAX_DEPTH: usize = 200;

/// How deep a type may nest that comes as JSON.
pub(crate) const MAX_TYPE_DEPTH: usize = 128;

/// What a value of that type is called in an error.
pub(crate) fn noun(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "a bool",
        Type::Number => "a number",
        Type::String => "a string",
        Type::Dynamic => "a value with its type",
        Type::List(_) => "a list",
        Type::Set(_) => "a set",
        Type::Map(_) => "a map",
        Type::Tuple(_) => "a tuple",
        Type::Object(_) => "an object",
    }
}

pub(crate) fn check_depth(depth: usize) -> Result<(), ValueError> {
    if depth > MAX_DEPTH {
        return Err(ValueError::new(format!("the value nests deeper than {MAX_DEPTH} levels; flatten it")));
    }
    Ok(())
}

/// The value does not have the shape of the type.
pub(crate) fn mismatch(ty: &Type, value: &Value) -> ValueError {
    match ty {
        Type::Dynamic => ValueError::new(format!(
            "an attribute of dynamic type needs a value that brings its type (Value::dynamic), not {} alone",
            value.kind()
        )),
        _ => ValueError::new(format!("{} is required, not {}", noun(ty), value.kind())),
    }
}

pub(crate) fn missing_attribute(name: &str) -> ValueError {
    ValueError::new("the attribute is missing; an object has all attributes of its type, null where absent")
        .in_attribute(name)
}

pub(crate) fn unsupported_attribute(name: &str) -> ValueError {
    // The name comes from outside: a long one is cut.
    let name: String = name.chars().take(64).collect();
    ValueError::new("the schema has no attribute of this name").in_attribute(&name)
}

pub(crate) fn tuple_length(expected: usize, found: usize) -> ValueError {
    ValueError::new(format!("a tuple of {expected} elements is required, not of {found}"))
}

/// The elements of a collection are of one type, also where that is dynamic; cty would end the process that reads others.
pub(crate) fn check_one_type<'a>(
    ty: &Type,
    elements: impl IntoIterator<Item = &'a Value>,
) -> Result<(), ValueError> {
    if *ty != Type::Dynamic {
        return Ok(());
    }
    let mut types = elements.into_iter().filter_map(|element| match element {
        Value::Dynamic(dynamic) => Some(&dynamic.ty),
        _ => None,
    });
    match types.next() {
        Some(first) if types.any(|other| other != first) => Err(ValueError::new(
            "the elements of a list, set or map are all of one type; use a tuple or an object for different ones",
        )),
        _ => Ok(()),
    }
}
