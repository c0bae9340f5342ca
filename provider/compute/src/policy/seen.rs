//! What the policy sees: workers, what became of requests, queues.

use std::sync::Arc;
use std::time::Duration;

use streamverse_model::compute::{Lifecycle, Money};

use crate::cloud::ErrorClass;

/// What was seen of all pools, in the order of the fleet's.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// One for each pool.
    pub pools: Vec<PoolSeen>,
}

/// What was seen of a pool.
#[derive(Clone, Debug, Default)]
pub struct PoolSeen {
    /// Whether the clouds answered: where not, nothing is taken for lost and nothing is asked for.
    pub complete: bool,
    /// All instances that cost or will, as listed.
    pub workers: Vec<Worker>,
    /// What became of launches since the last time.
    pub outcomes: Vec<Outcome>,
    /// The queue, where it could be asked.
    pub queue: Option<QueueSeen>,
    /// Its groups were deleted, as [`Action::DeleteGroups`](super::Action::DeleteGroups) asked for. Until that is said, it is
    /// asked for again each minute.
    pub groups_deleted: bool,
}

/// An instance and its worker.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The cloud's id, or the name where that identifies it.
    pub id: Arc<str>,
    /// Which of the pool's candidates it is. One that the pool does not have: what the list has no more, which leaves.
    pub candidate: usize,
    /// How it was bought.
    pub lifecycle: Lifecycle,
    /// How far it is.
    pub phase: WorkerPhase,
    /// For how long it has had nothing to do; `None` while it works.
    pub idle_ms: Option<u64>,
    /// When the cloud takes it away, where that was announced.
    pub doomed_ms: Option<u64>,
    /// Whether the cloud says that it is likelier than others to be taken away soon.
    pub at_risk: bool,
    /// What it really costs per hour, where the cloud says so: it is believed more than the offer.
    pub hourly: Option<Money>,
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerPhase {
    /// Not ready for work yet.
    Starting,
    /// Works, or could.
    Ready,
    /// Its instance does not run, or its worker failed.
    Failed,
}

/// What became of a launch.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The launch's number.
    pub number: u64,
    /// What went wrong; `None` where it was accepted.
    pub error: Option<ErrorClass>,
    /// When asking again makes sense, where the cloud said so.
    pub retry_after: Option<Duration>,
}

/// A queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueSeen {
    /// Jobs that nobody works on.
    pub waiting: u64,
    /// How long a job took of late; `None` where none was measured.
    pub job_ms: Option<u64>,
    /// How many jobs others do side by side, who are not the pool's: a site's own workers, as far as they can be
    /// relied on. They are not counted in `waiting`.
    pub others: u32,
}
