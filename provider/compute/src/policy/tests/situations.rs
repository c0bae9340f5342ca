//! One situation each.

use std::sync::Arc;

use streamverse_model::compute::{Lifecycle, Money};

use super::hostile::{Faults, Hostile, START_MS, pool, queue};
use crate::cloud::ErrorClass;
use crate::policy::{
    Action, Decision, Fleet, FleetState, Outcome, Pool, PoolSeen, QueueSeen, Seen, Why, Worker, WorkerPhase,
    decide,
};

pub(super) fn fleet(pool: Pool) -> Fleet {
    Fleet { pools: vec![pool], ..Fleet::default() }
}

pub(super) fn worker(id: &str, candidate: usize, lifecycle: Lifecycle) -> Worker {
    Worker {
        id: Arc::from(id),
        candidate,
        lifecycle,
        phase: WorkerPhase::Ready,
        idle_ms: None,
        doomed_ms: None,
        at_risk: false,
        hourly: None,
    }
}

pub(super) fn seen(workers: Vec<Worker>) -> Seen {
    Seen { pools: vec![PoolSeen { complete: true, workers, ..PoolSeen::default() }] }
}

pub(super) fn launches(decisions: &[Decision]) -> Vec<(usize, Lifecycle)> {
    let one = |it: &Decision| match it.action {
        Action::Launch { candidate, lifecycle, .. } => Some((candidate, lifecycle)),
        _ => None,
    };
    decisions.iter().filter_map(one).collect()
}

#[test]
fn a_new_pool_asks_for_its_minimum_in_two_places_and_says_why() {
    let fleet = fleet(pool("encode", 3, 4, 4));
    let (state, decisions) = decide(&fleet, FleetState::default(), &seen(Vec::new()), START_MS);
    let places: std::collections::BTreeSet<usize> = launches(&decisions).iter().map(|it| it.0).collect();
    assert_eq!(decisions.len(), 4);
    assert!(places.len() > 1, "all in one place: {decisions:?}");
    assert_eq!(decisions[0].line(&fleet), "encode: launch spot 0 in zone-0: 0 of 4 run or start");
    let (_, more) = decide(&fleet, state, &seen(Vec::new()), START_MS + 15_000);
    assert_eq!(more, [], "what was asked for is not asked for again");
}

#[test]
fn on_demand_starts_after_the_hold_down_and_leaves_when_spot_has_been_whole_for_long_enough() {
    let mut world = Hostile::new(vec![pool("encode", 3, 2, 2)], 1, 1, Faults::default());
    for _ in 0..40 {
        world.tick();
    }
    assert_eq!((world.running(0, Lifecycle::Spot), world.running(0, Lifecycle::OnDemand)), (2, 0));
    // One place is left: one of the two is there, or moves there, and a place that is the only one is a risk at once.
    world.up = vec![false, false, true];
    let gone = world.now;
    while world.running(0, Lifecycle::OnDemand) == 0 {
        world.tick();
        assert!(world.now - gone < 30_000, "on-demand did not start");
    }
    let why = world
        .said
        .iter()
        .rev()
        .find(|(_, it)| matches!(it.action, Action::Launch { lifecycle: Lifecycle::OnDemand, .. }));
    assert_eq!(why.map(|it| it.1.why), Some(Why::OnePlace));
    world.up = vec![true; 3];
    let back = world.now;
    while world.running(0, Lifecycle::OnDemand) > 0 {
        world.tick();
        assert!(world.now - back < 1_800_000, "on-demand never left");
    }
    // Spot in another place takes five minutes to be ready, and must have been so for ten.
    assert!(world.now - back >= 900_000, "it left after {} s", (world.now - back) / 1000);
    assert!(
        matches!(world.said.iter().rev().find_map(|(_, it)| (matches!(it.action, Action::Drain { .. }) && it.why != Why::Again).then_some(it.why)), Some(Why::SpotWhole { for_ms }) if for_ms >= 600_000)
    );
}

#[test]
fn a_pool_of_one_waits_for_two_and_a_half_minutes_before_it_pays_the_full_price() {
    let mut world = Hostile::new(vec![pool("encode", 3, 1, 1)], 1, 1, Faults::default());
    world.up = vec![false; 3];
    let start = world.now;
    while world.running(0, Lifecycle::OnDemand) == 0 {
        world.tick();
        assert!(world.now - start < 600_000);
    }
    let waited = world.now - start;
    assert!((150_000..=180_000).contains(&waited), "{waited}");
}

#[test]
fn a_quota_keeps_its_region_closed_for_half_an_hour_and_want_of_capacity_its_zone_for_three_minutes() {
    let fleet = fleet(pool("encode", 6, 1, 1));
    let (state, first) = decide(&fleet, FleetState::default(), &seen(Vec::new()), START_MS);
    assert_eq!(launches(&first), [(0, Lifecycle::Spot)]);
    let refuse = |error| {
        let outcome = Outcome { number: 0, error: Some(error), retry_after: None };
        Seen { pools: vec![PoolSeen { complete: true, outcomes: vec![outcome], ..PoolSeen::default() }] }
    };
    let (after, next) = decide(&fleet, state.clone(), &refuse(ErrorClass::Quota), START_MS);
    assert_eq!(launches(&next), [(3, Lifecycle::Spot)], "the next region");
    assert!(
        after.pools[0].places[..3]
            .iter()
            .all(|it| it.blocks[0].is_some_and(|it| it.until_ms == START_MS + 1_800_000))
    );
    let (after, next) = decide(&fleet, state.clone(), &refuse(ErrorClass::Capacity), START_MS);
    assert_eq!(launches(&next), [(1, Lifecycle::Spot)], "the next zone");
    assert_eq!(after.pools[0].places[0].blocks[0].map(|it| it.until_ms), Some(START_MS + 180_000));
    let (after, next) = decide(&fleet, state, &refuse(ErrorClass::Unknown), START_MS);
    assert_eq!(
        (launches(&next), after.pools[0].orders.len()),
        (vec![], 1),
        "nobody knows: it is looked for first"
    );
}

#[test]
fn where_more_than_the_threshold_wait_for_long_more_come_though_each_job_is_in_time() {
    let mut fleet = fleet(pool("encode", 3, 0, 40));
    fleet.pools[0].queue = Some(queue());
    let all: Vec<Worker> = (0..20).map(|it| worker(&format!("i-{it}"), it % 3, Lifecycle::Spot)).collect();
    // As many come as twenty do: 300 jobs of a minute wait, each for a quarter of an hour.
    let launched = |waiting: u64, above: u64| {
        fleet.pools[0].queue.as_mut().unwrap().scale_out_above = above;
        let mut state = FleetState::default();
        let mut launched = 0;
        for at in 0..80 {
            let mut look = seen(all.clone());
            look.pools[0].queue = Some(QueueSeen { waiting, job_ms: Some(60_000), others: 0 });
            let (next, decisions) = decide(&fleet, state, &look, START_MS + at * 15_000);
            state = next;
            launched += launches(&decisions).len();
        }
        launched
    };
    let mut launched = launched;
    assert_eq!(launched(300, 100), 2, "a tenth more, once in twenty minutes");
    assert_eq!((launched(100, 100), launched(300, 300)), (0, 0), "no more wait than may");
}

#[test]
fn a_notice_brings_the_replacement_before_the_loss_and_elsewhere() {
    let fleet = fleet(pool("encode", 3, 1, 1));
    let mut one = worker("i-1", 0, Lifecycle::Spot);
    let (state, _) = decide(&fleet, FleetState::default(), &seen(vec![one.clone()]), START_MS);
    one.doomed_ms = Some(START_MS + 120_000);
    let (_, decisions) = decide(&fleet, state, &seen(vec![one]), START_MS + 15_000);
    assert!(decisions.iter().any(|it| it.why == Why::Announced
        && matches!(it.action, Action::Drain { deadline_ms, .. } if deadline_ms == START_MS + 120_000)));
    assert_eq!(launches(&decisions), [(1, Lifecycle::Spot)]);
}

#[test]
fn what_is_announced_is_given_back_before_it_is_taken_where_nothing_is_to_come_in_its_place() {
    let stays = fleet(pool("encode", 3, 1, 1));
    let mut ends = stays.clone();
    ends.pools[0].tombstone = true;
    let mut one = worker("i-1", 0, Lifecycle::Spot);
    one.doomed_ms = Some(START_MS + 120_000);
    let working = seen(vec![one.clone()]);
    one.idle_ms = Some(60_000);
    let idle = seen(vec![one]);
    let given = |decisions: &[Decision]| {
        decisions.iter().find(|it| matches!(it.action, Action::Terminate { .. })).map(|it| it.why)
    };
    // A group that keeps its size would start another.
    let at_once = |fleet: &Fleet| given(&decide(fleet, FleetState::default(), &idle, START_MS).1);
    assert_eq!((at_once(&stays), at_once(&ends)), (None, Some(Why::Drained)));
    // Who works has all of its own time, which ends that much before.
    let mut state = FleetState::default();
    for at in 0..=7 {
        let (next, decisions) = decide(&ends, state, &working, START_MS + at * 15_000);
        assert_eq!(given(&decisions), (at == 7).then_some(Why::DrainOver), "{at}: {decisions:?}");
        state = next;
    }
}

#[test]
fn a_recommendation_to_rebalance_keeps_others_out_of_the_place_for_a_while_and_ends_nobody() {
    let mut fleet = fleet(pool("encode", 3, 1, 3));
    // It is so cheap there that the others would follow.
    fleet.pools[0].candidates[0].spot = Some(Money::micros(100_000));
    let mut all = vec![worker("i-1", 0, Lifecycle::Spot)];
    let look = |fleet: &Fleet, state, workers: &[Worker], at: u64| {
        decide(fleet, state, &seen(workers.to_vec()), START_MS + at * 15_000)
    };
    let (state, _) = look(&fleet, FleetState::default(), &all, 0);
    all[0].at_risk = true;
    let (state, decisions) = look(&fleet, state, &all, 1);
    assert_eq!(decisions, [], "it works on, and nothing is bought in its place");
    // One more is wanted: elsewhere.
    fleet.pools[0].range.min = 2;
    let (_, decisions) = look(&fleet, state.clone(), &all, 2);
    assert_eq!(launches(&decisions), [(1, Lifecycle::Spot)]);
    let (state, _) = look(&fleet, state, &all, 1);
    let both = [all[0].clone(), worker("i-2", 0, Lifecycle::Spot), worker("i-3", 1, Lifecycle::Spot)];
    fleet.pools[0].range.min = 3;
    let (state, decisions) = look(&fleet, state, &both, 3);
    assert_eq!(launches(&decisions), []);
    // Fewer are wanted: of those that do nothing in the fullest place it goes first, though it is the oldest.
    fleet.pools[0].range.min = 2;
    let mut idle = both.clone();
    idle.iter_mut().for_each(|it| it.idle_ms = Some(1));
    let (_, decisions) = look(&fleet, state.clone(), &idle, 4);
    assert!(
        decisions.iter().all(
            |it| matches!(&it.action, Action::Drain { id, .. } | Action::Terminate { id } if **id == *"i-1")
        ),
        "{decisions:?}"
    );
    assert!(!decisions.is_empty());
    // What was said long ago keeps nobody out.
    fleet.pools[0].range.min = 4;
    fleet.pools[0].range.max = 4;
    let (_, decisions) = look(&fleet, state, &both, 20);
    assert_eq!(launches(&decisions), [(0, Lifecycle::Spot)]);
}

#[test]
fn a_queue_gets_at_once_as_many_workers_as_empty_it_in_time() {
    let mut one = pool("encode", 3, 0, 50);
    one.queue = Some(queue());
    let fleet = fleet(one);
    let with = |waiting, workers| {
        let mut seen = seen(workers);
        seen.pools[0].queue = Some(QueueSeen { waiting, job_ms: Some(120_000), others: 0 });
        seen
    };
    let (_, none) = decide(&fleet, FleetState::default(), &with(0, Vec::new()), START_MS);
    assert_eq!(none, []);
    let (_, one) = decide(&fleet, FleetState::default(), &with(1, Vec::new()), START_MS);
    assert_eq!(one.len(), 1, "one job that waits brings the first worker");
    let (_, many) = decide(&fleet, FleetState::default(), &with(150, Vec::new()), START_MS);
    assert_eq!(many.len(), 20, "150 jobs of two minutes within a quarter of an hour");
    let line = "encode: launch spot 0 in zone-0: 0 of 20 run or start, and 150 jobs wait";
    assert_eq!(many[0].line(&fleet), line, "it says what asks for so many");
    // 90 wait, which is not above the threshold; one worker would need three hours for them.
    let one = || vec![worker("i-1", 0, Lifecycle::Spot)];
    let (state, _) = decide(&fleet, FleetState::default(), &with(1, one()), START_MS);
    let (state, late) = decide(&fleet, state, &with(90, one()), START_MS + 15_000);
    assert_eq!(late.len(), 11, "90 jobs of two minutes, one worker is there");
    let (_, more) = decide(&fleet, state, &with(90, one()), START_MS + 30_000);
    assert_eq!(more, [], "what is on its way is not asked for again");
}

#[test]
fn what_others_do_in_time_is_not_bought_and_what_they_do_not_is() {
    let mut one = pool("encode", 3, 0, 50);
    one.queue = Some(queue());
    let fleet = fleet(one);
    let asked = |state: &FleetState, waiting, others, workers| {
        let mut seen = seen(workers);
        seen.pools[0].queue = Some(QueueSeen { waiting, job_ms: Some(120_000), others });
        let (state, decisions) = decide(&fleet, state.clone(), &seen, START_MS);
        (state, decisions.len())
    };
    let fresh = FleetState::default();
    // 20 others do 150 jobs of two minutes within a quarter of an hour, also above the threshold. 12 leave eight workers to do.
    for (waiting, others, bought) in
        [(1, 1, 0), (1, 0, 1), (150, 20, 0), (150, 12, 8), (151, 20, 1), (45, 6, 0), (46, 6, 1), (90, 6, 6)]
    {
        assert_eq!(asked(&fresh, waiting, others, Vec::new()).1, bought, "{waiting} wait, {others} others");
    }
    // Whoever is there stays until it is idle.
    let (state, _) = asked(&fresh, 151, 20, Vec::new());
    let busy = || vec![worker("i-1", 0, Lifecycle::Spot)];
    assert_eq!(asked(&state, 0, 20, busy()).1, 0);
}

#[test]
fn a_new_maximum_acts_within_one_tick_and_never_on_a_worker_that_works() {
    let mut one = pool("encode", 3, 0, 3);
    one.queue = Some(queue());
    let mut fleet = fleet(one);
    let all = || (0..3).map(|it| worker(&format!("i-{it}"), it, Lifecycle::Spot)).collect::<Vec<_>>();
    let busy = |idle: Option<u64>| {
        let mut workers = all();
        workers[1].idle_ms = idle;
        let mut seen = seen(workers);
        seen.pools[0].queue = Some(QueueSeen { waiting: 500, job_ms: Some(60_000), others: 0 });
        seen
    };
    let (state, none) = decide(&fleet, FleetState::default(), &busy(None), START_MS);
    assert_eq!(none, []);
    fleet.pools[0].range.max = 1;
    let (_, none) = decide(&fleet, state.clone(), &busy(None), START_MS + 15_000);
    assert_eq!(none, [], "all of them work");
    let (_, leave) = decide(&fleet, state, &busy(Some(1)), START_MS + 15_000);
    assert!(
        leave.iter().all(
            |it| matches!(&it.action, Action::Drain { id, .. } | Action::Terminate { id } if **id == *"i-1")
        ) && !leave.is_empty(),
        "{leave:?}"
    );
}

#[test]
fn what_costs_more_than_the_ceiling_is_neither_bought_nor_kept() {
    let mut one = pool("encode", 2, 1, 1);
    one.candidates[0].spot = Some(Money::micros(200_000));
    one.range.price_ceiling = Some(Money::micros(250_000));
    let mut fleet = fleet(one);
    let (_, decisions) = decide(&fleet, FleetState::default(), &seen(Vec::new()), START_MS);
    assert_eq!(launches(&decisions), [(0, Lifecycle::Spot)]);
    let kept = || seen(vec![worker("i-1", 0, Lifecycle::Spot)]);
    let (state, none) = decide(&fleet, FleetState::default(), &kept(), START_MS);
    assert_eq!(none, []);
    fleet.pools[0].candidates[0].spot = Some(Money::micros(300_000));
    let (_, decisions) = decide(&fleet, state, &kept(), START_MS + 15_000);
    assert!(
        matches!(decisions[0].why, Why::Ceiling { .. }) && launches(&decisions).is_empty(),
        "{decisions:?}"
    );
}

#[test]
fn while_a_cloud_does_not_answer_nothing_is_taken_for_lost_and_nothing_asked_for() {
    let fleet = fleet(pool("encode", 3, 1, 1));
    let (state, _) =
        decide(&fleet, FleetState::default(), &seen(vec![worker("i-1", 0, Lifecycle::Spot)]), START_MS);
    let (state, none) = decide(&fleet, state, &Seen::default(), START_MS + 15_000);
    assert_eq!((none.len(), state.pools[0].known.len()), (0, 1));
}

#[test]
fn blocks_for_capacity_are_lifted_when_fewer_than_two_places_are_open_once_a_minute_and_quotas_stay() {
    let fleet = fleet(pool("encode", 4, 1, 1));
    let mut told = decide(&fleet, FleetState::default(), &seen(Vec::new()), START_MS);
    // What was asked for is refused, at the same time.
    let refuse = |(state, decisions): (FleetState, Vec<Decision>), class, now| {
        let number = |it: &Decision| match it.action {
            Action::Launch { number, .. } => Some(Outcome { number, error: Some(class), retry_after: None }),
            _ => None,
        };
        let mut seen = seen(Vec::new());
        seen.pools[0].outcomes = decisions.iter().filter_map(number).collect();
        decide(&fleet, state, &seen, now)
    };
    let asked =
        |told: &(FleetState, Vec<Decision>)| launches(&told.1).iter().map(|it| it.0).collect::<Vec<_>>();
    let mut places = asked(&told);
    for _ in 0..7 {
        told = refuse(told, ErrorClass::Capacity, START_MS);
        places.extend(asked(&told));
    }
    // The third refusal leaves one open: all are asked again. The sixth comes too early for that: the last one is asked, then none.
    assert_eq!(places, [0, 1, 2, 0, 1, 2, 3]);
    for (after, wanted) in [(59_999, vec![]), (60_000, vec![0])] {
        let next = decide(&fleet, told.0.clone(), &seen(Vec::new()), START_MS + after);
        assert_eq!(asked(&next), wanted, "after {after} ms");
    }
    // Zones 0 to 2 are one region: their quota is no want of capacity, and is not lifted with it.
    told = decide(&fleet, told.0, &seen(Vec::new()), START_MS + 60_000);
    told = refuse(told, ErrorClass::Quota, START_MS + 60_000);
    assert_eq!(asked(&told), [3]);
    told = refuse(told, ErrorClass::Capacity, START_MS + 60_000);
    assert_eq!(asked(&told), [0_usize; 0]);
    told = decide(&fleet, told.0, &seen(Vec::new()), START_MS + 120_000);
    assert_eq!(asked(&told), [3], "its block is lifted, a minute later; those of the quota are not");
}

#[test]
fn a_pool_that_is_gone_is_forgotten_when_its_month_is_over_and_its_numbers_are_never_given_again() {
    let mut world = Hostile::new(vec![pool("encode", 3, 2, 2)], 1, 1, Faults::default());
    for _ in 0..40 {
        world.tick();
    }
    world.fleet.pools[0].tombstone = true;
    for _ in 0..40 {
        world.tick();
    }
    assert!(world.state.pools[0].is_gone());
    let next = world.state.pools[0].next_number;
    let without = Fleet::default();
    let nothing = Seen::default();
    let (state, _) = decide(&without, world.state, &nothing, world.now);
    assert_eq!(state.pools.len(), 1, "what it spent counts in this month");
    let (state, _) = decide(&without, state, &nothing, world.now + 31 * 86_400_000);
    assert_eq!((state.pools.len(), state.numbers_from), (0, next));
    let again = fleet(pool("encode", 3, 2, 2));
    let (_, decisions) = decide(&again, state, &seen(Vec::new()), world.now + 32 * 86_400_000);
    let numbers = decisions.iter().filter_map(|it| match it.action {
        Action::Launch { number, .. } => Some(number),
        _ => None,
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [next, next + 1]);
}
