//! Controllers as processes: killed with SIGKILL around each call of a cloud, and two at once. Every verdict is the ledger's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first thing that is not as it must be"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use streamverse_model::compute::{CloudKind, GpuClass, Lifecycle};
use streamverse_zones_stand_in::controllers::{Killed, Process, folder, records, wait};
use streamverse_zones_stand_in::rig::{CONTROLLER, TICK_MS, fleet, tombstone};
use streamverse_zones_stand_in::{Account, Config, StandIn};

const ZONES: [(&str, &str); 3] = [("z-1a", "z-1"), ("z-1b", "z-1"), ("y-1a", "y-1")];

fn stand_in() -> StandIn {
    let config = ZONES.iter().fold(Config::new(), |it, (zone, _)| it.zone(CloudKind::Aws, zone, 4));
    StandIn::start(&config)
}

fn pool(name: &str) -> Value {
    fleet(name, CloudKind::Aws, &ZONES, 2, 2)
}

fn say(stand_in: &StandIn, spot: u32) {
    for (zone, _) in ZONES {
        stand_in.market(&json!({ "zone": zone, "spot": spot }));
    }
}

fn running(account: &Account, now: u64) -> (usize, usize) {
    let of = |lifecycle| account.running(now, |it| it.launch.lifecycle == lifecycle);
    (of(Lifecycle::Spot), of(Lifecycle::OnDemand))
}

/// Wherever a controller was killed: of each group no more were launched than were decided, and whatever was given back was decided,
/// each with its why.
async fn each_has_a_why(it: &Killed) {
    let (whys, account) = (it.whys().await, it.stand_in.account());
    let mut launched: BTreeMap<String, usize> = BTreeMap::new();
    for life in account.lives() {
        let key = life.launch.group.rsplit("--").next().and_then(|it| it.get(2..)).unwrap().to_owned();
        let (head, tail) =
            (format!("{}: launch {} ", life.pool(), life.launch.lifecycle), format!(" in {key}: "));
        let decided = whys.iter().filter(|it| it.starts_with(&head) && it.contains(&tail)).count();
        let count = launched.entry(life.launch.group.clone()).or_default();
        *count += 1;
        assert!(
            *count <= decided,
            "{count} launched in {}, and {decided} have a why: {whys:#?}",
            life.launch.group
        );
        if life.end_ms.is_some() && !life.preempted {
            let ended = format!("{}: terminate {}: ", life.pool(), life.launch.id);
            assert!(whys.iter().any(|it| it.starts_with(&ended)), "{ended} has no why: {whys:#?}");
        }
    }
}

/// Two pools from their beginning to their end; how many instances were launched, and how many calls were held before they were
/// done, and after.
async fn a_life(killed: bool) -> (usize, [u64; 2]) {
    let mut it = Killed::new(stand_in(), 1).await;
    let mut held = [0, 0];
    for stage in 0..4 {
        if killed {
            it.stand_in.hold_each();
        }
        match stage {
            0 => {
                it.put(&pool("encode")).await;
                it.put(&pool("filter")).await;
                it.until("both have what they need", 60, |account, now| running(account, now) == (4, 0))
                    .await;
            }
            1 => {
                say(&it.stand_in, 0);
                it.until("one on demand for both", 60, |account, now| running(account, now) == (0, 1)).await;
            }
            2 => {
                say(&it.stand_in, 4);
                it.until("spot is back", 160, |account, now| running(account, now) == (4, 0)).await;
            }
            _ => {
                it.put(&tombstone(pool("encode"))).await;
                it.put(&tombstone(pool("filter"))).await;
                it.until("nothing is left", 160, |account, _| account.left().is_empty()).await;
            }
        }
        let these = it.stand_in.held_each();
        held = [held[0] + these[0], held[1] + these[1]];
    }
    each_has_a_why(&it).await;
    let account = it.stand_in.account();
    assert_eq!(account.most_on_demand(), [(CloudKind::Aws, GpuClass::Gpu, 1)], "{} kills", it.kills);
    // One more in each pool while one is on its way to another place.
    let most = account.most(|it| it.lifecycle == Lifecycle::Spot)[0].2;
    assert!(most <= 6, "{most} at once, {} kills", it.kills);
    (account.launches(), held)
}

#[tokio::test]
async fn a_controller_that_is_killed_before_and_after_each_of_its_calls_launches_nothing_twice_and_leaves_nothing()
 {
    let (usual, none) = a_life(false).await;
    assert_eq!(none, [0, 0]);
    let (launched, held) = a_life(true).await;
    println!("{usual} launches without a kill, {launched} with kills before and after {held:?} calls");
    assert!(held.iter().all(|it| *it >= 8), "it was hardly killed: {held:?}");
    assert_eq!(launched, usual);
}

#[tokio::test]
async fn of_two_controllers_that_were_started_on_purpose_one_acts_and_the_other_goes_on_when_it_is_killed() {
    let stand_in = stand_in();
    let records = records(&folder(&stand_in)).await;
    let collection = streamverse_model::compute::fleet_collection("", CONTROLLER);
    assert!(records.insert(&collection, "encode", &pool("encode")).await.unwrap());
    let mut both = [Process::start(&stand_in, 1), Process::start(&stand_in, 1)];
    let rests = || wait("one of them rests", || stand_in.held_and_asleep().1 == 1);
    let steps = |count: u32| {
        for _ in 0..count {
            stand_in.advance(TICK_MS);
            rests();
        }
    };
    rests();
    steps(30);
    assert_eq!(running(&stand_in.account(), stand_in.now()), (2, 0));
    assert_eq!(stand_in.account().launches(), 2, "one of them acts");
    wait("one leads", || both.iter().filter(|it| it.leads()).count() == 1);
    let first = usize::from(!both[0].leads());
    both[first].kill();
    wait("the other leads", || both[1 - first].leads());
    rests();
    say(&stand_in, 0);
    steps(40);
    assert_eq!(running(&stand_in.account(), stand_in.now()), (0, 1));
    assert_eq!(stand_in.account().launches(), 3);
}
