//! What a ledger says: every verdict comes from here, and from nothing that the controller says of itself.

use std::collections::BTreeMap;
use std::path::Path;

use streamverse_model::compute::{CloudKind, GpuClass, GroupName, Lifecycle, Money};
use streamverse_stand_in::read_ledger;

use crate::ledger::{Entry, Event};

/// A ledger, read.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// All lines, in order.
    pub entries: Vec<Entry>,
}

/// An instance, from its beginning to its end.
#[derive(Clone, Debug)]
pub struct Life {
    /// The line of its launch.
    pub launch: Entry,
    /// When it got ready.
    pub ready_ms: Option<u64>,
    /// When it was announced that it goes.
    pub notice_ms: Option<u64>,
    /// When it went.
    pub end_ms: Option<u64>,
    /// Whether it was taken away, and not given back.
    pub preempted: bool,
}

/// What was ready over a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timeline {
    /// The share of the time in which all that is needed was ready.
    pub all_ready: f64,
    /// The share of it in which nothing was.
    pub none_ready: f64,
    /// What was ready of what is needed, on average.
    pub capacity: f64,
}

impl Life {
    /// For how long it cost within a stretch of time.
    pub fn paid_ms(&self, from_ms: u64, to_ms: u64) -> u64 {
        let end = self.end_ms.unwrap_or(to_ms).min(to_ms);
        end.saturating_sub(self.launch.at_ms.max(from_ms))
    }

    /// The pool that it belongs to.
    pub fn pool(&self) -> String {
        pool_of(&self.launch.group)
    }
}

fn pool_of(group: &str) -> String {
    GroupName::parse(group).map(|it| it.pool.to_string()).unwrap_or_default()
}

impl Account {
    /// Reads a ledger. A last line that is still being written is left out.
    pub fn read(path: &Path) -> Account {
        Account { entries: read_ledger(path) }
    }

    /// All instances that ever were.
    pub fn lives(&self) -> Vec<Life> {
        let mut lives: Vec<Life> = Vec::new();
        let mut index = BTreeMap::new();
        for entry in &self.entries {
            if entry.event == Event::Launch {
                index.insert(&entry.id, lives.len());
                let launch = entry.clone();
                lives.push(Life { launch, ready_ms: None, notice_ms: None, end_ms: None, preempted: false });
                continue;
            }
            let Some(life) = index.get(&entry.id).and_then(|at| lives.get_mut(*at)) else { continue };
            match entry.event {
                Event::Ready => life.ready_ms = Some(entry.at_ms),
                Event::Notice => life.notice_ms = Some(entry.at_ms),
                Event::Preempt | Event::Terminate => {
                    life.end_ms = Some(entry.at_ms);
                    life.preempted = entry.event == Event::Preempt;
                }
                _ => {}
            }
        }
        lives
    }

    /// The most on-demand instances that there were at any instant, by cloud and class, whatever pool they were of.
    pub fn most_on_demand(&self) -> Vec<(CloudKind, GpuClass, u32)> {
        self.most(|it| it.lifecycle == Lifecycle::OnDemand)
    }

    /// The most instances of some sort that there were at any instant, by cloud and class.
    pub fn most(&self, counts: impl Fn(&Entry) -> bool) -> Vec<(CloudKind, GpuClass, u32)> {
        let mut now: BTreeMap<(CloudKind, bool), (u32, u32)> = BTreeMap::new();
        for entry in self.entries.iter().filter(|it| counts(it)) {
            let (count, most) = now.entry((entry.cloud, entry.class == GpuClass::Gpu)).or_default();
            match entry.event {
                Event::Launch => *count += 1,
                Event::Preempt | Event::Terminate => *count = count.saturating_sub(1),
                _ => continue,
            }
            *most = (*most).max(*count);
        }
        let class = |gpu: bool| if gpu { GpuClass::Gpu } else { GpuClass::Cpu };
        now.into_iter().map(|((cloud, gpu), (_, most))| (cloud, class(gpu), most)).collect()
    }

    /// How many on-demand instances there were, one number for each time that it changed.
    pub fn on_demand_steps(&self) -> Vec<u32> {
        let mut steps = vec![0_u32];
        for entry in self.entries.iter().filter(|it| it.lifecycle == Lifecycle::OnDemand) {
            let last = steps.last().copied().unwrap_or(0);
            match entry.event {
                Event::Launch => steps.push(last + 1),
                Event::Preempt | Event::Terminate => steps.push(last.saturating_sub(1)),
                _ => {}
            }
        }
        steps
    }

    /// Seconds of a lifecycle that were paid for until an instant.
    pub fn seconds(&self, lifecycle: Lifecycle, until_ms: u64) -> f64 {
        let lives = self.lives();
        let paid =
            lives.iter().filter(|it| it.launch.lifecycle == lifecycle).map(|it| it.paid_ms(0, until_ms));
        paid.sum::<u64>() as f64 / 1000.0
    }

    /// How many instances were launched.
    pub fn launches(&self) -> usize {
        self.entries.iter().filter(|it| it.event == Event::Launch).count()
    }

    /// How many were taken away.
    pub fn preemptions(&self) -> usize {
        self.entries.iter().filter(|it| it.event == Event::Preempt).count()
    }

    /// The most launches of a pool in any hour, without those that a group took by itself to keep its size.
    pub fn most_launches_in_an_hour(&self, pool: &str) -> usize {
        let lives = self.lives();
        let times: Vec<u64> = lives
            .iter()
            .filter(|it| it.pool() == pool && it.launch.why.is_empty())
            .map(|it| it.launch.at_ms)
            .collect();
        let mut most = 0;
        let mut first = 0;
        for (index, at) in times.iter().enumerate() {
            while times.get(first).is_some_and(|it| at.saturating_sub(*it) >= 3_600_000) {
                first += 1;
            }
            most = most.max(index + 1 - first);
        }
        most
    }

    /// What was paid between two instants, by all pools or one.
    pub fn cost(&self, pool: Option<&str>, from_ms: u64, to_ms: u64) -> Money {
        let lives = self.lives();
        let paid = lives.iter().filter(|it| pool.is_none_or(|wanted| it.pool() == wanted));
        paid.map(|it| it.launch.hourly.per_hour_for_ms(it.paid_ms(from_ms, to_ms))).sum()
    }

    /// How much of what is needed was ready between two instants.
    pub fn timeline(&self, need: u32, from_ms: u64, to_ms: u64) -> Timeline {
        let mut changes: Vec<(u64, i64)> = Vec::new();
        for life in self.lives() {
            let Some(ready) = life.ready_ms else { continue };
            changes.push((ready, 1));
            changes.extend(life.end_ms.map(|end| (end, -1)));
        }
        changes.sort_unstable();
        changes.push((to_ms, 0));
        let (mut at, mut count) = (from_ms, 0_i64);
        let (mut all, mut none, mut sum) = (0_u64, 0_u64, 0_u64);
        let need = u64::from(need.max(1));
        for (when, change) in changes {
            let now = when.clamp(at, to_ms.max(at));
            let ready = u64::try_from(count).unwrap_or(0).min(need);
            all += if ready == need { now - at } else { 0 };
            none += if ready == 0 { now - at } else { 0 };
            sum += ready * (now - at);
            (at, count) = (now, count + change);
        }
        let total = to_ms.saturating_sub(from_ms).max(1) as f64;
        Timeline {
            all_ready: all as f64 / total,
            none_ready: none as f64 / total,
            capacity: sum as f64 / (total * need as f64),
        }
    }

    /// How many ran at an instant.
    pub fn running(&self, at_ms: u64, counts: impl Fn(&Life) -> bool) -> usize {
        let runs = |it: &&Life| it.launch.at_ms <= at_ms && it.end_ms.is_none_or(|end| end > at_ms);
        self.lives().iter().filter(runs).filter(|it| counts(it)).count()
    }

    /// Instances that run and groups that are there: `i-00000001 of sv--…`.
    pub fn left(&self) -> Vec<String> {
        let mut left: Vec<String> = self
            .lives()
            .iter()
            .filter(|it| it.end_ms.is_none())
            .map(|it| format!("{} of {}", it.launch.id, it.launch.group))
            .collect();
        let mut groups = BTreeMap::new();
        for entry in &self.entries {
            match entry.event {
                Event::Group => _ = groups.insert(&entry.group, ()),
                Event::GroupDeleted => _ = groups.remove(&entry.group),
                _ => {}
            }
        }
        left.extend(groups.keys().map(|it| format!("group {it}")));
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at_ms: u64, event: Event, id: &str, lifecycle: Lifecycle) -> Entry {
        Entry {
            at_ms,
            event,
            id: id.to_owned(),
            group: "sv--d--p--s-a".to_owned(),
            zone: "a".to_owned(),
            cloud: CloudKind::Aws,
            class: GpuClass::Gpu,
            lifecycle,
            hourly: Money::micros(1_000_000),
            why: String::new(),
        }
    }

    #[test]
    fn two_that_overlap_for_a_moment_are_two_and_two_that_follow_are_one() {
        let hour = 3_600_000;
        let (od, spot) = (Lifecycle::OnDemand, Lifecycle::Spot);
        let mut account = Account {
            entries: vec![
                line(0, Event::Group, "", od),
                line(0, Event::Launch, "1", od),
                line(0, Event::Ready, "1", od),
                line(hour, Event::Terminate, "1", od),
                line(hour, Event::Launch, "2", od),
                line(hour, Event::Launch, "3", spot),
                line(2 * hour, Event::Preempt, "3", spot),
            ],
        };
        assert_eq!(account.most_on_demand(), [(CloudKind::Aws, GpuClass::Gpu, 1)]);
        assert_eq!(account.on_demand_steps(), [0, 1, 0, 1]);
        assert_eq!(account.cost(Some("p"), 0, 2 * hour), Money::micros(3_000_000));
        assert_eq!(account.most_launches_in_an_hour("p"), 2, "an hour apart is another hour");
        let half = account.timeline(1, 0, 2 * hour);
        assert!((half.all_ready - 0.5).abs() < 1e-9 && (half.none_ready - 0.5).abs() < 1e-9, "{half:?}");
        assert_eq!(account.left(), ["2 of sv--d--p--s-a", "group sv--d--p--s-a"]);
        account.entries.swap(3, 4);
        assert_eq!(account.most_on_demand(), [(CloudKind::Aws, GpuClass::Gpu, 2)]);
    }
}
