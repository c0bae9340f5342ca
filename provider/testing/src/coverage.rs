//! Which test proves which behaviour of which RPC, with which host: noted by the tests, read for the table.
//!
//! With `TFPLUGIN_COVERAGE_DIR` set, each proof appends one line of JSON to a file of its process in that
//! directory; unset, nothing is written. [`read`] and [`table`] build the table RPC × behaviour × test × host
//! and list what is in scope and proved by nobody.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    panic::Location,
    path::Path,
    process,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::cli::Outcome;

/// The host of tests without a command line.
pub const IN_PROCESS: &str = "in-process";

/// Notes that this test proves a behaviour without a command line. It stands where the proof is complete: on
/// the last line of the test, so that a failed assertion never reaches it.
///
/// ```no_run
/// tfplugin_testing::coverage!("PlanResourceChange", "defaults at depth");
/// ```
#[macro_export]
macro_rules! coverage {
    ($rpc:expr, $behaviour:expr $(,)?) => {
        $crate::coverage::passed($crate::coverage::IN_PROCESS, $rpc, $behaviour)
    };
}

/// Notes that the calling test proves `behaviour` of `rpc` with `host` (`terraform 1.11.4`, `in-process`).
#[track_caller]
pub fn passed(host: &str, rpc: &str, behaviour: &str) {
    record(host, rpc, behaviour, &test_name(Location::caller()), &Outcome::Passed);
}

/// The name that the test runner gives to the calling thread, or the place where it has none.
pub(crate) fn test_name(place: &Location<'_>) -> String {
    let thread = std::thread::current();
    match thread.name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => format!("{}:{}", place.file(), place.line()),
    }
}

pub(crate) fn record(host: &str, rpc: &str, behaviour: &str, test: &str, outcome: &Outcome) {
    static FILE: OnceLock<Option<File>> = OnceLock::new();
    let Some(mut file) = FILE.get_or_init(|| open(env::var_os("TFPLUGIN_COVERAGE_DIR")?.as_ref())).as_ref()
    else {
        return;
    };
    let record = Record {
        rpc: rpc.to_owned(),
        behaviour: behaviour.to_owned(),
        test: test.to_owned(),
        host: host.to_owned(),
        outcome: outcome.clone(),
    };
    // One write of one line in append mode: threads do not mix.
    if let Err(error) = file.write_all(format!("{}\n", record.to_json()).as_bytes()) {
        eprintln!("cannot record coverage: {error}");
    }
}

fn open(folder: &Path) -> Option<File> {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let path = folder.join(format!("coverage-{}-{nanos}.jsonl", process::id()));
    let opened =
        fs::create_dir_all(folder).and_then(|()| OpenOptions::new().create(true).append(true).open(&path));
    // A table with holes that nobody can explain is worse than a line on stderr.
    opened.map_err(|error| eprintln!("cannot record coverage in {}: {error}", path.display())).ok()
}

/// One line of a coverage file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The RPC, such as `PlanResourceChange`.
    pub rpc: String,
    /// What was proved, in a few words.
    pub behaviour: String,
    /// The test that proved it.
    pub test: String,
    /// Product and version of the command line, or `in-process`.
    pub host: String,
    /// Passed, or skipped and why.
    pub outcome: Outcome,
}

impl Record {
    fn to_json(&self) -> Value {
        let outcome = match &self.outcome {
            Outcome::Passed => json!("passed"),
            Outcome::Skipped(reason) => json!({"skipped": reason}),
        };
        let Self { rpc, behaviour, test, host, .. } = self;
        json!({"rpc": rpc, "behaviour": behaviour, "test": test, "host": host, "outcome": outcome})
    }

    fn from_json(json: &Value) -> Option<Self> {
        let text = |name| Some(json.get(name)?.as_str()?.to_owned());
        let outcome = match json.get("outcome")? {
            Value::String(passed) if passed == "passed" => Outcome::Passed,
            other => Outcome::Skipped(other.get("skipped")?.as_str()?.to_owned()),
        };
        Some(Self {
            rpc: text("rpc")?,
            behaviour: text("behaviour")?,
            test: text("test")?,
            host: text("host")?,
            outcome,
        })
    }

    /// The host without its version: the column of the table.
    fn product(&self) -> &str {
        self.host.split(' ').next().unwrap_or_default()
    }
}

/// All records in the `.jsonl` files of a directory. A line that is none is an error.
pub fn read(folder: &Path) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")) {
        for (number, line) in fs::read_to_string(path)?.lines().enumerate() {
            let record = serde_json::from_str(line).ok().and_then(|json| Record::from_json(&json));
            records.push(record.ok_or_else(|| {
                io::Error::other(format!("{}:{}: no coverage record: {line}", path.display(), number + 1))
            })?);
        }
    }
    Ok(records)
}

/// Something that must be proved.
#[derive(Clone, Debug)]
pub struct InScope<'a> {
    /// The RPC.
    pub rpc: &'a str,
    /// The behaviour, in the words of the tests.
    pub behaviour: &'a str,
    /// Which hosts must prove it: `terraform`, `opentofu`, `in-process`, in any version.
    pub hosts: &'a [&'a str],
}

/// The table and what it lacks.
#[derive(Clone, Debug)]
pub struct Table {
    /// In markdown, sorted, without dates or machine names.
    pub markdown: String,
    /// One line for each empty cell that is in scope.
    pub missing: Vec<String>,
}

const HOSTS: [(&str, &str); 3] =
    [("terraform", "Terraform"), ("opentofu", "OpenTofu"), (IN_PROCESS, "In-process")];

/// The table of all records and of all that is in scope.
pub fn table(records: &[Record], scope: &[InScope<'_>]) -> Table {
    let mut rows: BTreeMap<(&str, &str), BTreeMap<&str, Vec<&Record>>> = BTreeMap::new();
    for what in scope {
        rows.entry((what.rpc, what.behaviour)).or_default();
    }
    for record in records {
        let row = rows.entry((&record.rpc, &record.behaviour)).or_default();
        row.entry(&record.test).or_default().push(record);
    }
    let mut markdown = "| RPC | Behaviour | Test".to_owned();
    for (_, title) in HOSTS {
        markdown.push_str(&format!(" | {title}"));
    }
    markdown.push_str(" |\n|---|---|---|---|---|---|\n");
    for ((rpc, behaviour), tests) in &rows {
        if tests.is_empty() {
            markdown.push_str(&format!("| {rpc} | {} | **none** | | | |\n", escaped(behaviour)));
        }
        for (test, records) in tests {
            markdown.push_str(&format!("| {rpc} | {} | `{test}`", escaped(behaviour)));
            for (host, _) in HOSTS {
                markdown.push_str(&format!(" | {}", cell(records, host)));
            }
            markdown.push_str(" |\n");
        }
    }
    let proved = |what: &InScope<'_>, host: &str| {
        records.iter().any(|record| {
            record.outcome == Outcome::Passed
                && (record.rpc.as_str(), record.behaviour.as_str()) == (what.rpc, what.behaviour)
                && record.product() == host
        })
    };
    let missing = scope
        .iter()
        .flat_map(|what| what.hosts.iter().map(move |host| (what, *host)))
        .filter(|(what, host)| !proved(what, host))
        .map(|(what, host)| format!("{}: {} ({host})", what.rpc, what.behaviour))
        .collect();
    Table { markdown, missing }
}

/// The versions that passed, then those that skipped with the reason.
fn cell(records: &[&Record], host: &str) -> String {
    let of_host = || records.iter().filter(|record| record.product() == host);
    let version = |record: &Record| match record.host.split_once(' ') {
        Some((_, version)) => version.to_owned(),
        None => "yes".to_owned(),
    };
    let passed: BTreeSet<String> =
        of_host().filter(|record| record.outcome == Outcome::Passed).map(|record| version(record)).collect();
    let skipped: BTreeSet<String> = of_host()
        .filter_map(|record| match &record.outcome {
            Outcome::Skipped(reason) => Some(format!("skipped: {}", escaped(reason))),
            Outcome::Passed => None,
        })
        .collect();
    passed.into_iter().chain(skipped).collect::<Vec<_>>().join(", ")
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(behaviour: &str, test: &str, host: &str, outcome: Outcome) -> Record {
        Record {
            rpc: "Plan".into(),
            behaviour: behaviour.into(),
            test: test.into(),
            host: host.into(),
            outcome,
        }
    }

    #[test]
    fn the_table_shows_who_proved_what_and_lists_what_nobody_proved() {
        let records = [
            proof("defaults", "t::one", "terraform 1.11.4", Outcome::Passed),
            proof("defaults", "t::one", "terraform 1.5.7", Outcome::Skipped("too | old".into())),
            proof("defaults", "t::two", "in-process", Outcome::Passed),
            proof("extra", "t::two", "opentofu 1.12.6", Outcome::Passed),
        ];
        let scope = [
            InScope { rpc: "Plan", behaviour: "defaults", hosts: &["terraform", "opentofu", IN_PROCESS] },
            InScope { rpc: "Apply", behaviour: "creates", hosts: &[IN_PROCESS] },
        ];
        let table = table(&records, &scope);
        assert_eq!(table.missing, ["Plan: defaults (opentofu)", "Apply: creates (in-process)"]);
        let lines: Vec<_> = table.markdown.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| Apply | creates | **none** | | | |",
                "| Plan | defaults | `t::one` | 1.11.4, skipped: too \\| old |  |  |",
                "| Plan | defaults | `t::two` |  |  | yes |",
                "| Plan | extra | `t::two` |  | 1.12.6 |  |",
            ]
        );
    }

    #[test]
    fn a_skipped_test_proves_nothing() {
        let records = [proof("x", "t", "in-process", Outcome::Skipped("why".into()))];
        let scope = [InScope { rpc: "Plan", behaviour: "x", hosts: &[IN_PROCESS] }];
        assert_eq!(table(&records, &scope).missing.len(), 1);
    }

    #[test]
    fn records_survive_their_file_and_a_broken_line_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let records = [
            proof("a\nb", "t", "in-process", Outcome::Passed),
            proof("b", "t", "opentofu 1.12.6", Outcome::Skipped("why".into())),
        ];
        let lines: String = records.iter().map(|record| format!("{}\n", record.to_json())).collect();
        fs::write(folder.path().join("a.jsonl"), lines).unwrap();
        assert_eq!(read(folder.path()).unwrap(), records);
        fs::write(folder.path().join("b.jsonl"), "{}\n").unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("b.jsonl:1"));
    }
}
