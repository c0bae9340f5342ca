//! Workers: who may be served, and who is told to leave.

use std::collections::HashMap;

use streamverse_compute::cloud::group_key;
use streamverse_model::compute::{CONTROLLED, GroupName, InstanceName};
use streamverse_model::platform::Name;

use super::Controller;
use super::act::Tick;
use super::jobs::Job;
use super::plan::Entry;
use super::view::worker_name;
use crate::clock::ms;
use crate::roster::Member;

impl Controller {
    /// Workers may ask before their launch is answered.
    pub(super) fn announce(&self, tick: &mut Tick, jobs: &[Job]) {
        for job in jobs {
            let Job::Launch { pool, name, .. } = job else { continue };
            tick.tried.insert((*pool, name.number));
            if let Some(member) = self.plan.entries.get(*pool).and_then(member) {
                self.parts.roster.add(name.to_string(), member);
            }
        }
    }

    /// Says to all that leave how long they have, again at each look: who was told before a restart may not have heard.
    pub(super) fn drain(&self, tick: &Tick) {
        let ground = self.ground(tick);
        for (index, entry, pool, memory) in ground.pools() {
            for known in memory.known.iter().filter(|it| it.ended_ms.is_none() && member(entry).is_some()) {
                let Some(leaving) = known.leaving_ms else { continue };
                let Some((worker, spot)) = tick.view.worker(index, &known.id) else { continue };
                let full = ms(pool.policy.drain.0);
                let until = leaving.saturating_add(full);
                let until = worker.doomed_ms.map_or(until, |doomed| doomed.min(until));
                // Whoever hears an order to a name is not asked which instance of that name is meant.
                let own = !self.remembered.twins.contains(&known.id);
                if let Some(instance) = spot.instance(&tick.looks).filter(|_| own) {
                    let seconds = until.saturating_sub(tick.now) / 1000;
                    self.parts.workers.drain(&worker_name(instance), seconds);
                }
            }
        }
    }

    /// Who may be served: all that the state knows, and has not given back, also while a list is missing.
    pub(super) fn list_members(&mut self, tick: &Tick) {
        for (seen, spots) in tick.view.seen.pools.iter().zip(&tick.view.spots) {
            for (worker, spot) in seen.workers.iter().zip(spots) {
                let name = spot.instance(&tick.looks).and_then(|it| it.name.as_ref());
                if let Some(name) = name.filter(|_| !self.names.contains_key(&*worker.id)) {
                    self.names.insert(worker.id.to_string(), name.to_string());
                }
            }
        }
        let mut members = HashMap::new();
        let mut names = HashMap::new();
        // After a restart a worker's name is known when its cloud first lists it. Until then nobody is taken for gone.
        let mut nameless = false;
        for (entry, memory) in self.plan.entries.iter().zip(&self.state.pools) {
            for known in &memory.known {
                let member = member(entry).filter(|_| known.ended_ms.is_none());
                match (self.names.remove_entry(&known.id), member) {
                    (Some((id, name)), member) => {
                        self.remembered.known_ms.entry(id.clone()).or_insert(tick.now);
                        members.extend(member.map(|it| (name.clone(), it)));
                        names.insert(id, name);
                    }
                    (None, member) => nameless |= member.is_some(),
                }
            }
            for order in &memory.orders {
                let key = group_key(order.lifecycle, &order.key);
                let group = GroupName::new(self.parts.deployment.as_str(), &entry.name, &key);
                if let (Some(member), Some(group)) = (member(entry), group) {
                    members.insert(InstanceName { group, number: order.number }.to_string(), member);
                }
            }
        }
        self.remembered.known_ms.retain(|id, _| names.contains_key(id));
        self.names = names;
        if nameless {
            members.into_iter().for_each(|(name, member)| self.parts.roster.add(name, member));
            return;
        }
        // First: whoever waits for an order and is gone learns it now.
        self.parts.roster.set(members);
        self.parts.workers.keep_only(&|worker| self.parts.roster.has(worker));
    }
}

/// A worker of a fleet whose workers enrol, or did when it could still be read.
fn member(entry: &Entry) -> Option<Member> {
    if entry.work.is_none() && entry.record.is_some() {
        return None;
    }
    let drain = entry.record.as_ref().map_or(CONTROLLED, |it| it.definition.policy.drain.0.as_secs());
    Some(Member { fleet: Name::parse(&entry.name).ok()?, work: entry.work.clone(), drain_seconds: drain })
}
