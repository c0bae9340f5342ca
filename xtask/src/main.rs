//! `cargo xtask`: the workspace's own machinery, in plain Rust so that it runs wherever cargo does.
//!
//! It decides nothing about the product: it builds the tools that tests need, runs every check in order,
//! and says what each cost. It must compile in seconds, so it has one dependency.
#![allow(clippy::print_stdout, reason = "a command line tool: its answers go to stdout")]

mod bench;
mod cache;
mod docs;
mod failure;
mod process;
mod quickstart;
mod test;
mod tidy;
mod tools;
mod web;
mod workspace;

use std::process::ExitCode;

use failure::{Failure, Outcome};
use workspace::Workspace;

const HELP: &str = "\
cargo xtask quickstart [--input FILE]… [--at FOLDER] [--ports O,E,P] [--down]   a platform on this host that plays in a browser; --down removes it
cargo xtask quickstart --kubernetes [--var-file F | --test-cluster] [--down]   the same on a cluster of yours, or on a simulated one
cargo xtask test [--fast]          every check, in order; --fast: what needs no command line tool
cargo xtask test STEP… [-- CRATE…] these steps of it, such as `clippy` or `tests`; `tests` of these crates alone
cargo xtask tidy                   the rules that neither rustc nor clippy knows
cargo xtask tools                  build (once) the Terraform and OpenTofu versions that tests run
cargo xtask bench NAME [--quick | --long] [--json F]   measure; NAME: fleet, framework, runtime
cargo xtask web                    build the page that the player service has compiled in
cargo xtask docs [--check]         write the generated pages, or fail when they are stale
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Outcome {
    let workspace = Workspace::here()?;
    match words {
        ["test"] => test::run(&workspace, test::Scope::Everything),
        ["test", "--fast"] => test::run(&workspace, test::Scope::Fast),
        ["test", words @ ..] => {
            let (steps, packages) = match words.iter().position(|word| *word == "--") {
                Some(at) => (words.get(..at), words.get(at + 1..)),
                None => (Some(words), None),
            };
            let scope = test::Scope::Only(steps.unwrap_or_default(), packages.unwrap_or_default());
            test::run(&workspace, scope)
        }
        [test::WORD, program, args @ ..] => test::note(program, args),
        ["tidy"] => tidy::run(&workspace).map(|summary| println!("tidy: {summary}")),
        ["tools"] => {
            let ready = tools::prepare(&workspace)?;
            for (variable, path) in ready.environment() {
                println!("{variable}={}", path.display());
            }
            ready.into_outcome()
        }
        ["bench", name, options @ ..] => bench::run(&workspace, name, options),
        ["docs"] => {
            docs::run(&workspace, docs::Mode::Write, false).map(|summary| println!("docs: {summary}"))
        }
        ["docs", "--check"] => {
            docs::run(&workspace, docs::Mode::Check, false).map(|summary| println!("docs: {summary}"))
        }
        ["quickstart", options @ ..] => quickstart::run(&workspace, options),
        ["web"] => web::build(&workspace).map(|summary| println!("web: {summary}")),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(Failure::new(format!("`{}` is not a task", other.join(" ")))
            .next(format!("the tasks are\n{HELP}"))),
    }
}
