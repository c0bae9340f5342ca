//! A state as `terraform show -json` prints it, and checks of it.

use serde_json::Value;

use super::Checked;
use crate::json::{Expect, Path, bounded, same as same_json};

/// A state in JSON.
#[derive(Clone, Debug)]
pub struct StateJson(pub(crate) Value);

impl StateJson {
    /// The whole document.
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// Every resource instance of every module, data sources included.
    pub fn resources(&self) -> Vec<&Value> {
        let mut found = Vec::new();
        let mut modules: Vec<&Value> = self.0.pointer("/values/root_module").into_iter().collect();
        while let Some(module) = modules.pop() {
            found.extend(module.get("resources").and_then(Value::as_array).into_iter().flatten());
            modules.extend(module.get("child_modules").and_then(Value::as_array).into_iter().flatten());
        }
        found
    }

    /// The addresses of all resource instances.
    pub fn addresses(&self) -> Vec<&str> {
        self.resources().iter().filter_map(|resource| resource.get("address")?.as_str()).collect()
    }

    /// Whether it holds no managed resource.
    pub fn is_empty(&self) -> bool {
        !self
            .resources()
            .iter()
            .any(|resource| resource.get("mode").and_then(Value::as_str) == Some("managed"))
    }

    /// The resource at `address`; the error lists what there is.
    pub fn resource(&self, address: &str) -> Result<&Value, String> {
        self.resources()
            .into_iter()
            .find(|resource| resource.get("address").and_then(Value::as_str) == Some(address))
            .ok_or_else(|| format!("the state has no {address}, only [{}]", self.addresses().join(", ")))
    }

    /// The attributes of the resource at `address`.
    pub fn values(&self, address: &str) -> Result<&Value, String> {
        let resource = self.resource(address)?;
        resource.get("values").ok_or_else(|| format!("{address} has no values"))
    }

    /// One value; absent counts as null.
    pub fn get(&self, address: &str, path: &str) -> Result<&Value, String> {
        Ok(Path::parse(path)?.get(self.values(address)?).unwrap_or(&Value::Null))
    }

    /// An output's value.
    pub fn output(&self, name: &str) -> Result<&Value, String> {
        let outputs = self.0.pointer("/values/outputs");
        let output = outputs.and_then(|outputs| outputs.get(name));
        let output = output.ok_or_else(|| format!("the state has no output {name}"))?;
        Ok(output.get("value").unwrap_or(&Value::Null))
    }
}

/// One check of a state. Made by the functions of this module.
pub struct StateCheck<'a>(Box<dyn FnOnce(&StateJson) -> Checked + 'a>);

impl<'a> StateCheck<'a> {
    /// Any check, written by hand.
    pub fn new(check: impl FnOnce(&StateJson) -> Checked + 'a) -> Self {
        Self(Box::new(check))
    }

    pub(crate) fn run(self, state: &StateJson) -> Checked {
        (self.0)(state)
    }
}

/// The value there is this.
pub fn value(address: &str, path: &str, expected: impl Into<Expect>) -> StateCheck<'static> {
    let (address, path, expected) = (address.to_owned(), path.to_owned(), expected.into());
    StateCheck::new(move |state| {
        let actual = state.get(&address, &path)?;
        Ok(expected.check(actual).map_err(|error| format!("{address} `{path}`: {error}"))?)
    })
}

/// Two values are equal.
pub fn same(left: &str, left_path: &str, right: &str, right_path: &str) -> StateCheck<'static> {
    pair([left, left_path, right, right_path], true)
}

/// Two values are not equal.
pub fn differ(left: &str, left_path: &str, right: &str, right_path: &str) -> StateCheck<'static> {
    pair([left, left_path, right, right_path], false)
}

fn pair(places: [&str; 4], equal: bool) -> StateCheck<'static> {
    let [left, left_path, right, right_path] = places.map(str::to_owned);
    StateCheck::new(move |state| {
        let (a, b) = (state.get(&left, &left_path)?, state.get(&right, &right_path)?);
        if same_json(a, b) == equal {
            return Ok(());
        }
        let relation = if equal { "equal" } else { "different" };
        let (a, b) = (bounded(a), bounded(b));
        Err(format!("expected {relation} values: {left} `{left_path}` is {a}, {right} `{right_path}` is {b}")
            .into())
    })
}

/// The resource is in the state.
pub fn exists(address: &str) -> StateCheck<'static> {
    let address = address.to_owned();
    StateCheck::new(move |state| Ok(state.resource(&address).map(|_| ())?))
}

/// The resource is not in the state.
pub fn absent(address: &str) -> StateCheck<'static> {
    let address = address.to_owned();
    StateCheck::new(move |state| match state.resource(&address) {
        Ok(_) => Err(format!("expected no {address}, but the state has it").into()),
        Err(_) => Ok(()),
    })
}

/// The resource is marked for replacement, as after a failed create.
pub fn tainted(address: &str) -> StateCheck<'static> {
    mark(address, true)
}

/// The resource is not marked for replacement.
pub fn not_tainted(address: &str) -> StateCheck<'static> {
    mark(address, false)
}

fn mark(address: &str, expected: bool) -> StateCheck<'static> {
    let address = address.to_owned();
    StateCheck::new(move |state| {
        let resource = state.resource(&address)?;
        if resource.get("tainted").and_then(Value::as_bool).unwrap_or(false) == expected {
            return Ok(());
        }
        Err(format!("{address}: expected it {}tainted", if expected { "" } else { "not " }).into())
    })
}

/// The value there is marked as sensitive in the state.
pub fn kept_sensitive(address: &str, path: &str) -> StateCheck<'static> {
    let (address, path) = (address.to_owned(), path.to_owned());
    StateCheck::new(move |state| {
        let marks = state.resource(&address)?.get("sensitive_values").unwrap_or(&Value::Null);
        match Path::parse(&path)?.marked(marks) {
            true => Ok(()),
            false => Err(format!("{address} `{path}`: expected a sensitive value, marks are {marks}").into()),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state() -> StateJson {
        StateJson(json!({"values": {
            "outputs": {"o": {"value": 1}},
            "root_module": {
                "resources": [
                    {"address": "x.a", "mode": "managed", "tainted": true, "values": {"id": "1", "n": 3.0}, "sensitive_values": {"id": true}},
                    {"address": "data.x.d", "mode": "data", "values": {"id": "1"}},
                ],
                "child_modules": [{"resources": [{"address": "module.m.x.a", "mode": "managed", "values": {"id": "2"}}]}],
            },
        }}))
    }

    #[test]
    fn each_check_holds_where_it_should() {
        for check in [
            value("x.a", "n", 3),
            value("module.m.x.a", "id", "2"),
            value("x.a", "absent", Value::Null),
            same("x.a", "id", "data.x.d", "id"),
            differ("x.a", "id", "module.m.x.a", "id"),
            exists("module.m.x.a"),
            absent("x.b"),
            tainted("x.a"),
            not_tainted("module.m.x.a"),
            kept_sensitive("x.a", "id"),
        ] {
            check.run(&state()).unwrap();
        }
        assert_eq!(state().output("o"), Ok(&json!(1)));
        assert!(!state().is_empty());
        let data_only =
            json!({"values": {"root_module": {"resources": [{"address": "data.x.d", "mode": "data"}]}}});
        assert!(StateJson(data_only).is_empty());
    }

    #[test]
    fn each_check_fails_where_it_should_and_says_what_it_found() {
        for (check, says) in [
            (value("x.a", "n", 4), "x.a `n`: expected 4, got 3.0"),
            (value("x.z", "n", 4), "no x.z, only [x.a, data.x.d, module.m.x.a]"),
            (same("x.a", "id", "module.m.x.a", "id"), "expected equal values: x.a `id` is \"1\""),
            (differ("x.a", "id", "data.x.d", "id"), "expected different values"),
            (exists("x.b"), "no x.b"),
            (absent("x.a"), "expected no x.a"),
            (tainted("module.m.x.a"), "expected it tainted"),
            (not_tainted("x.a"), "expected it not tainted"),
            (kept_sensitive("x.a", "n"), "expected a sensitive value"),
        ] {
            let error = check.run(&state()).unwrap_err().to_string();
            assert!(error.contains(says), "{error:?} lacks {says:?}");
        }
        assert!(state().output("none").is_err());
    }
}
