//! Fleets beside the site's own workers, which say nothing to the controller.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;
use streamverse_model::compute::{CloudKind, Phase};

use super::kit::{TICK_MS, World, fleet, queued, working};
use super::workers::{Told, names, world};

const KIND: CloudKind = CloudKind::Runpod;

/// A fleet of up to four beside a site's own workers, which do six jobs side by side.
async fn beside_own_workers(workers: &Arc<Told>) -> World {
    let world = world(workers);
    let mut gpu = queued(working(fleet("gpu", KIND, 1, 0, 4)), "transcode");
    gpu["definition"]["queue"]["group"] = json!("transcoders");
    gpu["work"]["spec"]["workers"] = json!(2);
    gpu["work"]["spec"]["concurrency"] = json!(3);
    world.put("gpu", gpu).await;
    world
}

/// So many jobs of all that came are done, so many are not.
fn jobs(world: &World, done: u64, undone: u64) {
    world.topics.0.lock().unwrap().insert("transcode".to_owned(), undone);
    world.topics.1.store(done, Ordering::Relaxed);
}

/// So many minutes in looks.
fn looks(minutes: u32) -> u32 {
    minutes * 60_000 / u32::try_from(TICK_MS).unwrap()
}

#[tokio::test]
async fn what_the_sites_own_workers_do_is_not_waiting_and_not_bought_and_what_is_left_is() {
    let workers = Arc::new(Told::default());
    let mut world = beside_own_workers(&workers).await;
    // Six are worked on, and those six do 90 more within a quarter of an hour.
    for (undone, waiting, bought) in [(5, 0, 0), (90, 84, 0), (96, 90, 0), (97, 91, 1), (156, 150, 4)] {
        world.topics.0.lock().unwrap().insert("transcode".to_owned(), undone);
        world.tick().await;
        assert_eq!(world.status("gpu").await.unwrap().waiting, Some(waiting), "{undone} are not done");
        assert_eq!(names(&world).len(), bought, "{undone} are not done");
    }
    // Those of another queue are not the site's.
    let mut gpu = queued(working(fleet("gpu", KIND, 1, 0, 4)), "transcode");
    gpu["work"]["spec"]["workers"] = json!(2);
    world.put("gpu", gpu).await;
    world.tick().await;
    assert_eq!(world.status("gpu").await.unwrap().waiting, Some(156));
}

#[tokio::test]
async fn own_workers_that_are_slower_than_was_thought_are_joined_by_rented_ones_and_the_alert_sees_it() {
    let workers = Arc::new(Told::default());
    let mut world = beside_own_workers(&workers).await;
    let backlog = |world: &World| {
        let text = world.metrics.text();
        let line = text.lines().find(|it| it.starts_with("streamverse_fleet_backlog_seconds{fleet=\"gpu\"}"));
        line.unwrap().rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    // As fast as rented ones they would do 84 jobs in 14 minutes: one is done in ten.
    let mut done = 0;
    for at in 0..looks(15) {
        done = u64::from(at / looks(10));
        jobs(&world, done, 90);
        world.tick().await;
        assert_eq!(names(&world).len(), 0, "after {at} looks");
    }
    assert!(backlog(&world) < 15.0 * 60.0);
    world.ticks(2).await;
    assert_eq!(names(&world).len(), 4);
    let status = world.status("gpu").await.unwrap();
    assert_eq!(status.waiting, Some(84), "what they have in their hands does not wait");
    assert!(status.trouble.unwrap().contains("longer than half of target_p95"));
    assert!(backlog(&world) > 30.0 * 60.0, "{}", backlog(&world));
    // What is caught up with is no proof that they are faster: the next ones are rented for at once, also by the next controller.
    world.restart();
    jobs(&world, done + 90, 0);
    for _ in 0..looks(90) {
        workers.all(&world, Phase::Working, Some(10_000_000));
        world.tick().await;
    }
    assert_eq!(names(&world).len(), 0);
    jobs(&world, done + 90, 90);
    world.ticks(2).await;
    assert_eq!(names(&world).len(), 4);
}

#[tokio::test]
async fn own_workers_that_are_down_hide_no_job_and_are_counted_on_again_when_they_work() {
    let workers = Arc::new(Told::default());
    let mut world = beside_own_workers(&workers).await;
    jobs(&world, 7, 2);
    world.ticks(looks(29)).await;
    assert_eq!((world.status("gpu").await.unwrap().waiting, names(&world).len()), (Some(0), 0));
    world.ticks(looks(2)).await;
    assert_eq!((world.status("gpu").await.unwrap().waiting, names(&world).len()), (Some(2), 1));
    assert!(world.status("gpu").await.unwrap().trouble.unwrap().contains("see whether they run"));
    // The next controller knows it, too.
    world.restart();
    world.tick().await;
    let status = world.status("gpu").await.unwrap();
    // It takes the one that it has not heard yet for one that works.
    assert_eq!((status.waiting, status.instances), (Some(1), 1));
    assert!(status.trouble.unwrap().contains("see whether they run"));
    // The rented one did them and left; whoever does the next one before anybody is rented is the site's own.
    jobs(&world, 9, 0);
    for _ in 0..looks(90) {
        workers.all(&world, Phase::Working, Some(10_000_000));
        world.tick().await;
    }
    assert_eq!(names(&world).len(), 0);
    jobs(&world, 10, 2);
    world.ticks(looks(1)).await;
    assert_eq!((world.status("gpu").await.unwrap().waiting, names(&world).len()), (Some(0), 0));
}

#[tokio::test]
async fn own_workers_that_keep_up_are_counted_on_though_something_always_waits() {
    let workers = Arc::new(Told::default());
    let mut world = beside_own_workers(&workers).await;
    for at in 0..u64::from(looks(240)) {
        // Five are done and come in each minute; each has waited for ten.
        jobs(&world, at * 5 * TICK_MS / 60_000, 50);
        world.tick().await;
    }
    let status = world.status("gpu").await.unwrap();
    assert_eq!((status.waiting, status.instances, status.trouble), (Some(44), 0, None));
}

#[tokio::test]
async fn what_another_fleets_workers_do_of_the_same_queue_does_not_wait() {
    let workers = Arc::new(Told::default());
    let mut world = world(&workers);
    world.topics.0.lock().unwrap().insert("jobs".to_owned(), 3);
    world.put("gpu", queued(working(fleet("gpu", KIND, 1, 3, 3)), "jobs")).await;
    world.put("more", queued(working(fleet("more", KIND, 1, 0, 3)), "jobs")).await;
    world.ticks(8).await;
    workers.all(&world, Phase::Working, None);
    world.tick().await;
    let status = world.status("more").await.unwrap();
    assert_eq!(status.waiting, Some(0));
    assert!(status.trouble.unwrap().contains("\"gpu\" takes from the same queue"));
}
