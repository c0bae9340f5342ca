//! Who does not hold the lease does not act.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use streamverse_core::stores::Records as _;
use streamverse_core::{Ready, Result, Stop};
use streamverse_model::compute::{CloudKind, FleetReport, Phase, fleet_collection, fleet_generation};
use tokio::time::Instant;

use super::kit::{TICK_MS, World, fleet, working};
use super::workers::Told;
use crate::lease::Lease;
use crate::workers::{NoWorkers, Workers};

/// A lease that a test gives and takes.
struct Given(Mutex<Option<Instant>>);

#[async_trait]
impl Lease for Given {
    async fn renew(&self) -> Result<bool> {
        Ok(self.held())
    }

    fn held_until(&self) -> Option<Instant> {
        *self.0.lock().unwrap()
    }

    async fn release(&self) {
        *self.0.lock().unwrap() = None;
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_acts_while_it_holds_its_lease_and_stops_in_the_middle_when_that_ends() {
    let lease = Arc::new(Given(Mutex::new(None)));
    let world =
        World::with(&[CloudKind::Runpod], 1, Arc::new(NoWorkers), Arc::clone(&lease) as Arc<dyn Lease>);
    world.put("gpu", fleet("gpu", CloudKind::Runpod, 1, 2, 2)).await;
    let (ready, is_ready) = Ready::new();
    let stop = Stop::new();
    let controller = world.another();
    let running = tokio::spawn(controller.run(ready, stop.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!*is_ready.borrow() && world.cloud().calls("instances") == 0, "a standby asks no cloud");
    *lease.0.lock().unwrap() = Some(Instant::now() + Duration::from_secs(20));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(*is_ready.borrow() && world.roster.leads());
    assert_eq!(world.cloud().running().len(), 2);
    // Its next look hangs, and its lease ends meanwhile.
    world.cloud().inside().hang = Some("instances");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!*is_ready.borrow() && !world.roster.leads());
    let calls = world.cloud().calls("instances");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.cloud().calls("instances"), calls, "it acts without its lease");
    world.cloud().inside().hang = None;
    *lease.0.lock().unwrap() = Some(Instant::now() + Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(*is_ready.borrow() && world.cloud().calls("instances") > calls);
    stop.stop();
    tokio::time::timeout(Duration::from_secs(30), running).await.unwrap().unwrap();
    assert!(!lease.held(), "it was given back");
}

/// A lease that is held, and what was told by it.
#[derive(Default)]
struct Heard(Mutex<FleetReport>);

#[async_trait]
impl Lease for Heard {
    async fn renew(&self) -> Result<bool> {
        Ok(true)
    }

    fn held_until(&self) -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(3600))
    }

    async fn release(&self) {}

    async fn tell(&self, report: &FleetReport) {
        self.0.lock().unwrap().clone_from(report);
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[tokio::test]
async fn a_controller_tells_by_its_lease_what_another_hand_made_of_its_fleets() {
    let lease = Arc::new(Heard::default());
    let mut world =
        World::with(&[CloudKind::Runpod], 1, Arc::new(NoWorkers), Arc::clone(&lease) as Arc<dyn Lease>);
    let mut whole = fleet("gpu", CloudKind::Runpod, 1, 1, 2);
    whole["generation"] = fleet_generation(&whole["definition"], &whole["work"]).into();
    world.put("gpu", whole.clone()).await;
    world.tick().await;
    let told = || lease.0.lock().unwrap().clone();
    let first = told();
    assert!(first.read_ms > 0 && !first.fleets["gpu"].changed && !first.fleets["gpu"].fenced, "{first:?}");
    // By hand: what it is, and not the generation that says so. Then nonsense, which the controller cannot use.
    whole["definition"]["range"]["max"] = 9.into();
    world.put("gpu", whole).await;
    world.tick().await;
    assert!(told().fleets["gpu"].changed && told().read_ms > first.read_ms, "{:?}", told());
    world.put("gpu", "nonsense".into()).await;
    world.tick().await;
    assert!(told().fleets["gpu"].changed && told().fleets["gpu"].generation.is_empty(), "{:?}", told());
    world.records.remove(&fleet_collection("", "c"), "gpu").await.unwrap();
    world.tick().await;
    assert!(told().fleets.is_empty(), "{:?}", told());
}

#[tokio::test(start_paused = true)]
async fn in_another_term_workers_are_heard_before_they_are_judged_and_no_level_of_the_term_before_is_left() {
    let lease = Arc::new(Given(Mutex::new(Some(Instant::now() + Duration::from_secs(1 << 20)))));
    let workers = Arc::new(Told::default());
    let all = Arc::clone(&workers) as Arc<dyn Workers>;
    let mut world = World::with(&[CloudKind::Runpod], 1, all, Arc::clone(&lease) as Arc<dyn Lease>);
    world.put("gpu", working(fleet("gpu", CloudKind::Runpod, 1, 2, 2))).await;
    let (ready, _) = Ready::new();
    let stop = Stop::new();
    // Whose metrics the world has.
    let fresh = world.another();
    let running = tokio::spawn(std::mem::replace(&mut world.controller, fresh).run(ready, stop.clone()));
    let pass = async |ticks: u32| {
        for _ in 0..ticks {
            world.pass(TICK_MS);
            tokio::time::sleep(Duration::from_millis(TICK_MS)).await;
        }
    };
    // Both are older than any worker that has not started yet.
    for _ in 0..10 {
        pass(10).await;
        workers.all(&world, Phase::Working, None);
    }
    pass(1).await;
    let ids = || world.cloud().running().into_iter().map(|it| it.id).collect::<Vec<_>>();
    let (before, levels) = (ids(), || {
        let text = world.metrics.text();
        let its = text.lines().filter(|it| it.contains("{fleet=\"gpu\"") && !it.contains("_total{"));
        its.map(ToOwned::to_owned).collect::<Vec<_>>()
    });
    assert!(before.len() == 2 && levels().contains(&"streamverse_fleet_target{fleet=\"gpu\"} 2".to_owned()));
    // Another one leads for a while: workers report to it, and what was told to this one is of yesterday.
    *lease.0.lock().unwrap() = None;
    pass(2).await;
    assert_eq!(levels(), Vec::<String>::new(), "the levels are the other one's to tell");
    assert!(world.metrics.text().contains("streamverse_fleet_seconds_total{fleet=\"gpu\""), "a count stays");
    workers.told.lock().unwrap().clear();
    *lease.0.lock().unwrap() = Some(Instant::now() + Duration::from_secs(1 << 20));
    pass(8).await;
    assert_eq!(ids(), before, "whoever could not be heard yet was ended");
    workers.all(&world, Phase::Working, None);
    pass(12).await;
    assert_eq!(ids(), before);
    stop.stop();
    tokio::time::timeout(Duration::from_secs(30), running).await.unwrap().unwrap();
}
