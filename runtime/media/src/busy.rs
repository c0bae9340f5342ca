//! What a transcoder says about its work: how much of it there is now, how much there was, and since when there is none.
//!
//! | metric | is |
//! |---|---|
//! | `streamverse_transcoder_running` | tasks that are worked on now |
//! | `streamverse_transcoder_idle_seconds` | for how long there has been none; 0 while there is one |
//! | `streamverse_transcoder_tasks_total` | tasks that are done with, well or badly |
//! | `streamverse_transcoder_busy_seconds_total` | the time that went into tasks which are not worked on any more |
//!
//! A rented worker's agent reads them, and its fleet's controller learns from them who is idle and how long a task takes.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use streamverse_core::Metrics;

/// The work of one transcoder. Clones share it.
#[derive(Clone)]
pub(crate) struct Busy(Arc<Mutex<Work>>);

struct Work {
    running: u32,
    idle_since: Instant,
    done: u64,
    busy: Duration,
}

/// A task that is worked on, until it is dropped.
pub(crate) struct Working {
    busy: Busy,
    since: Instant,
}

impl Busy {
    /// Nothing was done yet.
    pub(crate) fn new(metrics: &Metrics) -> Busy {
        let work = Work { running: 0, idle_since: Instant::now(), done: 0, busy: Duration::ZERO };
        let busy = Busy(Arc::new(Mutex::new(work)));
        metrics.register(|registry| registry.register_collector(Box::new(busy.clone())));
        busy
    }

    /// A task is begun.
    pub(crate) fn begin(&self) -> Working {
        self.work().running += 1;
        Working { busy: self.clone(), since: Instant::now() }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Working {
    /// The task is done with. Who is stopped in the middle of it only drops this.
    pub(crate) fn done(self) {
        self.busy.work().done += 1;
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut work = self.busy.work();
        work.busy = work.busy.saturating_add(self.since.elapsed());
        work.running = work.running.saturating_sub(1);
        if work.running == 0 {
            work.idle_since = Instant::now();
        }
    }
}

impl fmt::Debug for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Busy")
    }
}

impl Collector for Busy {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (running, idle, done, busy) = {
            let work = self.work();
            let idle = if work.running == 0 { work.idle_since.elapsed() } else { Duration::ZERO };
            (work.running, idle, work.done, work.busy)
        };
        let mut gauge = |name: &str, help: &str, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge("transcoder_running", "Tasks that are worked on now", f64::from(running))?;
        gauge("transcoder_idle_seconds", "For how long there has been no task", idle.as_secs_f64())?;
        let done = ConstCounter::new(done);
        let help = "Tasks that are done with, well or badly";
        done.encode(encoder.encode_descriptor("transcoder_tasks", help, None, done.metric_type())?)?;
        let busy = ConstCounter::new(busy.as_secs_f64());
        let help = "The time that went into tasks which are not worked on any more";
        busy.encode(encoder.encode_descriptor("transcoder_busy_seconds", help, None, busy.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(metrics: &Metrics, name: &str) -> f64 {
        let text = metrics.text();
        let line =
            text.lines().find_map(|line| line.strip_prefix(&format!("streamverse_transcoder_{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
    }

    #[test]
    fn what_is_begun_runs_what_is_done_counts_and_what_is_dropped_only_took_time() {
        let metrics = Metrics::new();
        let busy = Busy::new(&metrics);
        let (one, two) = (busy.begin(), busy.begin());
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!((value(&metrics, "running"), value(&metrics, "idle_seconds")), (2.0, 0.0));
        one.done();
        drop(two);
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!((value(&metrics, "running"), value(&metrics, "tasks_total")), (0.0, 1.0));
        assert!(value(&metrics, "busy_seconds_total") >= 0.01, "both took their time");
        assert!(value(&metrics, "idle_seconds") >= 0.005);
    }
}
