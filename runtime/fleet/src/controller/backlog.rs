//! Whether a site's own workers keep up: they say nothing to the controller, but what waits for them says how long it has waited.
//!
//! A queue's oldest job is as old as the last look at which its partitions ended before it. From such looks ("marks") follows whether
//! anything has waited for too long, without reading a single record; consumers' lag in time is usually told so.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use streamverse_core::log::Progress;

use crate::clock::ms;

/// Marks lie so far from each other, as a part of half of the target.
const PARTS: u64 = 16;
/// More are not kept, however long nothing is done.
const MOST: usize = 64;
/// Workers that were found slow, or missing, are not counted on for so long.
const DOUBT_MS: u64 = 6 * 3_600_000;

/// What may be expected of a site's own workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Own {
    /// They do as many jobs as they can side by side, each as fast as is usual.
    #[default]
    Trusted,
    /// They have something in their hands. How fast they are is not known, or too slow.
    Slow,
    /// Nothing is to be expected of them.
    Absent,
}

impl Own {
    /// What a fleet's status says about it.
    pub(super) fn trouble(self) -> Option<&'static str> {
        match self {
            Own::Trusted => None,
            Own::Slow => Some(
                "jobs waited for longer than half of target_p95 beside its transcoder's own workers: for six hours those are counted on for what they have in their hands alone",
            ),
            Own::Absent => Some(
                "jobs that its transcoder's own workers should have done took longer than target_p95: for six hours, or until they do something while nobody that is rented works, they are not counted on (see whether they run, and what they log)",
            ),
        }
    }
}

/// What is remembered of one fleet's queue.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Where the partitions ended, oldest first; all of it is not done yet.
    marks: VecDeque<(u64, Box<[u64]>)>,
    /// How many jobs were ever done, and since when there are as many.
    done: (u64, u64),
    doubt: Doubt,
}

/// Until when a site's own workers are not counted on. It outlives the controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Doubt {
    slow_until: u64,
    absent_until: u64,
}

/// How long a queue's jobs may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From being queued to being done.
    pub(super) target: Duration,
    /// How long a job takes.
    pub(super) job_ms: u64,
}

impl Patience {
    /// Who has not begun by now is too slow: the other half is for starting others, and for the job itself.
    fn half(self) -> u64 {
        (ms(self.target) / 2).max(1)
    }

    /// Who has not ended by now is not there: also where a job alone takes longer than half of the target.
    fn whole(self) -> u64 {
        ms(self.target).max(self.job_ms.saturating_mul(4))
    }
}

impl Backlog {
    /// Goes on with what was known of the workers.
    pub(super) fn doubting(doubt: Doubt) -> Backlog {
        Backlog { doubt, ..Backlog::default() }
    }

    /// What is known of the workers, where it is anything.
    pub(super) fn doubt(&self, now: u64) -> Option<Doubt> {
        Some(self.doubt).filter(|it| it.slow_until.max(it.absent_until) > now)
    }

    /// Looks at a queue. `alone`: nobody that is rented has worked since the last look, so that whatever is done was done by the
    /// site's own workers.
    pub(super) fn look(&mut self, queue: &[Progress], patience: Patience, alone: bool, now: u64) -> Own {
        let again = |(_, ends): &(u64, Box<[u64]>)| queue.iter().zip(ends).any(|(it, end)| it.end < *end);
        if self.marks.iter().any(again) {
            // The topic was made anew.
            self.marks.clear();
        }
        let done = |(_, ends): &(u64, Box<[u64]>)| queue.iter().zip(ends).all(|(it, end)| it.done >= *end);
        while self.marks.front().is_some_and(done) {
            self.marks.pop_front();
        }
        let total = queue.iter().fold(0_u64, |sum, it| sum.saturating_add(it.done));
        let first = self.done.1 == 0;
        if first || total != self.done.0 || self.marks.is_empty() {
            if alone && !first && total > self.done.0 {
                self.doubt.absent_until = 0;
            }
            self.done = (total, now);
        }
        let age = self.marks.front().map_or(0, |(at, _)| now.saturating_sub(*at));
        if age >= patience.half() {
            self.doubt.slow_until = now.saturating_add(DOUBT_MS);
        }
        // Whoever does anything is there, however much waits.
        if age >= patience.whole() && now.saturating_sub(self.done.1) >= patience.whole() {
            self.doubt.absent_until = now.saturating_add(DOUBT_MS);
        }
        let last = self.marks.back().map(|(at, _)| *at);
        let due = last.is_none_or(|at| now.saturating_sub(at) >= patience.half() / PARTS);
        if due && self.marks.len() < MOST && queue.iter().any(|it| it.undone() > 0) {
            self.marks.push_back((now, queue.iter().map(|it| it.end).collect()));
        }
        if now < self.doubt.absent_until {
            Own::Absent
        } else if now < self.doubt.slow_until {
            Own::Slow
        } else {
            Own::Trusted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const PATIENCE: Patience = Patience { target: Duration::from_secs(1800), job_ms: 60_000 };

    /// Looks every 15 s at one partition, and tells when which answer came first.
    fn play(minutes: u64, alone: bool, queue: impl Fn(u64) -> (u64, u64)) -> Vec<(u64, Own)> {
        let mut backlog = Backlog::default();
        let mut told: Vec<(u64, Own)> = Vec::new();
        for at in 0..minutes * 4 {
            let (done, end) = queue(at / 4);
            let own = backlog.look(&[Progress { done, end }], PATIENCE, alone, 1_000_000 + at * MINUTE / 4);
            if told.last().is_none_or(|it| it.1 != own) {
                told.push((at / 4, own));
            }
        }
        told
    }

    #[test]
    fn workers_that_keep_up_are_trusted_though_something_always_waits() {
        // A job a minute, each begun ten minutes after it came.
        assert_eq!(play(600, true, |minute| (minute, minute + 10)), [(0, Own::Trusted)]);
    }

    #[test]
    fn workers_that_do_nothing_are_slow_after_half_of_the_target_and_absent_after_the_whole() {
        assert_eq!(play(60, true, |_| (5, 7)), [(0, Own::Trusted), (15, Own::Slow), (30, Own::Absent)]);
        // … and one more that comes makes nothing younger.
        let more = play(60, true, |minute| (5, 7 + minute));
        assert_eq!(more, [(0, Own::Trusted), (15, Own::Slow), (30, Own::Absent)]);
    }

    #[test]
    fn workers_that_are_too_slow_are_found_by_the_age_of_what_waits() {
        // Ten come in a minute, five are done.
        let found = play(48 * 60, true, |minute| (5 * minute + 1, 10 * minute + 2));
        // They are there, however old what waits becomes.
        assert!(matches!(found[..], [(0, Own::Trusted), (15..40, Own::Slow)]), "{found:?}");
    }

    #[test]
    fn who_did_nothing_is_counted_on_again_when_something_is_done_and_nobody_is_rented() {
        let queue = |minute| if minute < 40 { (5, 7) } else { (7, 7) };
        let alone = play(60, true, queue);
        assert_eq!(alone.last(), Some(&(40, Own::Slow)));
        assert_eq!(play(60, false, queue).last(), Some(&(30, Own::Absent)), "those that are rented did it");
        assert_eq!(play(24 * 60, false, queue).last(), Some(&(39 + 6 * 60, Own::Trusted)));
    }

    #[test]
    fn long_jobs_are_given_their_time_and_a_topic_that_was_made_anew_is_looked_at_anew() {
        let long = Patience { job_ms: 20 * MINUTE, ..PATIENCE };
        let mut backlog = Backlog::default();
        let mut at = |minute: u64, done, end| {
            backlog.look(&[Progress { done, end }], long, false, MINUTE * (minute + 1))
        };
        assert_eq!(at(0, 0, 4), Own::Trusted);
        assert_eq!(at(31, 0, 4), Own::Slow);
        assert_eq!(at(79, 0, 4), Own::Slow);
        assert_eq!(at(80, 0, 4), Own::Absent);
        let mut backlog = Backlog::default();
        let mut at = |minute: u64, done, end| {
            backlog.look(&[Progress { done, end }], PATIENCE, false, MINUTE * (minute + 1))
        };
        assert_eq!(at(0, 900, 904), Own::Trusted);
        assert_eq!(at(20, 0, 4), Own::Trusted);
    }

    #[test]
    fn a_partition_that_nobody_serves_is_not_hidden_by_those_that_are() {
        let mut backlog = Backlog::default();
        let found = (0..20).map(|minute| {
            let queue =
                [Progress { done: 100 * minute, end: 100 * minute + 1 }, Progress { done: 3, end: 4 }];
            backlog.look(&queue, PATIENCE, false, MINUTE * (minute + 1))
        });
        assert_eq!(found.last(), Some(Own::Slow));
    }
}
