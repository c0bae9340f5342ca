//! A test's hand on a stand-in.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::call::call;

/// How long a stand-in may take to start, to answer or to end.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A stand-in that runs. It ends when this is dropped, with all that it started.
pub struct Process {
    child: Child,
    folder: TempDir,
    control: &'static str,
    /// Where it listens.
    pub endpoint: String,
}

impl Process {
    /// Starts a program. `control` is what its paths of steering begin with, `arguments` says from its folder what it is started with.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(
        program: &Path,
        control: &'static str,
        arguments: impl FnOnce(&Path) -> Vec<OsString>,
    ) -> Process {
        let folder = tempfile::Builder::new().prefix("sv-stand-in").tempdir();
        assert!(folder.is_ok(), "no folder for the stand-in: {:?}", folder.err());
        let Ok(folder) = folder else { unreachable!("it was just asserted") };
        let mut command = Command::new(program);
        command.args(arguments(folder.path())).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn();
        assert!(child.is_ok(), "the stand-in does not start: {:?}", child.err());
        let Ok(mut child) = child else { unreachable!("it was just asserted") };
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        assert!(line.starts_with("http://"), "the stand-in says {line:?} instead of its address");
        Process { child, folder, control, endpoint: line.trim().to_owned() }
    }

    /// A folder that ends with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where its ledger is.
    pub fn ledger(&self) -> PathBuf {
        ledger_in(self.folder())
    }

    /// Steers it.
    ///
    /// # Panics
    /// When it does not do so.
    pub fn control(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, told) = call(&self.endpoint, method, &format!("{}/{path}", self.control), &[], body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {told}");
        told
    }

    /// Changes how it behaves; what is not named is as usual.
    pub fn settings(&self, settings: &impl Serialize) {
        self.control("PUT", "settings", Some(&json!(settings)));
    }

    /// Lets the next calls that fit go wrong: [`crate::Fault`]s.
    pub fn faults(&self, faults: &Value) {
        self.control("POST", "faults", Some(faults));
    }

    /// Takes back faults that nobody met; how many.
    pub fn clear_faults(&self) -> u64 {
        self.control("DELETE", "faults", None).as_u64().unwrap_or(0)
    }

    /// How many calls are held.
    pub fn held(&self) -> u64 {
        self.control("GET", "held", None).as_u64().unwrap_or(0)
    }

    /// Waits until a call is held by a fault `hold_before` or `hold_after`.
    ///
    /// # Panics
    /// When none comes.
    pub fn until_held(&self) {
        let until = Instant::now() + PATIENCE;
        while self.held() == 0 {
            assert!(Instant::now() < until, "no call is held: {:?}", self.calls());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets go what is held: what its caller still waits for.
    pub fn release(&self) {
        self.control("DELETE", "held", None);
    }

    /// All calls so far, `POST /v2/pods 201`.
    pub fn calls(&self) -> Vec<String> {
        self.texts("calls")
    }

    /// A list of texts that it tells.
    pub fn texts(&self, of: &str) -> Vec<String> {
        let told = self.control("GET", of, None);
        told.as_array().into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect()
    }
}

/// Where a stand-in's ledger is in its folder.
pub fn ledger_in(folder: &Path) -> PathBuf {
    folder.join("ledger.jsonl")
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its standard input ends: it ends what it started, and then itself.
        drop(self.child.stdin.take());
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
