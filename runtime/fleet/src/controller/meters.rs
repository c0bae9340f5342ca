//! What a controller counts.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use streamverse_core::Metrics;

/// A sum that grows by parts.
pub(super) type Sum = Counter<f64, AtomicU64>;
/// A number with parts.
pub(super) type Level = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfFleet {
    pub(super) fleet: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Bought {
    pub(super) fleet: String,
    pub(super) lifecycle: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Lost {
    pub(super) fleet: String,
    pub(super) place: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Decided {
    pub(super) fleet: String,
    pub(super) why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CameToNothing {
    pub(super) fleet: String,
    pub(super) how: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Refused {
    pub(super) fleet: String,
    pub(super) class: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Limited {
    pub(super) cloud: String,
    pub(super) class: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct InPhase {
    pub(super) fleet: String,
    pub(super) phase: String,
}

/// The counters and levels of a controller.
#[derive(Clone, Default)]
pub(super) struct Meters {
    pub(super) seconds: Family<Bought, Sum>,
    pub(super) preemptions: Family<Lost, Counter>,
    pub(super) came_to_nothing: Family<CameToNothing, Counter>,
    pub(super) fallback_seconds: Family<OfFleet, Sum>,
    pub(super) cost: Family<OfFleet, Sum>,
    pub(super) on_demand_cost: Family<OfFleet, Sum>,
    pub(super) overruns: Family<OfFleet, Counter>,
    pub(super) decisions: Family<Decided, Counter>,
    pub(super) refusals: Family<Refused, Counter>,
    pub(super) on_demand: Family<Limited, Gauge>,
    pub(super) on_demand_limit: Family<Limited, Gauge>,
    pub(super) workers: Family<InPhase, Gauge>,
    pub(super) target: Family<OfFleet, Gauge>,
    pub(super) waiting: Family<OfFleet, Gauge>,
    pub(super) backlog: Family<OfFleet, Level>,
    pub(super) idle: Family<OfFleet, Level>,
    pub(super) budget: Family<OfFleet, Level>,
    pub(super) spent: Family<OfFleet, Level>,
    pub(super) target_p95: Family<OfFleet, Level>,
    pub(super) trouble: Family<OfFleet, Gauge>,
    pub(super) tick: Level,
    pub(super) leader: Gauge,
}

impl Meters {
    /// Levels are those of who acts. What was counted stays.
    pub(super) fn forget(&self) {
        self.on_demand.clear();
        self.on_demand_limit.clear();
        self.workers.clear();
        self.target.clear();
        self.waiting.clear();
        self.backlog.clear();
        self.idle.clear();
        self.budget.clear();
        self.spent.clear();
        self.target_p95.clear();
        self.trouble.clear();
    }

    pub(super) fn new(metrics: &Metrics) -> Meters {
        let it = Meters::default();
        metrics.register(|registry| {
            registry.register(
                "fleet_seconds",
                "Instance seconds, by how they were bought",
                it.seconds.clone(),
            );
            registry.register(
                "fleet_preemptions",
                "Spot instances that a place took back",
                it.preemptions.clone(),
            );
            registry.register(
                "fleet_lost",
                "Instances that came to nothing and no market took: they did not start in time, failed, or vanished",
                it.came_to_nothing.clone(),
            );
            registry.register(
                "fleet_fallback_seconds",
                "Seconds in which on-demand instances stood in for spot",
                it.fallback_seconds.clone(),
            );
            registry.register("fleet_cost_dollars", "What instances cost", it.cost.clone());
            registry.register(
                "fleet_on_demand_cost_dollars",
                "What the same instances would have cost on demand",
                it.on_demand_cost.clone(),
            );
            registry.register(
                "fleet_drain_overruns",
                "Workers that were not done when their time to drain was over",
                it.overruns.clone(),
            );
            registry.register("fleet_decisions", "Decisions, by why", it.decisions.clone());
            registry.register("fleet_refusals", "Launches that a cloud refused", it.refusals.clone());
            registry.register(
                "fleet_on_demand",
                "On-demand instances that count against a limit",
                it.on_demand.clone(),
            );
            registry.register("fleet_on_demand_limit", "The limit", it.on_demand_limit.clone());
            registry.register("fleet_workers", "Workers, by how far they are", it.workers.clone());
            registry.register("fleet_target", "Workers that are aimed at", it.target.clone());
            registry.register("fleet_waiting_jobs", "Jobs that nobody works on", it.waiting.clone());
            registry.register(
                "fleet_backlog_seconds",
                "Until what waits is done by the workers that are ready, as estimated",
                it.backlog.clone(),
            );
            registry.register(
                "fleet_idle_seconds",
                "For how long the longest idle worker has been idle",
                it.idle.clone(),
            );
            registry.register("fleet_budget_dollars", "The budget of a calendar month", it.budget.clone());
            registry.register(
                "fleet_spent_dollars",
                "What was spent in this calendar month",
                it.spent.clone(),
            );
            registry.register(
                "fleet_target_p95_seconds",
                "How long 95 of 100 jobs may take, as asked for",
                it.target_p95.clone(),
            );
            registry.register(
                "fleet_trouble",
                "Whether it is not served as it is described",
                it.trouble.clone(),
            );
            registry.register("fleet_tick_seconds", "How long the last tick took", it.tick.clone());
            registry.register(
                "fleet_leader",
                "Whether this controller is the one that acts",
                it.leader.clone(),
            );
        });
        it
    }
}
