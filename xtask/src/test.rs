//! `cargo xtask test`: every check in order, each timed, a budget at the end. A failed step is reported and
//! the next one runs all the same, so that one run tells everything that is wrong.

mod report;
mod setup;
mod steps;

use std::time::Instant;

use report::Report;

use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;

/// How much is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What CI runs.
    Everything,
    /// What needs no command line tool: the inner loop.
    Fast,
}

/// How a step that did not fail ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// With a note for the table.
    Done(String),
    /// It could not run here, and that is no failure outside CI.
    Skipped(String),
}

/// A named check.
type Step = (&'static str, fn(&mut steps::Session<'_>) -> Outcome<End>);

const FAST: &[Step] = &[
    ("tidy", steps::tidy),
    ("fmt", steps::fmt),
    ("clippy", steps::clippy_crates),
    ("unit tests", steps::unit_tests),
];

// Cheap and telling first. What compiles comes before the tools: a broken build needs no OpenTofu.
const EVERYTHING: &[Step] = &[
    ("set-up", steps::set_up),
    ("tidy", steps::tidy),
    ("fmt", steps::fmt),
    ("clippy", steps::clippy),
    ("tools", steps::tools),
    ("tests", steps::tests),
    ("doc tests", steps::doc_tests),
    ("rustdoc", steps::rustdoc),
    ("docs", steps::docs),
    ("publish", steps::publish),
    ("deny", steps::deny),
];

/// Runs the steps and fails if one did.
pub(crate) fn run(workspace: &Workspace, scope: Scope) -> Outcome {
    let steps = if scope == Scope::Fast { FAST } else { EVERYTHING };
    let mut session = steps::Session::new(workspace);
    let mut report = Report::default();
    for (name, step) in steps {
        println!("── {name}");
        let started = Instant::now();
        let mut end = step(&mut session);
        if workspace.ci()
            && let Ok(End::Skipped(why)) = &end
        {
            end = Err(Failure::new(format!("skipped, which CI does not allow: {why}")));
        }
        if let Err(failure) = &end {
            eprintln!("FAILED {name}: {failure}");
        }
        report.add(name, started.elapsed(), end);
    }
    print!("{report}");
    if report.failed() == 0 {
        Ok(())
    } else {
        Err(Failure::new("not everything passed; see the steps marked FAILED above"))
    }
}
