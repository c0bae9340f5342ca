//! The ledger: what was made, for how long, and what it cost. It only grows, and gives every verdict.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use streamverse_stand_in::read_ledger;

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

/// A ledger, read.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// All lines, in order.
    pub entries: Vec<Entry>,
}

impl Account {
    /// Reads a ledger. A last line that is still being written is left out.
    pub fn read(path: &Path) -> Account {
        Account { entries: read_ledger(path) }
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
