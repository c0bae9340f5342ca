//! Two instances of one name, which a cloud that knows no names has after an answer was lost: one enrolled, and is heard under the name of both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use streamverse_model::compute::{CloudKind, InstanceName, Phase};
use streamverse_model::platform::Name;

use super::cloud::Paid;
use super::kit::{Free, World, fleet, tombstone, working};
use crate::workers::{WorkerTold, Workers};

/// One worker, which says where it runs and is at work.
#[derive(Default)]
struct One {
    told: Mutex<Option<WorkerTold>>,
    runs_on: Mutex<String>,
    drained: Mutex<Vec<String>>,
}

impl Workers for One {
    fn invite(&self, _: &Name, _: &InstanceName, _: u64) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn told(&self, _: &str) -> Option<WorkerTold> {
        self.told.lock().unwrap().clone()
    }

    fn instance(&self, _: &str) -> Option<String> {
        Some(self.runs_on.lock().unwrap().clone())
    }

    fn drain(&self, worker: &str, _: u64) {
        self.drained.lock().unwrap().push(worker.to_owned());
    }

    fn job_ms(&self, _: &Name) -> Option<u64> {
        None
    }

    fn keep_only(&self, _: &dyn Fn(&str) -> bool) {}
}

impl One {
    fn says(&self, world: &World, phase: Phase) {
        let heard_ms = world.now.load(std::sync::atomic::Ordering::Relaxed);
        *self.told.lock().unwrap() = Some(WorkerTold {
            phase,
            heard_ms,
            idle_since_ms: None,
            until_ms: None,
            preempted: false,
            at_risk: false,
            running: None,
        });
    }
}

/// A fleet of one, which has two of one name; the elder's id, and the younger's.
async fn twins(worker: &Arc<One>) -> (World, [String; 2]) {
    let workers = Arc::clone(worker) as Arc<dyn Workers>;
    let mut world = World::with(&[CloudKind::Runpod], 1, workers, Arc::new(Free));
    world.put("gpu", working(fleet("gpu", CloudKind::Runpod, 1, 1, 1))).await;
    world.ticks(8).await;
    let first = world.cloud().running().remove(0);
    let ids = [first.id.clone(), "younger".to_owned()];
    world.cloud().inside().ledger.push(Paid { id: ids[1].clone(), ..first });
    (world, ids)
}

#[tokio::test]
async fn of_two_of_one_name_the_one_that_is_heard_is_ready_and_works_on_while_the_other_one_goes() {
    for works in [0, 1] {
        let worker = Arc::new(One::default());
        let (mut world, ids) = twins(&worker).await;
        worker.runs_on.lock().unwrap().clone_from(&ids[works]);
        worker.says(&world, Phase::Working);
        world.tick().await;
        let status = world.status("gpu").await.unwrap();
        assert_eq!((status.instances, status.ready), (2, 1), "one worker was heard, on {}", ids[works]);
        for _ in 0..3 {
            worker.says(&world, Phase::Working);
            world.tick().await;
        }
        let left: Vec<String> = world.cloud().running().into_iter().map(|it| it.id).collect();
        assert_eq!(left, [ids[works].clone()], "the other one was surplus");
        assert_eq!(*worker.drained.lock().unwrap(), [""; 0], "the worker was told to leave in its stead");
        let status = world.status("gpu").await.unwrap();
        assert_eq!((status.instances, status.ready), (1, 1));
        assert_eq!(world.cloud().calls("launch"), 1, "nobody was missed");
    }
}

#[tokio::test]
async fn what_a_worker_does_in_leaving_is_said_of_its_own_instance_alone() {
    let worker = Arc::new(One::default());
    let (mut world, ids) = twins(&worker).await;
    worker.runs_on.lock().unwrap().clone_from(&ids[0]);
    worker.says(&world, Phase::Working);
    world.put("gpu", working(tombstone(fleet("gpu", CloudKind::Runpod, 1, 1, 1)))).await;
    world.tick().await;
    assert_eq!(worker.drained.lock().unwrap().len(), 1, "one order for one worker");
    worker.says(&world, Phase::Draining);
    world.tick().await;
    let left: Vec<String> = world.cloud().running().into_iter().map(|it| it.id).collect();
    assert_eq!(left, [ids[0].clone()], "who works is given its time, and whoever does nothing is not");
    worker.says(&world, Phase::Drained);
    world.tick().await;
    assert!(world.cloud().running().is_empty());
}

#[tokio::test]
async fn who_names_an_instance_that_nobody_lists_is_heard_all_the_same() {
    let worker = Arc::new(One::default());
    let (mut world, _) = twins(&worker).await;
    world.cloud().inside().ledger.pop();
    "as-it-is-called-within".clone_into(&mut worker.runs_on.lock().unwrap());
    worker.says(&world, Phase::Working);
    world.tick().await;
    let status = world.status("gpu").await.unwrap();
    assert_eq!((status.instances, status.ready), (1, 1));
}
