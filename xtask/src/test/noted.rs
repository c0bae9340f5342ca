//! The test programs of the workspace, as cargo would run them: cargo itself is asked to.
//!
//! `cargo test` builds them and runs one after the other. Told to run each with this very program (`runner` in cargo's
//! configuration), it calls `xtask note-program PROGRAM ARGS…` for each, in the folder and with the environment that the
//! test would have had. That prints one line and ends, and so nothing here guesses what cargo sets for a test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::process::Run;

/// Before each line of ours on cargo's output: a record separator, which no test and no compiler prints.
const MARK: &str = "\u{1e}program ";
/// What `main` calls `note` by.
pub(crate) const WORD: &str = "note-program";

/// A test program that cargo built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// Package and target, such as `streamverse-acceptance/node`.
    pub(super) name: String,
    path: PathBuf,
    args: Vec<String>,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl Program {
    /// Builds what these words of `cargo test` name, and returns the programs in cargo's order.
    pub(super) fn build(cargo: Run) -> Outcome<Vec<Program>> {
        let own = std::env::current_exe()
            .map_err(|error| Failure::new(format!("cannot tell this program's own path: {error}")))?;
        let mut programs = Vec::new();
        cargo.args(["--config".to_owned(), runner(&own)]).sift(|line| {
            programs.extend(Program::read(line));
            // "Running …" is said when it does run.
            !line.starts_with(MARK) && !line.trim_start().starts_with("Running ")
        })?;
        if programs.is_empty() {
            return Err(Failure::new("cargo named no test program")
                .next("look for a `runner` in a configuration of cargo: it goes before ours"));
        }
        Ok(programs)
    }

    fn read(line: &str) -> Option<Program> {
        let value: Value = serde_json::from_str(line.strip_prefix(MARK)?).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let texts = |value: &Value| value.as_array().into_iter().flatten().filter_map(text).collect();
        let path = PathBuf::from(text(&value["program"])?);
        let environment: Vec<(String, String)> = value["environment"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
            .collect();
        let package = environment.iter().find(|(name, _)| name == "CARGO_PKG_NAME");
        let package = package.map(|(_, value)| value.as_str()).unwrap_or_default();
        let name = format!("{package}/{}", target(&path));
        let folder = PathBuf::from(text(&value["folder"])?);
        Some(Program { name, path, args: texts(&value["args"]), folder, environment })
    }

    #[cfg(test)]
    pub(super) fn shell(name: &str, script: &str) -> Program {
        let args = ["-c", script].map(str::to_owned).into();
        let (path, folder) = ("sh".into(), ".".into());
        Program { name: name.to_owned(), path, args, folder, environment: Vec::new() }
    }

    /// The program, ready to run as cargo would have.
    pub(super) fn run(&self, limit: Duration) -> Run {
        let run = Run::new(&self.name, &self.path).args(self.args.iter().cloned()).dir(&self.folder);
        self.environment.iter().fold(run, |run, (name, value)| run.env(name, value)).limit(limit)
    }

    /// What repeats it alone.
    pub(super) fn repeat(&self) -> String {
        let (package, target) = self.name.split_once('/').unwrap_or_default();
        let tests = self.folder.join("tests");
        let own =
            tests.join(format!("{target}.rs")).is_file() || tests.join(target).join("main.rs").is_file();
        let which = if own { format!("--test {target}") } else { "--lib --bins".to_owned() };
        format!("cargo test -p {package} {which}")
    }
}

/// The file's name without the hash that cargo puts behind it.
fn target(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match stem.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|it| it.is_ascii_hexdigit()) => {
            name.to_owned()
        }
        _ => stem,
    }
}

/// `--config`'s value that has cargo run each program through `note`, on any platform.
fn runner(own: &Path) -> String {
    // A string of JSON is one of TOML too.
    format!("target.'cfg(all())'.runner=[{}, {}]", json!(own.to_string_lossy()), json!(WORD))
}

/// Says on stdout, for `build` to read, what cargo would have run. A variable that is no text stays as we have it.
pub(crate) fn note(program: &str, args: &[&str]) -> Outcome {
    let folder = std::env::current_dir()
        .map_err(|error| Failure::new(format!("cannot tell the current folder: {error}")))?;
    let environment: serde_json::Map<String, Value> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?.into())))
        .collect();
    let said = json!({
        "program": program, "args": args, "folder": folder.to_string_lossy(), "environment": environment,
    });
    println!("{MARK}{said}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_would_have_run_is_read_with_its_folder_and_environment() {
        let line = format!(
            "{MARK}{}",
            json!({
                "program": "/t/debug/deps/node-c5f584cad2a29d11", "args": ["--quiet"], "folder": "/w/platform",
                "environment": { "CARGO_PKG_NAME": "streamverse-acceptance", "A": "b" },
            })
        );
        let program = Program::read(&line).unwrap();
        assert_eq!(program.name, "streamverse-acceptance/node");
        assert_eq!((program.args.len(), program.folder), (1, PathBuf::from("/w/platform")));
        assert!(program.environment.contains(&("A".to_owned(), "b".to_owned())));
        assert_eq!(Program::read("test a ... ok"), None);
    }

    #[test]
    fn a_program_is_named_without_its_hash() {
        let names = ["a/node-c5f584cad2a29d11", "a/my-tool-c5f584cad2a29d11", "a/plain", "a/two-words"];
        assert_eq!(names.map(|path| target(Path::new(path))), ["node", "my-tool", "plain", "two-words"]);
    }

    #[test]
    fn cargo_takes_the_runner_whatever_the_path() {
        assert_eq!(
            runner(Path::new("/a \"b\"/xtask")),
            "target.'cfg(all())'.runner=[\"/a \\\"b\\\"/xtask\", \"note-program\"]"
        );
    }
}
