//! Drives the real `terraform` and `tofu`: a [`Case`] of [`Step`]s, each with checks of plan, state and errors.
//!
//! Everything blocks: a test is an ordinary `#[test]`. Each case has its own directory, home and
//! CLI configuration, inherits next to nothing from the environment and asks no registry. After each apply a
//! second plan must be empty, and each case ends with a destroy.
//!
//! - Checks of a plan: [`action`], [`known`], [`unknown`], [`null`], [`sensitive`], [`replaced_because_of`] …
//! - Checks of a state: [`value`], [`same`], [`tainted`] … and [`Step::output`]; from step to step: [`Tracked`].
//! - What a value may be: anything that becomes an [`Expect`](crate::json::Expect), such as
//!   `json!(…)`, [`matches`](crate::json::matches), [`any_order`](crate::json::any_order).
//! - Which command line can do what: [`Feature`].

mod binary;
mod case;
mod context;
mod diagnostics;
mod failure;
mod feature;
mod import;
mod plan;
mod planfile;
mod process;
mod run;
mod sandbox;
mod secrets;
mod state;
mod step;
mod tracked;

pub use binary::{Cli, Product, Version};
pub use case::{Case, Outcome, Report, StepReport, with_each};
pub use context::Context;
pub use diagnostics::{Diagnostic, Severity, parse as parse_diagnostics};
pub use failure::Failure;
pub use feature::Feature;
pub use import::Id;
pub use plan::{
    Action, PlanCheck, PlanJson, action, drift, empty, known, moved, no_drift, not_sensitive, null,
    planned_output, reason, replaced_because_of, sensitive, unknown,
};
pub use process::{Interrupt, Output, When};
pub use state::{
    StateCheck, StateJson, absent, differ, exists, kept_sensitive, not_tainted, same, tainted, value,
};
pub use step::Step;
pub use tracked::Tracked;

/// What a check returns. Any error will do, a text too: `Err("no such object".into())`.
pub type Checked<E = Box<dyn std::error::Error + Send + Sync>> = Result<(), E>;
