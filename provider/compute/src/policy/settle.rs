//! What happened since the last look: money, refusals, arrivals, losses.

use streamverse_model::compute::{Lifecycle, Money, month_of};

use super::fleet::{Pool, ms};
use super::seen::{Outcome, PoolSeen};
use super::state::{Known, Order, Place, PoolState};
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

pub(super) fn settle(pool: &Pool, memory: &mut PoolState, seen: &PoolSeen, now: u64) {
    places(pool, memory);
    let passed = now.saturating_sub(memory.last_ms.unwrap_or(now));
    memory.last_ms = Some(now);
    spend(pool, memory, passed, now);
    for outcome in &seen.outcomes {
        refused(pool, memory, outcome, now);
    }
    if seen.complete {
        arrived(pool, memory, seen, now);
        lost(pool, memory, seen, now);
        memory.orders.retain(|it| now.saturating_sub(it.asked_ms) < ORDER_LIMIT_MS);
    }
    stood(memory, passed);
    while memory.launches.front().is_some_and(|it| now.saturating_sub(*it) >= 3_600_000) {
        memory.launches.pop_front();
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

/// What ran since the last look is paid for, also what is gone now.
fn spend(pool: &Pool, memory: &mut PoolState, passed: u64, now: u64) {
    let month = month_of(now);
    if memory.month != month {
        (memory.month, memory.spent_micros) = (month, 0);
    }
    let mut sum = memory.spent();
    for one in &memory.known {
        let source = pool.candidates.iter().find(|it| it.candidate.key == one.key);
        sum += source.and_then(|it| it.hourly(one.lifecycle)).unwrap_or(Money::ZERO).per_hour_for_ms(passed);
    }
    memory.spent_micros = sum.as_micros();
}

/// A launch that was answered. Its order stays until its instance is seen, or until it is known that there is none.
fn refused(pool: &Pool, memory: &mut PoolState, outcome: &Outcome, now: u64) {
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
    let Some(index) = pool.candidates.iter().position(|it| it.candidate.key == order.key) else { return };
    let Some(refuser) = pool.candidates.get(index).map(|it| &it.candidate) else { return };
    let wait = match class {
        ErrorClass::Capacity => ms(pool.policy.capacity_block.0),
        ErrorClass::Quota => ms(pool.policy.quota_block.0),
        ErrorClass::Permanent | ErrorClass::Auth => REFUSED_MS,
        ErrorClass::Throttle | ErrorClass::Transient | ErrorClass::Unknown => FAULT_MS,
    };
    let until = now.saturating_add(wait.max(outcome.retry_after.map_or(0, ms)));
    for (place, source) in memory.places.iter_mut().zip(&pool.candidates) {
        let other = &source.candidate;
        // How far a refusal reaches: a place; a quota its region; credentials and limits of requests the whole cloud.
        let reached = match class {
            ErrorClass::Quota => {
                other.cloud == refuser.cloud
                    && other.region == refuser.region
                    && other.class() == refuser.class()
            }
            ErrorClass::Auth | ErrorClass::Throttle => other.cloud == refuser.cloud,
            _ => place.key == order.key,
        };
        if reached {
            place.block(order.lifecycle, until, class == ErrorClass::Capacity);
        }
    }
}

fn arrived(pool: &Pool, memory: &mut PoolState, seen: &PoolSeen, now: u64) {
    for worker in &seen.workers {
        let at = match memory.known.binary_search_by(|it| it.id.as_str().cmp(&worker.id)) {
            Err(at) => at,
            Ok(at) => {
                if let Some(known) = memory.known.get_mut(at) {
                    known.missing_ms = None;
                }
                continue;
            }
        };
        let source = pool.candidates.get(worker.candidate);
        let key = source.map(|it| it.candidate.key.clone()).unwrap_or_default();
        // The oldest order of its kind is taken for it; without one it is adopted.
        let same = |it: &Order| it.key == key && it.lifecycle == worker.lifecycle;
        let mut since_ms = now;
        if let Some(order) = memory.orders.iter().position(same) {
            since_ms = memory.orders.remove(order).asked_ms;
            // It cost from the moment in which it was asked for.
            let hourly = source.and_then(|it| it.hourly(worker.lifecycle)).unwrap_or_default();
            let paid = memory.spent() + hourly.per_hour_for_ms(now.saturating_sub(since_ms));
            memory.spent_micros = paid.as_micros();
        }
        let (id, lifecycle) = (worker.id.as_ref().to_owned(), worker.lifecycle);
        let known =
            Known { id, key, lifecycle, since_ms, leaving_ms: None, missing_ms: None, ended_ms: None };
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
    memory.known.retain_mut(|it| {
        if !gone(it) {
            return true;
        }
        // A list may lack for a moment what is there: spot is replaced at once, on demand is counted on.
        let missing = *it.missing_ms.get_or_insert(now);
        let doubted = it.lifecycle == Lifecycle::OnDemand && it.ended_ms.is_none();
        doubted && now.saturating_sub(missing) < DOUBT_MS
    });
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
