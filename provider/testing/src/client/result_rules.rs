//! What Terraform core demands of what follows a plan (its `AssertObjectCompatible`, written anew): what was
//! known stays as it is, what was unknown becomes something of its type, collections keep their size. And of
//! every object that is to be stored: nothing unknown, nothing write-only.

use tfplugin_framework::schema::{BlockNesting, Nesting, Path, Step, Value};

use super::failure::Rule;
use super::findings::{Findings, correlate};
use super::render::within;
use super::schema::{Block, Kind};

/// Whether `actual` is what `planned` promised.
pub(super) fn check(block: &Block, planned: &Value, actual: &Value, findings: &mut Findings) {
    object(block, planned, actual, &mut Path::root(), findings);
}

fn object(block: &Block, planned: &Value, actual: &Value, at: &mut Path, findings: &mut Findings) {
    match (planned.is_null(), actual.is_null()) {
        (true, true) => return,
        (true, false) => return findings.differs(at, "was absent, but is there now", planned, actual),
        (false, true) => return findings.differs(at, "was there, but is absent now", planned, actual),
        (false, false) => {}
    }
    if planned.is_unknown() {
        return;
    }
    for attribute in &block.attributes {
        let name = &attribute.name;
        let (planned, actual) = (planned.get(name), actual.get(name));
        within(at, Step::Attribute(name.clone()), |at| value(planned, actual, at, findings));
    }
    for nested in &block.blocks {
        let name = &nested.name;
        let (planned, actual) = (planned.get(name), actual.get(name));
        within(at, Step::Attribute(name.clone()), |at| match (nested.nesting, planned, actual) {
            // Unknown blocks may become any number of blocks.
            (_, planned, _) if planned.is_unknown() => {}
            (BlockNesting::Single | BlockNesting::Group, _, _) => {
                object(&nested.block, planned, actual, at, findings);
            }
            (_, Value::List(before), Value::List(now)) if before.len() == now.len() => {
                for (index, (planned, actual)) in before.iter().zip(now).enumerate() {
                    within(at, Step::Index(index), |at| object(&nested.block, planned, actual, at, findings));
                }
            }
            (_, Value::Map(before), Value::Map(now)) if before.keys().eq(now.keys()) => {
                for (key, planned) in before {
                    let actual = now.get(key).unwrap_or(&Value::Null);
                    within(at, Step::Key(key.clone()), |at| {
                        object(&nested.block, planned, actual, at, findings);
                    });
                }
            }
            (_, Value::Set(before), Value::Set(now)) if now.len() <= before.len() => {
                correlate(before.as_slice(), now.as_slice(), at, findings, |planned, actual| {
                    let mut inner = Findings::of(Rule::InconsistentResult);
                    object(&nested.block, planned, actual, &mut Path::root(), &mut inner);
                    inner.is_empty()
                });
            }
            _ => findings.differs(at, "other blocks than were planned", planned, actual),
        });
    }
}

fn value(planned: &Value, actual: &Value, at: &mut Path, findings: &mut Findings) {
    if let Value::Unknown(refinement) = planned {
        let holds = refinement.as_ref().is_none_or(|refinement| refinement.admits(actual));
        if !holds && !actual.is_unknown() {
            findings.differs(at, "breaks what the plan promised of the unknown value", planned, actual);
        }
        return;
    }
    if actual.is_unknown() {
        return findings.differs(at, "was known, but is unknown now", planned, actual);
    }
    match (planned, actual) {
        (Value::Dynamic(planned), actual) if planned.value.is_unknown() => {
            // The type is promised, the value is not.
            if !matches!(actual, Value::Dynamic(actual) if actual.ty == planned.ty) {
                let promised = Value::from(format!("a value of type {}", planned.ty));
                findings.differs(at, "is of another type than planned", &promised, actual);
            }
        }
        (Value::Dynamic(before), Value::Dynamic(now)) if !before.ty.has_dynamic() && before.ty != now.ty => {
            findings.differs(at, format!("was of type {}, is {} now", before.ty, now.ty), planned, actual);
        }
        (Value::Dynamic(planned), Value::Dynamic(actual)) => {
            value(&planned.value, &actual.value, at, findings);
        }
        (Value::List(before), Value::List(now)) => {
            if before.len() != now.len() {
                let message = format!("had {} elements, has {} now", before.len(), now.len());
                return findings.differs(at, message, planned, actual);
            }
            for (index, (planned, actual)) in before.iter().zip(now).enumerate() {
                within(at, Step::Index(index), |at| value(planned, actual, at, findings));
            }
        }
        (Value::Map(before), Value::Map(now)) => {
            for (key, actual) in now.iter().filter(|(key, _)| !before.contains_key(*key)) {
                within(at, Step::Attribute(key.clone()), |at| {
                    findings.differs(at, "this element has appeared", &Value::Null, actual);
                });
            }
            for (key, planned) in before {
                // Objects always have all their attributes, so whatever is missing is a map's.
                let inner = now.get(key);
                within(at, Step::Attribute(key.clone()), |at| match inner {
                    Some(actual) => value(planned, actual, at, findings),
                    None => findings.differs(at, "this element has vanished", planned, &Value::Null),
                });
            }
        }
        (Value::Set(before), Value::Set(now)) => {
            if now.len() > before.len() {
                let message = format!("had {} elements, has {} now", before.len(), now.len());
                return findings.differs(at, message, planned, actual);
            }
            correlate(before.as_slice(), now.as_slice(), at, findings, |planned, actual| {
                let mut inner = Findings::of(Rule::InconsistentResult);
                value(planned, actual, &mut Path::root(), &mut inner);
                inner.is_empty()
            });
        }
        _ if planned == actual => {}
        _ => findings.differs(at, "is not as planned", planned, actual),
    }
}

/// What no stored object may have: unknown values, and values of write-only attributes.
pub(super) fn check_storable(block: &Block, object: &Value, findings: &mut Findings) {
    for path in object.unknown_paths(10) {
        findings.wrong(&path, "is unknown; after this answer everything must be known");
    }
    check_write_only(block, object, &mut Path::root(), findings);
}

fn check_write_only(block: &Block, object: &Value, at: &mut Path, findings: &mut Findings) {
    let Value::Map(members) = object else { return };
    for attribute in &block.attributes {
        let Some(inner) = members.get(&attribute.name) else { continue };
        within(at, Step::Attribute(attribute.name.clone()), |at| match &attribute.kind {
            _ if attribute.write_only => {
                // The value itself is a secret, most often.
                if !inner.is_null() {
                    findings.wrong(at, "a value of the write-only attribute was returned; it must be null");
                }
            }
            Kind::Nested(nesting, block) => each(block, *nesting == Nesting::Single, inner, at, findings),
            Kind::Plain(_) => {}
        });
    }
    for nested in &block.blocks {
        let Some(inner) = members.get(&nested.name) else { continue };
        let single = matches!(nested.nesting, BlockNesting::Single | BlockNesting::Group);
        within(at, Step::Attribute(nested.name.clone()), |at| {
            if !single && inner.is_null() {
                findings.wrong(at, "is null; no blocks are an empty collection");
            }
            each(&nested.block, single, inner, at, findings);
        });
    }
}

fn each(block: &Block, single: bool, value: &Value, at: &mut Path, findings: &mut Findings) {
    match value {
        _ if single => check_write_only(block, value, at, findings),
        Value::Map(elements) => {
            for (key, element) in elements {
                within(at, Step::Key(key.clone()), |at| check_write_only(block, element, at, findings));
            }
        }
        _ => {
            for (index, element) in value.as_elements().unwrap_or_default().iter().enumerate() {
                within(at, Step::Index(index), |at| check_write_only(block, element, at, findings));
            }
        }
    }
}
