//! A test's hand on the stand-in.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use streamverse_model::compute::CloudKind;
use tempfile::TempDir;

use crate::cloud::ZonesCloud;
use crate::config::{Config, KEY, Settings};
use crate::verdict::Account;

/// How long it may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stand-in that runs. It ends when this is dropped.
pub struct StandIn {
    child: Child,
    folder: TempDir,
    /// Where it listens.
    pub endpoint: String,
}

impl StandIn {
    /// Starts one at a beginning.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(config: &Config) -> StandIn {
        let folder = tempfile::Builder::new().prefix("sv-zones").tempdir();
        assert!(folder.is_ok(), "no folder for the stand-in: {:?}", folder.err());
        let Ok(folder) = folder else { unreachable!("it was just asserted") };
        let path = folder.path().join("config.json");
        let written = std::fs::write(&path, json!(config).to_string());
        assert!(written.is_ok(), "the stand-in's beginning cannot be written: {:?}", written.err());
        let child = Command::new(binary("zones-stand-in"))
            .arg(path)
            .arg(folder.path().join("ledger.jsonl"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        assert!(child.is_ok(), "the stand-in does not start: {:?}", child.err());
        let Ok(mut child) = child else { unreachable!("it was just asserted") };
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        assert!(line.starts_with("http://"), "the stand-in says {line:?} instead of its address");
        StandIn { child, folder, endpoint: line.trim().to_owned() }
    }

    /// One of its clouds, as the controller sees it.
    pub fn cloud(&self, kind: CloudKind) -> ZonesCloud {
        ZonesCloud::new(&self.endpoint, KEY, kind, Duration::from_secs(10))
    }

    /// A folder that ends with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the ledger says.
    pub fn account(&self) -> Account {
        Account::read(&self.folder.path().join("ledger.jsonl"))
    }

    /// The virtual time.
    pub fn now(&self) -> u64 {
        self.control("GET", "clock", None)["now_ms"].as_u64().unwrap_or(0)
    }

    /// Time passes.
    pub fn advance(&self, ms: u64) {
        self.control("POST", "clock/advance", Some(&json!({ "ms": ms })));
    }

    /// From now on time passes by itself, so many times as fast as a real clock; at zero it stands still.
    pub fn run(&self, factor: f64) {
        self.control("POST", "clock/run", Some(&json!({ "factor": factor })));
    }

    /// What a zone gives from now on: `{zone, spot?, on_demand?, spot_price?}`.
    pub fn market(&self, said: &Value) {
        self.control("POST", "market", Some(said));
    }

    /// Changes how the clouds behave.
    pub fn settings(&self, settings: &Settings) {
        self.control("PUT", "settings", Some(&json!(settings)));
    }

    /// Lets the next calls that fit go wrong.
    pub fn faults(&self, faults: &Value) {
        self.control("POST", "faults", Some(faults));
    }

    /// Lets calls go wrong by chance, the same ones for the same seed and order of calls.
    pub fn chances(&self, chances: &Value) {
        self.control("POST", "faults/random", Some(chances));
    }

    /// Takes back all faults and lets go what is held; how many nobody met.
    pub fn clear_faults(&self) -> u64 {
        self.control("DELETE", "faults", None).as_u64().unwrap_or(0)
    }

    /// Whether a call is held.
    pub fn is_held(&self) -> bool {
        self.held_and_asleep().0 > 0
    }

    /// How many calls are held, and how many controllers wait for the clock: they have done all that they had to.
    pub fn held_and_asleep(&self) -> (u64, u64) {
        let told = self.control("GET", "clock", None);
        (told["held"].as_u64().unwrap_or(0), told["asleep"].as_u64().unwrap_or(0))
    }

    /// From now on each call that changes something is held once before it is done, and, when it is repeated, once after.
    pub fn hold_each(&self) {
        self.control("POST", "faults/each", None);
    }

    /// How many calls were held so, before they were done and after.
    pub fn held_each(&self) -> [u64; 2] {
        let told = self.control("GET", "clock", None);
        [0, 1].map(|at: usize| told["each"][at].as_u64().unwrap_or(0))
    }

    /// All calls of clouds so far, `POST /aws/v1/groups/sv--…/size 200`.
    pub fn calls(&self) -> Vec<String> {
        let told = self.control("GET", "calls", None);
        told.as_array().into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect()
    }

    /// All instances that run, with what no list shows.
    pub fn machines(&self) -> Vec<Value> {
        self.control("GET", "machines", None).as_array().cloned().unwrap_or_default()
    }

    /// Where an instance finds its metadata service.
    pub fn metadata(&self, id: &str) -> String {
        format!("{}/_metadata/{id}", self.endpoint)
    }

    fn control(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, told) = http(&self.endpoint, method, &format!("/{path}"), body);
        assert_eq!(status, 200, "{method} {path}: {told}");
        told
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // Its standard input ends, and then it does.
        drop(self.child.stdin.take());
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of this crate: cargo builds those beside the tests that use them.
pub(crate) fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|it| it.is_file());
    assert!(found.is_some(), "{name} is not there: run `cargo build -p streamverse-zones-stand-in` first");
    found.unwrap_or_default()
}

/// One call, one connection: a test's steering needs no more.
fn http(endpoint: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let host = endpoint.trim_start_matches("http://");
    let call = || -> std::io::Result<(u16, Value)> {
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map(ToString::to_string).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
        Ok((status, serde_json::from_str(body).unwrap_or_default()))
    };
    call().unwrap_or_else(|error| (0, json!(error.to_string())))
}
