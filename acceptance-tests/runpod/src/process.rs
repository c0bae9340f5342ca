//! A test's hand on the stand-in.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ledger::Account;
use crate::server::KEY;

/// How long it may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stand-in that runs. It ends when this is dropped, with every program of its pods.
pub struct StandIn {
    child: Child,
    folder: TempDir,
    /// Where the API is.
    pub endpoint: String,
}

impl StandIn {
    /// Starts one with an empty account.
    ///
    /// # Panics
    /// When it does not start, or when `STREAMVERSE_SHARED` names a folder without RunPod's description. Where neither is there it says aloud
    /// that it is held to nothing.
    pub fn start() -> StandIn {
        let folder = tempfile::Builder::new().prefix("sv-runpod").tempdir();
        assert!(folder.is_ok(), "no folder for the stand-in: {:?}", folder.err());
        let Ok(folder) = folder else { unreachable!("it was just asserted") };
        let child = Command::new(binary())
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
        let it = StandIn { child, folder, endpoint: line.trim().to_owned() };
        let checked = it.control("GET", "checked", None) == Value::Bool(true);
        assert!(
            checked || std::env::var_os("STREAMVERSE_SHARED").is_none(),
            "RunPod's description is not in the folder that STREAMVERSE_SHARED names"
        );
        it
    }

    /// Whether requests and answers are held to RunPod's description; it said so aloud where they are not.
    pub fn is_checking(&self) -> bool {
        self.control("GET", "checked", None) == Value::Bool(true)
    }

    /// A folder that ends with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the ledger says.
    pub fn account(&self) -> Account {
        Account::read(&self.folder.path().join("ledger.jsonl"))
    }

    /// Changes how it behaves; what is not named is as usual.
    pub fn settings(&self, settings: &Value) {
        self.control("PUT", "settings", Some(settings));
    }

    /// Lets the next calls that fit go wrong.
    pub fn faults(&self, faults: &Value) {
        self.control("POST", "faults", Some(faults));
    }

    /// Takes back faults that nobody met; how many.
    pub fn clear_faults(&self) -> u64 {
        self.control("DELETE", "faults", None).as_u64().unwrap_or(0)
    }

    /// Sets how many GPUs are free: `{gpu?, data_center?, cloud?, free}`.
    pub fn stock(&self, stock: &Value) {
        self.control("PUT", "stock", Some(stock));
    }

    /// What broke the description so far.
    pub fn violations(&self) -> Vec<String> {
        texts(&self.control("GET", "violations", None))
    }

    /// Forgets what broke the description: a test did that on purpose.
    pub fn forgive(&self) {
        self.control("DELETE", "violations", None);
    }

    /// All calls so far, `POST /v2/pods 201`.
    pub fn calls(&self) -> Vec<String> {
        texts(&self.control("GET", "calls", None))
    }

    /// Everything of a kind, with what the API does not show.
    pub fn things(&self, kind: &str) -> Vec<Value> {
        self.control("GET", "things", None)[kind].as_array().cloned().unwrap_or_default()
    }

    /// The machine of a pod goes, without notice.
    pub fn lose_pod(&self, id: &str) {
        let (status, told) = http(&self.endpoint, "POST", &format!("/_control/pods/{id}/lose"), None);
        assert_eq!(status, 204, "{told}");
    }

    /// The host of a pod fails, without notice: its program is killed, and the pod is `EXITED`.
    pub fn kill_pod(&self, id: &str) {
        let (status, told) = http(&self.endpoint, "POST", &format!("/_control/pods/{id}/kill"), None);
        assert_eq!(status, 204, "{told}");
    }

    /// Sets what is paid from now on: `{gpu?, of?, dollars}`, `of` being `secure`, `community` or `serverless`.
    pub fn price(&self, price: &Value) {
        self.control("PUT", "prices", Some(price));
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

    /// How many calls are held.
    pub fn held(&self) -> u64 {
        self.control("GET", "held", None).as_u64().unwrap_or(0)
    }

    /// Lets go what is held: what its caller still waits for.
    pub fn release(&self) {
        self.control("DELETE", "held", None);
    }

    /// Calls the API as somebody else would: status and body.
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        http(&self.endpoint, method, path, body)
    }

    /// A call of the control API.
    fn control(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, told) = http(&self.endpoint, method, &format!("/_control/{path}"), body);
        assert_eq!(status, 200, "{method} {path}: {told}");
        told
    }

    /// Nothing broke the description, and nothing is left.
    ///
    /// # Errors
    /// What did, or is.
    pub fn clean(&self) -> Result<(), String> {
        let violations = self.violations();
        if !violations.is_empty() {
            return Err(format!("RunPod's description was broken: {violations:#?}"));
        }
        let open = self.account().open();
        if open.is_empty() { Ok(()) } else { Err(format!("the ledger has open entries: {open:?}")) }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // Its standard input ends: it ends its pods' programs, and then itself.
        drop(self.child.stdin.take());
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect()
}

/// The program, built once where neither cargo nor `cargo xtask test` built it for this very test.
fn binary() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BUILT
        .get_or_init(|| {
            let test = std::env::current_exe().unwrap_or_default();
            let folder = test.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
            let program = folder.join("runpod-stand-in");
            if std::env::var_os("XTASK_BUILT").is_none() || !program.is_file() {
                let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let done = Command::new(cargo)
                    .args(["build", "--quiet", "-p", env!("CARGO_PKG_NAME")])
                    .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
                    .status();
                assert!(done.is_ok_and(|status| status.success()), "the stand-in cannot be built");
            }
            program
        })
        .clone()
}

/// One call, one connection: a test needs no more.
fn http(endpoint: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let host = endpoint.trim_start_matches("http://");
    let call = || -> std::io::Result<(u16, Value)> {
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map(ToString::to_string).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
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
