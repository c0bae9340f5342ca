//! A plan as `terraform show -json` prints it, and checks of it.

use std::fmt;

use serde_json::Value;

use super::Checked;
use crate::json::{Expect, Path};

/// What a plan does with one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    NoOp,
    /// A new object.
    Create,
    /// A data source that is read during apply.
    Read,
    /// A change in place.
    Update,
    /// The end of the object.
    Delete,
    /// Delete and create, in whichever order.
    Replace,
    /// Delete first, then create.
    DeleteThenCreate,
    /// `create_before_destroy`.
    CreateThenDelete,
    /// Leaves the state, the object stays (`removed` blocks).
    Forget,
}

impl Action {
    fn of(actions: &[&str]) -> Option<Self> {
        Some(match actions {
            ["no-op"] => Self::NoOp,
            ["create"] => Self::Create,
            ["read"] => Self::Read,
            ["update"] => Self::Update,
            ["delete"] => Self::Delete,
            ["delete", "create"] => Self::DeleteThenCreate,
            ["create", "delete"] => Self::CreateThenDelete,
            ["forget"] => Self::Forget,
            _ => return None,
        })
    }

    fn covers(self, actual: Self) -> bool {
        self == actual
            || (self == Self::Replace && matches!(actual, Self::DeleteThenCreate | Self::CreateThenDelete))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoOp => "no change",
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update in place",
            Self::Delete => "delete",
            Self::Replace => "replace",
            Self::DeleteThenCreate => "delete, then create",
            Self::CreateThenDelete => "create, then delete",
            Self::Forget => "forget",
        })
    }
}

/// A plan in JSON.
#[derive(Clone, Debug)]
pub struct PlanJson(pub(crate) Value);

impl PlanJson {
    /// The whole document.
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// Every planned resource change, including those that change nothing.
    pub fn changes(&self) -> impl Iterator<Item = &Value> {
        elements(&self.0, "resource_changes")
    }

    /// Differences that refreshing found between the state and the objects.
    pub fn drift(&self) -> impl Iterator<Item = &Value> {
        elements(&self.0, "resource_drift")
    }

    /// The planned change of the resource at `address`; the error lists what there is.
    pub fn change(&self, address: &str) -> Result<&Value, String> {
        self.changes().find(|change| address_of(change) == address).ok_or_else(|| {
            let known: Vec<_> = self.changes().map(address_of).collect();
            format!("the plan has no {address}, only [{}]", known.join(", "))
        })
    }

    /// What is planned for the resource at `address`.
    pub fn action(&self, address: &str) -> Result<Action, String> {
        action_of(self.change(address)?)
    }

    /// What this plan would do, one line for each resource and output; empty when it does nothing.
    pub fn pending(&self) -> Vec<String> {
        let resources = self.changes().filter_map(|change| {
            let action = action_of(change);
            let address = address_of(change);
            if let Some(from) = change.get("previous_address").and_then(Value::as_str) {
                return Some(format!("{address}: moved from {from}"));
            }
            if change.pointer("/change/importing").is_some_and(|importing| !importing.is_null()) {
                return Some(match action {
                    Ok(Action::NoOp) => format!("{address}: import"),
                    Ok(action) => format!("{address}: import and {action}{}", differences(change)),
                    Err(error) => error,
                });
            }
            match action {
                Ok(Action::NoOp) => None,
                Ok(action) => Some(format!("{address}: {action}{}", differences(change))),
                Err(error) => Some(error),
            }
        });
        let outputs = self.0.get("output_changes").and_then(Value::as_object).into_iter().flatten();
        let outputs = outputs.filter_map(|(name, change)| {
            let idle = change.get("actions") == Some(&serde_json::json!(["no-op"]));
            (!idle).then(|| format!("output {name}: changes"))
        });
        resources.chain(outputs).collect()
    }

    /// What refreshing found, one line for each resource.
    pub fn drifted(&self) -> Vec<String> {
        self.drift().map(|change| format!("{}: drifted{}", address_of(change), differences(change))).collect()
    }
}

fn elements<'v>(json: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    json.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn address_of(change: &Value) -> &str {
    change.get("address").and_then(Value::as_str).unwrap_or("?")
}

fn action_of(change: &Value) -> Result<Action, String> {
    let actions = change.pointer("/change/actions");
    let names: Vec<&str> =
        actions.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    Action::of(&names).ok_or_else(|| format!("{}: unknown actions {names:?}", address_of(change)))
}

/// The top-level attributes that differ, for a message.
fn differences(change: &Value) -> String {
    let side = |name| change.pointer(&format!("/change/{name}")).and_then(Value::as_object);
    let (Some(before), Some(after)) = (side("before"), side("after")) else { return String::new() };
    let unknown = side("after_unknown");
    let mut lines = Vec::new();
    for (name, before) in before {
        if unknown.and_then(|unknown| unknown.get(name)) == Some(&Value::Bool(true)) {
            lines.push(format!("{name}: {} → (known after apply)", crate::json::bounded(before)));
        } else if let Some(after) = after.get(name).filter(|after| !crate::json::same(before, after)) {
            lines.push(format!("{name}: {} → {}", crate::json::bounded(before), crate::json::bounded(after)));
        }
    }
    if lines.is_empty() { String::new() } else { format!(" ({})", lines.join("; ")) }
}

/// One check of a plan. Made by the functions of this module.
pub struct PlanCheck<'a>(Box<dyn FnOnce(&PlanJson) -> Checked + 'a>);

impl<'a> PlanCheck<'a> {
    /// Any check, written by hand.
    pub fn new(check: impl FnOnce(&PlanJson) -> Checked + 'a) -> Self {
        Self(Box::new(check))
    }

    pub(crate) fn run(self, plan: &PlanJson) -> Checked {
        (self.0)(plan)
    }
}

/// The plan does this with the resource.
pub fn action(address: &str, expected: Action) -> PlanCheck<'static> {
    let address = address.to_owned();
    PlanCheck::new(move |plan| {
        let change = plan.change(&address)?;
        let actual = action_of(change)?;
        if expected.covers(actual) {
            return Ok(());
        }
        Err(format!("{address}: expected {expected}, planned is {actual}{}", differences(change)).into())
    })
}

/// The plan changes nothing: no resource, no output, no move, no import.
pub fn empty() -> PlanCheck<'static> {
    PlanCheck::new(|plan| match plan.pending() {
        pending if pending.is_empty() => Ok(()),
        pending => Err(format!("expected an empty plan, got\n{}", pending.join("\n")).into()),
    })
}

/// Refreshing found no difference between state and objects.
pub fn no_drift() -> PlanCheck<'static> {
    PlanCheck::new(|plan| match plan.drifted() {
        drifted if drifted.is_empty() => Ok(()),
        drifted => Err(format!("expected no drift, got\n{}", drifted.join("\n")).into()),
    })
}

/// The value there will be known after apply only.
pub fn unknown(address: &str, path: &str) -> PlanCheck<'static> {
    at(address, path, |place| match place.unknown() {
        true => Ok(()),
        false => Err(format!("expected (known after apply), planned is {}", place.shown())),
    })
}

/// The planned value is this, and nothing within it is unknown.
pub fn known(address: &str, path: &str, expected: impl Into<Expect>) -> PlanCheck<'static> {
    let expected = expected.into();
    at(address, path, move |place| {
        if place.path.marked_anywhere(place.mark("after_unknown")) {
            return Err(format!(
                "expected a known value, planned is (known after apply); known: {}",
                place.shown()
            ));
        }
        expected.check(place.after())
    })
}

/// The planned value is null, and known to be so.
pub fn null(address: &str, path: &str) -> PlanCheck<'static> {
    known(address, path, Value::Null)
}

/// The planned value there is marked as sensitive.
pub fn sensitive(address: &str, path: &str) -> PlanCheck<'static> {
    at(address, path, |place| match place.path.marked(place.mark("after_sensitive")) {
        true => Ok(()),
        false => Err("expected a sensitive value, but it would be shown".to_owned()),
    })
}

/// The planned value there is not marked as sensitive, nor is anything within it.
pub fn not_sensitive(address: &str, path: &str) -> PlanCheck<'static> {
    at(address, path, |place| match place.path.marked_anywhere(place.mark("after_sensitive")) {
        true => Err("expected no sensitive value, but it is marked".to_owned()),
        false => Ok(()),
    })
}

/// The attribute at `path` is a reason for the replacement.
pub fn replaced_because_of(address: &str, path: &str) -> PlanCheck<'static> {
    let (address, path) = (address.to_owned(), path.to_owned());
    PlanCheck::new(move |plan| {
        let change = plan.change(&address)?;
        let wanted = Path::parse(&path)?.to_json();
        let paths = change.pointer("/change/replace_paths").cloned().unwrap_or(Value::Null);
        match paths.as_array().is_some_and(|paths| paths.contains(&wanted)) {
            true => Ok(()),
            false => {
                Err(format!("{address}: expected a replacement because of {wanted}, reasons are {paths}")
                    .into())
            }
        }
    })
}

/// The reason that Terraform gives for the action, such as `replace_because_tainted`.
pub fn reason(address: &str, expected: &str) -> PlanCheck<'static> {
    let (address, expected) = (address.to_owned(), Value::from(expected));
    PlanCheck::new(move |plan| {
        let actual = plan.change(&address)?.get("action_reason").cloned().unwrap_or(Value::Null);
        let found = actual == expected;
        if found {
            Ok(())
        } else {
            Err(format!("{address}: expected reason {expected}, got {actual}").into())
        }
    })
}

/// The resource comes from another address.
pub fn moved(from: &str, to: &str) -> PlanCheck<'static> {
    let (from, to) = (Value::from(from), to.to_owned());
    PlanCheck::new(move |plan| {
        let actual = plan.change(&to)?.get("previous_address").cloned().unwrap_or(Value::Null);
        let found = actual == from;
        if found { Ok(()) } else { Err(format!("{to}: expected a move from {from}, got {actual}").into()) }
    })
}

/// Refreshing found that the value at `path` is now this, unlike the state.
pub fn drift(address: &str, path: &str, expected: impl Into<Expect>) -> PlanCheck<'static> {
    let (address, path, expected) = (address.to_owned(), path.to_owned(), expected.into());
    PlanCheck::new(move |plan| {
        let change = plan
            .drift()
            .find(|change| address_of(change) == address)
            .ok_or_else(|| format!("{address}: expected drift, found is [{}]", plan.drifted().join("; ")))?;
        let place = Place { path: Path::parse(&path)?, change };
        Ok(expected.check(place.after()).map_err(|error| format!("{address} {path}: {error}"))?)
    })
}

/// The planned value of an output is this.
pub fn planned_output(name: &str, expected: impl Into<Expect>) -> PlanCheck<'static> {
    let (name, expected) = (name.to_owned(), expected.into());
    PlanCheck::new(move |plan| {
        let change = plan
            .0
            .get("output_changes")
            .and_then(|outputs| outputs.get(&name))
            .ok_or_else(|| format!("the plan has no output {name}"))?;
        if Path(Vec::new()).marked_anywhere(change.get("after_unknown").unwrap_or(&Value::Null)) {
            return Err(
                format!("output {name}: expected a known value, planned is (known after apply)").into()
            );
        }
        let after = change.get("after").unwrap_or(&Value::Null);
        Ok(expected.check(after).map_err(|error| format!("output {name}: {error}"))?)
    })
}

/// One value of a planned change.
struct Place<'p> {
    path: Path,
    change: &'p Value,
}

impl Place<'_> {
    fn mark(&self, name: &str) -> &Value {
        self.change.pointer(&format!("/change/{name}")).unwrap_or(&Value::Null)
    }

    fn unknown(&self) -> bool {
        self.path.marked(self.mark("after_unknown"))
    }

    /// Absent counts as null, as in the configuration.
    fn after(&self) -> &Value {
        self.path.get(self.mark("after")).unwrap_or(&Value::Null)
    }

    fn shown(&self) -> String {
        crate::json::bounded(self.after())
    }
}

fn at(
    address: &str,
    path: &str,
    check: impl FnOnce(&Place<'_>) -> Result<(), String> + 'static,
) -> PlanCheck<'static> {
    let (address, path) = (address.to_owned(), path.to_owned());
    PlanCheck::new(move |plan| {
        let place = Place { path: Path::parse(&path)?, change: plan.change(&address)? };
        if place.mark("after").is_null() {
            return Err(format!("{address}: expected a planned value, but it will be gone").into());
        }
        Ok(check(&place).map_err(|error| format!("{address} `{path}`: {error}"))?)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan() -> PlanJson {
        PlanJson(json!({
            "resource_changes": [{
                "address": "x.a",
                "action_reason": "replace_because_cannot_update",
                "change": {
                    "actions": ["delete", "create"],
                    "before": {"id": "1", "size": 3, "tags": {"a": "b"}},
                    "after": {"size": 4, "tags": {"a": "b"}, "none": null, "nested": [{"known": 1}]},
                    "after_unknown": {"id": true, "nested": [{"late": true}], "tags": {}},
                    "after_sensitive": {"tags": true},
                    "replace_paths": [["size"], ["nested", 0, "known"]],
                },
            }, {
                "address": "x.b",
                "change": {"actions": ["no-op"], "before": {"a": 1}, "after": {"a": 1}},
            }, {
                "address": "x.gone",
                "change": {"actions": ["delete"], "before": {"a": 1}, "after": null},
            }],
            "output_changes": {
                "o": {"actions": ["update"], "after": [1], "after_unknown": false},
                "same": {"actions": ["no-op"]},
            },
            "resource_drift": [{
                "address": "x.b",
                "change": {"actions": ["update"], "before": {"a": 0}, "after": {"a": 1}},
            }],
        }))
    }

    #[test]
    fn each_check_holds_where_it_should() {
        for check in [
            action("x.a", Action::Replace),
            action("x.a", Action::DeleteThenCreate),
            action("x.b", Action::NoOp),
            unknown("x.a", "id"),
            unknown("x.a", "nested[0].late"),
            known("x.a", "size", 4),
            known("x.a", "nested[0].known", 1),
            null("x.a", "none"),
            sensitive("x.a", "tags.a"),
            not_sensitive("x.a", "size"),
            replaced_because_of("x.a", "size"),
            replaced_because_of("x.a", "nested[0].known"),
            reason("x.a", "replace_because_cannot_update"),
            drift("x.b", "a", 1),
            planned_output("o", json!([1])),
        ] {
            check.run(&plan()).unwrap();
        }
    }

    #[test]
    fn each_check_fails_where_it_should_and_says_what_it_found() {
        for (check, says) in [
            (action("x.a", Action::Update), "x.a: expected update in place, planned is delete, then create"),
            (action("x.a", Action::CreateThenDelete), "size: 3 → 4"),
            (action("x.c", Action::Create), "no x.c, only [x.a, x.b, x.gone]"),
            (unknown("x.a", "size"), "expected (known after apply), planned is 4"),
            (known("x.a", "id", "1"), "planned is (known after apply)"),
            (known("x.a", "nested", json!([{"known": 1}])), "planned is (known after apply)"),
            (known("x.a", "size", 5), "x.a `size`: expected 5, got 4"),
            (known("x.gone", "a", 1), "will be gone"),
            (null("x.a", "id"), "planned is (known after apply)"),
            (sensitive("x.a", "size"), "would be shown"),
            (not_sensitive("x.a", ""), "marked"),
            (replaced_because_of("x.a", "tags"), "because of [\"tags\"]"),
            (reason("x.a", "tainted"), "expected reason"),
            (moved("x.z", "x.a"), "expected a move from"),
            (drift("x.a", "size", 1), "expected drift, found is [x.b: drifted (a: 0 → 1)]"),
            (planned_output("o", 2), "output o: expected 2, got [1]"),
            (empty(), "x.gone: delete\noutput o: changes"),
            (no_drift(), "x.b: drifted"),
            (known("x.a", "a[", 1), "no closing"),
        ] {
            let error = check.run(&plan()).unwrap_err().to_string();
            assert!(error.contains(says), "{error:?} lacks {says:?}");
        }
    }
}
