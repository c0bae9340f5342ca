//! The real controller on the stand-in: in the test's own process, look by look on the virtual clock.
#![allow(clippy::expect_used, reason = "a test stops at the first thing that is not as it must be")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use streamverse_compute::cloud::Cloud;
use streamverse_core::log::Progress;
use streamverse_core::stores::{Record, Records};
use streamverse_core::{Metrics, Result};
use streamverse_fleet::service::Clouds;
use streamverse_fleet::workers::NoWorkers;
use streamverse_fleet::{Clock, Controller, Lease, Parts, Queues, Roster};
use streamverse_model::compute::{
    CloudKind, FleetControllerSpec, FleetDecision, FleetStatus, QueueSpec, fleet_collection,
};
use streamverse_model::platform::Name;
use tokio::time::Instant;

use crate::process::StandIn;
use crate::wire::Wire;

/// Between two looks.
pub const TICK_MS: u64 = 15_000;
/// The name of controllers, part of their collections'.
pub const CONTROLLER: &str = "c";
/// The deployment of everything.
pub const DEPLOYMENT: &str = "test";

/// Documents in memory: as durable as the test.
#[derive(Default)]
pub struct Memory(Mutex<BTreeMap<(String, String), Record>>);

impl Memory {
    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Records for Memory {
    async fn insert(&self, collection: &str, id: &str, value: &Value) -> Result<bool> {
        let mut all = self.all();
        let key = (collection.to_owned(), id.to_owned());
        if all.contains_key(&key) {
            return Ok(false);
        }
        // A document that was removed and made anew has no version that the old one had.
        static MADE: AtomicU64 = AtomicU64::new(1);
        let version = MADE.fetch_add(1, Ordering::Relaxed) << 32;
        all.insert(key, Record { version, value: value.clone() });
        Ok(true)
    }

    async fn get(&self, collection: &str, id: &str) -> Result<Option<Record>> {
        Ok(self.all().get(&(collection.to_owned(), id.to_owned())).cloned())
    }

    async fn replace(&self, collection: &str, id: &str, version: u64, value: &Value) -> Result<bool> {
        let mut all = self.all();
        let found = all.get_mut(&(collection.to_owned(), id.to_owned()));
        let Some(found) = found.filter(|it| it.version == version) else { return Ok(false) };
        *found = Record { version: version + 1, value: value.clone() };
        Ok(true)
    }

    async fn remove(&self, collection: &str, id: &str) -> Result<()> {
        self.all().remove(&(collection.to_owned(), id.to_owned()));
        Ok(())
    }

    async fn list(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<(String, Record)>> {
        let all = self.all();
        let from = (collection.to_owned(), after.to_owned());
        let its = all.range(from..).filter(|((_, id), _)| id.as_str() > after);
        let its = its.take_while(|((of, _), _)| of == collection).take(limit as usize);
        Ok(its.map(|((_, id), record)| (id.clone(), record.clone())).collect())
    }

    async fn last(&self, collection: &str) -> Result<Option<(String, Record)>> {
        let all = self.all();
        let its = all.iter().rfind(|((of, _), _)| of == collection);
        Ok(its.map(|((_, id), record)| (id.clone(), record.clone())))
    }

    async fn remove_before(&self, collection: &str, before: &str) -> Result<()> {
        self.all().retain(|(of, id), _| of != collection || id.as_str() >= before);
        Ok(())
    }
}

/// The stand-in's time, as it was when it was last moved.
struct Turned(Arc<AtomicU64>);

#[async_trait]
impl Clock for Turned {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Held by whoever asks.
struct Free;

#[async_trait]
impl Lease for Free {
    async fn renew(&self) -> Result<bool> {
        Ok(true)
    }

    fn held_until(&self) -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(3600))
    }

    async fn release(&self) {}

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// Queues by topic; one that nobody filled is empty.
#[derive(Default)]
pub struct Topics(Mutex<BTreeMap<String, u64>>);

impl Topics {
    /// So many jobs are not done.
    pub fn set(&self, topic: &str, undone: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), undone);
    }
}

#[async_trait]
impl Queues for Topics {
    async fn progress(&self, queue: &QueueSpec) -> Result<Vec<Progress>> {
        let topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(vec![Progress { done: 0, end: topics.get(&queue.topic).copied().unwrap_or(0) }])
    }
}

/// A controller and what is around it.
pub struct Rig {
    /// The clouds.
    pub stand_in: StandIn,
    /// What the controller's fleets wait for.
    pub topics: Arc<Topics>,
    records: Arc<Memory>,
    now: Arc<AtomicU64>,
    wire: Wire,
    kinds: Vec<CloudKind>,
    spec: FleetControllerSpec,
    controller: Controller,
}

/// A controller's spec with this on-demand limit for GPUs, on all clouds.
pub fn controller_spec(limit: u32) -> FleetControllerSpec {
    let limits: Vec<Value> = ["aws", "gcp", "azure"]
        .iter()
        .map(|it| json!({ "cloud": it, "class": "gpu", "max": limit }))
        .collect();
    serde_json::from_value(json!({ "on_demand_limits": limits, "tick": "15s", "retention": "30days" }))
        .expect("a spec as the model has it")
}

/// A fleet of so many in these zones.
pub fn fleet(name: &str, cloud: CloudKind, zones: &[(&str, &str)], min: u32, max: u32) -> Value {
    let candidate = |(zone, region): &(&str, &str)| json!({ "key": zone, "cloud": cloud, "region": region, "zone": zone, "shape": "g6.xlarge", "gpus": 1 });
    json!({
        "generation": "1",
        "definition": {
            "name": name,
            "candidates": zones.iter().map(candidate).collect::<Vec<_>>(),
            "range": { "min": min, "max": max },
            "policy": {},
            "schedule": { "idle": "20m" },
            "image": "worker:1",
        },
    })
}

/// … that is being destroyed.
pub fn tombstone(mut fleet: Value) -> Value {
    fleet["tombstone"] = json!(true);
    fleet["generation"] = json!("gone");
    fleet
}

impl Rig {
    /// A controller that has not looked yet.
    pub fn new(stand_in: StandIn, kinds: &[CloudKind], spec: FleetControllerSpec) -> Rig {
        let now = Arc::new(AtomicU64::new(stand_in.now()));
        let (records, topics) = (Arc::new(Memory::default()), Arc::new(Topics::default()));
        let wire = Wire::new(&stand_in.endpoint, "");
        let controller = build(&stand_in, kinds, &spec, &records, &topics, &now);
        Rig { stand_in, topics, records, now, wire, kinds: kinds.to_vec(), spec, controller }
    }

    /// Another controller in place of this one, which is as if it had been killed.
    pub fn restart(&mut self) {
        self.controller =
            build(&self.stand_in, &self.kinds, &self.spec, &self.records, &self.topics, &self.now);
    }

    /// The time.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// A look, and what follows from it.
    ///
    /// # Errors
    /// As the controller's.
    pub async fn look(&mut self) -> Result<()> {
        self.controller.tick().await
    }

    /// Time passes.
    ///
    /// # Panics
    /// When the stand-in does not answer.
    pub async fn pass(&self, ms: u64) {
        let (body, patience) = (json!({ "ms": ms }), Duration::from_secs(30));
        let told = self.wire.call("POST", "/clock/advance", Some(&body), patience).await;
        let told = told.expect("the stand-in turns its clock");
        let now = told.body["now_ms"].as_u64().expect("it says what time it is");
        self.now.store(now, Ordering::Relaxed);
    }

    /// So many looks, each followed by the time until the next.
    pub async fn ticks(&mut self, count: u64) {
        for _ in 0..count {
            let looked = self.look().await;
            assert!(looked.is_ok(), "{:?}", looked.err());
            self.pass(TICK_MS).await;
        }
    }

    /// Describes a fleet, or describes it anew.
    ///
    /// # Panics
    /// Never: the records are in memory.
    pub async fn put(&self, fleet: &Value) {
        let name = fleet["definition"]["name"].as_str().unwrap_or_default();
        let collection = fleet_collection("", CONTROLLER);
        self.records.remove(&collection, name).await.expect("memory");
        self.records.insert(&collection, name, fleet).await.expect("memory");
    }

    /// How a fleet is.
    ///
    /// # Panics
    /// When that cannot be read.
    pub async fn status(&self, fleet: &str) -> Option<FleetStatus> {
        let found = self.records.get(&fleet_collection("status", CONTROLLER), fleet).await.expect("memory");
        found.map(|it| serde_json::from_value(it.value).expect("a status"))
    }

    /// What was decided.
    ///
    /// # Panics
    /// When that cannot be read.
    pub async fn decisions(&self) -> Vec<FleetDecision> {
        let all =
            self.records.list(&fleet_collection("why", CONTROLLER), "", 1_000_000).await.expect("memory");
        all.into_iter().map(|(_, it)| serde_json::from_value(it.value).expect("a decision")).collect()
    }
}

fn build(
    stand_in: &StandIn,
    kinds: &[CloudKind],
    spec: &FleetControllerSpec,
    records: &Arc<Memory>,
    topics: &Arc<Topics>,
    now: &Arc<AtomicU64>,
) -> Controller {
    let lease: Arc<dyn Lease> = Arc::new(Free);
    Controller::new(parts(
        clouds(&stand_in.endpoint, kinds),
        spec.clone(),
        Arc::clone(records) as Arc<dyn Records>,
        Arc::clone(topics) as Arc<dyn Queues>,
        lease,
        Arc::new(Turned(Arc::clone(now))),
    ))
}

/// The stand-in's clouds, for a controller.
pub fn clouds(endpoint: &str, kinds: &[CloudKind]) -> Clouds {
    let deadline = Duration::from_secs(10);
    let cloud = |kind: &CloudKind| {
        let cloud: Arc<dyn Cloud> =
            Arc::new(crate::cloud::ZonesCloud::new(endpoint, crate::config::KEY, *kind, deadline));
        (*kind, cloud)
    };
    kinds.iter().map(cloud).collect()
}

/// What a controller is made of, on the stand-in.
///
/// # Panics
/// Never: the deployment's name is one.
pub fn parts(
    clouds: Clouds,
    spec: FleetControllerSpec,
    records: Arc<dyn Records>,
    queues: Arc<dyn Queues>,
    lease: Arc<dyn Lease>,
    clock: Arc<dyn Clock>,
) -> Parts {
    Parts {
        deployment: Name::parse(DEPLOYMENT).expect("a name"),
        name: CONTROLLER.to_owned(),
        spec,
        stores: None,
        clouds,
        records,
        queues,
        workers: Arc::new(NoWorkers),
        roster: Arc::new(Roster::new(Arc::clone(&lease))),
        lease,
        clock,
        metrics: Metrics::new(),
    }
}
