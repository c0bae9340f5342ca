//! What a queue asks of the workers that empty it.

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Duration, Maybe, Schema};

/// A queue that decides how many workers there are. The step follows from what waits and how long a job takes, not from
/// a fixed number: where a worker needs five minutes to start, one more at a time never catches up.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSpec {
    /// The Kafka topic whose records are jobs.
    pub topic: String,
    /// The consumer group of the workers.
    pub group: String,
    /// Where the brokers are: a `kafka://` address, the `url` of a `streamverse_event_log`.
    pub event_log: String,
    /// More workers are asked for when more jobs than this wait, or when those that wait would be later than `target_p95`; where as many
    /// go on waiting though each is in time, a tenth more.
    #[attribute(default = 100, validate(range = 1..=10_000_000))]
    pub scale_out_above: u64,
    /// Fewer are kept when fewer jobs than this have waited for `scale_in_after`. Only idle workers leave.
    #[attribute(default = 10, validate(range = 0..=10_000_000))]
    pub scale_in_below: u64,
    /// How long few jobs must have waited before workers leave.
    #[attribute(default = "20m")]
    pub scale_in_after: Duration,
    /// How long 95 of 100 jobs may take, from being queued to being done.
    #[attribute(default = "30m")]
    pub target_p95: Duration,
    /// How many jobs a worker does side by side.
    #[attribute(default = 1, validate(range = 1..=256))]
    pub jobs_per_worker: u32,
    /// How long a job takes, until that was measured.
    #[attribute(default = "60s")]
    pub assumed_job_time: Duration,
}

impl QueueSpec {
    /// How many workers empty the queue in time, beside others that do `others` jobs side by side: what waits must be begun
    /// within half of the target, because the other half is for starting workers, for the job itself and for what comes meanwhile.
    pub fn workers_for(&self, waiting: u64, job_ms: u64, others: u32) -> u32 {
        let slots = u128::from(self.jobs_per_worker.max(1));
        let window = (self.target_p95.0.as_millis() / 2).max(1);
        let work = u128::from(waiting) * u128::from(job_ms.max(1));
        let left = work.saturating_sub(window * u128::from(others));
        u32::try_from(left.div_ceil(window * slots)).unwrap_or(u32::MAX)
    }

    /// Whether so many workers and those others, but at least one, cannot begin what waits within half of the target. The whole of it would be
    /// too late to notice: the other half is for starting more, for the job itself and for what comes meanwhile.
    pub fn is_late(&self, waiting: u64, job_ms: u64, workers: u32, others: u32) -> bool {
        self.workers_for(waiting, job_ms, others) > workers.max(u32::from(others == 0))
    }

    /// Refuses what cannot work.
    pub fn check(view: &QueueSpecView, out: &mut Diagnostics) {
        let known = |it: &Maybe<u64>, otherwise| match it {
            Maybe::Known(it) => Some(*it),
            Maybe::Null => Some(otherwise),
            Maybe::Unknown => None,
        };
        let (above, below) = (known(&view.scale_out_above, 100), known(&view.scale_in_below, 10));
        if let (Some(above), Some(below)) = (above, below)
            && below >= above
        {
            out.error_at(
                QueueSpec::scale_in_below(),
                "Thresholds that cross",
                format!("Workers would be asked for above {above} waiting jobs and dismissed below {below}, both at once. scale_in_below must be less than scale_out_above."),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> QueueSpec {
        serde_json::from_value(serde_json::json!({
            "topic": "jobs", "group": "transcoder", "event_log": "kafka://kafka:9092", "scale_out_above": 100,
            "scale_in_below": 10, "scale_in_after": "20m", "target_p95": "30m", "jobs_per_worker": 2,
            "assumed_job_time": "60s",
        }))
        .unwrap()
    }

    #[test]
    fn the_step_follows_from_what_waits_and_from_the_length_of_a_job() {
        let queue = queue();
        assert_eq!(queue.workers_for(0, 60_000, 0), 0);
        assert_eq!(queue.workers_for(1, 60_000, 0), 1);
        // 300 jobs of a minute, two at a time, within 15 minutes.
        assert_eq!(queue.workers_for(300, 60_000, 0), 10);
        assert_eq!(queue.workers_for(300, 120_000, 0), 20);
        assert_eq!(queue.workers_for(u64::MAX, u64::MAX, 0), u32::MAX);
    }

    #[test]
    fn what_others_do_in_time_needs_no_worker() {
        let queue = queue();
        // In 15 minutes each does 15 jobs of a minute; two of them are one worker.
        assert_eq!(queue.workers_for(300, 60_000, 5), 8);
        assert_eq!(queue.workers_for(300, 60_000, 19), 1);
        assert_eq!(queue.workers_for(300, 60_000, 20), 0);
        assert_eq!(queue.workers_for(300, 60_000, u32::MAX), 0);
        // In 15 of the 30 minutes 30 and, with three others, 75.
        assert!(!queue.is_late(30, 60_000, 1, 0) && queue.is_late(31, 60_000, 1, 0));
        assert!(!queue.is_late(75, 60_000, 1, 3) && queue.is_late(76, 60_000, 1, 3));
        assert!(!queue.is_late(45, 60_000, 0, 3) && queue.is_late(46, 60_000, 0, 3));
        assert!(!queue.is_late(30, 60_000, 0, 0) && queue.is_late(31, 60_000, 0, 0));
    }
}
