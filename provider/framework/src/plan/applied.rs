//! The rules that Terraform core holds a result to (`AssertObjectCompatible`): it completes what was planned.

use tfplugin_schema::{Diagnostics, Members, ObjectSchema, Value};

use super::at::At;
use super::blame::{Blame, Kind, Report, show};
use super::correlate::{Stray, correlate};
use super::tree::NULL;

/// Whether what came out of an apply is what was planned: known values as planned, unknown ones anything that
/// the plan allowed. Null for null: a destroy.
pub fn check_applied(
    schema: &ObjectSchema,
    planned: &Value,
    actual: &Value,
    blame: &Blame<'_>,
) -> Diagnostics {
    let report = Report::new("Inconsistent result", blame);
    let mut check = Check { report, before: "planned as", after: "the apply returned" };
    check.value(Kind::Object(schema), planned, actual, false, &At::ROOT);
    check.report.found
}

/// Whether the plan made during an apply keeps to the one that was shown: known values are the same, unknown
/// ones may have become known.
pub fn check_final_plan(
    schema: &ObjectSchema,
    first: &Value,
    second: &Value,
    blame: &Blame<'_>,
) -> Diagnostics {
    let report = Report::new("Inconsistent final plan", blame);
    let mut check = Check { report, before: "first planned as", after: "planning again during apply gave" };
    check.value(Kind::Object(schema), first, second, false, &At::ROOT);
    check.report.found
}

/// Whether nothing in a result is unknown any more.
pub fn check_wholly_known(schema: &ObjectSchema, value: &Value, blame: &Blame<'_>) -> Diagnostics {
    let mut report = Report::new("Unknown value", blame);
    unknown(Kind::Object(schema), value, &At::ROOT, &mut report);
    report.found
}

fn unknown(kind: Kind<'_>, value: &Value, at: &At<'_>, report: &mut Report<'_>) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        Value::Unknown(_) => {
            let sentence = format!("`{}` is still unknown after the operation; nothing may be.", at.path());
            report.add(at, &sentence);
        }
        Value::List(elements) => {
            for (index, element) in elements.iter().enumerate() {
                unknown(kind.child("", index).kind, element, &at.index(index), report);
            }
        }
        Value::Set(elements) => {
            for element in elements.iter() {
                unknown(kind.child("", 0).kind, element, &at.element(element), report);
            }
        }
        Value::Map(members) => {
            for (index, (name, value)) in members.iter().enumerate() {
                let child = kind.child(name, index);
                let at = if child.is_attribute { at.attribute(name) } else { at.key(name) };
                unknown(child.kind, value, &at, report);
            }
        }
        Value::Dynamic(dynamic) => unknown(Kind::Plain(&dynamic.ty), &dynamic.value, at, report),
    }
}

struct Check<'b> {
    report: Report<'b>,
    before: &'static str,
    after: &'static str,
}

impl Check<'_> {
    fn value(&mut self, kind: Kind<'_>, planned: &Value, actual: &Value, sensitive: bool, at: &At<'_>) {
        match (planned, actual) {
            (Value::Unknown(None), _) => {}
            (Value::Unknown(Some(refinement)), actual) => {
                if !refinement.admits(actual) {
                    let sentence = format!(
                        "The plan limited what `{}` may become, but {} {}, which is outside of that.",
                        at.path(),
                        self.after,
                        show(kind, actual, sensitive)
                    );
                    self.report.add(at, &sentence);
                }
            }
            (Value::Map(planned), Value::Map(actual)) => self.members(kind, planned, actual, sensitive, at),
            (Value::List(before), Value::List(after)) if before.len() == after.len() => {
                for (index, (planned, actual)) in before.iter().zip(after).enumerate() {
                    self.value(kind.child("", index).kind, planned, actual, sensitive, &at.index(index));
                }
            }
            (Value::Set(before), Value::Set(after)) => {
                if let Err(stray) = correlate(before, after) {
                    self.stray(kind, stray, before.len(), after.len(), sensitive, at);
                }
            }
            (Value::Dynamic(before), Value::Dynamic(after)) if before.ty == after.ty => {
                self.value(Kind::Plain(&before.ty), &before.value, &after.value, sensitive, at);
            }
            (planned, actual) if planned == actual || (planned.is_null() && actual.is_null()) => {}
            (planned, actual) => {
                let sentence = format!(
                    "`{}` was {} {}, but {} {}.",
                    at.path(),
                    self.before,
                    show(kind, planned, sensitive),
                    self.after,
                    show(kind, actual, sensitive)
                );
                self.report.add(at, &sentence);
            }
        }
    }

    fn members(&mut self, kind: Kind<'_>, planned: &Members, actual: &Members, sensitive: bool, at: &At<'_>) {
        for (index, (name, planned)) in planned.iter().enumerate() {
            let child = kind.child(name, index);
            let at = if child.is_attribute { at.attribute(name) } else { at.key(name) };
            let sensitive = sensitive || child.sensitive;
            match actual.get(name) {
                Some(actual) => self.value(child.kind, planned, actual, sensitive, &at),
                // A missing attribute is null; a missing key is missing.
                None if child.is_attribute => self.value(child.kind, planned, &NULL, sensitive, &at),
                None => {
                    let shown = show(child.kind, planned, sensitive);
                    let sentence =
                        format!("`{}` was {} {shown}, but is not there afterwards.", at.path(), self.before);
                    self.report.add(&at, &sentence);
                }
            }
        }
        for (index, (name, actual)) in actual.iter().enumerate() {
            if !planned.contains_key(name) {
                let child = kind.child(name, index);
                let shown = show(child.kind, actual, sensitive || child.sensitive);
                let at = at.key(name);
                let sentence = format!("`{}` was not planned, but {} {shown}.", at.path(), self.after);
                self.report.add(&at, &sentence);
            }
        }
    }

    fn stray(
        &mut self,
        kind: Kind<'_>,
        stray: Stray<'_>,
        before: usize,
        after: usize,
        sensitive: bool,
        at: &At<'_>,
    ) {
        let path = at.path();
        let shown = |element: &Value| show(kind.child("", 0).kind, element, sensitive);
        let sentence = match stray {
            Stray::Planned(element) => {
                format!(
                    "The set `{path}` was planned with the element {}, which is not there afterwards.",
                    shown(element)
                )
            }
            Stray::Actual(element) => {
                format!(
                    "The set `{path}` has the element {} afterwards, which was not planned.",
                    shown(element)
                )
            }
            Stray::Grew => {
                format!(
                    "The set `{path}` was planned with {before} elements and has {after} afterwards; it may not grow."
                )
            }
        };
        self.report.add(at, &sentence);
    }
}
