//! Who does not hold the lease does not act.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use streamverse_core::{Ready, Result, Stop};
use streamverse_model::compute::CloudKind;
use tokio::time::Instant;

use super::kit::{World, fleet};
use crate::lease::Lease;
use crate::workers::NoWorkers;

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
