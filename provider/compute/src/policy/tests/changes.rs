//! What never happens while markets, faults and configurations change at random: a maximum is lowered, candidates leave the list and come
//! back, limits fall, pools are fenced or vanish, night comes. That the same arguments give the same answer, that the state survives
//! JSON, and that no number is given twice, is looked at in each round ([`Hostile`]); so is that whoever works has its time to drain.

use proptest::prelude::*;
use streamverse_model::compute::{CloudKind, FallbackSpec, GpuClass, Lifecycle, Money, NightSpec};

use super::hostile::{Faults, Hostile, TICK_MS, pool, queue};
use crate::policy::{Pool, Source};

const TICKS: u64 = 200;
/// How long a drain takes at most.
const DRAIN_MS: u64 = 300_000;
/// Drains last five minutes, those who died are told again each minute, and clouds may be blind for a few ticks.
const DRAIN_TICKS: usize = 20 + 20;
/// The longest hold-downs but that of a quota: 3 minutes for capacity, 20 to 30 s for a limit of requests, 45 s until a list has
/// what was launched, ticks that were blind or dropped, and 15 minutes for an order whose answer was lost.
const CALM_TICKS: u64 = 60 + 20;

/// A change between two ticks.
#[derive(Clone, Debug)]
enum Change {
    Max(usize, u32),
    Limit(u32),
    Share(usize, u32),
    /// A candidate leaves the list of a pool, or comes back.
    Candidate(usize, usize),
    Tombstone(usize),
    /// A pool leaves the list without one.
    Vanish(usize),
    Night(usize),
    Waiting(u64),
    Busy(u64),
}

fn change() -> impl Strategy<Value = (u64, Change)> {
    let one = prop_oneof![
        3 => (0..3_usize, 0..5_u32).prop_map(|(pool, max)| Change::Max(pool, max)),
        3 => (0..3_u32).prop_map(Change::Limit),
        2 => (0..3_usize, 0..3_u32).prop_map(|(pool, max)| Change::Share(pool, max)),
        4 => (0..3_usize, 0..6_usize).prop_map(|(pool, at)| Change::Candidate(pool, at)),
        1 => (0..3_usize).prop_map(Change::Tombstone),
        1 => (0..3_usize).prop_map(Change::Vanish),
        1 => (0..3_usize).prop_map(Change::Night),
        2 => prop_oneof![Just(0), Just(40), Just(3000)].prop_map(Change::Waiting),
        1 => prop_oneof![Just(0), Just(500), Just(1000)].prop_map(Change::Busy),
    ];
    (0..TICKS, one)
}

fn faults() -> impl Strategy<Value = Faults> {
    let blind = prop_oneof![Just(0), 0..100_u64];
    let dropped = prop_oneof![Just(0), 0..50_u64];
    (0..40_u64, prop_oneof![Just(0), 0..30_u64], 0..50_u64, 0..150_u64, blind, 0..500_u64, dropped).prop_map(
        |(zone_flips, quota, throttle, lost_answers, blind, late_lists, dropped_decisions)| Faults {
            zone_flips,
            quota,
            throttle,
            lost_answers,
            blind,
            late_lists,
            dropped_decisions,
            forgotten: 0,
        },
    )
}

/// What a pool had in its list before anything changed.
fn original(at: usize) -> Pool {
    let mut made = match at {
        0 => pool("a", 3, 2, 4),
        1 => pool("b", 6, 0, 5),
        _ => pool("c", 2, 1, 2),
    };
    if at == 1 {
        made.queue = Some(queue());
    }
    if at == 2 {
        // Without spot: it always has on-demand, so that a limit that falls has something to take.
        made.candidates.iter_mut().for_each(|it| it.spot = None);
    }
    made.policy.launches_per_hour = 30;
    made
}

fn find(world: &mut Hostile, at: usize) -> Option<&mut Pool> {
    let name = original(at).name;
    world.fleet.pools.iter_mut().find(|it| it.name == name && !it.tombstone)
}

fn apply(world: &mut Hostile, change: &Change) {
    match change {
        Change::Limit(max) => world.fleet.limits = vec![(CloudKind::Aws, GpuClass::Gpu, *max)],
        Change::Waiting(count) => world.waiting = vec![*count; 3],
        Change::Busy(share) => world.busy = *share,
        Change::Vanish(at) => world.fleet.pools.retain(|it| it.name != original(*at).name || it.tombstone),
        Change::Max(at, max) => {
            if let Some(pool) = find(world, *at) {
                (pool.range.max, pool.range.min) = (*max, pool.range.min.min(*max));
            }
        }
        Change::Share(at, max) => {
            if let Some(pool) = find(world, *at) {
                pool.policy.fallback = Some(FallbackSpec { max: *max, ..FallbackSpec::default() });
            }
        }
        Change::Tombstone(at) => {
            if let Some(pool) = find(world, *at) {
                pool.tombstone = true;
            }
        }
        Change::Night(at) => {
            // It is noon.
            let night = NightSpec { from: "11:00".into(), to: "23:00".into(), time_zone: "UTC".into() };
            if let Some(pool) = find(world, *at) {
                pool.night = if pool.night.is_some() { None } else { Some(night.read().unwrap()) };
            }
        }
        Change::Candidate(at, which) => {
            let all = original(*at).candidates;
            let Some(pool) = find(world, *at) else { return };
            let Some(source) = all.get(which % all.len()) else { return };
            let same = |it: &Source| it.candidate.key == source.candidate.key;
            match pool.candidates.iter().position(same) {
                Some(found) if pool.candidates.len() > 1 => drop(pool.candidates.remove(found)),
                Some(_) => {}
                None => pool.candidates.insert(0, source.clone()),
            }
        }
    }
}

fn on_demand(world: &Hostile) -> usize {
    (0..3).map(|it| world.running(it, Lifecycle::OnDemand)).sum()
}

fn holds(
    seed: u64,
    faults: Faults,
    changes: &[(u64, Change)],
    budget: Option<u64>,
) -> Result<(), TestCaseError> {
    let mut world = Hostile::new((0..3).map(original).collect(), 2, seed, faults);
    world.fleet.monthly_budget = budget.map(|it| Money::micros(it * 1_000_000));
    // What the limit allowed of late: one that falls is reached when those that are too many had their time.
    let mut limits = vec![2_usize; DRAIN_TICKS];
    let (mut calm, mut dark) = (0, [0_u64; 3]);
    for tick in 0..TICKS {
        let up = world.up.clone();
        for (_, change) in changes.iter().filter(|it| it.0 == tick) {
            apply(&mut world, change);
            calm = 0;
        }
        // As the controller does before it looks.
        let state = world.state.clone();
        world.fleet.fence_left(&state);
        world.tick();
        limits.push(usize::try_from(world.fleet.limits[0].2).unwrap());
        let most = limits.iter().rev().take(DRAIN_TICKS).max().copied().unwrap_or(0);
        prop_assert!(
            on_demand(&world) <= most,
            "tick {tick}: {} on demand, the limit was {most} of late",
            on_demand(&world)
        );
        let refused = world.quota_ms > 0 && world.now - world.quota_ms < 1_800_000 + CALM_TICKS * TICK_MS;
        // What is lost while all is calm begins its quarter of an hour anew.
        let lost = world.lost_ms == world.now;
        let whole = up == world.up && world.up.iter().all(|it| *it) && !refused && !lost;
        calm = if whole { calm + 1 } else { 0 };
        for (at, dark) in dark.iter_mut().enumerate() {
            let (running, launches) = (world.all_running(at), world.most_launches(at));
            prop_assert!(launches <= 30, "tick {tick}: {launches} launches in an hour");
            let Some(pool) = find(&mut world, at).cloned() else { continue };
            let idle = pool.night.is_some() && world.busy == 0 && world.faults.blind < 50;
            *dark = if idle { *dark + 1 } else { 0 };
            prop_assert!(
                *dark < CALM_TICKS || running == 0,
                "tick {tick}: {running} of {} at night",
                pool.name
            );
            // Whoever has spot for long enough, may launch, and has money, has its minimum.
            let may = at < 2 && pool.night.is_none() && budget.is_none() && launches < 30;
            let least = usize::try_from(pool.range.min).unwrap();
            prop_assert!(
                !may || calm < CALM_TICKS || running >= least,
                "tick {tick}: {running} of {least} of {}",
                pool.name
            );
        }
    }
    for pool in &mut world.fleet.pools {
        pool.tombstone = true;
    }
    let mut ticks = 0;
    while !world.state.pools.iter().all(crate::policy::PoolState::is_gone) {
        let state = world.state.clone();
        world.fleet.fence_left(&state);
        world.tick();
        ticks += 1;
        prop_assert!(ticks < 200, "after {ticks} ticks {:?}", world.state);
    }
    // Whoever was told to leave is gone when its time is over, to the tick where nobody was blind or killed.
    let clear = faults.blind == 0 && faults.dropped_decisions == 0;
    let slack = if clear { TICK_MS } else { 20 * TICK_MS };
    for one in world.ledger.iter().flatten() {
        let Some((told, deadline)) = world.drains.get(&one.id) else { continue };
        prop_assert!(*deadline <= told + DRAIN_MS, "{} has until {deadline}, told at {told}", one.id);
        let end = one.to_ms.unwrap_or(u64::MAX);
        prop_assert!(end <= told + DRAIN_MS + slack, "{} was told at {told} and is gone at {end}", one.id);
    }
    let left: usize = (0..3).map(|it| world.all_running(it)).sum();
    prop_assert_eq!(left, 0, "leaked");
    let spent: Money = (0..3).map(|it| world.spent(it)).sum();
    prop_assert!(budget.is_none_or(|it| spent <= Money::micros(it * 1_000_000)), "{spent} of {budget:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn limits_budgets_minimums_and_drains_hold_whatever_changes_between_ticks(
        seed in 1..u64::MAX,
        faults in faults(),
        changes in prop::collection::vec(change(), 0..12),
        budget in prop::option::weighted(0.3, 2..12_u64),
    ) {
        holds(seed, faults, &changes, budget)?;
    }
}
