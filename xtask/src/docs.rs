//! `cargo xtask docs`: writes every generated page, or says which are stale. The generators live elsewhere:
//! the provider binary knows its schema, the acceptance tests know what they prove.

use crate::failure::{Failure, Outcome};
use crate::process::Run;
use crate::workspace::Workspace;
use std::time::Duration;

/// Whether pages are written or compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Replace what is stale.
    Write,
    /// Fail where something is stale.
    Check,
}

/// While true, a generator that is not in the tree yet is passed over. To be false before the first release.
const GENERATORS_MAY_BE_ABSENT: bool = true;

/// Compiles first, so it gets a build's time.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// A program that writes pages; it takes `--check` to compare instead.
struct Generator {
    package: &'static str,
    binary: &'static str,
    args: &'static [&'static str],
    /// What it writes, for messages.
    pages: &'static str,
    /// A file that is there once the generator works; none where that shows by its pages alone.
    source: Option<&'static str>,
}

const GENERATORS: &[Generator] = &[
    Generator {
        package: "terraform-provider-corner",
        binary: "terraform-provider-corner",
        args: &["docs", "--out", "acceptance-tests/corner/docs"],
        pages: "acceptance-tests/corner/docs",
        source: None,
    },
    Generator {
        package: "acceptance-tests",
        binary: "coverage",
        args: &[],
        pages: "docs/framework/coverage.md",
        source: Some("acceptance-tests/src/bin/coverage.rs"),
    },
];

/// Runs every generator and returns one line about them.
pub(crate) fn run(workspace: &Workspace, mode: Mode) -> Outcome<String> {
    let (mut done, mut absent, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for generator in GENERATORS {
        if GENERATORS_MAY_BE_ABSENT && is_absent(workspace, generator, mode) {
            absent.push(generator.pages);
            continue;
        }
        match generate(workspace, generator, mode) {
            Ok(()) => done.push(generator.pages),
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    if !failures.is_empty() {
        let failure = Failure::new(failures.join("\n"));
        return Err(match mode {
            Mode::Check => failure.next("run `cargo xtask docs` and commit what it writes"),
            Mode::Write => failure,
        });
    }
    let verb = if mode == Mode::Check { "fresh" } else { "written" };
    let mut summary = format!("{verb}: {}", list(&done));
    if !absent.is_empty() {
        summary.push_str(&format!("; not there yet: {}", list(&absent)));
    }
    Ok(summary)
}

fn is_absent(workspace: &Workspace, generator: &Generator, mode: Mode) -> bool {
    match generator.source {
        Some(source) => !workspace.root().join(source).exists(),
        None => mode == Mode::Check && !workspace.root().join(generator.pages).exists(),
    }
}

fn generate(workspace: &Workspace, generator: &Generator, mode: Mode) -> Outcome {
    let run: Run = workspace
        .cargo(generator.pages)
        .args(["run", "--quiet", "--package", generator.package, "--bin", generator.binary, "--"])
        .args(generator.args.iter().copied());
    let run = if mode == Mode::Check { run.args(["--check"]) } else { run };
    // The table of behaviours is made from what the last test run proved.
    let run = run.env("TFPLUGIN_COVERAGE_DIR", workspace.coverage_dir());
    run.limit(LIMIT).show(|_| {})
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
