//! A controller, its records and clouds, and time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use streamverse_compute::cloud::Cloud;
use streamverse_core::log::Progress;
use streamverse_core::stores::{Record, Records};
use streamverse_core::{Metrics, Result};
use streamverse_model::compute::{CloudKind, FleetDecision, FleetStatus, QueueSpec, fleet_collection};
use streamverse_model::platform::Name;
use tokio::time::Instant;

use super::super::{Controller, Parts};
use super::cloud::TestCloud;
use crate::clock::Clock;
use crate::lease::Lease;
use crate::queues::Queues;
use crate::roster::Roster;
use crate::workers::{NoWorkers, Workers};

pub(super) const TICK_MS: u64 = 15_000;
/// A Sunday at noon, in the middle of a month.
const START_MS: u64 = 1_794_744_000_000;

/// Documents in memory.
#[derive(Default)]
pub(super) struct Memory {
    all: Mutex<BTreeMap<(String, String), Record>>,
    pub(super) writes: AtomicUsize,
    /// The answer to each write is lost, and the write sent again: as PostgreSQL's client does when its connection breaks.
    pub(super) lost: AtomicBool,
    /// After so many more of this collection one is not taken.
    pub(super) fails: Mutex<Option<(String, usize)>>,
}

impl Memory {
    fn answer(&self) -> bool {
        !self.lost.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Records for Memory {
    async fn insert(&self, collection: &str, id: &str, value: &Value) -> Result<bool> {
        let fails = self.fails.lock().unwrap().take_if(|(of, left)| {
            let its = of.as_str() == collection;
            let now = its && *left == 0;
            *left -= usize::from(its && !now);
            now
        });
        if fails.is_some() {
            return Err(streamverse_core::Error::passing("test", "the test said so"));
        }
        let mut all = self.all.lock().unwrap();
        let key = (collection.to_owned(), id.to_owned());
        if all.contains_key(&key) {
            return Ok(false);
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        all.insert(key, Record { version: rand::random_range(1..1 << 40), value: value.clone() });
        Ok(self.answer())
    }

    async fn get(&self, collection: &str, id: &str) -> Result<Option<Record>> {
        Ok(self.all.lock().unwrap().get(&(collection.to_owned(), id.to_owned())).cloned())
    }

    async fn replace(&self, collection: &str, id: &str, version: u64, value: &Value) -> Result<bool> {
        let mut all = self.all.lock().unwrap();
        let found = all.get_mut(&(collection.to_owned(), id.to_owned()));
        let Some(found) = found.filter(|it| it.version == version) else { return Ok(false) };
        self.writes.fetch_add(1, Ordering::Relaxed);
        *found = Record { version: version + 1, value: value.clone() };
        Ok(self.answer())
    }

    async fn remove(&self, collection: &str, id: &str) -> Result<()> {
        self.all.lock().unwrap().remove(&(collection.to_owned(), id.to_owned()));
        Ok(())
    }

    async fn list(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<(String, Record)>> {
        let all = self.all.lock().unwrap();
        let its = all.iter().filter(|((of, id), _)| of == collection && id.as_str() > after);
        Ok(its.take(limit as usize).map(|((_, id), record)| (id.clone(), record.clone())).collect())
    }

    async fn last(&self, collection: &str) -> Result<Option<(String, Record)>> {
        let all = self.all.lock().unwrap();
        let its = all.iter().rfind(|((of, _), _)| of == collection);
        Ok(its.map(|((_, id), record)| (id.clone(), record.clone())))
    }

    async fn remove_before(&self, collection: &str, before: &str) -> Result<()> {
        self.all.lock().unwrap().retain(|(of, id), _| of != collection || id.as_str() >= before);
        Ok(())
    }
}

/// Time that stands still until it is moved.
pub(super) struct Turned(Arc<AtomicU64>);

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
pub(super) struct Free;

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

/// What is not done by topic, behind so much that was done of each.
#[derive(Default)]
pub(super) struct Topics(pub(super) Mutex<BTreeMap<String, u64>>, pub(super) AtomicU64);

#[async_trait]
impl Queues for Topics {
    async fn progress(&self, queue: &QueueSpec) -> Result<Vec<Progress>> {
        let done = self.1.load(Ordering::Relaxed);
        let missing = || streamverse_core::Error::passing("queue", "there is no such topic");
        self.0
            .lock()
            .unwrap()
            .get(&queue.topic)
            .map(|it| vec![Progress { done, end: done + it }])
            .ok_or_else(missing)
    }
}

/// Everything that a controller has around it.
pub(super) struct World {
    pub(super) now: Arc<AtomicU64>,
    pub(super) records: Arc<Memory>,
    pub(super) clouds: BTreeMap<CloudKind, Arc<TestCloud>>,
    pub(super) topics: Arc<Topics>,
    pub(super) workers: Arc<dyn Workers>,
    pub(super) lease: Arc<dyn Lease>,
    pub(super) roster: Arc<Roster>,
    pub(super) metrics: Metrics,
    pub(super) limit: u32,
    pub(super) controller: Controller,
}

impl World {
    pub(super) fn new(kinds: &[CloudKind], seed: u64) -> World {
        World::with(kinds, seed, Arc::new(NoWorkers), Arc::new(Free))
    }

    pub(super) fn with(
        kinds: &[CloudKind],
        seed: u64,
        workers: Arc<dyn Workers>,
        lease: Arc<dyn Lease>,
    ) -> World {
        let now = Arc::new(AtomicU64::new(START_MS));
        let cloud = |kind: &CloudKind| (*kind, Arc::new(TestCloud::new(*kind, Arc::clone(&now), seed)));
        let clouds: BTreeMap<CloudKind, Arc<TestCloud>> = kinds.iter().map(cloud).collect();
        let records = Arc::new(Memory::default());
        let topics = Arc::new(Topics::default());
        let roster = Arc::new(Roster::new(Arc::clone(&lease)));
        let metrics = Metrics::new();
        let parts = parts(&now, &records, &clouds, &topics, &workers, &lease, &roster, &metrics, 1);
        let controller = Controller::new(parts);
        World { now, records, clouds, topics, workers, lease, roster, metrics, limit: 1, controller }
    }

    /// Another controller on the same records, as after a crash.
    pub(super) fn another(&self) -> Controller {
        Controller::new(parts(
            &self.now,
            &self.records,
            &self.clouds,
            &self.topics,
            &self.workers,
            &self.lease,
            &self.roster,
            &Metrics::new(),
            self.limit,
        ))
    }

    pub(super) fn restart(&mut self) {
        self.controller = self.another();
    }

    pub(super) fn cloud(&self) -> &TestCloud {
        self.clouds.values().next().unwrap()
    }

    pub(super) fn pass(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
        self.clouds.values().for_each(|it| it.advance());
    }

    /// Time passes, and the controller looks. A fuse that blows kills it, and another one starts.
    pub(super) async fn tick(&mut self) {
        self.pass(TICK_MS);
        let cloud = Arc::clone(self.clouds.values().next().unwrap());
        let killed = tokio::select! {
            biased;
            () = cloud.blown.notified() => true,
            done = self.controller.tick() => { done.unwrap(); false }
        };
        if killed {
            self.restart();
        }
    }

    pub(super) async fn ticks(&mut self, count: u32) {
        for _ in 0..count {
            self.tick().await;
        }
    }

    pub(super) async fn put(&self, fleet: &str, value: Value) {
        let collection = fleet_collection("", "c");
        self.records.remove(&collection, fleet).await.unwrap();
        self.records.insert(&collection, fleet, &value).await.unwrap();
    }

    pub(super) async fn status(&self, fleet: &str) -> Option<FleetStatus> {
        let record = self.records.get(&fleet_collection("status", "c"), fleet).await.unwrap()?;
        Some(serde_json::from_value(record.value).unwrap())
    }

    pub(super) async fn decisions(&self) -> Vec<FleetDecision> {
        let all = self.records.list(&fleet_collection("why", "c"), "", 10_000).await.unwrap();
        all.into_iter().map(|(_, it)| serde_json::from_value(it.value).unwrap()).collect()
    }
}

#[allow(clippy::too_many_arguments, reason = "what a controller is made of")]
fn parts(
    now: &Arc<AtomicU64>,
    records: &Arc<Memory>,
    clouds: &BTreeMap<CloudKind, Arc<TestCloud>>,
    topics: &Arc<Topics>,
    workers: &Arc<dyn Workers>,
    lease: &Arc<dyn Lease>,
    roster: &Arc<Roster>,
    metrics: &Metrics,
    limit: u32,
) -> Parts {
    let limits: Vec<Value> =
        ["aws", "gcp"].iter().map(|it| json!({ "cloud": it, "class": "gpu", "max": limit })).collect();
    let spec = json!({ "on_demand_limits": limits, "tick": "15s", "retention": "30days" });
    let clouds = clouds.iter().map(|(kind, it)| (*kind, Arc::clone(it) as Arc<dyn Cloud>)).collect();
    Parts {
        deployment: Name::parse("live").unwrap(),
        name: "c".to_owned(),
        spec: serde_json::from_value(spec).unwrap(),
        stores: Some(vec!["kafka://kafka:9092".to_owned(), "s3://work".to_owned()]),
        clouds,
        records: Arc::clone(records) as Arc<dyn Records>,
        queues: Arc::clone(topics) as Arc<dyn Queues>,
        workers: Arc::clone(workers),
        roster: Arc::clone(roster),
        lease: Arc::clone(lease),
        clock: Arc::new(Turned(Arc::clone(now))),
        metrics: metrics.clone(),
    }
}

/// A fleet of so many on a cloud, in so many places, each in a region of its own.
pub(super) fn fleet(name: &str, cloud: CloudKind, places: usize, min: u32, max: u32) -> Value {
    let candidate = |at: usize| json!({ "key": format!("z{at}"), "cloud": cloud, "region": format!("region-{at}"), "shape": "L4", "gpus": 1 });
    json!({
        "generation": "1",
        "definition": {
            "name": name,
            "candidates": (0..places).map(candidate).collect::<Vec<_>>(),
            "range": { "min": min, "max": max },
            "policy": {},
            "schedule": { "idle": "20m" },
            "image": "worker:1",
        },
    })
}

/// … with a queue.
pub(super) fn queued(mut fleet: Value, topic: &str) -> Value {
    fleet["definition"]["queue"] = json!({
        "topic": topic, "group": "transcoder", "event_log": "kafka://kafka:9092", "scale_out_above": 10,
        "scale_in_below": 2, "scale_in_after": "20m", "target_p95": "30m", "jobs_per_worker": 1, "assumed_job_time": "60s",
    });
    fleet
}

/// … whose workers enrol and transcode.
pub(super) fn working(mut fleet: Value) -> Value {
    fleet["work"] = json!({
        "transcoder": "main",
        "spec": {
            "concurrency": 1, "workers": 1, "scratch": "1GiB", "memory": "1GiB",
            "event_log": "kafka://kafka:9092", "object_store": "s3://work", "catalogue": "postgres://db/c",
        },
    });
    fleet
}

pub(super) fn tombstone(mut fleet: Value) -> Value {
    fleet["tombstone"] = json!(true);
    fleet["generation"] = json!("gone");
    fleet
}
