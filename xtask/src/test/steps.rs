//! The steps themselves: one function each, most of them one cargo command with its reason.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::count::TestCount;
use super::noted::Program;
use super::{End, lanes, publish, setup};
use crate::failure::{Failure, Outcome};
use crate::process::Run;
use crate::tools::{self, Ready};
use crate::workspace::Workspace;
use crate::{docs, tidy as rules, web};

/// A cold build on two cores takes a third of this.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Everything with the real command lines, once it is built.
const TEST_LIMIT: Duration = Duration::from_secs(45 * 60);

/// Crates whose tests need the real command lines, or that only a bench runs.
const ACCEPTANCE: &[&str] = &[
    "acceptance-tests",
    "streamverse-acceptance",
    "streamverse-bench",
    "streamverse-fleet-bench",
    "streamverse-runpod-stand-in",
    "streamverse-zones-stand-in",
    "terraform-provider-corner",
    "terraform-provider-first",
    "tfplugin-bench",
];

/// What tests run of ours beside what cargo builds for them, with the features that it has when it is built for itself.
/// Always these together: each other choice of packages has other features, and is compiled anew.
const PROGRAMS: &[&str] = &["streamverse", "streamverse-edge", "terraform-provider-streamverse"];

/// What earlier steps leave for later ones.
pub(super) struct Session<'a> {
    workspace: &'a Workspace,
    /// These alone are tested, or everything where none is named.
    packages: &'a [&'a str],
    /// Nothing until a step needs them.
    tools: Option<Ready>,
    /// Whether this run has built all tests, and all programs with them.
    built: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(workspace: &'a Workspace, packages: &'a [&'a str]) -> Self {
        Self { workspace, packages, tools: None, built: false }
    }

    fn cargo(&self, words: &[&str]) -> Run {
        self.workspace
            .cargo(&format!("cargo {}", words.join(" ")))
            .args(words.iter().copied())
            .limit(BUILD_LIMIT)
    }

    fn tools(&mut self) -> Outcome<&Ready> {
        match &mut self.tools {
            Some(ready) => Ok(ready),
            none => Ok(none.insert(tools::prepare(self.workspace)?)),
        }
    }

    /// What test programs find in their environment besides what cargo gives them.
    fn test_environment(&mut self) -> Outcome<Vec<(String, OsString)>> {
        let mut environment = vec![
            ("RUST_BACKTRACE".to_owned(), "1".into()),
            ("TFPLUGIN_COVERAGE_DIR".to_owned(), self.workspace.coverage_dir().into_os_string()),
            // Tests build nothing themselves: it is there, and somebody beside them runs it.
            ("XTASK_BUILT".to_owned(), "1".into()),
        ];
        let tools = self.tools()?.environment();
        environment.extend(tools.map(|(variable, path)| (variable.to_owned(), path.as_os_str().to_owned())));
        Ok(environment)
    }
}

/// Runs `cargo test …` and counts what libtest says.
fn cargo_test(run: Run) -> Outcome<End> {
    let mut count = TestCount::default();
    let outcome = run.limit(TEST_LIMIT).env("RUST_BACKTRACE", "1").show(|line| count.see(line));
    outcome
        .map(|()| End::Done(count.to_string()))
        .map_err(|failure| Failure::new(format!("{count}; {failure}")))
}

pub(super) fn set_up(_: &mut Session<'_>) -> Outcome<End> {
    setup::ensure().map(End::Done)
}

pub(super) fn tidy(session: &mut Session<'_>) -> Outcome<End> {
    rules::run(session.workspace).map(End::Done)
}

pub(super) fn fmt(session: &mut Session<'_>) -> Outcome<End> {
    // rustfmt colours even a pipe; a log is read without.
    let colour = if std::io::IsTerminal::is_terminal(&std::io::stdout()) { "always" } else { "never" };
    done(session.cargo(&["fmt", "--all", "--", "--check", "--color", colour]).show(|_| {}))
}

pub(super) fn clippy(session: &mut Session<'_>) -> Outcome<End> {
    done(
        session
            .cargo(&["clippy", "--keep-going", "--workspace", "--all-targets", "--", "-D", "warnings"])
            .show(|_| {}),
    )
}

pub(super) fn clippy_crates(session: &mut Session<'_>) -> Outcome<End> {
    let words = without_acceptance(&["clippy", "--keep-going", "--workspace", "--all-targets"]);
    done(session.cargo(&[&words[..], &["--", "-D", "warnings"]].concat()).show(|_| {}))
}

pub(super) fn unit_tests(session: &mut Session<'_>) -> Outcome<End> {
    let words = without_acceptance(&["test", "--no-fail-fast", "--workspace", "--lib", "--bins"]);
    cargo_test(session.cargo(&words))
}

pub(super) fn tools(session: &mut Session<'_>) -> Outcome<End> {
    let tools = session.tools()?;
    for (variable, path) in tools.environment() {
        println!("  {variable}={}", path.display());
    }
    let missing: Vec<String> = tools.missing().iter().map(ToString::to_string).collect();
    if missing.is_empty() {
        return Ok(End::Done(format!("{} ready", tools.environment().count())));
    }
    Ok(End::Skipped(missing.join("\n")))
}

/// The page, and what browser tests are made of.
pub(super) fn page(session: &mut Session<'_>) -> Outcome<End> {
    let built = web::build(session.workspace)?;
    web::modules(session.workspace)?;
    Ok(End::Done(built))
}

pub(super) fn tests(session: &mut Session<'_>) -> Outcome<End> {
    // What an earlier run proved says nothing about this one.
    let notes = session.workspace.coverage_dir();
    if notes.exists() {
        std::fs::remove_dir_all(&notes)
            .map_err(|error| Failure::new(format!("cannot empty {}: {error}", notes.display())))?;
    }
    let environment = session.test_environment()?;
    let (mut selected, rest) = match session.packages {
        [] => (vec!["--workspace"], &["--bin", "coverage"][..]),
        some => (some.iter().flat_map(|package| ["-p", package]).collect(), &[][..]),
    };
    let words = ["test", "--no-fail-fast", "--lib", "--bins", "--tests"];
    let programs = Program::build(session.cargo(&[&words[..], &selected].concat()))?;
    // Of the same features, for it is for examples too; `cargo test` would build these as tests. Some are run by tests.
    selected.extend(["--examples"].iter().chain(rest));
    session.cargo(&[&["build"], &selected[..]].concat()).show(|_| {})?;
    let words: Vec<&str> = PROGRAMS.iter().flat_map(|package| ["-p", package]).collect();
    session.cargo(&[&["build"], &words[..]].concat()).show(|_| {})?;
    session.built = session.packages.is_empty();
    lanes::run(programs, &environment, Instant::now() + TEST_LIMIT).map(End::Done)
}

/// The other of README's two commands.
pub(super) fn quickstart(session: &mut Session<'_>) -> Outcome<End> {
    crate::quickstart::rehearse(session.workspace).map(End::Done)
}

pub(super) fn doc_tests(session: &mut Session<'_>) -> Outcome<End> {
    cargo_test(session.cargo(&["test", "--no-fail-fast", "--workspace", "--doc"]))
}

pub(super) fn rustdoc(session: &mut Session<'_>) -> Outcome<End> {
    let programs = session.workspace.documented_programs()?;
    // With examples it is of the features that clippy checked: without, dependencies would be checked once more.
    let mut words = vec!["doc", "--keep-going", "--workspace", "--no-deps", "--lib", "--examples"];
    words.extend(programs.iter().flat_map(|program| ["--bin", program]));
    done(session.cargo(&words).env("RUSTDOCFLAGS", "-Dwarnings").show(|_| {}))
}

pub(super) fn docs(session: &mut Session<'_>) -> Outcome<End> {
    docs::run(session.workspace, docs::Mode::Check, session.built).map(End::Done)
}

/// Packs every crate that is for publishing and builds it from the package alone.
pub(super) fn publish(session: &mut Session<'_>) -> Outcome<End> {
    publish::rehearse(session.workspace).map(End::Done)
}

/// Licences, bans and sources. Advisories need the advisory database: the GitHub workflow asks it.
pub(super) fn deny(session: &mut Session<'_>) -> Outcome<End> {
    let program = tools::cargo_deny(session.workspace)?;
    let run = Run::new("cargo-deny", program).dir(session.workspace.root());
    done(
        run.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
            .limit(BUILD_LIMIT)
            .show(|_| {}),
    )
}

fn done(outcome: Outcome) -> Outcome<End> {
    outcome.map(|()| End::Done(String::new()))
}

fn without_acceptance<'w>(words: &[&'w str]) -> Vec<&'w str> {
    let mut words = words.to_vec();
    for package in ACCEPTANCE {
        words.extend(["--exclude", package]);
    }
    words
}
