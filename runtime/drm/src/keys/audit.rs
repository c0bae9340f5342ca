//! Who asked for which key identifier, when, and what came of it: records with a retention, and lines of the log. Neither
//! holds a key.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use streamverse_core::stores::{Records, key_wire};
use streamverse_core::{Error, Result};
use streamverse_model::drm::KeyId;
use tracing::info;

const COLLECTION: &str = "key-audit";

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It was refused; `code` says why.
    Refused,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Who asked, in its own words: all who know the access key are trusted alike.
    pub client: String,
    /// `obtain`, `find`, `backup` ….
    pub what: String,
    /// Which keys.
    pub kids: Vec<KeyId>,
    /// How many of them were made by this request.
    #[serde(default)]
    pub made: usize,
    /// How many of them were not there.
    #[serde(default)]
    pub missing: usize,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Where requests are remembered.
#[derive(Clone)]
pub(super) struct Audit {
    records: Arc<dyn Records>,
    retention: Duration,
}

impl Audit {
    pub(super) fn new(records: Arc<dyn Records>, retention: Duration) -> Audit {
        Audit { records, retention }
    }

    /// Remembers a request, durably.
    pub(super) async fn note(&self, entry: &AuditEntry) -> Result<()> {
        let kids: Vec<String> = entry.kids.iter().map(ToString::to_string).collect();
        info!(
            target: "streamverse::audit",
            client = entry.client, what = entry.what, kids = kids.join(","), made = entry.made, missing = entry.missing,
            outcome = ?entry.outcome, code = entry.code.as_deref().unwrap_or_default(), "Keys were asked for."
        );
        let value = serde_json::to_value(entry)
            .map_err(|error| Error::permanent("audit", "an entry cannot be written").because(error))?;
        // In the order of time, and apart from what other replicas write in the same millisecond.
        let fresh = key_wire::fresh::<6>()?;
        let id = format!("{:015}-{}", entry.time_ms, hex::encode(*fresh));
        self.records.insert(COLLECTION, &id, &value).await.map(|_| ())
    }

    /// Forgets what is older than the retention.
    pub(super) async fn prune(&self, now_ms: u64) -> Result<()> {
        let retention = u64::try_from(self.retention.as_millis()).unwrap_or(u64::MAX);
        self.records.remove_before(COLLECTION, &format!("{:015}", now_ms.saturating_sub(retention))).await
    }

    /// Entries after an id, with their ids, in the order of time.
    pub(super) async fn list(&self, after: &str, limit: u32) -> Result<Vec<(String, AuditEntry)>> {
        let found = self.records.list(COLLECTION, after, limit).await?;
        let read = |(id, record): (String, streamverse_core::stores::Record)| {
            let entry = serde_json::from_value(record.value).map_err(|error| {
                Error::permanent("audit", format!("the entry {id} is of another version")).because(error)
            })?;
            Ok((id, entry))
        };
        found.into_iter().map(read).collect()
    }
}
