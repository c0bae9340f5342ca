//! Violations while a value is walked, and the comparison of sets that both walks share.

use tfplugin_framework::schema::{Path, Step, Value};

use super::failure::{Failure, Rule, Violation};
use super::render::{show, show_path};

/// How many violations of one answer are told.
const MAX_TOLD: usize = 20;

/// Violations of one rule in the answer to one RPC.
pub(super) struct Findings {
    rule: Rule,
    violations: Vec<Violation>,
}

impl Findings {
    pub(super) fn of(rule: Rule) -> Findings {
        Findings { rule, violations: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.violations.is_empty()
    }

    /// Something wrong with what was answered.
    pub(super) fn wrong(&mut self, at: &Path, message: impl Into<String>) {
        if self.violations.len() < MAX_TOLD {
            self.violations.push(Violation::new(self.rule, show_path(at), message));
        }
    }

    /// Another value than there must be.
    pub(super) fn differs(
        &mut self,
        at: &Path,
        message: impl Into<String>,
        expected: &Value,
        actual: &Value,
    ) {
        if self.violations.len() < MAX_TOLD {
            self.violations.push(Violation {
                expected: show(expected),
                actual: show(actual),
                ..Violation::new(self.rule, show_path(at), message)
            });
        }
    }

    pub(super) fn done(self, rpc: &'static str) -> Result<(), Failure> {
        if self.violations.is_empty() { Ok(()) } else { Err(Failure::broken(rpc, self.violations)) }
    }
}

/// Elements of sets have no names: each expected one must agree with some actual one and the other way round.
/// Sets in the same order are compared in linear time.
pub(super) fn correlate(
    expected: &[Value],
    actual: &[Value],
    at: &mut Path,
    findings: &mut Findings,
    agree: impl Fn(&Value, &Value) -> bool,
) {
    let partner = |own: usize, others: &[Value], agrees: &dyn Fn(&Value) -> bool| {
        let count = others.len();
        // The partner is most often in the same place.
        (0..count).any(|offset| others.get((own + offset) % count).is_some_and(agrees))
    };
    for (index, one) in expected.iter().enumerate() {
        if !partner(index, actual, &|other| agree(one, other)) {
            let message = "this element of the set has no counterpart in the answer";
            at.push(Step::Element(Box::new(one.clone())));
            findings.differs(at, message, one, &Value::set(actual.iter().cloned()));
            at.pop();
        }
    }
    for (index, one) in actual.iter().enumerate() {
        if !partner(index, expected, &|other| agree(other, one)) {
            let message = "the answer has an element in this set that was not expected";
            at.push(Step::Element(Box::new(one.clone())));
            findings.differs(at, message, &Value::set(expected.iter().cloned()), one);
            at.pop();
        }
    }
}
