//! What workers tell, and what they are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use streamverse_core::stores::Records as _;
use streamverse_model::compute::{CloudKind, InstanceName, Phase, fleet_collection};
use streamverse_model::platform::Name;

use super::kit::{Free, TICK_MS, World, fleet, queued, tombstone, working};
use crate::roster::Standing;
use crate::workers::{WorkerTold, Workers};

const KIND: CloudKind = CloudKind::Runpod;

/// Workers that tell what the test says.
#[derive(Default)]
pub(super) struct Told {
    pub(super) told: Mutex<BTreeMap<String, WorkerTold>>,
    drained: Mutex<Vec<(String, u64)>>,
    kept: Mutex<Vec<String>>,
}

impl Workers for Told {
    fn invite(&self, _: &Name, name: &InstanceName, _: u64) -> BTreeMap<String, String> {
        BTreeMap::from([("STREAMVERSE_WORKER".to_owned(), name.to_string())])
    }

    fn told(&self, worker: &str) -> Option<WorkerTold> {
        self.told.lock().unwrap().get(worker).cloned()
    }

    fn drain(&self, worker: &str, seconds: u64) {
        self.drained.lock().unwrap().push((worker.to_owned(), seconds));
    }

    fn job_ms(&self, _: &Name) -> Option<u64> {
        Some(60_000)
    }

    fn keep_only(&self, live: &dyn Fn(&str) -> bool) {
        let told = self.told.lock().unwrap();
        *self.kept.lock().unwrap() = told.keys().filter(|it| live(it)).cloned().collect();
    }
}

impl Told {
    /// All that run say this.
    pub(super) fn all(&self, world: &World, phase: Phase, idle_ms: Option<u64>) {
        for one in world.cloud().running() {
            self.one(world, &one.name.unwrap().to_string(), phase, idle_ms);
        }
    }

    /// Time passes, look by look, and all say that they work.
    async fn looks(&self, world: &mut World, count: u32) {
        for _ in 0..count {
            self.all(world, Phase::Working, None);
            world.tick().await;
        }
    }

    fn one(&self, world: &World, name: &str, phase: Phase, idle_ms: Option<u64>) {
        let now = world.now.load(std::sync::atomic::Ordering::Relaxed);
        let told = WorkerTold {
            phase,
            heard_ms: now,
            idle_since_ms: idle_ms.map(|it| now - it),
            until_ms: None,
            preempted: false,
            at_risk: false,
            running: None,
        };
        self.told.lock().unwrap().insert(name.to_owned(), told);
    }
}

pub(super) fn world(workers: &Arc<Told>) -> World {
    World::with(&[KIND], 1, Arc::clone(workers) as Arc<dyn Workers>, Arc::new(Free))
}

/// A world with this fleet, whose workers tell what the test says.
async fn with(fleet: Value) -> (Arc<Told>, World) {
    let workers = Arc::new(Told::default());
    let world = world(&workers);
    world.put("gpu", fleet).await;
    (workers, world)
}

/// … of so many, all of which run and say that they work.
async fn at_work(places: usize, count: u32) -> (Arc<Told>, World) {
    let (workers, mut world) = with(working(fleet("gpu", KIND, places, count, count))).await;
    world.ticks(6).await;
    workers.all(&world, Phase::Working, None);
    (workers, world)
}

/// So many jobs are not done.
fn undone(world: &World, count: u64) {
    world.topics.0.lock().unwrap().insert("jobs".to_owned(), count);
}

pub(super) fn names(world: &World) -> Vec<String> {
    world.cloud().running().into_iter().map(|it| it.name.unwrap().to_string()).collect()
}

#[tokio::test]
async fn an_instance_is_a_ready_worker_when_it_was_heard_and_is_invited_by_its_own_name() {
    let (workers, mut world) = with(working(fleet("gpu", KIND, 1, 2, 2))).await;
    world.ticks(8).await;
    let status = world.status("gpu").await.unwrap();
    assert_eq!((status.instances, status.ready), (2, 0), "nobody was heard");
    workers.all(&world, Phase::Working, None);
    world.tick().await;
    assert_eq!(world.status("gpu").await.unwrap().ready, 2);
    for name in names(&world) {
        assert_eq!(world.cloud().inside().environments[&name]["STREAMVERSE_WORKER"], name);
        let Standing::Alive(member) = world.roster.standing(&name) else { panic!("{name}") };
        assert_eq!((member.fleet.as_str(), member.work.unwrap().transcoder.as_str()), ("gpu", "main"));
    }
    assert!(!world.roster.has("sv--live--gpu--d-z0--99"));
}

#[tokio::test]
async fn who_leaves_is_told_how_long_it_has_also_by_the_next_controller_and_goes_when_it_is_done() {
    let (workers, mut world) = at_work(1, 1).await;
    world.put("gpu", working(tombstone(fleet("gpu", KIND, 1, 1, 1)))).await;
    world.tick().await;
    let name = names(&world).remove(0);
    assert_eq!(*workers.drained.lock().unwrap(), [(name.clone(), 300)]);
    world.restart();
    workers.one(&world, &name, Phase::Draining, None);
    world.tick().await;
    let again = workers.drained.lock().unwrap().last().cloned();
    assert_eq!(again, Some((name.clone(), 300 - TICK_MS / 1000)));
    assert_eq!(names(&world), [&*name], "it is given its time");
    workers.one(&world, &name, Phase::Overrun, None);
    world.tick().await;
    assert_eq!(names(&world), Vec::<String>::new());
    assert!(!world.roster.has(&name), "who was given back is not served");
    assert!(world.status("gpu").await.unwrap().instances <= 1);
}

#[tokio::test]
async fn who_does_not_end_in_time_is_given_back_when_its_time_is_over() {
    let (workers, mut world) = at_work(1, 1).await;
    world.put("gpu", working(tombstone(fleet("gpu", KIND, 1, 1, 1)))).await;
    for at in 0..22 {
        workers.all(&world, Phase::Draining, None);
        world.tick().await;
        assert!(at >= 20 || names(&world).len() == 1, "{at}");
    }
    assert_eq!(names(&world), Vec::<String>::new());
    assert!(world.metrics.text().contains("streamverse_fleet_drain_overruns_total{fleet=\"gpu\"} 1"));
}

#[tokio::test]
async fn a_new_controller_gives_workers_time_to_be_heard_and_ends_who_never_is() {
    let (workers, mut world) = with(working(fleet("gpu", KIND, 1, 2, 2))).await;
    workers.looks(&mut world, 100).await;
    let before = names(&world);
    // What was told is lost with the process that was told it.
    workers.told.lock().unwrap().clear();
    world.restart();
    world.ticks(4).await;
    assert_eq!(names(&world), before, "workers that work were ended by a restart");
    workers.one(&world, &before[0], Phase::Working, None);
    world.ticks(12).await;
    assert!(names(&world).contains(&before[0]) && !names(&world).contains(&before[1]));
}

#[tokio::test]
async fn only_idle_workers_leave_and_a_worker_that_ended_by_itself_is_replaced() {
    let (workers, mut world) = with(queued(working(fleet("gpu", KIND, 1, 0, 4)), "jobs")).await;
    undone(&world, 60);
    world.ticks(6).await;
    workers.all(&world, Phase::Working, None);
    world.tick().await;
    let all = names(&world);
    assert_eq!(all.len(), 4);
    // Four work on the last four jobs: nothing waits.
    undone(&world, 4);
    for _ in 0..100 {
        workers.all(&world, Phase::Working, None);
        workers.one(&world, &all[2], Phase::Working, Some(1_300_000));
        world.tick().await;
    }
    assert_eq!(world.status("gpu").await.unwrap().waiting, Some(1));
    let left: Vec<String> = all.iter().filter(|it| **it != all[2]).cloned().collect();
    assert_eq!(names(&world), left);
    // One ends, though nobody told it to.
    undone(&world, 60);
    workers.one(&world, &left[0], Phase::Drained, None);
    world.tick().await;
    assert!(!names(&world).contains(&left[0]));
    assert!(world.decisions().await.iter().any(|it| it.why == "failed"));
}

#[tokio::test]
async fn a_worker_that_its_cloud_takes_is_replaced_at_once_and_not_given_back_before_it_is_gone() {
    let (workers, mut world) = at_work(2, 1).await;
    let name = names(&world).remove(0);
    let now = world.now.load(std::sync::atomic::Ordering::Relaxed);
    let told = WorkerTold { until_ms: Some(now + 60_000), preempted: true, ..workers.told(&name).unwrap() };
    workers.told.lock().unwrap().insert(name.clone(), told);
    world.tick().await;
    assert_eq!(names(&world).len(), 2, "its replacement starts while it drains");
    let (last, seconds) = workers.drained.lock().unwrap().last().cloned().unwrap();
    assert!(last == name && seconds == 45, "{seconds}");
}

#[tokio::test]
async fn what_workers_would_need_and_the_controller_may_not_give_buys_nothing() {
    let mut other = working(fleet("gpu", KIND, 1, 1, 1));
    other["work"]["spec"]["object_store"] = json!("s3://elsewhere");
    let (_, mut world) = with(other).await;
    world.ticks(3).await;
    assert_eq!(names(&world).len(), 0);
    assert!(world.status("gpu").await.unwrap().trouble.unwrap().contains("s3://elsewhere"));
}

#[tokio::test]
async fn workers_of_a_fleet_whose_record_is_gone_or_broken_are_still_served_and_drained() {
    let (workers, mut world) = at_work(1, 1).await;
    let name = names(&world).remove(0);
    world.put("gpu", json!({ "of": "another version" })).await;
    world.restart();
    world.ticks(2).await;
    assert!(world.roster.has(&name) && names(&world) == [&*name]);
    world.records.remove(&fleet_collection("", "c"), "gpu").await.unwrap();
    workers.all(&world, Phase::Working, None);
    world.tick().await;
    assert!(world.roster.has(&name), "it reports how far it is");
    assert_eq!(workers.drained.lock().unwrap().last(), Some(&(name.clone(), 300)));
    workers.one(&world, &name, Phase::Drained, None);
    world.tick().await;
    assert_eq!(names(&world), Vec::<String>::new());
}

#[tokio::test]
async fn while_a_cloud_does_not_list_after_a_restart_nobody_is_taken_for_gone() {
    let (_, mut world) = at_work(1, 1).await;
    let name = names(&world).remove(0);
    world.roster.clear();
    world.restart();
    world.cloud().inside().faults.blind = 1000;
    world.tick().await;
    assert!(matches!(world.roster.standing(&name), Standing::NotKnown));
    world.cloud().inside().faults.blind = 0;
    world.tick().await;
    assert!(matches!(world.roster.standing(&name), Standing::Alive(_)));
    assert!(matches!(world.roster.standing("sv--live--gpu--d-z0--99"), Standing::Gone));
}

#[tokio::test]
async fn whoever_could_not_be_heard_has_its_time_once_it_can_and_no_more() {
    let (workers, mut world) = with(working(fleet("gpu", KIND, 1, 1, 1))).await;
    // It is older than any worker that has not started yet.
    for _ in 0..8 {
        world.ticks(12).await;
        workers.all(&world, Phase::Working, None);
    }
    let before = names(&world);
    // Another controller has heard nobody, and refuses whom it does not know: for longer than the time to be heard.
    world.roster.clear();
    world.restart();
    workers.told.lock().unwrap().clear();
    world.cloud().inside().faults.blind = 1000;
    world.ticks(16).await;
    world.cloud().inside().faults.blind = 0;
    world.ticks(4).await;
    assert_eq!(names(&world), before, "it could not be heard before");
    world.ticks(16).await;
    assert_ne!(names(&world), before, "it was not heard since");
}

#[tokio::test]
async fn jobs_that_are_worked_on_do_not_wait_however_many_a_worker_does() {
    let mut gpu = queued(working(fleet("gpu", KIND, 1, 2, 4)), "jobs");
    gpu["definition"]["queue"]["jobs_per_worker"] = json!(8);
    let (workers, mut world) = with(gpu).await;
    undone(&world, 16);
    world.ticks(4).await;
    workers.all(&world, Phase::Working, None);
    world.tick().await;
    // Who does not say how many is taken to do as many as it can.
    assert_eq!(world.status("gpu").await.unwrap().waiting, Some(0));
    for told in workers.told.lock().unwrap().values_mut() {
        told.running = Some(5);
    }
    world.tick().await;
    assert_eq!(world.status("gpu").await.unwrap().waiting, Some(6));
}

#[tokio::test]
async fn a_worker_that_says_more_than_it_can_do_hides_no_job() {
    let (workers, mut world) = with(queued(working(fleet("gpu", KIND, 1, 1, 4)), "jobs")).await;
    undone(&world, 60);
    for _ in 0..8 {
        workers.all(&world, Phase::Working, None);
        for told in workers.told.lock().unwrap().values_mut() {
            told.running = Some(4_000_000_000);
        }
        world.tick().await;
    }
    let status = world.status("gpu").await.unwrap();
    assert_eq!((status.instances, status.waiting), (4, Some(56)));
}

#[tokio::test]
async fn a_worker_that_works_while_nothing_is_left_to_do_is_ended_and_told() {
    let (workers, mut world) = with(queued(working(fleet("gpu", KIND, 2, 1, 1)), "jobs")).await;
    undone(&world, 1);
    // As long as a job is not done it may take its time.
    workers.looks(&mut world, 300).await;
    let name = names(&world).remove(0);
    // … and after it was done, as long as the usual job takes, and longer where that was not known for a moment.
    undone(&world, 0);
    for at in 0..60 {
        workers.all(&world, Phase::Working, None);
        world.tick().await;
        assert_eq!(names(&world), [&*name], "after {at} looks");
    }
    let mut trouble = None;
    for _ in 0..4 {
        workers.all(&world, Phase::Working, None);
        world.tick().await;
        trouble = trouble.or(world.status("gpu").await.unwrap().trouble);
    }
    assert!(trouble.is_some_and(|it| it.contains("nothing was left to do")));
    assert!(!names(&world).contains(&name), "it is paid for, and does nothing");
    assert!(world.decisions().await.iter().any(|it| it.why == "failed"));
}

#[tokio::test]
async fn a_worker_that_says_that_it_is_taken_away_and_stays_is_given_back() {
    let (workers, mut world) = at_work(2, 1).await;
    let name = names(&world).remove(0);
    for until_ms in [Some(u64::MAX), None] {
        for _ in 0..28 {
            workers.all(&world, Phase::Working, None);
            if let Some(it) = workers.told.lock().unwrap().get_mut(&name) {
                (it.preempted, it.until_ms) = (true, until_ms);
            }
            world.tick().await;
            if !names(&world).contains(&name) {
                return;
            }
        }
    }
    panic!("{name} is paid for, for ever");
}

#[tokio::test]
async fn workers_that_never_enrol_are_tried_ever_less_often_told_and_counted_and_so_is_a_host_that_vanished()
{
    let (workers, mut world) = with(working(fleet("gpu", KIND, 1, 3, 3))).await;
    let lost = |world: &World, how: &str| {
        let head = format!("streamverse_fleet_lost_total{{fleet=\"gpu\",how=\"{how}\"}} ");
        let text = world.metrics.text();
        text.lines().find_map(|it| it.strip_prefix(&head)).unwrap_or("none").to_owned()
    };
    world.tick().await;
    assert_eq!(lost(&world, "never_started"), "0", "an alert sees the first");
    world.ticks(8 * 240).await;
    let bought = world.cloud().inside().ledger.len();
    assert!((8..=16).contains(&bought), "{bought} were paid for in eight hours and did nothing");
    let trouble = world.status("gpu").await.unwrap().trouble.unwrap();
    assert!(trouble.contains("in a row"), "{trouble}");
    assert!(lost(&world, "never_started").parse::<usize>().unwrap() >= 8);
    // It is described anew, with an image that works.
    let mut mended = working(fleet("gpu", KIND, 1, 3, 3));
    mended["generation"] = json!("2");
    world.put("gpu", mended).await;
    world.ticks(2).await;
    workers.looks(&mut world, 60).await;
    let status = world.status("gpu").await.unwrap();
    assert_eq!((status.ready, status.trouble), (3, None));
    // A host takes its pod along, and nobody says so.
    let gone = names(&world).remove(0);
    let now = world.now.load(std::sync::atomic::Ordering::Relaxed);
    for one in &mut world.cloud().inside().ledger {
        if one.name.as_ref().is_some_and(|it| it.to_string() == gone) {
            one.to_ms = Some(now);
        }
    }
    workers.looks(&mut world, 20).await;
    assert_eq!((lost(&world, "vanished").as_str(), lost(&world, "failed").as_str()), ("1", "0"));
    assert!(names(&world).len() == 3 && !names(&world).contains(&gone));
}
