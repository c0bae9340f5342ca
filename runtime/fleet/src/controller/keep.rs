//! What the controller writes: its state before it acts, statuses, and decisions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use streamverse_compute::policy::{FleetState, STATE_VERSION};
use streamverse_core::stores::Records;
use streamverse_core::{Error, Result};
use streamverse_model::compute::{FleetDecision, FleetStatus, fleet_collection};

use super::backlog::Doubt;

/// The id of the state.
const STATE: &str = "state";
/// What only follows from time is written this often.
const EACH_MS: u64 = 60_000;
/// Decisions that are kept of one tick; all of them are in the log, and how many were left out is kept, too.
pub(super) const MOST_DECISIONS: usize = 500;
/// The why of what says only how many were left out.
pub(super) const LEFT_OUT: &str = "left_out";
/// Where the state's document has decisions that may not be among the others yet.
const DECIDED: &str = "decided";
/// Where the state's document has what was measured.
const MEASURED: &str = "measured";
/// Between two times that old decisions are removed.
const PRUNE_MS: u64 = 600_000;
/// Ids that are further ahead of the clock are of a time when it was wrong.
const AHEAD_MS: u64 = 3_600_000;
const PAGE: u32 = 500;

/// What was measured, and outlives the controller: all of it by fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Measured {
    /// How long a job takes.
    pub(super) job_ms: BTreeMap<String, u64>,
    /// Until when a site's own workers are not counted on.
    pub(super) doubts: BTreeMap<String, Doubt>,
}

/// A status as it was written.
struct Written {
    status: FleetStatus,
    version: u64,
}

/// Where a controller writes.
pub(super) struct Keep {
    records: Arc<dyn Records>,
    controller: String,
    /// The version of the state's document; `None` where there is none yet.
    version: Option<u64>,
    /// The state as it was written last.
    written: FleetState,
    written_ms: u64,
    statuses: HashMap<String, Written>,
    last_why: u64,
    /// Decisions that are written with the state, and not yet where they are looked for: by their ids.
    untold: Vec<(u64, FleetDecision)>,
    pruned_ms: u64,
}

fn why_id(number: u64) -> String {
    format!("{number:020}")
}

fn passing(error: serde_json::Error) -> Error {
    Error::permanent("fleet-state", "the state cannot be written as JSON").because(error)
}

impl Keep {
    pub(super) fn new(records: Arc<dyn Records>, controller: &str) -> Keep {
        Keep {
            records,
            controller: controller.to_owned(),
            version: None,
            written: FleetState::default(),
            written_ms: 0,
            statuses: HashMap::new(),
            last_why: 0,
            untold: Vec::new(),
            pruned_ms: 0,
        }
    }

    pub(super) fn collection(&self, kind: &str) -> String {
        fleet_collection(kind, &self.controller)
    }

    /// Reads what was written last, by whomever.
    pub(super) async fn load(&mut self) -> Result<(FleetState, Measured)> {
        let found = self.records.get(&self.collection("state"), STATE).await?;
        self.version = found.as_ref().map(|it| it.version);
        let mut value = found.map(|it| it.value);
        let decided = value.as_mut().and_then(|it| it.as_object_mut()?.remove(DECIDED));
        let measured = value.as_mut().and_then(|it| it.as_object_mut()?.remove(MEASURED));
        // Without it, it is measured anew.
        let measured = measured.and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default();
        // The layout first: of another one nothing else is where this version looks for it.
        let layout =
            value.as_ref().map_or(u64::from(STATE_VERSION), |it| it["version"].as_u64().unwrap_or(0));
        if layout != u64::from(STATE_VERSION) {
            let text = format!(
                "the state of the controller {} has the layout {layout}, this version reads {STATE_VERSION}: nothing is bought or given back until the version that wrote it, or a newer one, runs again",
                self.controller
            );
            return Err(Error::passing("fleet-state", text));
        }
        let state: FleetState = match value {
            None => FleetState::default(),
            Some(value) => serde_json::from_value(value).map_err(|error| {
                let text = format!(
                    "the state of the controller {} is not one of this version: nothing is bought or given back until the version that wrote it, or a newer one, runs again",
                    self.controller
                );
                Error::passing("fleet-state", text).because(error)
            })?,
        };
        self.written = state.clone();
        // Ids go on where those of an earlier controller ended, also when the clock went back.
        let last = self.records.last(&self.collection("why")).await?;
        self.last_why = last.and_then(|(id, _)| id.parse::<u64>().ok()).unwrap_or(0);
        // Whoever wrote these was killed, or lost the lease, before they could be looked for. They are there in order.
        let decided: Option<Vec<(u64, FleetDecision)>> =
            decided.and_then(|it| serde_json::from_value(it).ok());
        self.untold = decided.unwrap_or_default();
        self.untold.retain(|it| it.0 > self.last_why);
        if let Some((id, _)) = self.untold.last() {
            self.last_why = *id;
        }
        self.statuses.clear();
        let mut after = String::new();
        loop {
            let page = self.records.list(&self.collection("status"), &after, PAGE).await?;
            let full = u32::try_from(page.len()).unwrap_or(PAGE) >= PAGE;
            for (id, record) in page {
                after.clone_from(&id);
                // One of another version is written anew.
                let status = serde_json::from_value(record.value).unwrap_or_default();
                self.statuses.insert(id, Written { status, version: record.version });
            }
            if !full {
                return Ok((state, measured));
            }
        }
    }

    /// Writes the state, and with it what was decided and what was measured, unless only time has passed and not for long. `false`: somebody else wrote
    /// one meanwhile.
    pub(super) async fn state(
        &mut self,
        state: &FleetState,
        measured: &Measured,
        decided: Vec<FleetDecision>,
        acts: bool,
        now: u64,
    ) -> Result<bool> {
        let due = now.saturating_sub(self.written_ms) >= EACH_MS;
        if !acts && !due && decided.is_empty() && self.is_same(state) {
            return Ok(true);
        }
        for decision in decided {
            self.last_why = self.last_why.saturating_add(1).max(now.saturating_mul(1000));
            self.untold.push((self.last_why, decision));
        }
        let mut value = serde_json::to_value(state).map_err(passing)?;
        if let Some(document) = value.as_object_mut() {
            document.insert(MEASURED.to_owned(), serde_json::to_value(measured).map_err(passing)?);
            if !self.untold.is_empty() {
                document.insert(DECIDED.to_owned(), serde_json::to_value(&self.untold).map_err(passing)?);
            }
        }
        let collection = self.collection("state");
        let done = match self.version {
            None => self.records.insert(&collection, STATE, &value).await?,
            Some(version) => self.records.replace(&collection, STATE, version, &value).await?,
        };
        // An answer that was lost may have been asked for again: what is there is then what we wrote.
        let found =
            if done && self.version.is_some() { None } else { self.records.get(&collection, STATE).await? };
        let ours = done || found.as_ref().is_some_and(|it| it.value == value);
        if !ours {
            return Ok(false);
        }
        self.version = match found {
            Some(found) => Some(found.version),
            None => self.version.map(|it| it + 1),
        };
        self.written.clone_from(state);
        self.written_ms = now;
        Ok(true)
    }

    /// Whether a state says what was written, apart from what follows from time alone.
    fn is_same(&mut self, state: &FleetState) -> bool {
        for (old, new) in self.written.pools.iter_mut().zip(&state.pools) {
            old.last_ms = new.last_ms;
            old.spent_micros = new.spent_micros;
            for (old, new) in old.places.iter_mut().zip(&new.places) {
                old.up_ms = new.up_ms;
            }
        }
        self.written == *state
    }

    /// Writes a status, where it says something new or is a minute old.
    pub(super) async fn status(&mut self, fleet: &str, status: FleetStatus) -> Result<()> {
        let written = self.statuses.get(fleet);
        let same = written.is_some_and(|it| {
            // Not all in one tick.
            let spread =
                fleet.bytes().fold(0_u64, |sum, it| sum.wrapping_mul(31).wrapping_add(u64::from(it)));
            let due = EACH_MS / 2 + spread % (EACH_MS / 2);
            let fresh = status.looked_ms.saturating_sub(it.status.looked_ms) < due;
            let timeless = |it: &FleetStatus| FleetStatus { looked_ms: 0, spent_micros: 0, ..it.clone() };
            fresh && timeless(&it.status) == timeless(&status)
        });
        if same {
            return Ok(());
        }
        let value = serde_json::to_value(&status).map_err(passing)?;
        let collection = self.collection("status");
        if let Some(version) = written.map(|it| it.version)
            && self.records.replace(&collection, fleet, version, &value).await?
        {
            self.statuses.insert(fleet.to_owned(), Written { status, version: version + 1 });
            return Ok(());
        }
        // It is new, or somebody removed it.
        if !self.records.insert(&collection, fleet, &value).await? {
            let found = self.records.version(&collection, fleet).await?;
            if let Some(version) = found {
                self.records.replace(&collection, fleet, version, &value).await?;
            }
        }
        if let Some(version) = self.records.version(&collection, fleet).await? {
            self.statuses.insert(fleet.to_owned(), Written { status, version });
        }
        Ok(())
    }

    /// Removes the statuses of fleets of which nothing is left, neither a description nor an instance.
    pub(super) async fn forget(&mut self, is_left: impl Fn(&str) -> bool) -> Result<()> {
        let gone: Vec<String> = self.statuses.keys().filter(|it| !is_left(it)).cloned().collect();
        for fleet in gone {
            self.records.remove(&self.collection("status"), &fleet).await?;
            self.statuses.remove(&fleet);
        }
        Ok(())
    }

    /// Puts decisions that were written with the state where they are looked for, in order: the ids and they themselves. Nothing of
    /// them is done before. Each is told when it is there: where the catalogue fails in between, the rest is told by who reads the
    /// state next, and nothing twice.
    pub(super) async fn decisions(
        &mut self,
        mut told: impl FnMut(&FleetDecision) + Send,
    ) -> Result<Vec<(u64, FleetDecision)>> {
        let collection = self.collection("why");
        for (id, decision) in &self.untold {
            let value = serde_json::to_value(decision).map_err(passing)?;
            self.records.insert(&collection, &why_id(*id), &value).await?;
            told(decision);
        }
        Ok(std::mem::take(&mut self.untold))
    }

    /// Says what came of a decision.
    pub(super) async fn came_of(&self, id: u64, decision: &FleetDecision) -> Result<()> {
        let (collection, id) = (self.collection("why"), why_id(id));
        let value = serde_json::to_value(decision).map_err(passing)?;
        if let Some(version) = self.records.version(&collection, &id).await? {
            self.records.replace(&collection, &id, version, &value).await?;
        }
        Ok(())
    }

    /// Gives decisions that were made while the clock was ahead ids of now: as what is to come they would never be old.
    async fn put_back(&mut self, now: u64) -> Result<()> {
        let last = now.saturating_add(AHEAD_MS).saturating_mul(1000);
        if self.last_why <= last {
            return Ok(());
        }
        let collection = self.collection("why");
        let (mut after, mut id) = (why_id(last), now.saturating_mul(1000));
        loop {
            let page = self.records.list(&collection, &after, PAGE).await?;
            let Some((end, _)) = page.last() else { break };
            after.clone_from(end);
            for (ahead, record) in page {
                while !self.records.insert(&collection, &why_id(id), &record.value).await? {
                    id = id.saturating_add(1);
                }
                self.records.remove(&collection, &ahead).await?;
            }
        }
        self.last_why = id;
        Ok(())
    }

    /// Removes decisions that are older than `retention_ms`.
    pub(super) async fn prune(&mut self, retention_ms: u64, now: u64) -> Result<()> {
        let collection = self.collection("why");
        if self.pruned_ms > now || now - self.pruned_ms >= PRUNE_MS {
            self.pruned_ms = now;
            self.put_back(now).await?;
            let oldest = now.saturating_sub(retention_ms).saturating_mul(1000);
            self.records.remove_before(&collection, &why_id(oldest)).await?;
        }
        Ok(())
    }
}
