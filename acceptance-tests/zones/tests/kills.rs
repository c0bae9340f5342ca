//! Controllers as processes: killed with SIGKILL around each call of a cloud, and two at once. Every verdict is the ledger's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first thing that is not as it must be"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use streamverse_acceptance::cluster::Cluster;
use streamverse_core::stores::Records;
use streamverse_model::compute::{CloudKind, GpuClass, Lifecycle, fleet_collection};
use streamverse_zones_stand_in::controllers::{InCluster, Killed, Process, folder, records, wait};
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

/// Two controllers that were started on purpose on one catalogue and one cloud.
struct Both {
    stand_in: StandIn,
    records: Arc<dyn Records>,
    both: [Process; 2],
}

impl Both {
    /// They are asked for two instances.
    async fn start(cluster: Option<&InCluster>) -> Both {
        let stand_in = stand_in();
        let records = records(&folder(&stand_in)).await;
        assert!(records.insert(&fleet_collection("", CONTROLLER), "encode", &pool("encode")).await.unwrap());
        let both = [(); 2].map(|()| Process::start_with(&stand_in, 1, cluster));
        Both { stand_in, records, both }
    }

    /// Who leads; never both.
    fn leader(&self) -> Option<usize> {
        let leads = [0, 1].map(|at: usize| self.both[at].leads());
        assert_ne!(leads, [true, true], "both lead");
        leads.iter().position(|it| *it)
    }

    /// One has done all that it had to, the other waits for nothing but the lease.
    fn rest(&self) {
        wait("one of them rests", || self.leader().is_some() && self.stand_in.held_and_asleep().1 == 1);
    }

    fn steps(&self, count: u32) {
        for _ in 0..count {
            self.stand_in.advance(TICK_MS);
            self.rest();
        }
    }

    /// `kill -9` to the one that leads, and the other goes on.
    fn kill_the_leader(&mut self) {
        let first = self.leader().expect("one leads");
        self.both[first].kill();
        wait("the other leads", || self.leader() == Some(1 - first));
        self.rest();
    }
}

#[tokio::test]
async fn of_two_controllers_that_were_started_on_purpose_one_acts_and_the_other_goes_on_when_it_is_killed() {
    let mut it = Both::start(None).await;
    it.rest();
    it.steps(30);
    assert_eq!(running(&it.stand_in.account(), it.stand_in.now()), (2, 0));
    assert_eq!(it.stand_in.account().launches(), 2, "one of them acts");
    it.kill_the_leader();
    say(&it.stand_in, 0);
    it.steps(40);
    assert_eq!(running(&it.stand_in.account(), it.stand_in.now()), (0, 1));
    assert_eq!(it.stand_in.account().launches(), 3);
}

#[tokio::test]
async fn of_two_controllers_on_one_lease_of_a_cluster_one_acts_and_the_other_takes_over_when_it_is_killed() {
    let Some(cluster) = Cluster::shared() else { return };
    let name = "test-fleet-controller-c";
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/default/leases/{name}");
    // It may be late on a busy machine: who has not renewed it for three quarters of this acts no more.
    let lasts = Duration::from_secs(4);
    let lease = InCluster { kubeconfig: cluster.kubeconfig().to_owned(), name: name.to_owned(), lasts };
    let mut it = Both::start(Some(&lease)).await;
    it.rest();
    it.steps(8);
    assert_eq!(running(&it.stand_in.account(), it.stand_in.now()), (2, 0));
    assert_eq!(it.stand_in.account().launches(), 2, "one of them acts");
    let before = cluster.request("GET", &path, None).1["spec"].take();
    it.kill_the_leader();
    it.steps(8);
    assert_eq!(it.stand_in.account().launches(), 2, "who takes over knows what there is");
    let after = cluster.request("GET", &path, None).1["spec"].take();
    assert_ne!(before["holderIdentity"], after["holderIdentity"]);
    let transitions = [&before, &after].map(|it| it["leaseTransitions"].as_u64().unwrap());
    assert_eq!(transitions[1], transitions[0] + 1, "{before} {after}");
    // One more is needed: it is one more.
    let collection = fleet_collection("", CONTROLLER);
    let version = it.records.version(&collection, "encode").await.unwrap().unwrap();
    let three = fleet("encode", CloudKind::Aws, &ZONES, 3, 3);
    assert!(it.records.replace(&collection, "encode", version, &three).await.unwrap());
    it.steps(8);
    assert_eq!(running(&it.stand_in.account(), it.stand_in.now()), (3, 0));
    assert_eq!(it.stand_in.account().launches(), 3);
    // Each was decided once, by whoever led.
    let said = it.records.list(&fleet_collection("why", CONTROLLER), "", 1000).await.unwrap();
    let said = said.iter().filter_map(|(_, it)| it.value["line"].as_str());
    let launches: Vec<&str> = said.filter(|it| it.starts_with("encode: launch ")).collect();
    assert_eq!(launches.len(), 3, "{launches:#?}");
    drop(it);
    cluster.request("DELETE", &path, None);
}
