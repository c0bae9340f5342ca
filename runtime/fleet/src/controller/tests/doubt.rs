//! What was done, and nobody knows: lost answers, and what another term or process knew.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use streamverse_core::stores::Records as _;
use streamverse_model::compute::{CloudKind, fleet_collection};

use super::cloud::Lose;
use super::kit::{World, fleet, tombstone};

const KIND: CloudKind = CloudKind::Runpod;

#[tokio::test]
async fn a_state_that_was_written_and_whose_answer_was_lost_is_ours_and_no_other_controllers() {
    let mut world = World::new(&[KIND], 1);
    // The first state, which is new, and those after it, which replace it.
    world.records.lost.store(true, Ordering::Relaxed);
    for size in [2, 4, 3] {
        world.put("gpu", fleet("gpu", KIND, 2, size, size)).await;
        world.pass(1000);
        world.controller.tick().await.unwrap();
        assert_eq!(world.cloud().running().len(), size as usize, "it acted on what it wrote");
    }
    // And it goes on from what is there, also when answers arrive again.
    world.records.lost.store(false, Ordering::Relaxed);
    world.put("gpu", fleet("gpu", KIND, 2, 5, 5)).await;
    world.tick().await;
    assert_eq!((world.cloud().running().len(), world.cloud().inside().ledger.len()), (5, 6));
    // What another one wrote in between is still another one's.
    let (collection, records) = (fleet_collection("state", "c"), Arc::clone(&world.records));
    let mut other = records.get(&collection, "state").await.unwrap().unwrap();
    other.value["pools"][0]["target"] = 7.into();
    assert!(records.replace(&collection, "state", other.version, &other.value).await.unwrap());
    world.records.lost.store(true, Ordering::Relaxed);
    world.put("gpu", fleet("gpu", KIND, 2, 1, 1)).await;
    world.pass(1000);
    assert_eq!(world.controller.tick().await.unwrap_err().code, "fleet-taken");
    assert_eq!(world.cloud().running().len(), 5, "it acted on what another one decides");
}

#[tokio::test]
async fn a_state_of_the_first_layout_is_read_without_what_came_later_and_one_of_a_newer_layout_stops_everything()
 {
    let mut world = World::new(&[KIND], 1);
    world.put("gpu", fleet("gpu", KIND, 1, 2, 2)).await;
    let collection = fleet_collection("state", "c");
    let write = |text: &str| {
        let (records, collection, value) =
            (Arc::clone(&world.records), collection.clone(), serde_json::from_str(text).unwrap());
        async move {
            records.remove(&collection, "state").await.unwrap();
            assert!(records.insert(&collection, "state", &value).await.unwrap());
        }
    };
    // What is not where this version looks for it, and what says nothing of its layout.
    for (text, layout) in [
        (r#"{"version": 2, "pools": {"gpu": {"launched": 41}}}"#, "the layout 2"),
        (r#"{"pools": []}"#, "the layout 0"),
    ] {
        write(text).await;
        world.pass(1000);
        let refused = world.controller.tick().await.unwrap_err();
        assert!(refused.code == "fleet-state" && refused.retry, "{refused:?}");
        assert!(
            refused.message.contains(layout) && refused.message.contains("reads 1"),
            "{}",
            refused.message
        );
        let left = world.records.get(&collection, "state").await.unwrap().unwrap().value;
        assert_eq!((left, world.cloud().calls("launch")), (serde_json::from_str(text).unwrap(), 0));
    }
    // A field of layout 1 that this version does not know: it would be lost by writing.
    write(r#"{"version": 1, "pools": [], "of_tomorrow": 1}"#).await;
    world.pass(1000);
    let refused = world.controller.tick().await.unwrap_err();
    assert!(refused.message.contains("is not one of this version"), "{}", refused.message);
    assert_eq!(world.cloud().calls("launch"), 0);
    // All that the first state had; its numbers go on, and what came later begins as if nothing had happened.
    write(r#"{"version": 1, "pools": [{"name": "gpu", "next_number": 41, "places": [], "orders": [], "known": [], "deleted": false}]}"#).await;
    world.pass(1000);
    world.controller.tick().await.unwrap();
    let numbers: Vec<u64> =
        world.cloud().running().iter().filter_map(|it| Some(it.name.as_ref()?.number)).collect();
    assert_eq!(numbers, [41, 42]);
    let kept = world.records.get(&collection, "state").await.unwrap().unwrap().value;
    assert_eq!((&kept["version"], &kept["pools"][0]["next_number"]), (&1.into(), &43.into()));
}

/// A fleet of one whose launches were lost for so many looks; the last of them came through, and is listed after 100 s.
async fn lost_launches(looks: u32) -> World {
    let mut world = World::new(&[KIND], 1);
    world.put("gpu", fleet("gpu", KIND, 1, 1, 1)).await;
    world.cloud().inside().lose = Some(Lose::Request);
    world.ticks(looks).await;
    assert_eq!((world.cloud().running().len(), world.cloud().calls("launch")), (0, looks));
    world.cloud().inside().lose = Some(Lose::Answer);
    world.tick().await;
    assert_eq!(world.cloud().running().len(), 1);
    let now = world.now.load(Ordering::Relaxed);
    world.cloud().inside().ledger[0].listed_ms = now + 100_000;
    world.cloud().inside().lose = None;
    world
}

#[tokio::test]
async fn a_fleet_that_is_destroyed_after_a_launch_of_unknown_outcome_is_gone_when_what_may_appear_has_gone() {
    // The order is a minute old; older than what nobody saw for long; forgotten in the look of the tombstone.
    for looks in [3, 12, 59] {
        let mut world = lost_launches(looks).await;
        world.put("gpu", tombstone(fleet("gpu", KIND, 1, 1, 1))).await;
        let mut waited = 0;
        // Then its job removes the record, and nobody looks for it any more.
        while !world.status("gpu").await.is_some_and(|it| it.deleted) {
            world.tick().await;
            waited += 1;
            assert!(waited < 40, "{looks} lost: it is never over");
        }
        assert_eq!(world.cloud().running().len(), 0, "{looks} lost: it leaks after {waited} looks");
    }
}

#[tokio::test]
async fn what_may_still_appear_in_a_place_that_left_the_list_is_not_bought_again_elsewhere() {
    let mut world = lost_launches(12).await;
    let mut elsewhere = fleet("gpu", KIND, 1, 1, 1);
    elsewhere["definition"]["candidates"][0]["key"] = "another".into();
    elsewhere["definition"]["candidates"][0]["region"] = "another".into();
    world.put("gpu", elsewhere).await;
    for _ in 0..30 {
        world.tick().await;
        assert!(world.cloud().running().len() <= 1, "one is wanted");
    }
    let running = world.cloud().running();
    assert!(running.len() == 1 && running[0].place == "another", "{running:?}");
}

#[tokio::test]
async fn what_was_to_be_given_back_when_the_controller_was_killed_is_given_back_by_the_next_one_at_once() {
    for kind in [CloudKind::Runpod, CloudKind::Aws] {
        let mut world = World::new(&[kind], 1);
        world.put("gpu", fleet("gpu", kind, 2, 2, 2)).await;
        world.ticks(8).await;
        world.put("gpu", fleet("gpu", kind, 2, 1, 1)).await;
        // It is killed at the call, before anything is done.
        world.cloud().inside().hang = Some("terminate");
        world.tick().await;
        assert_eq!(world.cloud().running().len(), 2);
        world.cloud().inside().hang = None;
        world.tick().await;
        assert_eq!(world.cloud().running().len(), 1, "{kind}: a look later");
    }
}
