//! The steps themselves: one function each, most of them one cargo command with its reason.

use std::time::Duration;

use super::{End, publish, setup};
use crate::failure::{Failure, Outcome};
use crate::process::Run;
use crate::tools::{self, Ready};
use crate::workspace::Workspace;
use crate::{docs, tidy as rules, web};

/// A cold build on two cores takes a third of this.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Everything with the real command lines.
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

/// What earlier steps leave for later ones.
pub(super) struct Session<'a> {
    workspace: &'a Workspace,
    /// Nothing until a step needs them.
    tools: Option<Ready>,
}

impl<'a> Session<'a> {
    pub(super) fn new(workspace: &'a Workspace) -> Self {
        Self { workspace, tools: None }
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

    /// `cargo test …` with the tools in its environment.
    fn cargo_test_with_tools(&mut self, words: &[&str]) -> Outcome<End> {
        let mut run = self.cargo(words).env("TFPLUGIN_COVERAGE_DIR", self.workspace.coverage_dir());
        for (variable, path) in self.tools()?.environment() {
            run = run.env(variable, path);
        }
        cargo_test(run)
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
    session.cargo_test_with_tools(&[
        "test",
        "--no-fail-fast",
        "--workspace",
        "--lib",
        "--bins",
        "--tests",
        "--examples",
    ])
}

/// The other of README's two commands.
pub(super) fn quickstart(session: &mut Session<'_>) -> Outcome<End> {
    crate::quickstart::rehearse(session.workspace).map(End::Done)
}

pub(super) fn doc_tests(session: &mut Session<'_>) -> Outcome<End> {
    cargo_test(session.cargo(&["test", "--no-fail-fast", "--workspace", "--doc"]))
}

pub(super) fn rustdoc(session: &mut Session<'_>) -> Outcome<End> {
    done(
        session
            .cargo(&["doc", "--keep-going", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-Dwarnings")
            .show(|_| {}),
    )
}

pub(super) fn docs(session: &mut Session<'_>) -> Outcome<End> {
    docs::run(session.workspace, docs::Mode::Check).map(End::Done)
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

/// What libtest said, added up over all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct TestCount {
    programs: usize,
    passed: usize,
    failed: usize,
    ignored: usize,
    skipped: usize,
}

impl TestCount {
    fn see(&mut self, line: &str) {
        // Our tests write this themselves when a command line tool is not there.
        if line.trim_start().starts_with("SKIPPED: ") {
            self.skipped += 1;
        }
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.programs += 1;
        for part in counts.split("; ") {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<usize>), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for TestCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { programs, passed, failed, ignored, skipped } = self;
        write!(f, "{passed} passed, {failed} failed, {ignored} ignored in {programs} programs")?;
        if *skipped > 0 {
            write!(f, ", {skipped} SKIPPED")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod counting {
    use super::*;

    #[test]
    fn results_of_several_programs_are_added_up() {
        let mut count = TestCount::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "SKIPPED: terraform 1.5 is not here",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.20s",
        ] {
            count.see(line);
        }
        assert_eq!(count, TestCount { programs: 2, passed: 4, failed: 2, ignored: 1, skipped: 1 });
        assert_eq!(count.to_string(), "4 passed, 2 failed, 1 ignored in 2 programs, 1 SKIPPED");
    }
}
