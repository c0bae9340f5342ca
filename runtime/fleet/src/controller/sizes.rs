//! How orders become sizes of groups, on clouds that have groups.
//!
//! A size is absolute: what stays in the group and what was asked for. Instances that were given back, and those that a list lacks for a
//! moment, may or may not hold a place in it: they make the size a range, and a size within it is left alone. What a cloud refuses
//! it is first kept from trying again; only then the policy is told, and asks elsewhere.

use std::collections::{HashMap, HashSet};

use streamverse_compute::cloud::{ErrorClass, GroupSpec, Phase, group_key};
use streamverse_compute::policy::{FleetState, Order, Outcome, Pool};
use streamverse_model::compute::{CloudKind, GroupName, Lifecycle};
use streamverse_model::platform::Name;

use super::jobs::Resize;
use super::look::CloudLook;
use super::plan::{Entry, Plan};
use super::view::{View, candidate_key};

/// What a group is to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Want {
    pub(super) low: u32,
    pub(super) high: u32,
    /// Orders that are counted.
    pub(super) orders: Vec<u64>,
    /// Orders of a pool or candidate that is going: they are taken back.
    pub(super) fenced: Vec<u64>,
}

/// A group: its pool, its cloud, how it buys, and its candidate's key.
pub(super) type Key<'a> = (usize, CloudKind, Lifecycle, &'a str);

/// Groups that must get another size, and orders that have what they need, by pool and number.
pub(super) type Sizes = (Vec<Resize>, Vec<(usize, u64)>);

/// What acting is based on.
pub(super) struct Ground<'a> {
    pub(super) deployment: &'a Name,
    pub(super) plan: &'a Plan,
    pub(super) state: &'a FleetState,
    pub(super) view: &'a View,
    pub(super) looks: &'a HashMap<CloudKind, CloudLook>,
    /// Sizes that were set since the groups were listed; none for one that was deleted.
    pub(super) sizes: &'a HashMap<GroupName, Option<u32>>,
    /// What was given back in this tick.
    pub(super) gone: &'a HashSet<String>,
    /// Groups that are known to be as their specs say.
    pub(super) ensured: &'a HashMap<GroupName, GroupSpec>,
    pub(super) now: u64,
}

/// Whether an order that was not accepted is not asked for again: its time is over.
pub(super) fn held_back(pool: &Pool, order: &Order, now: u64) -> bool {
    let closed = pool.tombstone || pool.night.as_ref().is_some_and(|it| it.contains(now));
    closed && !order.accepted && order.asked_ms < now
}

impl<'a> Ground<'a> {
    /// The pools that may be acted on, with what is remembered of them.
    pub(super) fn pools(
        &self,
    ) -> impl Iterator<Item = (usize, &'a Entry, &'a Pool, &'a streamverse_compute::policy::PoolState)> {
        let all = self.plan.entries.iter().zip(&self.plan.fleet.pools).zip(&self.state.pools);
        let view = self.view;
        all.enumerate()
            .filter(move |(index, _)| view.seen.pools.get(*index).is_some_and(|it| it.complete))
            .map(|(index, ((entry, pool), memory))| (index, entry, pool, memory))
    }

    pub(super) fn has_groups(&self, cloud: CloudKind) -> bool {
        self.looks.get(&cloud).is_some_and(|it| it.can.groups)
    }

    /// The cloud of something that is remembered by its candidate's key.
    fn cloud(&self, pool: &Pool, entry: &Entry, cloud: Option<CloudKind>, key: &str) -> Option<CloudKind> {
        let now = || Some(pool.candidates.get(*entry.keys.get(key)?)?.candidate.cloud);
        cloud.or_else(now)
    }

    /// What all groups are to be.
    pub(super) fn wants(&self) -> HashMap<Key<'a>, Want> {
        let mut wants: HashMap<Key<'a>, Want> = HashMap::new();
        for (index, entry, pool, memory) in self.pools() {
            for known in memory.known.iter().filter(|it| !self.gone.contains(&it.id)) {
                let Some((cloud, key)) = (match known.key.is_empty() {
                    false => {
                        self.cloud(pool, entry, known.cloud, &known.key).map(|it| (it, known.key.as_str()))
                    }
                    true => self.listed_at(index, &known.id, known.lifecycle),
                }) else {
                    continue;
                };
                if self.has_groups(cloud) {
                    let want = wants.entry((index, cloud, known.lifecycle, key)).or_default();
                    want.high += 1;
                    want.low += u32::from(known.ended_ms.is_none() && known.missing_ms.is_none());
                }
            }
            for order in &memory.orders {
                let Some(cloud) = self.cloud(pool, entry, order.cloud, &order.key) else { continue };
                // Nothing comes of an order whose pool or candidate is gone.
                let fenced = pool.tombstone || !entry.keys.contains_key(&order.key);
                if !self.has_groups(cloud) || !fenced && held_back(pool, order, self.now) {
                    continue;
                }
                let want = wants.entry((index, cloud, order.lifecycle, &order.key)).or_default();
                if fenced {
                    want.fenced.push(order.number);
                } else {
                    (want.low, want.high) = (want.low + 1, want.high + 1);
                    want.orders.push(order.number);
                }
            }
        }
        wants
    }

    /// Where something is whose candidate nobody knows any more.
    fn listed_at(&self, pool: usize, id: &str, lifecycle: Lifecycle) -> Option<(CloudKind, &'a str)> {
        let (_, spot) = self.view.worker(pool, id)?;
        let instance = spot.instance(self.looks)?;
        Some((spot.cloud, candidate_key(&instance.group, lifecycle)?))
    }

    fn name(&self, pool: usize, lifecycle: Lifecycle, key: &str) -> Option<GroupName> {
        let entry = self.plan.entries.get(pool)?;
        GroupName::new(self.deployment.as_str(), &entry.name, &group_key(lifecycle, key))
    }

    /// The size of a group; none for one that is not there.
    fn size(&self, cloud: CloudKind, group: &GroupName) -> Option<u32> {
        let listed = || self.looks.get(&cloud)?.groups.as_ref()?.get(group).map(|it| it.size);
        self.sizes.get(group).copied().unwrap_or_else(listed)
    }

    /// Groups that are listed, of pools that may be acted on.
    fn listed_groups(&self) -> impl Iterator<Item = (Key<'a>, &'a GroupName)> {
        let looks = self.looks.iter().filter_map(|(cloud, look)| Some((*cloud, look.groups.as_ref()?)));
        let (plan, view) = (self.plan, self.view);
        looks.flat_map(move |(cloud, groups)| {
            groups.keys().filter_map(move |name| {
                let pool = *plan.by_name.get(name.pool.as_str())?;
                view.seen.pools.get(pool).filter(|it| it.complete)?;
                let spot = candidate_key(name, Lifecycle::Spot).map(|key| (Lifecycle::Spot, key));
                let (lifecycle, key) =
                    spot.or(candidate_key(name, Lifecycle::OnDemand).map(|key| (Lifecycle::OnDemand, key)))?;
                Some(((pool, cloud, lifecycle, key), name))
            })
        })
    }

    /// Which groups must get another size, and the orders that need nothing more: the size that holds them is set.
    pub(super) fn resizes(&self) -> Sizes {
        let mut wants = self.wants();
        let (mut resizes, mut accepted) = (Vec::new(), Vec::new());
        let listed = self.listed_groups().map(|(key, name)| (key, name.clone(), wants.remove(&key)));
        let mut all: Vec<(Key<'a>, GroupName, Want)> = Vec::new();
        for (key, name, want) in listed {
            let want = want.unwrap_or_default();
            // Most are as they should be.
            let size = self.size(key.1, &name);
            if !want.orders.is_empty() || size.is_none_or(|it| it < want.low || it > want.high) {
                all.push((key, name, want));
            }
        }
        for (key, want) in wants {
            if let Some(name) = self.name(key.0, key.2, key.3) {
                all.push((key, name, want));
            }
        }
        for ((pool, cloud, lifecycle, key), group, want) in all {
            let size = self.size(cloud, &group);
            let from = size.unwrap_or(0);
            if from > want.high {
                let to = want.high;
                resizes.push(Resize { pool, cloud, group, from, to, ensure: None, orders: Vec::new() });
            } else if from < want.low {
                let Some(spec) = self.spec(pool, lifecycle, key) else { continue };
                let as_it_is = size.is_some() && self.ensured.get(&group) == Some(&spec);
                let ensure = (!as_it_is).then_some(spec);
                resizes.push(Resize { pool, cloud, group, from, to: want.low, ensure, orders: want.orders });
            } else {
                accepted.extend(want.orders.into_iter().map(|number| (pool, number)));
            }
        }
        resizes.sort_by(|a, b| a.group.cmp(&b.group));
        (resizes, accepted)
    }

    /// Groups of candidates that a pool has no more, once nothing is in them and nothing can come. A pool that is destroyed has its own
    /// way, and of one whose description cannot be used nobody knows what it has.
    pub(super) fn deserted(&self) -> Vec<(usize, CloudKind, GroupName)> {
        let empty = |((pool, cloud, _, of), name): &(Key<'a>, &'a GroupName)| {
            let (Some(entry), Some(its), Some(memory)) =
                (self.plan.entries.get(*pool), self.plan.fleet.pools.get(*pool), self.state.pools.get(*pool))
            else {
                return false;
            };
            let Some(look) = self.looks.get(cloud).filter(|it| it.complete()) else { return false };
            let left = !entry.frozen && !its.tombstone && !entry.keys.contains_key(*of);
            let remembered = || {
                memory.known.iter().any(|it| it.key == *of) || memory.orders.iter().any(|it| it.key == *of)
            };
            let listed = || look.instances.iter().flatten().any(|it| it.group == **name);
            left && self.size(*cloud, name) == Some(0) && !remembered() && !listed()
        };
        let all = self.listed_groups().filter(empty);
        let mut all: Vec<_> = all.map(|((pool, cloud, ..), name)| (pool, cloud, name.clone())).collect();
        all.sort_by(|a, b| a.2.cmp(&b.2));
        all
    }

    /// How many instances of a group are listed, those that stop not counted.
    fn listed(&self, cloud: CloudKind, group: &GroupName) -> u32 {
        let all = self.looks.get(&cloud).and_then(|it| it.instances.as_ref()).into_iter().flatten();
        let its = all.filter(|it| it.phase != Phase::Stopping && it.group == *group);
        let ids: HashSet<&str> = its.map(|it| it.id.as_str()).collect();
        u32::try_from(ids.len()).unwrap_or(u32::MAX)
    }

    /// What a cloud refuses, and what is no longer wanted: groups that must be set back before the policy is told.
    pub(super) fn refused(&self) -> Vec<(Resize, ErrorClass)> {
        let mut back = Vec::new();
        // Whatever is taken back was ordered.
        if self.state.pools.iter().all(|it| it.orders.is_empty()) {
            return back;
        }
        let wants = self.wants();
        for (key, name) in self.listed_groups() {
            let (pool, cloud, ..) = key;
            let (Some(want), Some(size)) = (wants.get(&key), self.size(cloud, name)) else { continue };
            let resize = |to: u32, orders: Vec<u64>| Resize {
                pool,
                cloud,
                group: name.clone(),
                from: size,
                to,
                ensure: None,
                orders,
            };
            if !want.fenced.is_empty() {
                back.push((resize(size.min(want.high), want.fenced.clone()), ErrorClass::Transient));
                continue;
            }
            let group = self.looks.get(&cloud).and_then(|it| it.groups.as_ref()).and_then(|it| it.get(name));
            let Some((class, _)) = group.and_then(|it| it.refused.as_ref()) else { continue };
            let there = self.listed(cloud, name);
            let short = usize::try_from(size.saturating_sub(there)).unwrap_or(0).min(want.orders.len());
            if short > 0 {
                let newest = want.orders.iter().rev().take(short).copied().collect();
                let to = size.saturating_sub(u32::try_from(short).unwrap_or(0));
                back.push((resize(to, newest), *class));
            }
        }
        back.sort_by(|a, b| a.0.group.cmp(&b.0.group));
        back
    }

    /// What a group, or on a cloud without groups an instance, is. `None` where its candidate is none of the pool's.
    pub(super) fn spec(&self, pool: usize, lifecycle: Lifecycle, key: &str) -> Option<GroupSpec> {
        let entry = self.plan.entries.get(pool)?;
        let its = self.plan.fleet.pools.get(pool)?;
        let candidate = &its.candidates.get(*entry.keys.get(key)?)?.candidate;
        let definition = &entry.record.as_ref()?.definition;
        // Those that are being replaced stand beside those that replace them.
        let most = its.range.max.saturating_add(its.policy.extra).saturating_mul(2).saturating_add(1);
        let limit = match lifecycle {
            Lifecycle::Spot => None,
            Lifecycle::OnDemand => self.plan.fleet.limit(candidate.cloud, candidate.class()),
        };
        Some(GroupSpec {
            name: self.name(pool, lifecycle, key)?,
            candidate: candidate.clone(),
            lifecycle,
            max: limit.unwrap_or(most),
            max_hourly: its.range.price_ceiling,
            image: definition.image.clone(),
            environment: definition.environment.clone(),
            options: definition.options.clone(),
        })
    }
}

/// What the policy is told of orders.
pub(super) fn outcomes(orders: &[u64], error: Option<ErrorClass>) -> Vec<Outcome> {
    orders.iter().map(|number| Outcome { number: *number, error, retry_after: None }).collect()
}
