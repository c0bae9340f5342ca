//! `coverage [--check]`: writes `docs/framework/coverage.md` from what the tests noted in `TFPLUGIN_COVERAGE_DIR`, or
//! says in what it is stale. What is in scope and proved by nobody fails both.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use acceptance_tests::page::{differences, page};
use acceptance_tests::scope::SCOPE;
use tfplugin_testing::coverage;

const PAGE: &str = "docs/framework/coverage.md";
const AGAIN: &str = "run `cargo xtask test tests`, which notes what passes, and then `cargo xtask docs`";
/// A page that is stale throughout needs no list of everything.
const SHOWN: usize = 20;

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [only] if only == "--check" => true,
        _ => {
            eprintln!("usage: coverage [--check]");
            return ExitCode::from(2);
        }
    };
    match run(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<(), String> {
    let folder = std::env::var_os("TFPLUGIN_COVERAGE_DIR").map(PathBuf::from);
    let folder = folder.ok_or("TFPLUGIN_COVERAGE_DIR names no folder; `cargo xtask docs` sets it")?;
    let none = |why: String| format!("no test has noted anything in {}{why}: {AGAIN}", folder.display());
    let records = coverage::read(&folder).map_err(|error| none(format!(" ({error})")))?;
    if records.is_empty() {
        return Err(none(String::new()));
    }
    let fresh = page(&records, SCOPE);
    for product in &fresh.absent {
        eprintln!("SKIPPED: no test passed with {product}, so its column is not judged");
    }
    let mut wrong: Vec<String> =
        fresh.missing.iter().map(|what| format!("proved by nobody: {what}")).collect();
    if !fresh.absent.is_empty() && std::env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1") {
        wrong.push(format!("with CI=true nothing may be skipped: {}", fresh.absent.join(", ")));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    if check {
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        wrong.extend(differences(&committed, &fresh));
    } else {
        std::fs::write(&path, &fresh.markdown).map_err(|error| format!("cannot write {PAGE}: {error}"))?;
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let more = wrong.len().saturating_sub(SHOWN);
    wrong.truncate(SHOWN);
    if more > 0 {
        wrong.push(format!("… and {more} more"));
    }
    Err(format!(
        "{PAGE}:\n  {}\n{AGAIN}; list new promises in acceptance-tests/src/scope.rs",
        wrong.join("\n  ")
    ))
}
