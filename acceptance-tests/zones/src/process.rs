//! A test's hand on the stand-in.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use streamverse_model::compute::CloudKind;
use streamverse_stand_in::{Process, beside, ledger_in};

use crate::cloud::ZonesCloud;
use crate::config::{Config, KEY};
use crate::verdict::Account;

/// A stand-in that runs, and all that can be done with any. It ends when this is dropped.
pub struct StandIn(Process);

impl Deref for StandIn {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl StandIn {
    /// Starts one at a beginning.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(config: &Config) -> StandIn {
        StandIn(Process::start(&binary("zones-stand-in"), "", |folder| {
            let path = folder.join("config.json");
            let written = std::fs::write(&path, json!(config).to_string());
            assert!(written.is_ok(), "the stand-in's beginning cannot be written: {:?}", written.err());
            vec![path.into(), ledger_in(folder).into()]
        }))
    }

    /// One of its clouds, as the controller sees it.
    pub fn cloud(&self, kind: CloudKind) -> ZonesCloud {
        ZonesCloud::new(&self.endpoint, KEY, kind, Duration::from_secs(10))
    }

    /// What the ledger says.
    pub fn account(&self) -> Account {
        Account::read(&self.ledger())
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

    /// Lets calls go wrong by chance, the same ones for the same seed and order of calls.
    pub fn chances(&self, chances: &Value) {
        self.control("POST", "faults/random", Some(chances));
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

    /// All instances that run, with what no list shows.
    pub fn machines(&self) -> Vec<Value> {
        self.control("GET", "machines", None).as_array().cloned().unwrap_or_default()
    }

    /// Where an instance finds its metadata service.
    pub fn metadata(&self, id: &str) -> String {
        format!("{}/_metadata/{id}", self.endpoint)
    }
}

/// A program of this crate.
pub(crate) fn binary(name: &str) -> PathBuf {
    beside(env!("CARGO_PKG_NAME"), name)
}
