//! The pools that are kept: those that are described, and those of which only instances are left.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use streamverse_compute::cloud::Cloud;
use streamverse_compute::policy::{Fleet, FleetState, Pool};
use streamverse_model::compute::{CloudKind, FleetControllerSpec, FleetRecord, FleetWork};

use super::definitions::Definitions;
use super::prices::Prices;
use crate::service::Clouds;

/// What belongs to a pool beside what the policy is given.
pub(super) struct Entry {
    pub(super) name: String,
    /// Its candidates' places, by key.
    pub(super) keys: HashMap<String, usize>,
    pub(super) record: Option<Arc<FleetRecord>>,
    pub(super) work: Option<Arc<FleetWork>>,
    /// Whether its queue may be asked.
    pub(super) queue: bool,
    /// Its description cannot be used: it is only looked at.
    pub(super) frozen: bool,
    /// The clouds that must answer before anything is decided, those of what it has left aside.
    pub(super) clouds: BTreeSet<CloudKind>,
}

/// All pools, in the order of the policy's.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) fleet: Fleet,
    pub(super) entries: Vec<Entry>,
    pub(super) by_name: HashMap<String, usize>,
    /// Pools of which there is no definition any more.
    left: Vec<String>,
}

/// The pools that the state has something of, and nobody describes. One whose description cannot be used is none of them.
fn left(definitions: &Definitions, state: &FleetState) -> Vec<String> {
    let left = state.pools.iter().filter(|it| !it.is_gone() && !definitions.0.contains_key(&it.name));
    left.map(|it| it.name.clone()).collect()
}

impl Plan {
    /// Whether it is another one for want of a description.
    pub(super) fn is_old(&self, definitions: &Definitions, state: &FleetState) -> bool {
        let now: HashSet<String> = left(definitions, state).into_iter().collect();
        now.len() != self.left.len() || !self.left.iter().all(|it| now.contains(it))
    }

    pub(super) fn new(
        spec: &FleetControllerSpec,
        definitions: &Definitions,
        state: &FleetState,
        prices: &Prices,
        clouds: &Clouds,
    ) -> Plan {
        let mut plan = Plan { fleet: Fleet::of(spec), left: left(definitions, state), ..Plan::default() };
        for (name, definition) in &definitions.0 {
            let unusable = || Pool { tombstone: false, ..Pool::left(name) };
            let mut pool = definition.pool.clone().unwrap_or_else(unusable);
            let (mut keys, mut its) = (HashMap::new(), BTreeSet::new());
            for (source, at) in pool.candidates.iter_mut().zip(0..) {
                let cloud = clouds.get(&source.candidate.cloud);
                let enrols = |it: &&Arc<dyn Cloud>| definition.work.is_none() || !it.capabilities().groups;
                let buys = cloud.filter(enrols).filter(|_| definition.buys);
                if let Some(cloud) = buys {
                    (source.spot, source.on_demand) = prices.of(&source.candidate);
                    if !cloud.capabilities().spot {
                        source.spot = None;
                    }
                }
                if cloud.is_some() {
                    its.insert(source.candidate.cloud);
                }
                keys.insert(source.candidate.key.clone(), at);
            }
            if let Some(record) = &definition.record {
                pool.revision.clone_from(&record.generation);
            }
            if pool.tombstone {
                // Groups of candidates that it had once may be anywhere.
                its = clouds.keys().copied().collect();
            }
            plan.by_name.insert(name.clone(), plan.entries.len());
            plan.entries.push(Entry {
                name: name.clone(),
                keys,
                record: definition.record.clone(),
                work: definition.work.clone(),
                queue: definition.queue && !pool.tombstone,
                frozen: definition.pool.is_none(),
                clouds: its,
            });
            plan.fleet.pools.push(pool);
        }
        for name in &plan.left {
            tracing::warn!(
                fleet = name,
                "The fleet's record is gone without a tombstone: what is left of it leaves."
            );
            plan.by_name.insert(name.clone(), plan.entries.len());
            plan.entries.push(Entry {
                name: name.clone(),
                keys: HashMap::new(),
                record: None,
                work: None,
                queue: false,
                frozen: false,
                clouds: clouds.keys().copied().collect(),
            });
            plan.fleet.pools.push(Pool::left(name));
        }
        plan
    }
}
