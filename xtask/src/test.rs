//! `cargo xtask test`: every check in order, each timed, a budget at the end. A failed step is reported and
//! the next one runs all the same, so that one run tells everything that is wrong.

mod count;
mod lanes;
mod noted;
mod publish;
mod report;
mod setup;
mod steps;

pub(crate) use noted::{WORD, note};
pub(crate) use setup::{ensure_bench, ensure_engines, update_package_lists};

use std::time::Instant;

use report::Report;

use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;

/// How much is run.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// What CI runs.
    Everything,
    /// What needs no command line tool: the inner loop.
    Fast,
    /// The named steps, in the order given, to repeat what failed; and where packages are named, their tests alone.
    Only(&'a [&'a str], &'a [&'a str]),
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
    ("unit", steps::unit_tests),
];

// Cheap and telling first. What compiles comes before the tools: a broken build needs no OpenTofu.
const EVERYTHING: &[Step] = &[
    ("set-up", steps::set_up),
    ("tidy", steps::tidy),
    ("fmt", steps::fmt),
    ("clippy", steps::clippy),
    ("tools", steps::tools),
    ("page", steps::page),
    ("tests", steps::tests),
    ("quickstart", steps::quickstart),
    ("doctests", steps::doc_tests),
    ("rustdoc", steps::rustdoc),
    ("docs", steps::docs),
    ("publish", steps::publish),
    ("deny", steps::deny),
];

fn named(name: &str) -> Outcome<Step> {
    let mut all = EVERYTHING.iter().chain(FAST);
    all.find(|(step, _)| *step == name).copied().ok_or_else(|| {
        let names: Vec<&str> = EVERYTHING.iter().map(|(name, _)| *name).collect();
        Failure::new(format!("no step is called `{name}`"))
            .next(format!("the steps are {}", names.join(", ")))
    })
}

/// Runs the steps and fails if one did.
pub(crate) fn run(workspace: &Workspace, scope: Scope<'_>) -> Outcome {
    let (steps, packages) = match scope {
        Scope::Everything => (EVERYTHING.to_vec(), &[][..]),
        Scope::Fast => (FAST.to_vec(), &[][..]),
        Scope::Only(names, packages) => {
            (names.iter().map(|name| named(name)).collect::<Outcome<_>>()?, packages)
        }
    };
    let mut session = steps::Session::new(workspace, packages);
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
            println!("FAILED {name}: {failure}");
        }
        report.add(name, started.elapsed(), end);
    }
    print!("{report}"); // its last line is for scripts: nothing follows it on stdout
    if report.failed() == 0 {
        Ok(())
    } else {
        Err(Failure::new("not everything passed; see the steps marked FAILED above")
            .next("`cargo xtask test STEP` repeats one"))
    }
}
