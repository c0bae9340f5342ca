//! The fleets that a controller keeps, as their resources described them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use streamverse_compute::cloud::{Capabilities, group_key};
use streamverse_compute::policy::{Pool, Source};
use streamverse_core::Result;
use streamverse_core::stores::Records;
use streamverse_model::compute::{
    CloudKind, FleetRecord, FleetReport, FleetSeen, FleetWork, GroupName, Lifecycle,
};
use streamverse_model::platform::Name;

/// Records that are read at a time.
const PAGE: u32 = 500;

/// What a definition is held to.
pub(super) struct Checks {
    pub(super) deployment: Name,
    pub(super) clouds: BTreeMap<CloudKind, Capabilities>,
    /// Stores that fleets may have their queues and their workers' work in; any where none are named.
    pub(super) stores: Option<Vec<String>>,
}

/// A fleet's record, read and checked.
pub(super) struct Definition {
    version: u64,
    /// What a report says of it.
    seen: FleetSeen,
    /// As it was read; `None` where it cannot be.
    pub(super) record: Option<Arc<FleetRecord>>,
    /// What its workers do.
    pub(super) work: Option<Arc<FleetWork>>,
    /// The pool, without prices. `None` where it cannot be used and never could: nothing is done to what runs of it.
    pub(super) pool: Option<Pool>,
    /// What is wrong with it.
    pub(super) trouble: Vec<String>,
    /// Whether its queue may be asked.
    pub(super) queue: bool,
    /// Whether anything is bought for it.
    pub(super) buys: bool,
}

impl Checks {
    fn allow(&self, store: &String) -> bool {
        self.stores.as_ref().is_none_or(|all| all.contains(store))
    }
}

/// All of a controller's definitions, by name.
#[derive(Default)]
pub(super) struct Definitions(pub(super) BTreeMap<String, Definition>);

impl Definitions {
    /// Reads them anew. Whether any of them changed.
    pub(super) async fn read(
        &mut self,
        records: &dyn Records,
        collection: &str,
        checks: &Checks,
    ) -> Result<bool> {
        let (mut after, mut seen, mut changed) = (String::new(), BTreeSet::new(), false);
        loop {
            let page = records.list(collection, &after, PAGE).await?;
            let full = u32::try_from(page.len()).unwrap_or(PAGE) >= PAGE;
            for (id, record) in page {
                after.clone_from(&id);
                seen.insert(id.clone());
                if self.0.get(&id).is_some_and(|it| it.version == record.version) {
                    continue;
                }
                changed = true;
                let definition = Definition::of(&id, record.version, &record.value, checks);
                for trouble in &definition.trouble {
                    tracing::warn!(fleet = id, trouble, "A fleet is not served as it is described.");
                }
                // What was usable before holds on, until it is put right.
                let definition = match (&definition.pool, self.0.remove(&id)) {
                    (None, Some(old)) if old.pool.is_some() => {
                        let Definition { version, seen, trouble, .. } = definition;
                        Definition { version, seen, trouble, ..old }
                    }
                    _ => definition,
                };
                self.0.insert(id, definition);
            }
            if !full {
                break;
            }
        }
        let before = self.0.len();
        self.0.retain(|id, _| seen.contains(id));
        Ok(changed || self.0.len() != before)
    }

    /// What was read last, for who cannot read it.
    pub(super) fn report(&self, read_ms: u64) -> FleetReport {
        let fleets = self.0.iter().map(|(name, it)| (name.clone(), it.seen.clone())).collect();
        FleetReport { read_ms, fleets }
    }
}

impl Definition {
    fn of(id: &str, version: u64, value: &Value, checks: &Checks) -> Definition {
        let seen = FleetSeen::of(value);
        let unusable = |trouble: String| Definition {
            version,
            seen: seen.clone(),
            record: None,
            work: None,
            pool: None,
            trouble: vec![trouble],
            queue: false,
            buys: false,
        };
        // To end it one need not know what it was: whatever is left of it leaves.
        let left =
            || Definition { pool: Some(Pool::left(id)), trouble: Vec::new(), ..unusable(String::new()) };
        let record: FleetRecord = match serde_json::from_value(value.clone()) {
            Ok(record) => record,
            Err(_) if seen.fenced => return left(),
            Err(error) => {
                let text = format!(
                    "its record is not one of this version ({error}): apply it again, or upgrade the controller"
                );
                return unusable(text);
            }
        };
        if record.definition.name.as_str() != id {
            if seen.fenced {
                return left();
            }
            return unusable(format!(
                "its record is that of {}: remove it and apply again",
                record.definition.name
            ));
        }
        let mut trouble = Vec::new();
        let definition = &record.definition;
        let mut sources: Vec<Source> = Vec::new();
        for candidate in &definition.candidates {
            let named = |lifecycle| {
                GroupName::new(checks.deployment.as_str(), id, &group_key(lifecycle, &candidate.key))
            };
            if named(Lifecycle::Spot).is_none() || named(Lifecycle::OnDemand).is_none() {
                trouble.push(format!(
                    "the candidate {:?} makes no valid name: give it another key",
                    candidate.key
                ));
                continue;
            }
            if sources.iter().any(|it| it.candidate.key == candidate.key) {
                trouble.push(format!("there are two candidates {:?}: a key names one", candidate.key));
                continue;
            }
            let source = Source { candidate: candidate.clone(), spot: None, on_demand: None };
            match checks.clouds.get(&candidate.cloud) {
                None => {
                    trouble.push(format!(
                        "the candidate {} is of {}, which this controller has no access to",
                        candidate.key, candidate.cloud
                    ));
                }
                Some(can) if can.groups && record.work.is_some() => {
                    trouble.push(format!(
                        "the candidate {} is of {}, whose instances cannot enrol as workers yet",
                        candidate.key, candidate.cloud
                    ));
                }
                Some(_) => {
                    sources.push(source);
                    continue;
                }
            }
            // It stays known, so that what runs of it keeps its meaning; without a price it is never bought.
            sources.push(source);
        }
        let queue = definition.queue.as_ref().is_some_and(|queue| {
            let allowed = checks.allow(&queue.event_log);
            if !allowed {
                trouble.push(format!(
                    "its queue is in {}, which is not among the stores of its controller",
                    queue.event_log
                ));
            }
            allowed
        });
        let mut buys = true;
        let stores = record.work.iter().flat_map(|it| [&it.spec.event_log, &it.spec.object_store]);
        for store in stores.filter(|it| !checks.allow(it)) {
            buys = false;
            trouble.push(format!(
                "its workers would need {store}, which is not among the stores of its controller: nothing is bought"
            ));
        }
        let made = Pool::new(
            id,
            sources.clone(),
            definition.range.clone(),
            definition.policy.clone(),
            &definition.schedule,
            definition.queue.clone(),
        );
        let pool = match made {
            Ok(pool) => Some(Pool { tombstone: record.tombstone, ..pool }),
            // Destroying it asks for nothing that could be wrong.
            Err(_) if record.tombstone => {
                Some(Pool { candidates: sources, policy: definition.policy.clone(), ..Pool::left(id) })
            }
            Err(error) => {
                trouble.push(error.to_string());
                None
            }
        };
        let work = record.work.clone().map(Arc::new);
        Definition { version, seen, work, record: Some(Arc::new(record)), pool, trouble, queue, buys }
    }

    /// Whether it is being destroyed.
    pub(super) fn tombstone(&self) -> bool {
        self.seen.fenced
    }

    /// The generation that it is kept by; empty where its record cannot be used.
    pub(super) fn generation(&self) -> String {
        let ends = self.tombstone().then(|| self.seen.generation.clone());
        ends.or_else(|| Some(self.record.as_ref()?.generation.clone())).unwrap_or_default()
    }
}
