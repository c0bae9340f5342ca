//! The process that stands in for what a rented instance can ask (`src/bin/metadata-stand-in.rs`), and how a test sets it.

use std::path::Path;

use serde_json::Value;
use streamverse_stand_in::Process;

/// The running stand-in. It ends when this is dropped, or with the test.
pub struct StandIn(Process);

impl StandIn {
    /// Starts the program.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(program: &str) -> StandIn {
        StandIn(Process::start(Path::new(program), "", |_| Vec::new()))
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.0.endpoint.clone()
    }

    /// Sets fields of its world.
    ///
    /// # Panics
    /// When it does not take them.
    pub fn set(&self, fields: &Value) {
        self.0.control("PUT", "control", Some(fields));
    }

    /// All of its world.
    pub fn world(&self) -> Value {
        self.0.control("GET", "control", None)
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
