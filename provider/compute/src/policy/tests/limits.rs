//! What counts against limits and budgets, and who closes what for whom.

use streamverse_model::compute::{CloudKind, FallbackSpec, GpuClass, Lifecycle, Money};

use super::hostile::{Faults, Hostile, START_MS, pool};
use super::situations::{fleet, launches, seen, worker};
use crate::cloud::ErrorClass;
use crate::policy::{
    Action, Decision, Fleet, FleetState, Outcome, Pool, PoolSeen, Seen, Why, Worker, decide,
};

const TICK_MS: u64 = 15_000;

/// A pool that has no spot, so that all that it has is on demand.
fn full_price(name: &str, min: u32) -> Pool {
    let mut pool = pool(name, 2, min, min);
    pool.candidates.iter_mut().for_each(|it| it.spot = None);
    pool
}

fn under(limit: u32, pools: Vec<Pool>) -> Fleet {
    Fleet { pools, limits: vec![(CloudKind::Aws, GpuClass::Gpu, limit)], monthly_budget: None }
}

fn on_demand(names: &[&str], idle: Option<u64>) -> Vec<Worker> {
    let one = |(at, id): (usize, &&str)| Worker { idle_ms: idle, ..worker(id, at % 2, Lifecycle::OnDemand) };
    names.iter().enumerate().map(one).collect()
}

/// The ids of those that are told to leave.
fn drained(decisions: &[Decision]) -> String {
    let id = |it: &Decision| match &it.action {
        Action::Drain { id, .. } => Some(id.to_string()),
        _ => None,
    };
    let mut ids: Vec<String> = decisions.iter().filter_map(id).collect();
    ids.sort();
    ids.join(" ")
}

#[test]
fn an_instance_whose_candidate_left_the_list_counts_for_its_own_cloud_and_class_and_at_its_price() {
    let mut one = full_price("a", 1);
    one.candidates[0].candidate.cloud = CloudKind::Gcp;
    let limits = vec![(CloudKind::Gcp, GpuClass::Gpu, 1), (CloudKind::Aws, GpuClass::Gpu, 1)];
    let mut fleet = Fleet { pools: vec![one], limits, monthly_budget: None };
    let look = |candidate| seen(vec![worker("i-1", candidate, Lifecycle::OnDemand)]);
    let (state, _) = decide(&fleet, FleetState::default(), &look(0), START_MS);
    // The list has only the zone of AWS now; the instance of GCP is still there for as long as it drains.
    fleet.pools[0].candidates.remove(0);
    let (state, decisions) = decide(&fleet, state, &look(9), START_MS + TICK_MS);
    assert_eq!(drained(&decisions), "i-1");
    assert_eq!(launches(&decisions), [(0, Lifecycle::OnDemand)], "the limit of AWS is not used by it");
    let (state, _) = decide(&fleet, state, &look(9), START_MS + 3_600_000);
    assert_eq!(state.pools[0].spent(), Money::micros(1_000_000), "an hour of it");
    // Another pool of GCP gets none as long as it is there.
    let mut other = full_price("b", 1);
    other.candidates.iter_mut().for_each(|it| it.candidate.cloud = CloudKind::Gcp);
    fleet.pools.push(other);
    let mut both = look(9);
    both.pools.push(PoolSeen { complete: true, ..PoolSeen::default() });
    let (_, decisions) = decide(&fleet, state, &both, START_MS + 3_600_000);
    assert_eq!(decisions.iter().filter(|it| it.pool == 1).count(), 0, "{decisions:?}");
}

#[test]
fn what_the_list_never_had_counts_against_all_limits_that_it_may_be_of() {
    let mut one = full_price("a", 2);
    one.candidates[1].candidate.cloud = CloudKind::Gcp;
    let limits = vec![(CloudKind::Gcp, GpuClass::Gpu, 1), (CloudKind::Aws, GpuClass::Gpu, 1)];
    let fleet = Fleet { pools: vec![one], limits, monthly_budget: None };
    let strangers = seen(vec![worker("i-1", 9, Lifecycle::OnDemand)]);
    let (state, decisions) = decide(&fleet, FleetState::default(), &strangers, START_MS);
    assert_eq!((launches(&decisions), drained(&decisions)), (vec![], "i-1".to_owned()));
    assert_eq!(state.pools[0].known[0].hourly, Some(Money::micros(1_000_000)), "the dearest price");
}

#[test]
fn a_clock_that_leaps_costs_nothing_and_gives_nothing_back() {
    const HOUR: u64 = 3_600_000;
    let fleet = Fleet { pools: vec![full_price("a", 1)], ..Fleet::default() };
    let look = || seen(vec![worker("i-1", 0, Lifecycle::OnDemand)]);
    let after = |times: &[u64]| {
        let (mut state, _) = decide(&fleet, FleetState::default(), &look(), START_MS);
        for at in times {
            (state, _) = decide(&fleet, state, &look(), *at);
        }
        state.pools[0].spent()
    };
    let dollars = |count: u64| Money::micros(count * 1_000_000);
    let later = |hours: u64| START_MS + hours * HOUR;
    assert_eq!(after(&[later(1), later(2)]), dollars(2));
    // Put back for a while, also into the month before: each hour is charged once, and what was spent is not forgotten.
    assert_eq!(after(&[later(2), START_MS - 30 * 24 * HOUR, later(1), later(3)]), dollars(3));
    // Years ahead, and back.
    assert_eq!(after(&[later(2), later(24 * 5000)]), dollars(0), "of a month of which nothing was seen");
    assert_eq!(after(&[later(24 * 5000), later(1), later(2)]), dollars(1));
}

#[test]
fn what_the_cloud_says_that_an_instance_costs_is_believed_more_than_the_offer() {
    let mut fleet = fleet(pool("a", 2, 1, 1));
    let dear = || seen(vec![Worker { hourly: Money::dollars(0.7), ..worker("i-1", 0, Lifecycle::Spot) }]);
    let (state, _) = decide(&fleet, FleetState::default(), &dear(), START_MS);
    let (state, _) = decide(&fleet, state, &dear(), START_MS + 3_600_000);
    assert_eq!(state.pools[0].spent(), Money::micros(700_000));
    fleet.pools[0].range.price_ceiling = Money::dollars(0.5);
    let (_, decisions) = decide(&fleet, state, &dear(), START_MS + 3_615_000);
    assert!(matches!(decisions[0].why, Why::Ceiling { hourly } if hourly == Money::micros(700_000)));
    assert_eq!(launches(&decisions), [(1, Lifecycle::Spot)], "not again where it costs more than it says");
}

#[test]
fn a_state_that_knows_no_prices_yet_is_read_and_learns_them() {
    let fleet = fleet(pool("a", 2, 1, 1));
    let old = r#"{"version": 1, "pools": [{"name": "a", "next_number": 3, "deleted": false,
        "orders": [{"number": 2, "key": "zone-1", "lifecycle": "on_demand", "asked_ms": 1}],
        "known": [{"id": "i-1", "key": "zone-0", "lifecycle": "spot", "since_ms": 1, "leaving_ms": null}]}]}"#;
    let state: FleetState = serde_json::from_str(old).unwrap();
    let (state, _) = decide(&fleet, state, &Seen::default(), START_MS);
    let (known, order) = (&state.pools[0].known[0], &state.pools[0].orders[0]);
    assert_eq!((known.cloud, known.class), (Some(CloudKind::Aws), Some(GpuClass::Gpu)));
    assert_eq!((known.hourly, order.hourly), (Money::dollars(0.33), Money::dollars(1.0)));
}

#[test]
fn a_lowered_limit_takes_the_youngest_idle_ones_first_whatever_pool_they_are_of() {
    let mut fleet = under(4, vec![full_price("a", 2), full_price("b", 2)]);
    let look = |b_idle: Option<u64>| Seen {
        pools: vec![
            PoolSeen { complete: true, workers: on_demand(&["a-1", "a-2"], None), ..PoolSeen::default() },
            PoolSeen { complete: true, workers: on_demand(&["b-1", "b-2"], b_idle), ..PoolSeen::default() },
        ],
    };
    let first = Seen { pools: vec![look(None).pools.remove(0), PoolSeen::default()] };
    let (state, _) = decide(&fleet, FleetState::default(), &first, START_MS);
    let (state, none) = decide(&fleet, state, &look(None), START_MS + TICK_MS);
    assert_eq!(none, []);
    fleet.limits[0].2 = 3;
    let (lower, decisions) = decide(&fleet, state.clone(), &look(Some(1)), START_MS + 2 * TICK_MS);
    assert_eq!((drained(&decisions), decisions.len()), ("b-2".to_owned(), 1), "of the younger pool, idle");
    assert_eq!(decisions[0].why, Why::Limit { have: 4, max: 3 });
    let (_, decisions) = decide(&fleet, lower, &look(Some(1)), START_MS + 3 * TICK_MS);
    assert_eq!((drained(&decisions), launches(&decisions)), (String::new(), vec![]), "one is enough");
    fleet.limits[0].2 = 0;
    let (_, decisions) = decide(&fleet, state, &look(None), START_MS + 2 * TICK_MS);
    assert_eq!(drained(&decisions), "a-1 a-2 b-1 b-2", "also those that work: a limit holds");
}

#[test]
fn a_pools_own_share_of_the_limit_holds_when_it_is_lowered() {
    let mut one = pool("a", 1, 3, 3);
    one.policy.fallback = Some(FallbackSpec { max: 2, ..FallbackSpec::default() });
    let mut world = Hostile::new(vec![one], 2, 1, Faults::default());
    world.up = vec![false];
    for _ in 0..40 {
        world.tick();
    }
    assert_eq!(world.running(0, Lifecycle::OnDemand), 2);
    world.fleet.pools[0].policy.fallback = Some(FallbackSpec { max: 1, ..FallbackSpec::default() });
    world.tick();
    assert_eq!(world.said.last().map(|it| it.1.why), Some(Why::Limit { have: 2, max: 1 }));
    for _ in 0..21 {
        world.tick();
    }
    assert_eq!(world.running(0, Lifecycle::OnDemand), 1, "within the time to drain");
}

#[test]
fn processors_and_gpus_have_a_limit_each_that_all_pools_of_their_class_share() {
    let wide = |name: &str, gpus: u32| {
        let mut pool = pool(name, 2, 3, 3);
        pool.policy.fallback = Some(FallbackSpec { max: 3, ..FallbackSpec::default() });
        pool.candidates.iter_mut().for_each(|it| it.candidate.gpus = gpus);
        pool
    };
    let pools = vec![wide("cpu-a", 0), wide("cpu-b", 0), wide("gpu-a", 1), wide("gpu-b", 1)];
    let mut world = Hostile::new(pools, 1, 1, Faults::default());
    world.fleet.limits.push((CloudKind::Aws, GpuClass::Cpu, 1));
    world.up = vec![false; 2];
    let on_demand = |world: &Hostile| {
        let of = |pool| world.running(pool, Lifecycle::OnDemand);
        (of(0) + of(1), of(2) + of(3))
    };
    for _ in 0..40 {
        world.tick();
        let (cpu, gpu) = on_demand(&world);
        assert!(cpu <= 1 && gpu <= 1, "{cpu} and {gpu}");
    }
    assert_eq!(on_demand(&world), (1, 1), "one limit takes nothing from the other");
    let mut kinds: Vec<_> = world.state.pools.iter().flat_map(|it| it.on_demand(true)).collect();
    kinds.sort_by_key(|it| it.1);
    let aws = Some(CloudKind::Aws);
    assert_eq!(kinds, [(aws, Some(GpuClass::Cpu)), (aws, Some(GpuClass::Gpu))]);
    // One is raised: the other class has no more than before.
    world.fleet.limits[1].2 = 4;
    for _ in 0..4 {
        world.tick();
    }
    assert_eq!(on_demand(&world), (4, 1));
}

#[test]
fn a_pool_that_left_without_a_tombstone_still_counts_and_is_fenced_when_the_controller_says_so() {
    let mut fleet = under(1, vec![full_price("a", 1), full_price("b", 1)]);
    fleet.monthly_budget = Money::dollars(5.0);
    let mut look = seen(on_demand(&["a-1"], None));
    look.pools.push(PoolSeen { complete: true, ..PoolSeen::default() });
    let (state, _) = decide(&fleet, FleetState::default(), &look, START_MS);
    fleet.pools.remove(0);
    let nothing = || seen(Vec::new());
    let (state, decisions) = decide(&fleet, state, &nothing(), START_MS + 3_600_000);
    assert_eq!(decisions, [], "the one of the pool that left uses the limit");
    let left = state.pools.iter().find(|it| it.name == "a").unwrap();
    assert_eq!((left.known.len(), left.spent()), (1, Money::micros(1_000_000)), "and it is paid for");
    // The controller fences it: its worker leaves, its groups are deleted, until that is done.
    assert_eq!(fleet.fence_left(&state), 1);
    let both = |workers| {
        let mut look = nothing();
        look.pools.extend(seen(workers).pools);
        look
    };
    let now = START_MS + 3_600_000 + TICK_MS;
    let (state, decisions) = decide(&fleet, state, &both(on_demand(&["a-1"], Some(1))), now);
    assert_eq!((drained(&decisions), decisions[0].pool), ("a-1".to_owned(), 1));
    assert_eq!(decisions[0].line(&fleet), "a: drain a-1: the pool is being destroyed");
    let delete = |it: &[Decision]| it.iter().any(|it| it.action == Action::DeleteGroups && it.pool == 1);
    let (state, decisions) = decide(&fleet, state, &both(Vec::new()), now + TICK_MS);
    assert!(delete(&decisions), "{decisions:?}");
    let (state, decisions) = decide(&fleet, state, &both(Vec::new()), now + 2 * TICK_MS);
    assert!(!delete(&decisions), "not at each tick");
    let (state, decisions) = decide(&fleet, state, &both(Vec::new()), now + 5 * TICK_MS);
    assert!(delete(&decisions), "nobody said that it is done: the controller may have died");
    let mut done = both(Vec::new());
    done.pools[1].groups_deleted = true;
    let (state, decisions) = decide(&fleet, state, &done, now + 10 * TICK_MS);
    assert!(!delete(&decisions));
    fleet.pools.pop();
    assert_eq!(fleet.fence_left(&state), 0, "nothing is left of it");
    assert!(
        state.pools.iter().any(|it| it.name == "a" && it.spent() > Money::ZERO),
        "what it cost still counts"
    );
}

#[test]
fn a_throttled_account_and_refused_credentials_close_their_cloud_for_all_pools_and_in_both_ways() {
    let mut mixed = pool("b", 2, 1, 1);
    mixed.candidates[1].candidate.cloud = CloudKind::Gcp;
    let fleet = under(5, vec![pool("a", 3, 1, 1), mixed]);
    let nothing = || PoolSeen { complete: true, ..PoolSeen::default() };
    let (state, first) = decide(
        &fleet,
        FleetState::default(),
        &Seen { pools: vec![nothing(), PoolSeen::default()] },
        START_MS,
    );
    assert_eq!(launches(&first), [(0, Lifecycle::Spot)]);
    for class in [ErrorClass::Throttle, ErrorClass::Auth] {
        let retry_after = Some(std::time::Duration::from_secs(700));
        let outcomes = vec![Outcome { number: 0, error: Some(class), retry_after }];
        let refused = Seen { pools: vec![PoolSeen { outcomes, ..nothing() }, nothing()] };
        let (state, decisions) = decide(&fleet, state.clone(), &refused, START_MS);
        // The first pool has AWS alone; the second goes to GCP.
        assert_eq!(decisions.iter().map(|it| it.pool).collect::<Vec<_>>(), [1], "{class}");
        assert_eq!(launches(&decisions), [(1, Lifecycle::Spot)], "{class}");
        // Also on demand, when spot has been short for long enough.
        let both = || Seen { pools: vec![nothing(), nothing()] };
        let (state, decisions) = decide(&fleet, state, &both(), START_MS + 600_000);
        assert_eq!(decisions.iter().filter(|it| it.pool == 0).count(), 0, "{class}: {decisions:?}");
        let (_, decisions) = decide(&fleet, state, &both(), START_MS + 700_000);
        assert!(decisions.iter().any(|it| it.pool == 0), "{class}: it is open again");
    }
}

#[test]
fn what_was_asked_for_twice_before_it_started_is_one_of_its_hour_from_when_it_was_seen() {
    let mut one = pool("encode", 3, 1, 1);
    one.policy.launches_per_hour = 1;
    let fleet = fleet(one);
    let at = |ms: u64, state, workers| decide(&fleet, state, &seen(workers), START_MS + ms);
    let (state, asked) = at(0, FleetState::default(), Vec::new());
    let place = launches(&asked)[0].0;
    // The answer is lost, and so was the request: it is there a minute later, and taken back.
    let (state, _) = at(60_000, state, vec![worker("i-1", place, Lifecycle::Spot)]);
    let (state, none) = at(120_000, state, Vec::new());
    assert_eq!(launches(&none), []);
    let (state, none) = at(3_645_000, state, Vec::new());
    assert_eq!(launches(&none), [], "the second within an hour of the first");
    assert_eq!(launches(&at(3_660_000, state, Vec::new()).1).len(), 1);
}
