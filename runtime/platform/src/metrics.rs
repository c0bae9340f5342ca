//! What the agent counts of itself, for `/metrics`.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use streamverse_core::Metrics;
use streamverse_model::platform::Phase;

/// What has a process, or its work.
pub(crate) const KEPT: [&str; 3] = ["service", "job", "engine"];
/// How an apply ends.
const OUTCOMES: [&str; 4] = ["applied", "dry_run", "refused", "failed"];
/// Requests take milliseconds; one that waits for something to stop takes seconds, a probe minutes.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0, 300.0];
const PHASES: [Phase; 9] = [
    Phase::Applied,
    Phase::Waiting,
    Phase::Starting,
    Phase::Running,
    Phase::Ready,
    Phase::Succeeded,
    Phase::Degraded,
    Phase::Failed,
    Phase::Stopping,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InPhase {
    r#type: &'static str,
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfType {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    /// The route, never the path: that has names in it.
    route: String,
    status: u16,
}

/// The agent's own figures. Labels are closed sets, and begin at zero.
pub(crate) struct NodeMetrics {
    all: Metrics,
    owners: Gauge,
    objects: Family<InPhase, Gauge>,
    restarts: Family<OfType, Counter>,
    applies: Family<Outcome, Counter>,
    requests: Family<Request, Histogram>,
    free: Gauge<u64, AtomicU64>,
}

impl NodeMetrics {
    pub(crate) fn new() -> NodeMetrics {
        let it = NodeMetrics {
            all: Metrics::new(),
            owners: Gauge::default(),
            objects: Family::default(),
            restarts: Family::default(),
            applies: Family::default(),
            requests: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            free: Gauge::default(),
        };
        for kind in KEPT {
            drop(it.restarts.get_or_create(&OfType { r#type: kind }));
        }
        for outcome in OUTCOMES {
            drop(it.applies.get_or_create(&Outcome { outcome }));
        }
        it.all.register(|registry| {
            registry.register("node_owners", "Owners that the agent holds", it.owners.clone());
            registry.register("node_objects", "Services, jobs and engines by phase", it.objects.clone());
            registry.register(
                "node_restarts",
                "How often something that ended was started again",
                it.restarts.clone(),
            );
            registry.register("node_applies", "Applies by how they ended", it.applies.clone());
            registry.register(
                "node_request_duration_seconds",
                "From a request's head to its answer's",
                it.requests.clone(),
            );
            registry.register(
                "node_free_bytes",
                "Free space where the agent keeps its data",
                it.free.clone(),
            );
        });
        it
    }

    /// Something that ended was started again.
    pub(crate) fn restarted(&self, kind: &'static str) {
        self.restarts.get_or_create(&OfType { r#type: kind }).inc();
    }

    /// An apply ended so.
    pub(crate) fn applied(&self, outcome: &'static str) {
        self.applies.get_or_create(&Outcome { outcome }).inc();
    }

    /// A request was answered.
    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let request = Request { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&request).observe(took.as_secs_f64());
    }

    /// The page, with what is held now: how many owners, and how many objects of a type are in a phase.
    pub(crate) fn page(&self, owners: usize, free: u64, count: impl Fn(&str, Phase) -> usize) -> Metrics {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.owners.set(number(owners));
        self.free.set(free);
        for kind in KEPT {
            for phase in PHASES {
                let label = InPhase { r#type: kind, phase: phase.as_str() };
                self.objects.get_or_create(&label).set(number(count(kind, phase)));
            }
        }
        self.all.clone()
    }
}
