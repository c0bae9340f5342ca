//! What happened since the last look: money, refusals, arrivals, losses.

use streamverse_model::compute::{CloudKind, Lifecycle, Money, month_of};

use super::failing;
use super::fleet::{Fleet, Pool, Source, ms};
use super::seen::{Outcome, PoolSeen};
use super::state::{FleetState, Known, Order, Place, PoolState};
use crate::cloud::ErrorClass;

/// An order that was not seen for so long is forgotten; what appears later all the same is adopted.
const ORDER_LIMIT_MS: u64 = 900_000;
/// For so long an on-demand instance that is not listed is taken for one that is there.
const DOUBT_MS: u64 = 120_000;
/// How long a passing fault keeps a candidate from being asked.
const FAULT_MS: u64 = 30_000;
/// How long a wrong request, or credentials that do not allow it, do.
const REFUSED_MS: u64 = 600_000;
/// What is known of a place is halved after so long: markets change.
const HALF_MS: u64 = 14 * 86_400_000;

/// A cloud that refuses whatever it is asked, for all pools: the account is throttled, or its credentials are refused.
pub(super) struct Closed {
    cloud: CloudKind,
    until_ms: u64,
}

/// Nobody looks more seldom.
const LEAP_MS: u64 = 31 * 86_400_000;

pub(super) fn settle(
    fleet: &Fleet,
    pool: &Pool,
    memory: &mut PoolState,
    seen: &PoolSeen,
    now: u64,
    closed: &mut Vec<Closed>,
) {
    places(pool, memory);
    if memory.revision != pool.revision {
        memory.revision.clone_from(&pool.revision);
        memory.failing = None;
        for place in memory.places.iter_mut().filter(|it| it.failing.is_some()) {
            (place.failing, place.blocks) = (None, [None; 2]);
        }
    }
    let passed = elapsed(memory, now);
    terms(fleet, &pool.candidates, memory);
    spend(memory, passed);
    for outcome in &seen.outcomes {
        refused(pool, memory, outcome, now, closed);
    }
    if seen.complete {
        arrived(pool, memory, seen, now);
        terms(fleet, &pool.candidates, memory);
        lost(pool, memory, seen, now);
        memory.orders.retain(|it| now.saturating_sub(it.asked_ms) < ORDER_LIMIT_MS);
    }
    stood(memory, passed);
    // A clock that was put back: what it says is yet to come is over.
    memory.launches.retain(|it| *it <= now);
    while memory.launches.front().is_some_and(|it| now.saturating_sub(*it) >= 3_600_000) {
        memory.launches.pop_front();
    }
}

/// A pool that left the list: what it has is paid for. Nobody looks for it, so nothing of it is taken for gone.
pub(super) fn left(fleet: &Fleet, memory: &mut PoolState, now: u64) {
    let passed = elapsed(memory, now);
    terms(fleet, &[], memory);
    spend(memory, passed);
    if memory.is_gone() {
        // Its numbers and what it spent in this month are all that is needed of it.
        memory.places = Vec::new();
        memory.launches.clear();
    }
}

/// Nothing of a closed cloud is asked for, by no pool and in no way.
pub(super) fn close(fleet: &Fleet, state: &mut FleetState, closed: &[Closed]) {
    if closed.is_empty() {
        return;
    }
    for (pool, memory) in fleet.pools.iter().zip(&mut state.pools) {
        for (place, source) in memory.places.iter_mut().zip(&pool.candidates) {
            for it in closed.iter().filter(|it| it.cloud == source.candidate.cloud) {
                place.block(Lifecycle::Spot, it.until_ms, false);
                place.block(Lifecycle::OnDemand, it.until_ms, false);
            }
        }
    }
}

/// What an instance or order counts for is written down as long as its candidate is in the list; of one that never was in it (or
/// of which an older state says nothing) the dearest price is assumed.
fn terms(fleet: &Fleet, candidates: &[Source], memory: &mut PoolState) {
    let known = memory
        .known
        .iter_mut()
        .map(|it| (&it.key, it.lifecycle, &mut it.cloud, &mut it.class, &mut it.hourly));
    let orders = memory
        .orders
        .iter_mut()
        .map(|it| (&it.key, it.lifecycle, &mut it.cloud, &mut it.class, &mut it.hourly));
    for (key, lifecycle, cloud, class, hourly) in known.chain(orders) {
        if cloud.is_some() && class.is_some() && hourly.is_some() {
            continue;
        }
        if let Some(source) = candidates.iter().find(|it| it.candidate.key == *key) {
            cloud.get_or_insert(source.candidate.cloud);
            class.get_or_insert(source.candidate.class());
            *hourly = hourly.or(source.hourly(lifecycle));
        }
        let dearest =
            |all: &mut dyn Iterator<Item = &Source>| all.filter_map(|it| it.hourly(lifecycle)).max();
        *hourly = hourly
            .or_else(|| dearest(&mut candidates.iter()))
            .or_else(|| dearest(&mut fleet.pools.iter().flat_map(|it| &it.candidates)));
    }
}

/// Brings places into the order of the pool's candidates; those of candidates that are gone are forgotten.
fn places(pool: &Pool, memory: &mut PoolState) {
    let keys = || pool.candidates.iter().map(|it| &it.candidate.key);
    if memory.places.len() == pool.candidates.len() && memory.places.iter().map(|it| &it.key).eq(keys()) {
        return;
    }
    let old = std::mem::take(&mut memory.places);
    let found = |key: &String| old.iter().find(|it| it.key == *key).cloned();
    memory.places =
        keys().map(|key| found(key).unwrap_or(Place { key: key.clone(), ..Place::default() })).collect();
}

/// How long ago the last look was. A clock that was put back has nothing happen twice: what was counted ahead of it is caught up with
/// first. Where it is further away than a look can be, it was wrong before, or is now: nothing is charged for what nobody saw.
fn elapsed(memory: &mut PoolState, now: u64) -> u64 {
    let last = memory.last_ms.unwrap_or(now);
    let last = if last.saturating_sub(now) > LEAP_MS { now } else { last };
    memory.last_ms = Some(last.max(now));
    Some(now.saturating_sub(last)).filter(|it| *it <= LEAP_MS).unwrap_or(0)
}

/// What ran since the last look is paid for, also what is gone now.
fn spend(memory: &mut PoolState, passed: u64) {
    let month = month_of(memory.last_ms.unwrap_or(0));
    if memory.month != month {
        (memory.month, memory.spent_micros) = (month, 0);
    }
    let mut sum = memory.spent();
    for one in &memory.known {
        sum += one.hourly.unwrap_or(Money::ZERO).per_hour_for_ms(passed);
    }
    memory.spent_micros = sum.as_micros();
}

/// A launch that was answered. Its order stays until its instance is seen, or until it is known that there is none.
fn refused(pool: &Pool, memory: &mut PoolState, outcome: &Outcome, now: u64, closed: &mut Vec<Closed>) {
    let Some(class) = outcome.error else {
        memory.orders.iter_mut().filter(|it| it.number == outcome.number).for_each(|it| it.accepted = true);
        return;
    };
    if class == ErrorClass::Unknown {
        return;
    }
    let Some(at) = memory.orders.iter().position(|it| it.number == outcome.number) else { return };
    let order = memory.orders.remove(at);
    if let Some(index) = memory.launches.iter().position(|it| *it == order.asked_ms) {
        memory.launches.remove(index);
    }
    let wait = match class {
        ErrorClass::Capacity => ms(pool.policy.capacity_block.0),
        ErrorClass::Quota => ms(pool.policy.quota_block.0),
        ErrorClass::Permanent | ErrorClass::Auth => REFUSED_MS,
        ErrorClass::Throttle | ErrorClass::Transient | ErrorClass::Unknown => FAULT_MS,
    };
    let until = now.saturating_add(wait.max(outcome.retry_after.map_or(0, ms)));
    // How far a refusal reaches: a place; a quota its region; credentials and limits of requests the whole cloud, for all.
    if let (ErrorClass::Auth | ErrorClass::Throttle, Some(cloud)) = (class, order.cloud) {
        closed.push(Closed { cloud, until_ms: until });
    }
    let refuser = pool.candidates.iter().find(|it| it.candidate.key == order.key);
    let Some(refuser) = refuser.map(|it| &it.candidate) else { return };
    for (place, source) in memory.places.iter_mut().zip(&pool.candidates) {
        let other = &source.candidate;
        let in_region = other.cloud == refuser.cloud
            && other.region == refuser.region
            && other.class() == refuser.class();
        if place.key == order.key || (class == ErrorClass::Quota && in_region) {
            place.block(order.lifecycle, until, class == ErrorClass::Capacity);
        }
    }
}

fn arrived(pool: &Pool, memory: &mut PoolState, seen: &PoolSeen, now: u64) {
    for worker in &seen.workers {
        let source = pool.candidates.get(worker.candidate);
        // What the cloud says of the instance, else what it offers now, else what was known last.
        let hourly = worker.hourly.or(source.and_then(|it| it.hourly(worker.lifecycle)));
        let at = match memory.known.binary_search_by(|it| it.id.as_str().cmp(&worker.id)) {
            Err(at) => at,
            Ok(at) => {
                if let Some(known) = memory.known.get_mut(at) {
                    known.missing_ms = None;
                    known.hourly = hourly.or(known.hourly);
                }
                continue;
            }
        };
        let key = source.map(|it| it.candidate.key.clone()).unwrap_or_default();
        // The last order of its kind that was accepted is taken for it, else the last: one of which nothing ever comes is the one that is
        // left then, and forgotten in its time, where each that comes would else leave a younger one in its place. Without any it is
        // adopted.
        let same = |it: &Order| it.key == key && it.lifecycle == worker.lifecycle;
        let accepted = memory.orders.iter().rposition(|it| same(it) && it.accepted);
        let order = accepted.or_else(|| memory.orders.iter().rposition(same));
        let order = order.map(|order| memory.orders.remove(order));
        // It may have started at any time until now, where the first request for it was lost: in its hour it counts from now on.
        let asked = order.as_ref().and_then(|it| memory.launches.iter().position(|at| *at == it.asked_ms));
        if let Some(asked) = asked {
            memory.launches.remove(asked);
            memory.launches.push_back(now);
        }
        let known = Known {
            id: worker.id.as_ref().to_owned(),
            key,
            lifecycle: worker.lifecycle,
            since_ms: order.as_ref().map_or(now, |it| it.asked_ms),
            leaving_ms: None,
            missing_ms: None,
            told_ms: None,
            ended_ms: None,
            at_risk_ms: None,
            cloud: source.map(|it| it.candidate.cloud),
            class: source.map(|it| it.candidate.class()),
            hourly: hourly.or(order.and_then(|it| it.hourly)),
        };
        // It cost from the moment in which it was asked for.
        let paid = known.hourly.unwrap_or_default().per_hour_for_ms(now.saturating_sub(known.since_ms));
        memory.spent_micros = (memory.spent() + paid).as_micros();
        memory.known.insert(at, known);
    }
}

/// What is gone and was not told to leave was taken back: its place takes the others soon, too.
fn lost(pool: &Pool, memory: &mut PoolState, seen: &PoolSeen, now: u64) {
    if memory.known.len() == seen.workers.len() {
        return; // all of the workers are known by now, so none of the known is gone
    }
    let mut here: Vec<&str> = seen.workers.iter().map(|it| it.id.as_ref()).collect();
    here.sort_unstable();
    let gone = |it: &Known| here.binary_search(&it.id.as_str()).is_err();
    let until = now.saturating_add(ms(pool.policy.capacity_block.0));
    for place in &mut memory.places {
        let its =
            |it: &&Known| it.key == place.key && it.lifecycle == Lifecycle::Spot && it.leaving_ms.is_none();
        if memory.known.iter().filter(its).any(gone) {
            place.lost += 1;
            place.block(Lifecycle::Spot, until, true);
        }
    }
    let mut vanished = Vec::new();
    memory.known.retain_mut(|it| {
        if !gone(it) {
            return true;
        }
        // A list may lack for a moment what is there: spot is replaced at once, on demand is counted on.
        let missing = *it.missing_ms.get_or_insert(now);
        let doubted = it.lifecycle == Lifecycle::OnDemand && it.ended_ms.is_none();
        let stays = doubted && now.saturating_sub(missing) < DOUBT_MS;
        if !stays && it.lifecycle == Lifecycle::OnDemand && it.leaving_ms.is_none() {
            vanished.push((it.key.clone(), it.since_ms));
        }
        stays
    });
    // No market takes what is paid in full: its host broke, or it was ended by somebody else.
    for (key, since_ms) in vanished {
        let at = memory.places.iter().position(|it| it.key == key).unwrap_or(usize::MAX);
        failing::failed(pool, memory, at, Lifecycle::OnDemand, since_ms, now);
    }
}

/// For how long places have held spot instances.
fn stood(memory: &mut PoolState, passed: u64) {
    for place in &mut memory.places {
        if memory.known.iter().any(|it| it.lifecycle == Lifecycle::Spot && it.key == place.key) {
            place.up_ms = place.up_ms.saturating_add(passed);
            if place.up_ms > HALF_MS {
                (place.up_ms, place.lost) = (place.up_ms / 2, place.lost / 2);
            }
        }
    }
}
