//! What the agent counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use streamverse_core::Metrics;
use streamverse_model::compute::Reason;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

/// The counters of one agent.
pub(super) struct Counted {
    notices: Family<Why, Counter>,
    drains: Family<Why, Counter>,
    overruns: Counter,
    drained_ms: Gauge,
}

impl Counted {
    pub(super) fn new(metrics: &Metrics) -> Counted {
        let it = Counted {
            notices: Family::default(),
            drains: Family::default(),
            overruns: Counter::default(),
            drained_ms: Gauge::default(),
        };
        metrics.register(|registry| {
            registry.register("drain_notices", "Notices that this instance goes", it.notices.clone());
            registry.register("drains", "Drains that began", it.drains.clone());
            registry.register("drain_overruns", "Drains that were not done in time", it.overruns.clone());
            registry.register("drain_milliseconds", "How long the last drain took", it.drained_ms.clone());
        });
        it
    }

    pub(super) fn noticed(&self, reason: Reason) {
        self.notices.get_or_create(&Why { reason: reason.as_str() }).inc();
    }

    pub(super) fn left(&self, reason: Reason) {
        self.drains.get_or_create(&Why { reason: reason.as_str() }).inc();
    }

    pub(super) fn overrun(&self) {
        self.overruns.inc();
    }

    pub(super) fn drained(&self, ms: u64) {
        self.drained_ms.set(i64::try_from(ms).unwrap_or(i64::MAX));
    }
}
