//! A test's hand on the stand-in.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;
use streamverse_stand_in::{Process, built, call, ledger_in};

use crate::ledger::Account;
use crate::server::KEY;

/// A stand-in that runs, and all that can be done with any. It ends when this is dropped, with every program of its pods.
pub struct StandIn(Process);

impl Deref for StandIn {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl StandIn {
    /// Starts one with an empty account.
    ///
    /// # Panics
    /// When it does not start, or when `STREAMVERSE_SHARED` names a folder without RunPod's description. Where neither is there it says aloud
    /// that it is held to nothing.
    pub fn start() -> StandIn {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let program = PROGRAM.get_or_init(|| built(env!("CARGO_PKG_NAME"), "runpod-stand-in"));
        let it = StandIn(Process::start(program, "/_control", |folder| vec![ledger_in(folder).into()]));
        assert!(
            it.is_checking() || std::env::var_os("STREAMVERSE_SHARED").is_none(),
            "RunPod's description is not in the folder that STREAMVERSE_SHARED names"
        );
        it
    }

    /// Whether requests and answers are held to RunPod's description; it said so aloud where they are not.
    pub fn is_checking(&self) -> bool {
        self.control("GET", "checked", None) == Value::Bool(true)
    }

    /// What the ledger says.
    pub fn account(&self) -> Account {
        Account::read(&self.ledger())
    }

    /// Sets how many GPUs are free: `{gpu?, data_center?, cloud?, free}`.
    pub fn stock(&self, stock: &Value) {
        self.control("PUT", "stock", Some(stock));
    }

    /// What broke the description so far.
    pub fn violations(&self) -> Vec<String> {
        self.texts("violations")
    }

    /// Forgets what broke the description: a test did that on purpose.
    pub fn forgive(&self) {
        self.control("DELETE", "violations", None);
    }

    /// Everything of a kind, with what the API does not show.
    pub fn things(&self, kind: &str) -> Vec<Value> {
        self.control("GET", "things", None)[kind].as_array().cloned().unwrap_or_default()
    }

    /// The machine of a pod goes, without notice.
    pub fn lose_pod(&self, id: &str) {
        self.control("POST", &format!("pods/{id}/lose"), None);
    }

    /// The host of a pod fails, without notice: its program is killed, and the pod is `EXITED`.
    pub fn kill_pod(&self, id: &str) {
        self.control("POST", &format!("pods/{id}/kill"), None);
    }

    /// Sets what is paid from now on: `{gpu?, of?, dollars}`, `of` being `secure`, `community` or `serverless`.
    pub fn price(&self, price: &Value) {
        self.control("PUT", "prices", Some(price));
    }

    /// Calls the API as somebody else would: status and body.
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        call(&self.endpoint, method, path, &[("authorization", &format!("Bearer {KEY}"))], body)
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
