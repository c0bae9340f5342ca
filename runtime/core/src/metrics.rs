//! Counters of one process, in the text format that Prometheus and OpenMetrics readers understand.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::registry::Registry;

/// The metrics of one service. Clones share them.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// None yet.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// Adds metrics: `metrics.register(|registry| registry.register("requests", "…", counter.clone()))`. Names begin
    /// with `streamverse_`.
    pub fn register<T>(&self, add: impl FnOnce(&mut Registry) -> T) -> T {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        add(registry.sub_registry_with_prefix("streamverse"))
    }

    /// All of them as text (OpenMetrics 1.0).
    pub fn text(&self) -> String {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        // Writing to a string fails only where a metric's own formatting does; half a page is no page.
        if prometheus_client::encoding::text::encode(&mut text, &registry).is_err() {
            text.clear();
        }
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
