//! The ledger: what was made, for how long, and what it cost. It only grows, and gives every verdict.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since the stand-in started.
    pub at: f64,
    /// `created`, `running`, `stopped`, `terminated`, `lost` (its machine went).
    pub event: String,
    /// `pod`, `template`, `volume`, `registry`, `endpoint`.
    pub kind: String,
    /// The thing.
    pub id: String,
    /// Its name then.
    pub name: String,
    /// Of a pod: `NVIDIA L40S/EU-RO-1/SECURE`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// At the end: how long it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// At the end: what it cost, in dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dollars: Option<f64>,
}

/// Writes it.
pub(crate) struct Ledger {
    file: File,
    began: Instant,
}

impl Ledger {
    pub(crate) fn new(path: &Path) -> std::io::Result<Ledger> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Ledger { file, began: Instant::now() })
    }

    pub(crate) fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    pub(crate) fn write(&mut self, entry: &Entry) {
        let mut line = serde_json::to_vec(entry).unwrap_or_default();
        line.push(b'\n');
        // A ledger with a hole is worth nothing: the test must fail, and does, since this call is never answered.
        let written = self.file.write_all(&line);
        assert!(written.is_ok(), "the ledger cannot be written: {:?}", written.err());
    }
}

/// A ledger, read.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// All lines, in order.
    pub entries: Vec<Entry>,
}

impl Account {
    /// Reads a ledger. A last line that is still being written is left out.
    pub fn read(path: &Path) -> Account {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Account { entries: text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect() }
    }

    /// What was created and is not terminated yet, as `kind name`.
    pub fn open(&self) -> Vec<String> {
        let mut open = BTreeMap::new();
        for entry in &self.entries {
            match entry.event.as_str() {
                "created" => _ = open.insert(entry.id.clone(), format!("{} {}", entry.kind, entry.name)),
                "terminated" | "lost" => _ = open.remove(&entry.id),
                _ => {}
            }
        }
        open.into_values().collect()
    }

    /// How many things of a kind were created.
    pub fn created(&self, kind: &str) -> usize {
        self.entries.iter().filter(|entry| entry.event == "created" && entry.kind == kind).count()
    }
}
