//! The ledger: what was launched, got ready, was announced, taken away and given back, on the virtual clock. It only grows.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use streamverse_model::compute::{CloudKind, GpuClass, Lifecycle, Money};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It costs from now on.
    Launch,
    /// It works from now on.
    Ready,
    /// It will be taken away.
    Notice,
    /// It was taken away.
    Preempt,
    /// It was given back.
    Terminate,
    /// A group was made.
    Group,
    /// A group was deleted.
    GroupDeleted,
    /// A launch was refused; `why` has the class.
    Refused,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The virtual time, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What.
    pub event: Event,
    /// The instance; empty for groups.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The group's name.
    pub group: String,
    /// The zone, where it is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// The cloud.
    pub cloud: CloudKind,
    /// The class.
    pub class: GpuClass,
    /// How it is bought.
    pub lifecycle: Lifecycle,
    /// What it costs per hour.
    #[serde(default)]
    pub hourly: Money,
    /// Of a refusal: why. Of a notice: when. Of a launch: `kept` where the group took it by itself, to keep its size.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// Writes it.
pub(crate) struct Ledger(File);

impl Ledger {
    pub(crate) fn new(path: &Path) -> std::io::Result<Ledger> {
        Ok(Ledger(File::options().create(true).append(true).open(path)?))
    }

    pub(crate) fn write(&mut self, entry: &Entry) {
        let mut line = serde_json::to_vec(entry).unwrap_or_default();
        line.push(b'\n');
        // A ledger with a hole is worth nothing: the test must fail, and does, since this call is never answered.
        let written = self.0.write_all(&line);
        assert!(written.is_ok(), "the ledger cannot be written: {:?}", written.err());
    }
}
