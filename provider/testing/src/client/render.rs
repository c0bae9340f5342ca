//! Values as JSON for tests to look at: sets are arrays, a dynamic value stands without its type, an unknown
//! is the marker that configurations use too.

use serde_json::{Map, Value as Json, json};
use tfplugin_framework::schema::{Path, Refinement, Step, Value};

/// The only key of the object that stands for an unknown value.
pub(super) const MARK: &str = "(known after apply)";

/// An unknown value: in a configuration, and in what a plan shows. Its JSON is an object that no schema has.
#[must_use]
pub fn unknown() -> Json {
    json!({ MARK: null })
}

/// An unknown value that will not be null.
#[must_use]
pub fn unknown_not_null() -> Json {
    json!({ MARK: { "null": false } })
}

/// An unknown string that will not be null and begins with this.
#[must_use]
pub fn unknown_prefix(prefix: &str) -> Json {
    json!({ MARK: { "null": false, "prefix": prefix } })
}

/// The unknown value that this JSON stands for, if it does.
pub(super) fn as_unknown(json: &Json) -> Option<Value> {
    let members = json.as_object().filter(|members| members.len() == 1)?;
    let mark = members.get(MARK)?;
    Some(Value::refined(Refinement {
        null: mark.get("null").and_then(Json::as_bool),
        prefix: mark.get("prefix").and_then(Json::as_str).map(str::to_owned),
        ..Refinement::default()
    }))
}

/// The value as JSON.
pub(super) fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Unknown(None) => unknown(),
        Value::Unknown(Some(refinement)) => json!({ MARK: refinement_json(refinement) }),
        Value::Bool(bool) => Json::Bool(*bool),
        Value::Number(number) => {
            number.to_string().parse().map_or_else(|_| Json::String(number.to_string()), Json::Number)
        }
        Value::String(text) => Json::String(text.clone()),
        Value::List(elements) => elements.iter().map(to_json).collect(),
        Value::Set(set) => set.iter().map(to_json).collect(),
        Value::Map(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.clone(), to_json(value))).collect())
        }
        Value::Dynamic(dynamic) => to_json(&dynamic.value),
    }
}

fn refinement_json(refinement: &Refinement) -> Json {
    let mut out = Map::new();
    let mut put = |name: &str, value: Option<Json>| value.map(|value| out.insert(name.to_owned(), value));
    put("null", refinement.null.map(Json::Bool));
    put("prefix", refinement.prefix.clone().map(Json::String));
    put("lower", refinement.lower.as_ref().map(|bound| to_json(&Value::Number(bound.number.clone()))));
    put("upper", refinement.upper.as_ref().map(|bound| to_json(&Value::Number(bound.number.clone()))));
    put("min_length", refinement.min_length.map(Json::from));
    put("max_length", refinement.max_length.map(Json::from));
    Json::Object(out)
}

/// The value for a message: short.
pub(super) fn show(value: &Value) -> String {
    crate::json::bounded(&to_json(value))
}

/// The path for a message and for comparison in tests; elements of sets show as `[…]`.
pub(super) fn show_path(path: &Path) -> String {
    if path.is_root() { "the object".to_owned() } else { path.to_string() }
}

/// One step, with the path kept for the time of the call.
pub(super) fn within<T>(at: &mut Path, step: Step, work: impl FnOnce(&mut Path) -> T) -> T {
    at.push(step);
    let done = work(at);
    at.pop();
    done
}
