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

/// Compiles first, so it gets a build's time.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// A program that writes pages; it takes `--check` to compare instead.
struct Generator {
    package: &'static str,
    binary: &'static str,
    args: &'static [&'static str],
    /// What it writes, for messages.
    pages: &'static str,
}

const GENERATORS: &[Generator] = &[
    Generator {
        package: "terraform-provider-corner",
        binary: "terraform-provider-corner",
        args: &["docs", "--out", "acceptance-tests/corner/docs"],
        pages: "acceptance-tests/corner/docs",
    },
    Generator {
        package: "terraform-provider-streamverse",
        binary: "terraform-provider-streamverse",
        args: &["docs", "--out", "docs/provider", "--examples", "examples"],
        pages: "docs/provider",
    },
    Generator {
        package: "acceptance-tests",
        binary: "coverage",
        args: &[],
        pages: "docs/framework/coverage.md",
    },
];

/// Runs every generator and returns one line about them. Where the tests were just built, the generators were too: built
/// by itself each would be of other features, and its dependencies compiled once more.
pub(crate) fn run(workspace: &Workspace, mode: Mode, just_built: bool) -> Outcome<String> {
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for generator in GENERATORS {
        match generate(workspace, generator, mode, just_built) {
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
    Ok(format!("{verb}: {}", done.join(", ")))
}

fn generate(workspace: &Workspace, generator: &Generator, mode: Mode, just_built: bool) -> Outcome {
    let run = if just_built {
        Run::new(generator.pages, workspace.debug().join(generator.binary)).dir(workspace.root())
    } else {
        let words = ["run", "--quiet", "--package", generator.package, "--bin", generator.binary, "--"];
        workspace.cargo(generator.pages).args(words)
    };
    let run = run.args(generator.args.iter().copied());
    let run = if mode == Mode::Check { run.args(["--check"]) } else { run };
    // The table of behaviours is made from what the last test run proved.
    let run = run.env("TFPLUGIN_COVERAGE_DIR", workspace.coverage_dir());
    run.limit(LIMIT).show(|_| {})
}
