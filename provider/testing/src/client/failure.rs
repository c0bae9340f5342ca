//! What went wrong between the client and the provider: the provider's own errors, rules of Terraform core
//! that an answer broke, and what never reached the provider.

use std::fmt;
use std::time::Duration;

use regex::Regex;
use tfplugin_framework::schema::{Diagnostic, Severity};
use tonic::{Code, Status};

use super::instance::Instance;

/// Why a step of a test did not succeed. Shows everything that is known, also when a test unwraps it.
pub enum Failure {
    /// The provider answered with errors, as it may.
    Diagnostics(Box<Refusal>),
    /// The provider's answer breaks a rule of Terraform core: a bug of the provider.
    Rules(Box<Broken>),
    /// A function refused its arguments.
    Function(Box<FunctionRefusal>),
    /// There is no answer at all: `Unimplemented`, or a broken connection.
    Rpc(&'static str, Box<Status>),
    /// There was no answer in time.
    TimedOut(&'static str, Duration),
    /// What Terraform itself would refuse before it asks the provider, or a mistake of the test.
    Config(String),
}

/// Errors of the provider.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The RPC that was answered so.
    pub rpc: &'static str,
    /// All errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// What Terraform would have in its state after this; none where there is nothing to keep.
    pub kept: Option<Instance>,
}

/// Rules of core that an answer broke.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The RPC that was answered so.
    pub rpc: &'static str,
    /// What was broken, where.
    pub violations: Vec<Violation>,
    /// What Terraform would have in its state after this; none where there is nothing to keep.
    pub kept: Option<Instance>,
}

/// A function's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRefusal {
    /// The function.
    pub name: String,
    /// What is wrong.
    pub text: String,
    /// The argument, from 0.
    pub argument: Option<i64>,
}

/// A rule of Terraform core, in its own words where people search for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The schema: core would not load the provider.
    InvalidSchema,
    /// "Provider produced invalid plan".
    InvalidPlan,
    /// "Provider produced inconsistent final plan": planning again at apply gave another plan.
    InconsistentFinalPlan,
    /// "Provider produced inconsistent result after apply".
    InconsistentResult,
    /// An answer that does not fit the schema, lacks its object, or holds unknown or write-only values.
    InvalidObject,
    /// Configured values of a data source or ephemeral resource came back changed.
    ConfigChanged,
    /// A function gave two results for the same arguments.
    ImpureFunction,
    /// A message that core cannot understand: a diagnostic without severity, metadata without its schema.
    InvalidAnswer,
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// Where, as HCL spells it: `rules[3].port`. Elements of sets show as `[…]`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What was configured or planned, as JSON; empty where that is not the point.
    pub expected: String,
    /// What the provider answered, as JSON; empty where that is not the point.
    pub actual: String,
}

impl Failure {
    /// The errors and warnings of the provider; none if it was something else.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Failure::Diagnostics(refusal) => &refusal.diagnostics,
            _ => &[],
        }
    }

    /// The errors of the provider, without its warnings.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics().iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The broken rules; none if it was something else.
    pub fn violations(&self) -> &[Violation] {
        match self {
            Failure::Rules(broken) => &broken.violations,
            _ => &[],
        }
    }

    /// What Terraform would have in its state after this failure.
    pub fn kept(&self) -> Option<&Instance> {
        match self {
            Failure::Diagnostics(refusal) => refusal.kept.as_ref(),
            Failure::Rules(broken) => broken.kept.as_ref(),
            _ => None,
        }
    }

    /// Whether the provider does not have the RPC.
    pub fn is_unimplemented(&self) -> bool {
        matches!(self, Failure::Rpc(_, status) if status.code() == Code::Unimplemented)
    }

    pub(super) fn refused(rpc: &'static str, diagnostics: Vec<Diagnostic>) -> Failure {
        Failure::Diagnostics(Box::new(Refusal { rpc, diagnostics, kept: None }))
    }

    pub(super) fn broken(rpc: &'static str, violations: Vec<Violation>) -> Failure {
        Failure::Rules(Box::new(Broken { rpc, violations, kept: None }))
    }

    pub(super) fn keeping(mut self, instance: Option<Instance>) -> Failure {
        match &mut self {
            Failure::Diagnostics(refusal) => refusal.kept = instance,
            Failure::Rules(broken) => broken.kept = instance,
            _ => {}
        }
        self
    }
}

impl Violation {
    pub(super) fn new(rule: Rule, path: impl Into<String>, message: impl Into<String>) -> Violation {
        let (path, message) = (path.into(), message.into());
        Violation { rule, path, message, expected: String::new(), actual: String::new() }
    }
}

impl Rule {
    /// The rule in words; those of core where it has some.
    pub fn summary(self) -> &'static str {
        match self {
            Rule::InvalidSchema => "Provider has an invalid schema",
            Rule::InvalidPlan => "Provider produced invalid plan",
            Rule::InconsistentFinalPlan => "Provider produced inconsistent final plan",
            Rule::InconsistentResult => "Provider produced inconsistent result after apply",
            Rule::InvalidObject => "Provider produced invalid object",
            Rule::ConfigChanged => "Provider changed what was configured",
            Rule::ImpureFunction => "Provider function produced inconsistent results",
            Rule::InvalidAnswer => "Provider produced an invalid answer",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.rule.summary(), self.path, self.message)?;
        if !self.expected.is_empty() {
            write!(f, "\n    expected {}", self.expected)?;
        }
        if !self.actual.is_empty() {
            write!(f, "\n    answered {}", self.actual)?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Diagnostics(refusal) => {
                write!(f, "{}: the provider refuses", refusal.rpc)?;
                refusal.diagnostics.iter().try_for_each(|diagnostic| write!(f, "\n  {diagnostic}"))
            }
            Failure::Rules(broken) => {
                write!(f, "{}: the answer breaks rules of Terraform", broken.rpc)?;
                broken.violations.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
            }
            Failure::Function(refusal) => {
                write!(f, "the function {} refuses: {}", refusal.name, refusal.text)?;
                refusal.argument.map_or(Ok(()), |argument| write!(f, " (argument {argument})"))
            }
            Failure::Rpc(rpc, status) => write!(f, "{rpc}: {:?}: {}", status.code(), status.message()),
            Failure::TimedOut(rpc, patience) => write!(f, "{rpc}: no answer within {patience:?}"),
            Failure::Config(what) => f.write_str(what),
        }
    }
}

// `unwrap` in a test prints this.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

/// What a test says of a step that must fail. Each stops the test where it is not so.
pub trait ExpectError {
    /// The provider answers with errors, and this regular expression matches what a person reads of them.
    fn expect_error(self, pattern: &str) -> Failure;

    /// The provider's answer breaks this rule at this path (`rules[3].port`).
    fn expect_violation(self, rule: Rule, path: &str) -> Failure;
}

#[allow(clippy::panic, reason = "what a test expects and does not find ends the test")]
impl<T> ExpectError for Result<T, Failure> {
    #[track_caller]
    fn expect_error(self, pattern: &str) -> Failure {
        let expression = match Regex::new(pattern) {
            Ok(expression) => expression,
            Err(error) => panic!("{pattern:?} is no regular expression: {error}"),
        };
        match self {
            Ok(_) => panic!("an error that matches {pattern:?} was expected, but the step succeeded"),
            Err(failure @ (Failure::Diagnostics(_) | Failure::Function(_)))
                if expression.is_match(&failure.to_string()) =>
            {
                failure
            }
            Err(failure) => panic!("an error that matches {pattern:?} was expected, not: {failure}"),
        }
    }

    #[track_caller]
    fn expect_violation(self, rule: Rule, path: &str) -> Failure {
        match self {
            Ok(_) => panic!("{rule:?} at {path} was expected, but the step succeeded"),
            Err(failure) => {
                let is_it = |violation: &Violation| violation.rule == rule && violation.path == path;
                if failure.violations().iter().any(is_it) {
                    return failure;
                }
                panic!("{rule:?} at {path} was expected, not: {failure}")
            }
        }
    }
}
