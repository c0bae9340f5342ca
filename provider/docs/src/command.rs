//! `terraform-provider-acme docs --out DIR [--check] [--examples DIR]`: a provider writes its own pages.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tfplugin_framework::Provider;

use crate::pages::{Options, Pages};

const USAGE: &str = "usage: docs [--out DIR] [--examples DIR] [--check]

  --out DIR        where the pages are (docs)
  --examples DIR   where the examples are (the folder `examples` beside the pages)
  --check          write nothing; fail if a page is stale, or an example missing or of nothing";

/// Writes the pages of a provider, or checks them, as the arguments of the process say. A provider's `main` calls
/// it when its first argument is `docs`:
///
/// ```no_run
/// # use tfplugin_framework::Provider;
/// # fn documented<Acme: Provider>() -> std::process::ExitCode {
/// if std::env::args().nth(1).as_deref() == Some("docs") {
///     return tfplugin_docs::main::<Acme>("registry.terraform.io/acme/acme");
/// }
/// # std::process::ExitCode::SUCCESS
/// # }
/// ```
///
/// Says on stderr what it did and found. Examples that are missing or of nothing are warnings while writing; everything else fails, and
/// with `--check` they fail too.
pub fn main<P: Provider>(address: &str) -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let command = match Command::parse(arguments) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("{message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let pages = Pages::of::<P>(Options {
        address: address.to_owned(),
        provider_title: P::NAME.to_owned(),
        examples: command.examples.clone(),
    });
    let outcome = command.run(&pages);
    for line in &outcome.lines {
        eprintln!("{line}");
    }
    if outcome.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    out: PathBuf,
    examples: PathBuf,
    check: bool,
}

/// What is told, and whether that is a failure.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    lines: Vec<String>,
    failed: bool,
}

impl Command {
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
        let mut arguments = arguments.into_iter().peekable();
        arguments.next_if(|first| first == "docs");
        let (mut out, mut examples, mut check) = (None, None, false);
        while let Some(argument) = arguments.next() {
            let folder = match argument.to_str() {
                Some("--check") => {
                    check = true;
                    continue;
                }
                Some("--out") => &mut out,
                Some("--examples") => &mut examples,
                _ => return Err(format!("unknown argument {argument:?}")),
            };
            let value = arguments.next().ok_or_else(|| format!("{argument:?} needs a folder"))?;
            *folder = Some(PathBuf::from(value));
        }
        let out = out.unwrap_or_else(|| PathBuf::from("docs"));
        let beside = || out.parent().unwrap_or(Path::new("")).join("examples");
        let examples = examples.unwrap_or_else(beside);
        Ok(Command { out, examples, check })
    }

    fn run(&self, pages: &Pages) -> Outcome {
        let mut outcome = Outcome::default();
        for finding in pages.findings() {
            // Whoever writes pages may still be at the examples; what is checked is to be published.
            let error = finding.is_error() || self.check;
            outcome.failed |= error;
            let word = if error { "error" } else { "warning" };
            outcome.lines.push(format!("{word}: {finding}"));
        }
        let out = self.out.display();
        if self.check {
            let stale = pages.check(&self.out);
            outcome.failed |= !stale.is_empty();
            outcome.lines.extend(stale.iter().map(|one| format!("stale: {out}/{one}")));
            outcome.lines.push(format!("docs: {} pages, {} stale, in {out}", pages.len(), stale.len()));
            return outcome;
        }
        match pages.write_to(&self.out) {
            Ok(done) => outcome.lines.push(format!(
                "docs: {} pages written, {} unchanged, {} removed, in {out}",
                done.written, done.unchanged, done.removed
            )),
            Err(error) => {
                outcome.failed = true;
                outcome.lines.push(format!("error: {error}"));
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Command, String> {
        Command::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn examples_are_beside_the_pages_unless_said_otherwise() {
        let command = |out: &str, examples: &str, check| {
            Ok(Command { out: out.into(), examples: examples.into(), check })
        };
        assert_eq!(parse(&["docs"]), command("docs", "examples", false));
        assert_eq!(parse(&["docs", "--out", "a/docs", "--check"]), command("a/docs", "a/examples", true));
        assert_eq!(parse(&["--examples", "x", "--out", "y"]), command("y", "x", false));
    }

    #[test]
    fn arguments_that_mean_nothing_are_refused() {
        assert_eq!(parse(&["docs", "--chek"]), Err("unknown argument \"--chek\"".to_owned()));
        assert_eq!(parse(&["docs", "--out"]), Err("\"--out\" needs a folder".to_owned()));
    }

    /// Talks to Acme.
    #[derive(Clone, tfplugin_schema::Schema)]
    struct Config {
        /// Where it is.
        endpoint: Option<String>,
    }

    struct Acme;

    impl Provider for Acme {
        type Config = Config;
        const NAME: &'static str = "acme";

        async fn configure(
            _: &tfplugin_framework::Request,
            _: ConfigView,
        ) -> tfplugin_framework::Result<Acme> {
            Ok(Acme)
        }

        fn parts(parts: tfplugin_framework::Parts<Acme>) -> tfplugin_framework::Parts<Acme> {
            parts
        }
    }

    fn run(dir: &Path, address: &str, check: bool) -> Outcome {
        let command = Command { out: dir.join("docs"), examples: dir.join("examples"), check };
        let (address, provider_title) = (address.to_owned(), Acme::NAME.to_owned());
        let options = Options { address, provider_title, examples: command.examples.clone() };
        command.run(&Pages::of::<Acme>(options))
    }

    #[test]
    fn stale_pages_fail_the_check_and_so_do_missing_examples() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("docs").display().to_string();
        let outcome = run(dir.path(), "acme/acme", true);
        assert!(outcome.failed);
        assert!(outcome.lines[0].starts_with("error: index.md: missing example"), "{outcome:?}");
        assert_eq!(outcome.lines[1], format!("stale: {out}/index.md: is missing"));
        assert!(!dir.path().join("docs").exists(), "a check writes nothing");

        let outcome = run(dir.path(), "acme/acme", false);
        assert!(!outcome.failed, "{outcome:?}");
        assert!(outcome.lines[0].starts_with("warning: index.md: missing example"), "{outcome:?}");
        assert_eq!(outcome.lines[1], format!("docs: 1 pages written, 0 unchanged, 0 removed, in {out}"));
        let outcome = run(dir.path(), "acme/acme", true);
        assert!(outcome.failed && outcome.lines.len() == 2, "the example alone: {outcome:?}");

        let examples = dir.path().join("examples/provider");
        std::fs::create_dir_all(&examples).unwrap();
        std::fs::write(examples.join("provider.tf"), "provider \"acme\" {}\n").unwrap();
        assert!(!run(dir.path(), "acme/acme", false).failed);
        let outcome = run(dir.path(), "acme/acme", true);
        assert!(!outcome.failed, "{outcome:?}");
    }

    #[test]
    fn what_a_release_must_not_have_fails_also_when_writing() {
        let dir = tempfile::tempdir().unwrap();
        let outcome = run(dir.path(), "acme", false);
        assert!(outcome.failed && outcome.lines.iter().any(|line| line.starts_with("error: \"acme\"")));
    }
}
