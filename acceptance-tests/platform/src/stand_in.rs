//! The process that stands in for what a rented instance can ask (`src/bin/metadata-stand-in.rs`), and how a test sets it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The running stand-in. It ends when this is dropped, or with the test.
pub struct StandIn {
    child: Child,
    port: u16,
    http: reqwest::blocking::Client,
}

impl StandIn {
    /// Starts the program.
    ///
    /// # Panics
    /// When it does not start.
    #[allow(clippy::expect_used, reason = "a test stops at the first thing that is not as it must be")]
    pub fn start(program: &str) -> StandIn {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the stand-in starts");
        let mut line = String::new();
        let said = child.stdout.take().expect("its output is piped");
        BufReader::new(said).read_line(&mut line).expect("it says its port");
        let port = line.trim().parse().expect("a port");
        let http = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
        StandIn { child, port, http }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sets fields of its world.
    ///
    /// # Panics
    /// When it does not take them.
    pub fn set(&self, fields: &Value) {
        let sent = self.http.put(format!("{}/control", self.url())).body(fields.to_string()).send();
        assert!(sent.is_ok_and(|answer| answer.status().is_success()), "the stand-in takes {fields}");
    }

    /// All of its world.
    pub fn world(&self) -> Value {
        let said = self.http.get(format!("{}/control", self.url())).send();
        let text = said.and_then(reqwest::blocking::Response::text).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The phases that the controller was told, each once, and the last report.
    pub fn reports(&self) -> (Vec<String>, Value) {
        let world = self.world();
        let reports = world["reports"].as_array().cloned().unwrap_or_default();
        let phase = |it: &Value| it["phase"].as_str().unwrap_or_default().to_owned();
        let mut phases: Vec<String> = reports.iter().map(phase).collect();
        phases.dedup();
        (phases, reports.last().cloned().unwrap_or_default())
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
