//! What never happens, whatever the cloud does and wherever the controller is killed. Each run prints its seed.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use streamverse_core::stores::Records as _;
use streamverse_model::compute::{CloudKind, Lifecycle, fleet_collection};

use super::cloud::Faults;
use super::kit::{World, fleet, tombstone};

fn faults(dice: &mut StdRng) -> Faults {
    Faults {
        lost: dice.random_range(0..200),
        throttle: dice.random_range(0..50),
        blind: dice.random_range(0..100),
        late_ms: dice.random_range(0..45_000),
    }
}

/// Wherever a controller was killed: what the ledger has was decided, and why is written down. By number where instances have one,
/// else by how many of a group.
async fn each_launch_has_a_why(world: &World, seed: u64) {
    let told = world.decisions().await;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for one in &world.cloud().inside().ledger {
        let (pool, key) = (&one.group.pool, &one.group.key.as_str()[2..]);
        let number = one.name.as_ref().map(|it| it.number.to_string());
        let said = |line: &str| {
            let rest = line.strip_prefix(&format!("{pool}: launch {} ", one.lifecycle));
            let said = rest.and_then(|it| it.split(':').next()?.split_once(" in "));
            said.is_some_and(|(its, place)| place == key && number.as_ref().is_none_or(|it| it == its))
        };
        let whys = told.iter().filter(|it| said(&it.line)).count();
        let launched = counts.entry(format!("{} {} {number:?}", one.group, one.lifecycle)).or_default();
        *launched += 1;
        assert!(*launched <= whys, "seed {seed}: {launched} of {one:?} were launched, {whys} have a why");
    }
}

/// Runs with faults and kills, then without any: it converges, and after a tombstone nothing is left.
async fn run(seed: u64, kind: CloudKind, market: bool) -> bool {
    println!("seed {seed}, {kind}, market {market}");
    let mut dice = StdRng::seed_from_u64(seed);
    let mut world = World::new(&[kind], seed);
    let limit = 1 + dice.random_range(0..2);
    world.limit = limit;
    world.restart();
    world.cloud().inside().faults = faults(&mut dice);
    world.cloud().inside().limit = if kind == CloudKind::Runpod { usize::MAX } else { limit as usize };
    let sizes = [("a", 3), ("b", 2)];
    for (name, size) in sizes {
        world.put(name, fleet(name, kind, 3, size, size)).await;
    }
    let most = if kind == CloudKind::Runpod { 5 } else { 5 + 2 + limit as usize };
    for _ in 0..120 {
        if dice.random_range(0..4) == 0 {
            world.cloud().inside().fuse = Some(dice.random_range(0..12));
        }
        if market && dice.random_range(0..15) == 0 {
            let place = format!("region-{}", dice.random_range(0..3));
            let mut inside = world.clouds[&kind].inside();
            // Spot alone, or everything.
            let places = if dice.random_range(0..3) > 0 { &mut inside.down } else { &mut inside.empty };
            if !places.remove(&place) {
                places.insert(place);
            }
        }
        world.tick().await;
        let running = world.cloud().running().len();
        assert!(market || running <= most, "seed {seed}: {running} run, at most {most} may");
    }
    assert_eq!(world.cloud().inside().breaches, Vec::<String>::new(), "seed {seed}");
    world.cloud().inside().faults = Faults::default();
    world.cloud().inside().fuse = None;
    world.cloud().inside().down.clear();
    world.cloud().inside().empty.clear();
    world.ticks(120).await;
    let running = world.cloud().running();
    assert_eq!(running.len(), 5, "seed {seed}: {running:#?}");
    if kind == CloudKind::Runpod && !market {
        let launched = world.cloud().inside().ledger.len();
        assert_eq!(launched, 5, "seed {seed}: something was bought twice");
    }
    each_launch_has_a_why(&world, seed).await;
    let on_demand = world.cloud().inside().ledger.iter().any(|it| it.lifecycle == Lifecycle::OnDemand);
    // Killed while it destroys, too.
    world.cloud().inside().faults = faults(&mut dice);
    for (name, size) in sizes {
        world.put(name, tombstone(fleet(name, kind, 3, size, size))).await;
    }
    for _ in 0..30 {
        if dice.random_range(0..3) == 0 {
            world.cloud().inside().fuse = Some(dice.random_range(0..8));
        }
        world.tick().await;
    }
    world.cloud().inside().faults = Faults::default();
    world.cloud().inside().fuse = None;
    world.ticks(20).await;
    assert_eq!(world.cloud().running().len(), 0, "seed {seed}");
    assert!(world.cloud().inside().groups.is_empty(), "seed {seed}");
    for (name, _) in sizes {
        assert!(world.status(name).await.unwrap().deleted, "seed {seed}");
        world.records.remove(&fleet_collection("", "c"), name).await.unwrap();
    }
    world.ticks(2).await;
    assert_eq!(world.status("a").await, None);
    each_launch_has_a_why(&world, seed).await;
    on_demand
}

#[tokio::test]
async fn whatever_is_lost_and_wherever_it_is_killed_nothing_is_bought_twice_and_nothing_leaks() {
    for seed in 1..=12 {
        run(seed, CloudKind::Runpod, false).await;
        run(seed, CloudKind::Aws, false).await;
    }
}

#[tokio::test]
async fn under_a_market_that_takes_and_gives_on_demand_never_exceeds_its_limit_and_nothing_leaks() {
    let mut ever = 0;
    for seed in 101..=112 {
        ever += u32::from(run(seed, CloudKind::Aws, true).await);
        run(seed, CloudKind::Runpod, true).await;
    }
    assert!(ever >= 6, "only {ever} runs needed on-demand: this proves little");
}
