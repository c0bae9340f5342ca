//! Planned values as JSON, for specs that are judged as a whole.

use serde::de::DeserializeOwned;
use tfplugin_framework::schema::Value;

/// The spec in an object, without the attributes that are not its own; `None` while anything in it is unknown.
pub(crate) fn spec_of<T: DeserializeOwned>(object: &Value, without: &[&str]) -> Option<T> {
    let Value::Map(all) = object else { return None };
    let members = all.iter().filter(|(name, _)| !without.contains(&&***name));
    let members: Option<serde_json::Map<_, _>> =
        members.map(|(name, value)| Some((name.to_string(), plain(value)?))).collect();
    serde_json::from_value(members?.into()).ok()
}

fn plain(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(it) => (*it).into(),
        Value::String(it) => it.clone().into(),
        Value::Number(it) => serde_json::from_str(&it.to_string()).ok()?,
        Value::List(all) => all.iter().map(plain).collect::<Option<Vec<_>>>()?.into(),
        Value::Map(all) => {
            let members = all.iter().map(|(name, value)| Some((name.to_string(), plain(value)?)));
            members.collect::<Option<serde_json::Map<_, _>>>()?.into()
        }
        _ => return None,
    })
}
