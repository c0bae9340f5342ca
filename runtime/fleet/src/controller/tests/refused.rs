//! What clouds refuse, and how it is told.

use streamverse_compute::cloud::ErrorClass;
use streamverse_model::compute::CloudKind;

use super::cloud::Lose;
use super::kit::{World, fleet};

#[tokio::test]
async fn where_an_account_may_not_have_the_first_candidate_the_second_is_bought_in_the_same_tick() {
    let mut world = World::new(&[CloudKind::Runpod], 1);
    let forbidden = (ErrorClass::Permanent, "403, access denied");
    world.cloud().inside().answers.insert("region-0".to_owned(), forbidden);
    world.put("gpu", fleet("gpu", CloudKind::Runpod, 3, 2, 2)).await;
    world.put("other", fleet("other", CloudKind::Runpod, 2, 1, 1)).await;
    world.tick().await;
    let places: Vec<String> = world.cloud().running().into_iter().map(|it| it.place).collect();
    assert_eq!(places, ["region-1"; 3], "no place but the first is closed, for no fleet");
    let trouble = world.status("gpu").await.unwrap().trouble.unwrap_or_default();
    assert!(trouble.contains("runpod refuses to start anything: 403, access denied"), "{trouble}");
    // It is left alone for a while, by each fleet.
    let asked = world.cloud().calls("launch");
    world.ticks(20).await;
    assert_eq!(world.cloud().calls("launch"), asked);
}

#[tokio::test]
async fn a_fleet_whose_places_all_give_the_same_answer_for_an_hour_while_nothing_runs_suspects_its_request() {
    let mut world = World::new(&[CloudKind::Runpod], 1);
    let rule = (ErrorClass::Capacity, "400, no machine takes such a disk");
    for place in ["region-0", "region-1"] {
        world.cloud().inside().answers.insert(place.to_owned(), rule);
    }
    let market = (ErrorClass::Capacity, "400, there are no longer any instances");
    world.cloud().inside().answers.insert("region-2".to_owned(), market);
    world.put("gpu", fleet("gpu", CloudKind::Runpod, 2, 1, 1)).await;
    world.put("market", fleet("market", CloudKind::Runpod, 3, 1, 1)).await;
    world.put("asleep", fleet("asleep", CloudKind::Runpod, 2, 0, 1)).await;
    world.ticks(220).await;
    assert_eq!(world.status("gpu").await.unwrap().trouble, None, "an hour is not over");
    world.ticks(40).await;
    let trouble = world.status("gpu").await.unwrap().trouble.unwrap_or_default();
    let told =
        "nothing runs, and each place of runpod has given the same answer for an hour: 400, no machine takes";
    assert!(trouble.contains(told) && trouble.contains("look at what the fleet asks for"), "{trouble}");
    for other in ["market", "asleep"] {
        assert_eq!(world.status(other).await.unwrap().trouble, None, "{other}");
    }
    // It was the market after all.
    world.cloud().inside().answers.clear();
    world.ticks(2).await;
    assert_eq!(world.cloud().running().len(), 2);
    assert_eq!(world.status("gpu").await.unwrap().trouble, None);
}

#[tokio::test]
async fn what_was_not_answered_is_told_as_that_and_counts_as_no_refusal_and_what_could_not_be_ended_failed() {
    let mut world = World::new(&[CloudKind::Runpod], 1);
    world.put("gpu", fleet("gpu", CloudKind::Runpod, 1, 1, 1)).await;
    world.cloud().inside().lose = Some(Lose::Answer);
    world.tick().await;
    world.cloud().inside().lose = None;
    world.ticks(6).await;
    assert_eq!(world.cloud().running().len(), 1);
    let told = world.decisions().await;
    let came = told[0].outcome.as_deref().unwrap_or_default();
    assert!(came.starts_with("nobody knew at first what came of it: the test said so"), "{told:?}");
    assert!(!world.metrics.text().contains("fleet_refusals_total{"), "{}", world.metrics.text());
    // It cannot be ended, for whatever reason.
    world.cloud().inside().faults.throttle = 1000;
    world.put("gpu", fleet("gpu", CloudKind::Runpod, 1, 0, 0)).await;
    world.ticks(3).await;
    let told = world.decisions().await;
    let ended = told.iter().find(|it| it.line.contains("terminate")).and_then(|it| it.outcome.as_deref());
    assert_eq!(ended, Some("it failed: the test said so (throttle)"), "{told:?}");
    // What a cloud does not want is refused.
    world.cloud().inside().faults.throttle = 0;
    world.cloud().inside().empty.insert("region-0".to_owned());
    world.put("new", fleet("new", CloudKind::Runpod, 1, 1, 1)).await;
    world.tick().await;
    let told = world.decisions().await;
    let refused = told.iter().find(|it| it.line.contains("new: launch")).and_then(|it| it.outcome.as_deref());
    assert_eq!(refused, Some("it was refused: the test said so (capacity)"), "{told:?}");
}
