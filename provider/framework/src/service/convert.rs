//! Values, paths and diagnostics as messages of the protocol.

use crate::error::{Error, Result};
use crate::log::masked;
use crate::proto::tfplugin6 as pb;
use crate::proto::tfplugin6::attribute_path::step::Selector;
use crate::schema::{Diagnostic, Diagnostics, Path, Severity, Step, Type, Value, ValueError, json, msgpack};

/// Reads a value. Absent counts as null.
pub(super) fn decode(value: Option<&pb::DynamicValue>, ty: &Type, what: &str) -> Result<Value> {
    let Some(value) = value else { return Ok(Value::Null) };
    let read = match (value.msgpack.is_empty(), value.json.is_empty()) {
        (false, _) => msgpack::decode(&value.msgpack, ty),
        (true, false) => json::decode(&value.json, ty),
        (true, true) => Ok(Value::Null),
    };
    read.map_err(|error| unreadable(&error, what))
}

fn unreadable(error: &ValueError, what: &str) -> Error {
    Error::invalid(format!("the {what} does not fit the schema: {}", error.message()))
        .at(error.path())
        .next("If the provider was replaced by another version, run init and plan again; else report it.")
}

/// Writes a value. One that does not fit its schema is the provider's fault.
pub(super) fn encode(value: &Value, ty: &Type) -> Result<pb::DynamicValue> {
    let bytes = msgpack::encode(value, ty).map_err(|error| {
        Error::bug(format!("the provider made a value that its schema does not allow: {}", error.message()))
            .at(error.path())
    })?;
    Ok(pb::DynamicValue { msgpack: bytes.into(), json: bytes::Bytes::new() })
}

pub(super) fn diagnostics(diagnostics: &Diagnostics) -> Vec<pb::Diagnostic> {
    diagnostics.iter().map(diagnostic).collect()
}

// Whatever is told passes the mask: a library's error text may quote a secret.
fn diagnostic(diagnostic: &Diagnostic) -> pb::Diagnostic {
    let severity = match diagnostic.severity {
        Severity::Error => pb::diagnostic::Severity::Error,
        Severity::Warning => pb::diagnostic::Severity::Warning,
    };
    pb::Diagnostic {
        severity: severity as i32,
        summary: masked(&diagnostic.summary).into_owned(),
        detail: masked(&diagnostic.detail).into_owned(),
        attribute: diagnostic.path.as_ref().and_then(path),
    }
}

/// The path, up to the first element of a set: the protocol cannot name those.
pub(super) fn path(path: &Path) -> Option<pb::AttributePath> {
    let mut steps = Vec::new();
    for step in path.steps() {
        let selector = match step {
            Step::Attribute(name) => Selector::AttributeName(name.clone()),
            Step::Key(key) => Selector::ElementKeyString(key.clone()),
            Step::Index(index) => Selector::ElementKeyInt(i64::try_from(*index).unwrap_or(i64::MAX)),
            Step::Element(_) => break,
        };
        steps.push(pb::attribute_path::Step { selector: Some(selector) });
    }
    if steps.is_empty() { None } else { Some(pb::AttributePath { steps }) }
}
