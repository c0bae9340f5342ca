//! What the controller and its workers know of each other.

use std::collections::BTreeMap;

use streamverse_model::compute::{InstanceName, Phase};
use streamverse_model::platform::Name;

/// What a worker told, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerTold {
    /// How far it is.
    pub phase: Phase,
    /// When it was last heard, in milliseconds since the epoch.
    pub heard_ms: u64,
    /// Since when it has had nothing to do; `None` while it works, and where it does not say.
    pub idle_since_ms: Option<u64>,
    /// When it will be gone, where it said so.
    pub until_ms: Option<u64>,
    /// Whether that is because its cloud takes it away.
    pub preempted: bool,
    /// Whether its cloud said that it may take it away soon.
    pub at_risk: bool,
    /// How many jobs it does, where it says so.
    pub running: Option<u64>,
}

/// The workers of a controller. The core asks it at each tick; who speaks to workers feeds it.
pub trait Workers: Send + Sync {
    /// What an instance that is about to be launched is given as plain environment, so that its worker can enrol, once.
    fn invite(&self, fleet: &Name, name: &InstanceName, now_ms: u64) -> BTreeMap<String, String>;
    /// What a worker told last. `None`: it never enrolled, as far as this controller knows.
    fn told(&self, worker: &str) -> Option<WorkerTold>;
    /// The cloud's id of the instance that the worker of this name runs on, where it said so. A cloud that keeps no names apart may have two
    /// instances of one name, of which one enrolled.
    fn instance(&self, _worker: &str) -> Option<String> {
        None
    }
    /// When any worker was last heard, in milliseconds since the epoch.
    fn heard_ms(&self) -> Option<u64> {
        None
    }
    /// Has a worker finish what it has begun, and leave. It may be said again.
    fn drain(&self, worker: &str, seconds: u64);
    /// How long a job of a fleet took of late, in milliseconds.
    fn job_ms(&self, fleet: &Name) -> Option<u64>;
    /// What is gone need not be remembered. `live` are all workers that there are.
    fn keep_only(&self, live: &dyn Fn(&str) -> bool);
}

/// Nobody enrols: an instance that runs is a worker that is ready.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWorkers;

impl Workers for NoWorkers {
    fn invite(&self, _: &Name, _: &InstanceName, _: u64) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn told(&self, _: &str) -> Option<WorkerTold> {
        None
    }

    fn drain(&self, _: &str, _: u64) {}

    fn job_ms(&self, _: &Name) -> Option<u64> {
        None
    }

    fn keep_only(&self, _: &dyn Fn(&str) -> bool) {}
}
