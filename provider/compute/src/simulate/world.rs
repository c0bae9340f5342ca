//! A simulated cloud: it gives and takes as the market says, and writes down everything that it is paid for.

use std::sync::Arc;

use streamverse_model::compute::Lifecycle;

use super::market::Market;

/// An instance.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its id, never given twice.
    pub id: Arc<str>,
    /// Its zone's index in the market.
    pub zone: usize,
    /// How it was bought.
    pub lifecycle: Lifecycle,
    /// When it is ready, in milliseconds.
    pub ready_ms: u64,
    /// When the market takes it away, once that is announced.
    pub doomed_ms: Option<u64>,
}

/// What was paid for.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Milliseconds of spot instances, by zone.
    pub spot_ms: Vec<u64>,
    /// Milliseconds of on-demand instances, by zone.
    pub on_demand_ms: Vec<u64>,
    /// When instances were launched.
    pub launches: Vec<u64>,
    /// Launches that were refused.
    pub refused: u64,
    /// Instances that were taken away, by zone.
    pub preemptions: Vec<u64>,
    /// Instances that were given back.
    pub returned: u64,
    /// The most on-demand instances at any time.
    pub most_on_demand: u32,
}

/// The cloud.
#[derive(Clone, Debug)]
pub struct World<'a> {
    market: &'a Market,
    /// How long an instance takes to get ready.
    cold_ms: u64,
    /// How long before it takes one away it says so; 0: not at all.
    notice_ms: u64,
    /// The most spot instances that a zone gives.
    per_zone: u32,
    now: u64,
    /// Until when each zone gives; `None` while it does not.
    up_until: Vec<Option<u64>>,
    next: u64,
    /// What runs.
    pub instances: Vec<Instance>,
    /// What was paid for.
    pub ledger: Ledger,
}

impl<'a> World<'a> {
    /// A cloud at the beginning of a market.
    pub fn new(market: &'a Market, cold_ms: u64, notice_ms: u64, per_zone: u32) -> World<'a> {
        let zones = market.zones.len();
        let ledger = Ledger {
            spot_ms: vec![0; zones],
            on_demand_ms: vec![0; zones],
            preemptions: vec![0; zones],
            ..Ledger::default()
        };
        let mut world = World {
            market,
            cold_ms,
            notice_ms,
            per_zone,
            now: 0,
            up_until: vec![None; zones],
            next: 0,
            instances: Vec::new(),
            ledger,
        };
        world.look();
        world
    }

    /// What the zones give from now on.
    fn look(&mut self) {
        for (zone, until) in self.up_until.iter_mut().enumerate() {
            if until.is_none_or(|it| it <= self.now) {
                let up = self.market.available(zone, self.now) > 0;
                *until = up.then(|| self.market.up_until(zone, self.now));
            }
        }
    }

    /// The time.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The market.
    pub fn market(&self) -> &'a Market {
        self.market
    }

    /// Time passes: what runs is paid for, then the market takes away what it no longer has.
    pub fn advance(&mut self, ms: u64) {
        for one in &self.instances {
            let column = if one.lifecycle == Lifecycle::Spot {
                &mut self.ledger.spot_ms
            } else {
                &mut self.ledger.on_demand_ms
            };
            if let Some(sum) = column.get_mut(one.zone) {
                *sum += ms;
            }
        }
        self.now += ms;
        self.look();
        let (up_until, ledger, now, notice) = (&self.up_until, &mut self.ledger, self.now, self.notice_ms);
        self.instances.retain_mut(|one| {
            if one.lifecycle == Lifecycle::OnDemand {
                return true;
            }
            let until = up_until.get(one.zone).copied().flatten();
            // That a zone ends and gives again within one look takes all the same: its instances know until when they had it.
            match until {
                Some(until) if one.doomed_ms.is_none_or(|it| it > now) => {
                    if notice > 0 && until.saturating_sub(notice) <= now {
                        one.doomed_ms = Some(until);
                    }
                    true
                }
                _ => {
                    if let Some(count) = ledger.preemptions.get_mut(one.zone) {
                        *count += 1;
                    }
                    false
                }
            }
        });
    }

    /// Asks for one. Spot is given where the zone has it, on demand always.
    pub fn launch(&mut self, zone: usize, lifecycle: Lifecycle) -> Option<Arc<str>> {
        let held =
            self.instances.iter().filter(|it| it.zone == zone && it.lifecycle == Lifecycle::Spot).count();
        let full = u32::try_from(held).unwrap_or(u32::MAX) >= self.per_zone;
        let up = self.up_until.get(zone).is_some_and(Option::is_some);
        if lifecycle == Lifecycle::Spot && (!up || full) {
            self.ledger.refused += 1;
            return None;
        }
        self.next += 1;
        let id: Arc<str> = format!("i-{:08}", self.next).into();
        let ready_ms = self.now + self.cold_ms;
        self.instances.push(Instance { id: id.clone(), zone, lifecycle, ready_ms, doomed_ms: None });
        self.ledger.launches.push(self.now);
        let on_demand = self.instances.iter().filter(|it| it.lifecycle == Lifecycle::OnDemand).count();
        self.ledger.most_on_demand =
            self.ledger.most_on_demand.max(u32::try_from(on_demand).unwrap_or(u32::MAX));
        Some(id)
    }

    /// Takes one back. One that is gone is no error.
    pub fn terminate(&mut self, id: &str) {
        let before = self.instances.len();
        self.instances.retain(|it| &*it.id != id);
        self.ledger.returned += (before - self.instances.len()) as u64;
    }

    /// How many of a lifecycle are ready.
    pub fn ready(&self, lifecycle: Lifecycle) -> u32 {
        let ready = |it: &&Instance| it.lifecycle == lifecycle && it.ready_ms <= self.now;
        u32::try_from(self.instances.iter().filter(ready).count()).unwrap_or(u32::MAX)
    }
}
