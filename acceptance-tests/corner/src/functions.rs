//! Functions: variadic, dynamic, with nulls and unknowns, and errors at an argument.

use tfplugin_framework::schema::{Dynamic, Number};
use tfplugin_framework::{FunctionError, Maybe, Parts, function};

use crate::Corner;

pub(crate) fn register(parts: Parts<Corner>) -> Parts<Corner> {
    parts
        .function(join())
        .function(kind())
        .function(known())
        .function(or())
        .function(panics())
        .function(percent())
        .function(same())
}

/// Joins strings.
///
/// Puts the separator between the parts, however many there are.
#[function]
fn join(
    /// What stands between the parts.
    separator: String,
    /// The parts.
    #[variadic]
    parts: Vec<String>,
) -> Result<String, FunctionError> {
    Ok(parts.join(&separator))
}

/// The type of a value.
///
/// As HCL spells it.
#[function]
fn kind(
    /// Any value.
    value: Dynamic,
) -> Result<String, FunctionError> {
    Ok(value.ty.to_string())
}

/// Gives the value back.
///
/// Whatever its type; no digit is lost.
#[function]
fn same(
    /// Any value.
    value: Dynamic,
) -> Result<Dynamic, FunctionError> {
    Ok(value)
}

/// Whether a value is known.
///
/// Answers before apply, too.
#[function]
fn known(
    /// A string, perhaps not known yet, perhaps null.
    value: Maybe<String>,
) -> Result<bool, FunctionError> {
    Ok(!value.is_unknown())
}

/// A value, or another.
///
/// The other one where the first is null.
#[function]
fn or(
    /// A string or null.
    value: Option<String>,
    /// Another.
    other: String,
) -> Result<String, FunctionError> {
    Ok(value.unwrap_or(other))
}

/// A share in percent.
///
/// Refuses a whole that is zero, and says which argument that is.
#[function]
fn percent(
    /// The part.
    part: f64,
    /// The whole; not zero.
    whole: f64,
) -> Result<Number, FunctionError> {
    if whole == 0.0 {
        return Err(FunctionError::at(1, "The whole must not be zero."));
    }
    Number::from_f64(part / whole * 100.0).map_err(|error| FunctionError::new(error.to_string()))
}

/// Panics.
///
/// To see that a panic becomes an error.
#[function]
#[allow(clippy::panic, reason = "what this function is for")]
fn panics() -> Result<bool, FunctionError> {
    panic!("told to panic")
}
