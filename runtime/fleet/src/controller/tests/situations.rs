//! One situation each.

use std::sync::atomic::Ordering;

use serde_json::json;
use streamverse_compute::cloud::{Notice, NoticeKind};
use streamverse_core::stores::Records as _;
use streamverse_model::compute::{CloudKind, GroupName, Lifecycle, fleet_collection};

use super::kit::{TICK_MS, World, fleet, queued, tombstone};

const BOTH: [CloudKind; 2] = [CloudKind::Aws, CloudKind::Runpod];

#[tokio::test]
async fn a_fleet_is_bought_kept_and_given_back_and_its_status_says_so() {
    for kind in BOTH {
        let mut world = World::new(&[kind], 1);
        world.put("gpu", fleet("gpu", kind, 3, 3, 5)).await;
        world.ticks(8).await;
        assert_eq!(world.cloud().running().len(), 3, "{kind}");
        let status = world.status("gpu").await.unwrap();
        assert_eq!((status.instances, status.ready, status.target), (3, 3, 3));
        assert_eq!((status.generation.as_str(), status.trouble), ("1", None));
        world.put("gpu", tombstone(fleet("gpu", kind, 3, 3, 5))).await;
        world.ticks(3).await;
        assert_eq!(world.cloud().running().len(), 0, "{kind}");
        assert!(world.cloud().inside().groups.is_empty(), "{kind}");
        let status = world.status("gpu").await.unwrap();
        assert!(status.deleted && status.instances == 0 && status.generation == "gone", "{status:?}");
        // The job removes the record; nothing of it is left.
        world.records.remove(&fleet_collection("", "c"), "gpu").await.unwrap();
        world.ticks(2).await;
        assert_eq!(world.status("gpu").await, None);
        assert!(
            world
                .decisions()
                .await
                .iter()
                .any(|it| it.line == "gpu: delete its groups: the pool is being destroyed")
        );
    }
}

#[tokio::test]
async fn a_changed_range_acts_within_one_tick() {
    for kind in BOTH {
        let mut world = World::new(&[kind], 1);
        world.put("gpu", fleet("gpu", kind, 2, 2, 2)).await;
        world.ticks(8).await;
        world.put("gpu", fleet("gpu", kind, 2, 4, 4)).await;
        world.tick().await;
        assert_eq!(world.cloud().running().len(), 4, "{kind}");
        world.ticks(8).await;
        world.put("gpu", fleet("gpu", kind, 2, 1, 1)).await;
        world.tick().await;
        assert_eq!(world.cloud().running().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_record_that_is_gone_without_a_tombstone_is_fenced_and_drained() {
    for kind in BOTH {
        let mut world = World::new(&[kind], 1);
        world.put("gpu", fleet("gpu", kind, 2, 2, 2)).await;
        world.ticks(8).await;
        world.records.remove(&fleet_collection("", "c"), "gpu").await.unwrap();
        world.restart();
        world.ticks(25).await;
        assert_eq!(world.cloud().running().len(), 0, "{kind}");
        assert!(world.cloud().inside().groups.is_empty(), "{kind}");
        assert_eq!(world.status("gpu").await, None);
    }
}

#[tokio::test]
async fn the_group_of_a_candidate_that_is_taken_out_goes_when_nothing_is_in_it() {
    let mut world = World::new(&[CloudKind::Aws], 1);
    world.put("gpu", fleet("gpu", CloudKind::Aws, 3, 3, 3)).await;
    world.ticks(8).await;
    let keys = |world: &World| -> Vec<String> {
        let mut all: Vec<String> =
            world.cloud().inside().groups.keys().map(|it| it.key.to_string()).collect();
        all.sort();
        all
    };
    assert_eq!(keys(&world), ["s-z0", "s-z1", "s-z2"]);
    // A description that cannot be used takes nothing away.
    let mut broken = fleet("gpu", CloudKind::Aws, 2, 3, 3);
    broken["definition"]["shards"] = 3.into();
    world.put("gpu", broken).await;
    world.restart();
    world.ticks(3).await;
    assert_eq!(keys(&world).len(), 3);
    world.put("gpu", fleet("gpu", CloudKind::Aws, 2, 3, 3)).await;
    world.ticks(25).await;
    assert_eq!(keys(&world), ["s-z0", "s-z1"]);
    assert_eq!(world.cloud().running().len(), 3);
    // And comes back with it.
    world.put("gpu", fleet("gpu", CloudKind::Aws, 3, 6, 6)).await;
    world.ticks(8).await;
    assert_eq!((keys(&world).len(), world.cloud().running().len()), (3, 6));
}

#[tokio::test]
async fn a_fleet_whose_record_another_version_wrote_ends_when_it_is_fenced() {
    for kind in BOTH {
        let mut world = World::new(&[kind], 1);
        world.put("gpu", fleet("gpu", kind, 2, 2, 2)).await;
        world.ticks(8).await;
        let mut newer = fleet("gpu", kind, 2, 2, 2);
        newer["definition"]["shards"] = 3.into();
        world.put("gpu", newer.clone()).await;
        world.restart();
        world.ticks(3).await;
        assert_eq!(world.cloud().running().len(), 2, "what it has is left alone: {kind}");
        newer["tombstone"] = true.into();
        newer["generation"] = "end-7".into();
        world.put("gpu", newer).await;
        world.ticks(25).await;
        assert_eq!(world.cloud().running().len(), 0, "{kind}");
        assert!(world.cloud().inside().groups.is_empty(), "{kind}");
        let status = world.status("gpu").await.unwrap();
        assert!(status.deleted && status.generation == "end-7" && status.trouble.is_none(), "{status:?}");
    }
}

#[tokio::test]
async fn what_one_place_refuses_is_asked_elsewhere_within_the_same_tick() {
    for kind in BOTH {
        let mut world = World::new(&[kind], 1);
        world.cloud().inside().empty.extend(["region-0".to_owned(), "region-1".to_owned()]);
        world.put("gpu", fleet("gpu", kind, 3, 1, 1)).await;
        world.tick().await;
        let running = world.cloud().running();
        assert_eq!(running.len(), 1, "{kind}");
        assert_eq!(running[0].place, "region-2");
        let wanted: u32 = world.cloud().inside().groups.values().map(|it| it.1).sum();
        assert!(kind == CloudKind::Runpod || wanted == 1, "a group that was refused goes on trying");
        let told = world.decisions().await;
        assert!(
            told.iter().any(|it| it.outcome.as_ref().is_some_and(|it| it.contains("capacity"))),
            "{told:?}"
        );
        // Twice each: with one place left, both were asked again.
        let refusals = "streamverse_fleet_refusals_total{fleet=\"gpu\",class=\"capacity\"} 4\n";
        assert!(world.metrics.text().contains(refusals), "{}", world.metrics.text());
    }
}

#[tokio::test]
async fn a_group_that_refills_itself_after_a_preemption_is_set_to_what_is_wanted() {
    let mut world = World::new(&[CloudKind::Aws], 1);
    world.put("gpu", fleet("gpu", CloudKind::Aws, 3, 3, 3)).await;
    world.ticks(8).await;
    let place = world.cloud().running()[0].place.clone();
    world.cloud().inside().down.insert(place.clone());
    world.ticks(2).await;
    let key = place.replace("region-", "s-z");
    let group = GroupName::new("live", "gpu", &key).unwrap();
    assert_eq!(world.cloud().inside().groups[&group].1, 0, "it would launch again as soon as it can");
    world.cloud().inside().down.clear();
    world.ticks(60).await;
    assert_eq!(world.cloud().running().len(), 3);
    assert!(world.cloud().running().iter().all(|it| it.lifecycle == Lifecycle::Spot));
    assert!(world.metrics.text().contains("streamverse_fleet_preemptions_total{fleet=\"gpu\""));
}

#[tokio::test]
async fn a_recommendation_to_rebalance_ends_nobody_and_what_is_started_meanwhile_starts_elsewhere() {
    let mut world = World::new(&[CloudKind::Aws], 1);
    world.put("gpu", fleet("gpu", CloudKind::Aws, 3, 1, 1)).await;
    world.ticks(8).await;
    let before = world.cloud().running();
    let notice = |id: &str| Notice { id: id.to_owned(), kind: NoticeKind::Rebalance, at_ms: None };
    world.cloud().inside().notices = before.iter().map(|it| notice(&it.id)).collect();
    world.ticks(2).await;
    world.put("gpu", fleet("gpu", CloudKind::Aws, 3, 4, 4)).await;
    world.tick().await;
    let all = world.cloud().running();
    let (old, new): (Vec<_>, Vec<_>) = all.iter().partition(|it| before.iter().any(|old| old.id == it.id));
    assert_eq!((old.len(), new.len()), (1, 3), "{all:?}");
    assert!(new.iter().all(|it| before.iter().all(|old| old.place != it.place)), "{all:?}");
}

#[tokio::test]
async fn when_spot_is_gone_one_on_demand_stands_in_and_leaves_again() {
    let mut world = World::new(&[CloudKind::Aws], 1);
    world.cloud().inside().limit = 1;
    world.put("gpu", fleet("gpu", CloudKind::Aws, 3, 4, 4)).await;
    world.ticks(8).await;
    world.cloud().inside().down.extend((0..3).map(|it| format!("region-{it}")));
    world.ticks(20).await;
    let running = world.cloud().running();
    assert!(running.len() == 1 && running[0].lifecycle == Lifecycle::OnDemand, "{running:?}");
    world.cloud().inside().down.clear();
    world.ticks(80).await;
    let running = world.cloud().running();
    assert!(running.len() == 4 && running.iter().all(|it| it.lifecycle == Lifecycle::Spot), "{running:?}");
    assert_eq!(world.cloud().inside().breaches, Vec::<String>::new());
}

#[tokio::test]
async fn a_definition_that_cannot_be_used_stops_no_other_and_says_why() {
    let mut world = World::new(&[CloudKind::Runpod], 1);
    world.put("broken", json!({ "what": "is this" })).await;
    world.put("far", fleet("far", CloudKind::Gcp, 1, 1, 1)).await;
    let mut elsewhere = queued(fleet("queued", CloudKind::Runpod, 1, 1, 2), "jobs");
    elsewhere["definition"]["queue"]["event_log"] = json!("kafka://elsewhere:9092");
    world.put("queued", elsewhere).await;
    world.put("good", fleet("good", CloudKind::Runpod, 1, 1, 1)).await;
    world.ticks(2).await;
    let pools: Vec<String> = world.cloud().running().iter().map(|it| it.group.pool.to_string()).collect();
    assert_eq!(pools, ["good", "queued"]);
    for (fleet, says) in [("broken", "record"), ("far", "no access"), ("queued", "not among the stores")] {
        let trouble = world.status(fleet).await.unwrap().trouble.unwrap_or_default();
        assert!(trouble.contains(says), "{fleet}: {trouble}");
    }
    let text = world.metrics.text();
    assert!(text.contains("streamverse_fleet_trouble{fleet=\"far\"} 1"), "{text}");
    assert!(text.contains("streamverse_fleet_trouble{fleet=\"good\"} 0"), "{text}");
    // What runs stays when its definition breaks.
    world.put("good", json!({ "what": "is this" })).await;
    world.ticks(4).await;
    assert_eq!(world.cloud().running().len(), 2);
}

#[tokio::test]
async fn a_queue_brings_workers_and_an_empty_one_takes_them() {
    for kind in BOTH {
        let mut world = World::new(&[kind], 1);
        world.topics.0.lock().unwrap().insert("jobs".to_owned(), 60);
        world.put("gpu", queued(fleet("gpu", kind, 3, 0, 6), "jobs")).await;
        world.ticks(2).await;
        assert_eq!(world.cloud().running().len(), 4, "{kind}");
        assert_eq!(world.status("gpu").await.unwrap().waiting, Some(60));
        world.ticks(10).await;
        world.topics.0.lock().unwrap().insert("jobs".to_owned(), 0);
        world.ticks(120).await;
        assert_eq!(world.cloud().running().len(), 0, "{kind}");
    }
}

#[tokio::test]
async fn a_state_is_written_before_anything_is_asked_for_and_not_while_only_time_passes() {
    let mut world = World::new(&[CloudKind::Runpod], 1);
    world.put("gpu", fleet("gpu", CloudKind::Runpod, 1, 1, 1)).await;
    // Killed at the first call that costs.
    world.cloud().inside().hang = Some("launch");
    world.tick().await;
    let state = world.records.get(&fleet_collection("state", "c"), "state").await.unwrap().unwrap();
    assert_eq!(state.value["pools"][0]["orders"].as_array().map(Vec::len), Some(1));
    world.cloud().inside().hang = None;
    world.ticks(10).await;
    let before = world.records.writes.load(Ordering::Relaxed);
    world.ticks(8).await;
    // Two minutes: two states and two statuses at most, and one of each at the border.
    let written = world.records.writes.load(Ordering::Relaxed) - before;
    assert!((2..=6).contains(&written), "{written} writes in eight ticks");
}

#[tokio::test]
async fn of_two_controllers_without_a_lease_the_one_that_is_behind_does_nothing() {
    for kind in BOTH {
        let mut world = World::new(&[kind], 1);
        world.put("gpu", fleet("gpu", kind, 2, 2, 2)).await;
        let mut other = world.another();
        world.ticks(2).await;
        other.tick().await.unwrap();
        world.put("gpu", fleet("gpu", kind, 2, 4, 4)).await;
        other.tick().await.unwrap();
        assert_eq!(world.cloud().running().len(), 4);
        let calls = world.cloud().calls("launch") + world.cloud().calls("resize");
        world.pass(1000);
        let refused = world.controller.tick().await.unwrap_err();
        assert_eq!(refused.code, "fleet-taken");
        assert_eq!(world.cloud().calls("launch") + world.cloud().calls("resize"), calls);
        // It reads what the other one wrote, and goes on from there.
        world.ticks(3).await;
        assert_eq!(world.cloud().running().len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_hangs_stops_the_others_for_its_deadline_once_and_then_a_part_of_a_tick_but_each_fourth()
{
    let mut world = World::new(&[CloudKind::Aws, CloudKind::Runpod], 1);
    world.put("a", fleet("a", CloudKind::Aws, 1, 1, 1)).await;
    world.put("r", fleet("r", CloudKind::Runpod, 1, 1, 1)).await;
    world.clouds[&CloudKind::Aws].inside().hang = Some("instances");
    world.pass(1000);
    let began = tokio::time::Instant::now();
    world.controller.tick().await.unwrap();
    assert!(began.elapsed() <= super::super::look::LIST * 2, "{:?}", began.elapsed());
    assert_eq!(world.clouds[&CloudKind::Runpod].running().len(), 1);
    let trouble = world.status("a").await.unwrap().trouble.unwrap_or_default();
    assert!(
        trouble.contains("does not tell") && trouble.contains("(aws: its instances: no answer"),
        "{trouble}"
    );
    world.put("r", fleet("r", CloudKind::Runpod, 1, 2, 2)).await;
    let mut took = Vec::new();
    for _ in 0..8 {
        world.pass(TICK_MS);
        let began = tokio::time::Instant::now();
        world.controller.tick().await.unwrap();
        took.push(began.elapsed() <= std::time::Duration::from_millis(TICK_MS / 3));
        assert_eq!(world.clouds[&CloudKind::Runpod].running().len(), 2, "a change acts within the tick");
    }
    assert_eq!(took, [true, true, true, false, true, true, true, false], "it may be slow alone");
    world.clouds[&CloudKind::Aws].inside().hang = None;
    world.ticks(2).await;
    assert_eq!(world.status("a").await.unwrap().trouble, None);
}

#[tokio::test]
async fn a_group_that_cannot_be_deleted_is_a_trouble_of_its_fleet_alone_and_is_asked_for_once_a_minute() {
    let mut world = World::new(&[CloudKind::Aws], 1);
    let other = fleet("other", CloudKind::Aws, 1, 1, 1);
    world.put("gpu", fleet("gpu", CloudKind::Aws, 3, 3, 3)).await;
    world.put("other", other.clone()).await;
    world.ticks(8).await;
    // Two of three places are given up, and what is left of them stays; the other fleet is destroyed meanwhile.
    world.cloud().inside().stuck.insert("gpu".to_owned());
    world.put("gpu", fleet("gpu", CloudKind::Aws, 1, 3, 3)).await;
    world.ticks(8).await;
    let groups = |world: &World, pool: &str| {
        world.cloud().inside().groups.keys().filter(|it| it.pool.as_str() == pool).count()
    };
    let stays = groups(&world, "gpu") as u32 - 1;
    assert!(stays > 0, "nothing was given up");
    let before = world.cloud().calls("delete");
    world.put("other", tombstone(other)).await;
    world.ticks(8).await;
    assert!(world.status("other").await.unwrap().deleted, "what another one cannot delete is nothing to it");
    assert_eq!(groups(&world, "other"), 0);
    // Two minutes, and the one of the other fleet.
    let asked = world.cloud().calls("delete") - before;
    assert_eq!(asked, 2 * stays + 1);
    let trouble = world.status("gpu").await.unwrap().trouble.unwrap();
    assert!(trouble.contains("cannot be deleted") && trouble.contains("the test said so"), "{trouble}");
    world.cloud().inside().stuck.clear();
    world.ticks(5).await;
    assert_eq!((groups(&world, "gpu"), world.status("gpu").await.unwrap().trouble), (1, None));
}
