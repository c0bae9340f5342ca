//! What the workers of a controller told, and what they are to be told.
//!
//! It is memory alone, and of one term: a controller that takes the lease again has heard nobody. What a worker has to say it
//! says again within half a minute, and an order the controller repeats at each look.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use streamverse_model::compute::{InstanceName, Reason, Report, WorkReport, enrol_variables as variables};
use streamverse_model::platform::Name;
use tokio::sync::Notify;

use crate::authority::Authority;
use crate::clock::{Clock, ms};
use crate::roster::Roster;
use crate::token::TOKEN_LIFETIME;
use crate::workers::{WorkerTold, Workers};

/// How many measured job times a fleet's estimate rests on: of these, the middle one.
const SAMPLES: usize = 64;
/// How many of them may be of one worker, the last ones: one that reports often, or lies, does not speak for all.
const OF_ONE: usize = 8;

#[derive(Default)]
struct Known {
    told: Option<WorkerTold>,
    /// Where it runs, where it says so.
    instance: Option<String>,
    work: Option<WorkReport>,
    /// By when it must have left.
    leave_ms: Option<u64>,
    wake: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    term: u64,
    workers: HashMap<String, Known>,
    /// By fleet: whose, and how long.
    jobs: BTreeMap<Name, VecDeque<(String, u64)>>,
}

/// The workers of one controller. Clones share them.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
    roster: Arc<Roster>,
    authority: Arc<Authority>,
    public_url: Arc<str>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl Registry {
    /// It has heard nobody.
    pub fn new(
        authority: Arc<Authority>,
        roster: Arc<Roster>,
        public_url: &str,
        clock: Arc<dyn Clock>,
    ) -> Registry {
        Registry { inner: Arc::default(), roster, authority, public_url: public_url.into(), clock }
    }

    /// A worker that is alive has reported.
    pub fn report(&self, worker: &str, report: &Report) {
        let now_ms = self.clock.now_ms();
        let mut inner = self.inner();
        let known = inner.workers.entry(worker.to_owned()).or_default();
        // It is said once, and holds for as long as the instance is there.
        let told = known.told.as_ref().is_some_and(|it| it.at_risk);
        let at_risk = told || report.reason == Some(Reason::Rebalance);
        let idle = report.work.filter(|it| it.running == 0);
        known.told = Some(WorkerTold {
            phase: report.phase,
            heard_ms: now_ms,
            idle_since_ms: idle.map(|it| now_ms.saturating_sub(it.idle_ms)),
            until_ms: report.until_ms,
            preempted: report.reason == Some(Reason::Preempted),
            at_risk,
            running: report.work.map(|it| u64::from(it.running)),
        });
        let Some(work) = report.work else { return };
        let before = known.work.replace(work).unwrap_or_default();
        // A transcoder that was started again counts from zero.
        let (done, busy_ms) = match work.done.checked_sub(before.done) {
            Some(done) => (done, work.busy_ms.saturating_sub(before.busy_ms)),
            None => (work.done, work.busy_ms),
        };
        let Some(each) = busy_ms.checked_div(done).filter(|it| *it > 0) else { return };
        let Some(fleet) = InstanceName::parse(worker).map(|it| it.group.pool) else { return };
        let samples = inner.jobs.entry(fleet).or_default();
        if samples.iter().filter(|it| it.0 == worker).count() >= OF_ONE
            && let Some(oldest) = samples.iter().position(|it| it.0 == worker)
        {
            samples.remove(oldest);
        }
        samples.push_back((worker.to_owned(), each));
        if samples.len() > SAMPLES {
            samples.pop_front();
        }
    }

    /// A worker that is alive says on which instance it runs, by the id that its cloud gave that.
    pub fn runs_on(&self, worker: &str, instance: &str) {
        let mut inner = self.inner();
        inner.workers.entry(worker.to_owned()).or_default().instance = Some(instance.to_owned());
    }

    /// How many seconds a worker has to leave, if it is to, and what tells of the next order. The same order is given again
    /// until it is obeyed, each time with what is left of its time.
    pub fn order(&self, worker: &str) -> (Option<u64>, Arc<Notify>) {
        let now_ms = self.clock.now_ms();
        let mut inner = self.inner();
        let known = inner.workers.entry(worker.to_owned()).or_default();
        let seconds = known.leave_ms.map(|until| until.saturating_sub(now_ms).div_ceil(1000));
        (seconds, Arc::clone(&known.wake))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        let term = self.roster.term();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.term != term {
            inner.term = term;
            for known in std::mem::take(&mut inner.workers).into_values() {
                known.wake.notify_waiters();
            }
        }
        inner
    }
}

impl Workers for Registry {
    fn invite(&self, _fleet: &Name, name: &InstanceName, now_ms: u64) -> BTreeMap<String, String> {
        let worker = name.to_string();
        let lifetime = ms(TOKEN_LIFETIME);
        let token = self.authority.tokens().make(&worker, now_ms.saturating_add(lifetime));
        BTreeMap::from([
            (variables::CONTROLLER.to_owned(), self.public_url.to_string()),
            (variables::WORKER.to_owned(), worker),
            (variables::AUTHORITY.to_owned(), self.authority.text()),
            (variables::TOKEN.to_owned(), token),
        ])
    }

    fn told(&self, worker: &str) -> Option<WorkerTold> {
        self.inner().workers.get(worker)?.told.clone()
    }

    fn instance(&self, worker: &str) -> Option<String> {
        self.inner().workers.get(worker)?.instance.clone()
    }

    fn heard_ms(&self) -> Option<u64> {
        self.inner().workers.values().filter_map(|it| Some(it.told.as_ref()?.heard_ms)).max()
    }

    fn drain(&self, worker: &str, seconds: u64) {
        let until_ms = self.clock.now_ms().saturating_add(seconds.saturating_mul(1000));
        let mut inner = self.inner();
        let known = inner.workers.entry(worker.to_owned()).or_default();
        // Said again it is the same order; one that leaves less time hurries the worker.
        known.leave_ms = Some(known.leave_ms.map_or(until_ms, |it| it.min(until_ms)));
        known.wake.notify_waiters();
    }

    fn job_ms(&self, fleet: &Name) -> Option<u64> {
        let inner = self.inner();
        let mut samples: Vec<u64> = inner.jobs.get(fleet)?.iter().map(|it| it.1).collect();
        samples.sort_unstable();
        samples.get(samples.len() / 2).copied()
    }

    fn keep_only(&self, live: &dyn Fn(&str) -> bool) {
        self.inner().workers.retain(|name, known| {
            let stays = live(name);
            if !stays {
                known.wake.notify_waiters();
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;
    use streamverse_model::compute::Phase;
    use streamverse_model::platform::Owner;

    const NOW: u64 = 1_700_000_000_000;
    const ONE: &str = "sv--prod--encode--a--1";

    fn registry() -> (Registry, Arc<AtomicU64>) {
        let owner = Owner::new("prod", "fleet-controller", "main").unwrap();
        let identity = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let authority = Arc::new(Authority::new(identity, &owner).unwrap());
        let clock = Arc::new(AtomicU64::new(NOW));
        let roster = Arc::new(Roster::new(Arc::new(Ours)));
        let turned = Arc::new(Turned(Arc::clone(&clock)));
        (Registry::new(authority, roster, "https://127.0.0.1:9443", turned), clock)
    }

    struct Ours;

    #[async_trait::async_trait]
    impl crate::Lease for Ours {
        async fn renew(&self) -> streamverse_core::Result<bool> {
            Ok(true)
        }
        fn held_until(&self) -> Option<tokio::time::Instant> {
            Some(tokio::time::Instant::now() + Duration::from_secs(60))
        }
        async fn release(&self) {}
        fn every(&self) -> Duration {
            Duration::from_secs(60)
        }
    }

    struct Turned(Arc<AtomicU64>);

    #[async_trait::async_trait]
    impl Clock for Turned {
        fn now_ms(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
        async fn sleep(&self, _: Duration) {}
    }

    fn working(running: u32, idle_ms: u64, done: u64, busy_ms: u64) -> Report {
        Report {
            phase: Phase::Working,
            reason: None,
            until_ms: None,
            drained_ms: 0,
            left: Vec::new(),
            work: Some(WorkReport { running, idle_ms, done, busy_ms }),
        }
    }

    #[test]
    fn who_works_is_not_idle_and_who_is_idle_says_since_when() {
        let (registry, clock) = registry();
        registry.report(ONE, &working(1, 0, 0, 0));
        assert_eq!(registry.told(ONE).unwrap().idle_since_ms, None);
        clock.fetch_add(10_000, Ordering::Relaxed);
        registry.report(ONE, &working(0, 4_000, 1, 6_000));
        let told = registry.told(ONE).unwrap();
        assert_eq!((told.heard_ms, told.idle_since_ms), (NOW + 10_000, Some(NOW + 6_000)));
        let advised = Report { reason: Some(Reason::Rebalance), ..working(1, 0, 1, 6_000) };
        registry.report(ONE, &advised);
        registry.report(ONE, &working(1, 0, 1, 6_000));
        assert!(registry.told(ONE).is_some_and(|it| it.at_risk && !it.preempted), "a recommendation stays");
        registry.report(ONE, &Report { work: None, ..working(0, 0, 0, 0) });
        assert_eq!(registry.told(ONE).unwrap().idle_since_ms, None, "an agent that does not say is not idle");
        registry.keep_only(&|name| name != ONE);
        assert_eq!(registry.told(ONE), None, "what is gone is forgotten");
        registry.report(ONE, &working(0, 0, 0, 0));
        registry.roster.clear();
        assert_eq!(registry.told(ONE), None, "what was told in another term is of yesterday");
    }

    #[test]
    fn the_time_of_a_job_is_the_middle_of_what_was_measured_and_survives_a_restarted_transcoder() {
        let (registry, _) = registry();
        let fleet = Name::parse("encode").unwrap();
        assert_eq!(registry.job_ms(&fleet), None);
        registry.report(ONE, &working(1, 0, 2, 20_000)); // 10 s each
        registry.report(ONE, &working(1, 0, 2, 20_000)); // nothing new
        registry.report(ONE, &working(1, 0, 3, 32_000)); // 12 s
        registry.report(ONE, &working(1, 0, 1, 11_000)); // started again: 11 s
        registry.report(ONE, &working(1, 0, 2, 911_000)); // one that hung
        registry.report(ONE, &working(1, 0, 52, 911_020)); // nothing was left to do in fifty
        assert_eq!(
            registry.job_ms(&fleet),
            Some(12_000),
            "neither the one that hung nor those of no work count"
        );
        for k in 0..200 {
            registry.report(ONE, &working(1, 0, 53 + k, 911_020 + (k + 1) * 7_000));
        }
        assert_eq!(registry.job_ms(&fleet), Some(7_000), "what was long ago does not count");
        // One that lies, in as many reports as it likes, is one voice of three.
        for other in ["sv--prod--encode--a--2", "sv--prod--encode--a--3"] {
            (1..=8).for_each(|k| registry.report(other, &working(1, 0, k, k * 9_000)));
        }
        (1..=500).for_each(|k| registry.report(ONE, &working(1, 0, 300 + k, 3_000_000 + k * 90_000_000)));
        assert_eq!(registry.job_ms(&fleet), Some(9_000));
    }

    #[tokio::test]
    async fn an_order_wakes_who_waits_for_it_its_time_runs_and_another_one_only_ever_hurries() {
        let (registry, clock) = registry();
        let (none, wake) = registry.order(ONE);
        assert_eq!(none, None);
        let woken = wake.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        registry.drain(ONE, 300);
        woken.await;
        clock.fetch_add(10_000, Ordering::Relaxed);
        assert_eq!(registry.order(ONE).0, Some(290));
        registry.drain(ONE, 400);
        assert_eq!(registry.order(ONE).0, Some(290));
        registry.drain(ONE, 20);
        assert_eq!(registry.order(ONE).0, Some(20));
        clock.fetch_add(60_000, Ordering::Relaxed);
        assert_eq!(registry.order(ONE).0, Some(0));
    }

    #[test]
    fn who_is_launched_is_given_what_it_needs_to_enrol_and_no_more() {
        let (registry, _) = registry();
        let name = InstanceName::parse(ONE).unwrap();
        let environment = registry.invite(&name.group.pool, &name, NOW);
        let names: Vec<_> = environment.keys().map(String::as_str).collect();
        let four =
            ["STREAMVERSE_AUTHORITY", "STREAMVERSE_CONTROLLER", "STREAMVERSE_TOKEN", "STREAMVERSE_WORKER"];
        assert_eq!(names, four);
        assert!(registry.authority.tokens().check(&environment["STREAMVERSE_TOKEN"], ONE, NOW).is_ok());
        let late = NOW + 3_600_000;
        assert!(registry.authority.tokens().check(&environment["STREAMVERSE_TOKEN"], ONE, late).is_err());
    }
}
