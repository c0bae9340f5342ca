//! The workers that a controller knows: which of them it launched and still wants, what they told, what they are told.
//!
//! It is memory alone. A controller that begins to lead knows nobody: whoever asks meanwhile is asked to come again, until
//! the first tick has said who is alive, and what a worker has to say it says again within half a minute.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use streamverse_model::compute::{InstanceName, Report, WorkReport, enrol_variables as variables};
use streamverse_model::platform::Name;
use tokio::sync::Notify;

use crate::authority::Authority;
use crate::token::TOKEN_LIFETIME;
use crate::workers::{WorkerTold, Workers};

/// What time it is, in milliseconds since the epoch.
pub type Now = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Who was invited is taken for alive this long without being seen: clouds list what they launched after minutes.
const APPEARS: Duration = Duration::from_secs(600);
/// Who is gone is remembered this long, so that it is told so at once.
const REMEMBERED: Duration = Duration::from_secs(3 * 3600);
/// How many measured job times a fleet's estimate rests on: of these, the middle one.
const SAMPLES: usize = 64;

/// What may be done for a worker that has proved its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Another controller leads, or this one has not looked yet: it should ask again.
    NotKnown,
    /// It is not, or no longer, one of ours.
    Gone,
    /// It is one of ours.
    Alive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// It was launched then, and has not been seen.
    Invited {
        at_ms: u64,
    },
    /// It asked, and no tick has said whether it is ours.
    Asked,
    Alive,
    Gone {
        since_ms: u64,
    },
}

struct Known {
    life: Life,
    told: Option<WorkerTold>,
    work: Option<WorkReport>,
    drain: Option<u64>,
    wake: Arc<Notify>,
}

impl Known {
    fn new(life: Life) -> Known {
        Known { life, told: None, work: None, drain: None, wake: Arc::default() }
    }
}

#[derive(Default)]
struct Inner {
    leading: bool,
    workers: BTreeMap<String, Known>,
    jobs: BTreeMap<Name, VecDeque<u64>>,
}

/// The workers of one controller. Clones share them.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
    authority: Arc<Authority>,
    public_url: Arc<str>,
    now: Now,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl Registry {
    /// It knows nobody, and does not lead.
    pub fn new(authority: Arc<Authority>, public_url: &str, now: Now) -> Registry {
        Registry { inner: Arc::default(), authority, public_url: public_url.into(), now }
    }

    /// Whether this controller leads. One that begins to knows nobody.
    pub fn lead(&self, leading: bool) {
        let mut inner = self.inner();
        if inner.leading == leading {
            return;
        }
        inner.leading = leading;
        for known in std::mem::take(&mut inner.workers).into_values() {
            known.wake.notify_waiters();
        }
    }

    /// How a worker stands that has proved its name.
    pub fn standing(&self, worker: &str) -> Standing {
        let mut inner = self.inner();
        if !inner.leading {
            return Standing::NotKnown;
        }
        let known = inner.workers.entry(worker.to_owned()).or_insert_with(|| Known::new(Life::Asked));
        match known.life {
            Life::Asked => Standing::NotKnown,
            Life::Gone { .. } => Standing::Gone,
            Life::Invited { .. } | Life::Alive => Standing::Alive,
        }
    }

    /// A worker has reported. Nothing of who is not alive is kept.
    pub fn report(&self, worker: &str, report: &Report) {
        let now_ms = (self.now)();
        let mut inner = self.inner();
        let Some(known) = inner.workers.get_mut(worker) else { return };
        if !matches!(known.life, Life::Alive | Life::Invited { .. }) {
            return;
        }
        let idle = report.work.filter(|it| it.running == 0);
        known.told = Some(WorkerTold {
            phase: report.phase,
            heard_ms: now_ms,
            idle_since_ms: idle.map(|it| now_ms.saturating_sub(it.idle_ms)),
            until_ms: report.until_ms,
            preempted: report.reason == Some(streamverse_model::compute::Reason::Preempted),
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
        samples.push_back(each);
        if samples.len() > SAMPLES {
            samples.pop_front();
        }
    }

    /// The order for a worker, and what tells of the next one. The order may be given again until it is obeyed.
    pub fn order(&self, worker: &str) -> (Option<u64>, Arc<Notify>) {
        let inner = self.inner();
        match inner.workers.get(worker) {
            Some(known) => (known.drain, Arc::clone(&known.wake)),
            None => (None, Arc::default()),
        }
    }

    /// All who are taken for alive.
    pub fn alive(&self) -> Vec<String> {
        let inner = self.inner();
        let alive = |it: &Known| matches!(it.life, Life::Alive | Life::Invited { .. });
        inner.workers.iter().filter(|(_, known)| alive(known)).map(|(name, _)| name.clone()).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workers for Registry {
    fn invite(&self, _fleet: &Name, name: &InstanceName, now_ms: u64) -> BTreeMap<String, String> {
        let worker = name.to_string();
        let lifetime = u64::try_from(TOKEN_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let token = self.authority.tokens().make(&worker, now_ms.saturating_add(lifetime));
        let mut inner = self.inner();
        let known = inner.workers.entry(worker.clone()).or_insert_with(|| Known::new(Life::Asked));
        if known.life != Life::Alive {
            known.life = Life::Invited { at_ms: now_ms };
        }
        drop(inner);
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

    fn drain(&self, worker: &str, seconds: u64) {
        let mut inner = self.inner();
        let known = inner.workers.entry(worker.to_owned()).or_insert_with(|| Known::new(Life::Alive));
        // Said again it is the same order; one that leaves less time hurries the worker.
        known.drain = Some(known.drain.map_or(seconds, |it| it.min(seconds)));
        known.wake.notify_waiters();
    }

    fn job_ms(&self, fleet: &Name) -> Option<u64> {
        let inner = self.inner();
        let mut samples: Vec<u64> = inner.jobs.get(fleet)?.iter().copied().collect();
        samples.sort_unstable();
        samples.get(samples.len() / 2).copied()
    }

    fn keep_only(&self, live: &dyn Fn(&str) -> bool) {
        let now_ms = (self.now)();
        let within = |since: u64, span: Duration| u128::from(now_ms.saturating_sub(since)) < span.as_millis();
        let mut inner = self.inner();
        inner.workers.retain(|name, known| {
            let life = match known.life {
                _ if live(name) => Life::Alive,
                Life::Invited { at_ms } if within(at_ms, APPEARS) => return true,
                Life::Gone { since_ms } => return within(since_ms, REMEMBERED),
                Life::Invited { .. } | Life::Asked | Life::Alive => Life::Gone { since_ms: now_ms },
            };
            if matches!(life, Life::Gone { .. }) {
                *known = Known { life, told: None, work: None, drain: None, wake: Arc::clone(&known.wake) };
                known.wake.notify_waiters();
            }
            known.life = life;
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use streamverse_model::compute::Phase;
    use streamverse_model::platform::Owner;

    const NOW: u64 = 1_700_000_000_000;
    const ONE: &str = "sv--prod--encode--a--1";

    fn registry() -> (Registry, Arc<AtomicU64>) {
        let owner = Owner::new("prod", "fleet-controller", "main").unwrap();
        let identity = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let authority = Arc::new(Authority::new(identity, &owner).unwrap());
        let clock = Arc::new(AtomicU64::new(NOW));
        let now = Arc::clone(&clock);
        let now: Now = Arc::new(move || now.load(Ordering::Relaxed));
        (Registry::new(authority, "https://127.0.0.1:9443", now), clock)
    }

    fn invited(registry: &Registry, name: &str) -> BTreeMap<String, String> {
        let name = InstanceName::parse(name).unwrap();
        registry.invite(&name.group.pool, &name, NOW)
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
    fn who_was_invited_is_alive_until_a_tick_says_that_it_is_gone_and_for_ten_minutes_unseen() {
        let (registry, clock) = registry();
        assert_eq!(registry.standing(ONE), Standing::NotKnown, "it does not lead");
        registry.lead(true);
        let environment = invited(&registry, ONE);
        assert_eq!(environment.len(), 4);
        assert!(registry.authority.tokens().check(&environment["STREAMVERSE_TOKEN"], ONE, NOW).is_ok());
        registry.keep_only(&|_| false);
        assert_eq!(registry.standing(ONE), Standing::Alive, "clouds list what they launched late");
        registry.keep_only(&|_| true);
        registry.keep_only(&|_| false);
        assert_eq!(
            registry.standing(ONE),
            Standing::Gone,
            "what was there and is not any more is gone at once"
        );
        invited(&registry, "sv--prod--encode--a--2");
        clock.fetch_add(601_000, Ordering::Relaxed);
        registry.keep_only(&|_| false);
        assert_eq!(registry.standing("sv--prod--encode--a--2"), Standing::Gone);
        clock.fetch_add(3 * 3_600_000, Ordering::Relaxed);
        registry.keep_only(&|_| false);
        assert!(registry.inner().workers.is_empty(), "it does not remember for ever");
    }

    #[test]
    fn a_controller_that_begins_to_lead_knows_nobody_until_its_first_tick() {
        let (registry, _) = registry();
        registry.lead(true);
        invited(&registry, ONE);
        registry.report(ONE, &working(1, 0, 0, 0));
        registry.lead(false);
        registry.lead(true);
        assert_eq!((registry.standing(ONE), registry.told(ONE)), (Standing::NotKnown, None));
        registry.keep_only(&|name| name == ONE);
        assert_eq!(registry.standing(ONE), Standing::Alive);
        assert_eq!(registry.standing("sv--prod--encode--a--9"), Standing::NotKnown);
        registry.keep_only(&|name| name == ONE);
        assert_eq!(registry.standing("sv--prod--encode--a--9"), Standing::Gone);
    }

    #[test]
    fn who_works_is_not_idle_and_who_is_idle_says_since_when() {
        let (registry, clock) = registry();
        registry.lead(true);
        invited(&registry, ONE);
        registry.report(ONE, &working(1, 0, 0, 0));
        assert_eq!(registry.told(ONE).unwrap().idle_since_ms, None);
        clock.fetch_add(10_000, Ordering::Relaxed);
        registry.report(ONE, &working(0, 4_000, 1, 6_000));
        let told = registry.told(ONE).unwrap();
        assert_eq!((told.heard_ms, told.idle_since_ms), (NOW + 10_000, Some(NOW + 6_000)));
        registry.report(ONE, &Report { work: None, ..working(0, 0, 0, 0) });
        assert_eq!(registry.told(ONE).unwrap().idle_since_ms, None, "an agent that does not say is not idle");
        registry.report("sv--prod--encode--a--5", &working(0, 0, 0, 0));
        assert_eq!(registry.told("sv--prod--encode--a--5"), None);
    }

    #[test]
    fn the_time_of_a_job_is_the_middle_of_what_was_measured_and_survives_a_restarted_transcoder() {
        let (registry, _) = registry();
        registry.lead(true);
        invited(&registry, ONE);
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
    }

    #[tokio::test]
    async fn an_order_wakes_who_waits_for_it_and_only_ever_hurries() {
        let (registry, _) = registry();
        registry.lead(true);
        invited(&registry, ONE);
        let (none, wake) = registry.order(ONE);
        assert_eq!(none, None);
        let woken = wake.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        registry.drain(ONE, 300);
        woken.await;
        registry.drain(ONE, 400);
        assert_eq!(registry.order(ONE).0, Some(300));
        registry.drain(ONE, 20);
        assert_eq!(registry.order(ONE).0, Some(20));
    }
}
