//! Several at a time, and ends in the middle: a key is never lost, never made twice, never of two assets.

use std::collections::HashMap;

use proptest::prelude::*;
use streamverse_core::stores::{ContentKey, KeyWanted};

use super::{Place, kid, wanted};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_services_that_race_for_a_new_key_give_the_same_one() {
    let place = Place::new();
    let (one, two) = (place.running().await, place.running().await);
    let mut asked = Vec::new();
    for round in 0..10_u32 {
        let numbers = round * 20..(round + 1) * 20;
        for running in [&one, &two] {
            for _ in 0..3 {
                let (keys, wanted) = (running.keys.clone(), wanted("film", numbers.clone()));
                asked.push(tokio::spawn(async move { keys.obtain(&wanted).await.unwrap() }));
            }
        }
    }
    let mut known: HashMap<_, ContentKey> = HashMap::new();
    for answer in asked {
        for key in answer.await.unwrap() {
            assert_eq!(known.entry(key.kid).or_insert_with(|| key.clone()), &key);
        }
    }
    assert_eq!(known.len(), 200);
    let apart: std::collections::HashSet<[u8; 16]> = known.values().map(|key| *key.secret()).collect();
    assert_eq!(apart.len(), 200, "no two keys are the same");
    one.ended().await;
    two.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_identifier_that_two_assets_race_for_belongs_to_one_of_them_for_ever() {
    let place = Place::new();
    let (one, two) = (place.running().await, place.running().await);
    for number in 0..20 {
        let (film, other) = (wanted("film", number..number + 1), wanted("other", number..number + 1));
        let (first, second) = tokio::join!(one.keys.obtain(&film), two.keys.obtain(&other));
        let winner = match (first, second) {
            (Ok(mut keys), Err(error)) | (Err(error), Ok(mut keys)) => {
                assert_eq!(error.code, "key-of-another-asset");
                keys.pop().unwrap()
            }
            (first, second) => panic!("{first:?} {second:?}"),
        };
        assert_eq!(two.keys.find(&[kid(number)]).await.unwrap(), [Some(winner)]);
    }
    let twice = [wanted("film", 90..91), wanted("other", 90..91)].concat();
    assert_eq!(one.keys.obtain(&twice).await.unwrap_err().code, "key-of-another-asset");
    assert_eq!(one.keys.find(&[kid(90)]).await.unwrap(), [None], "nothing was made of what was refused");
    one.ended().await;
    two.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_service_that_is_cut_off_at_any_moment_has_kept_every_key_that_it_answered() {
    let place = Place::new();
    let mut answered: Vec<ContentKey> = Vec::new();
    for round in 0..12_u32 {
        let running = place.running().await;
        let keys = running.keys.clone();
        let task = tokio::spawn(async move {
            let mut all = Vec::new();
            for step in 0..50 {
                let number = round * 50 + step;
                let one = wanted("film", number..number + 1);
                let asked = keys.obtain(&one);
                let within = std::time::Duration::from_millis(700);
                match tokio::time::timeout(within, asked).await {
                    Ok(Ok(key)) => all.extend(key),
                    _ => break,
                }
            }
            all
        });
        tokio::time::sleep(std::time::Duration::from_millis(u64::from(round) * 7)).await;
        // Not told to stop: gone, with whatever it was doing.
        running.task.abort();
        answered.extend(task.await.unwrap());
    }
    let running = place.running().await;
    let kids: Vec<_> = answered.iter().map(|key| key.kid).collect();
    let found = running.keys.find(&kids).await.unwrap();
    let kept: Vec<ContentKey> = found.into_iter().flatten().collect();
    assert_eq!(kept, answered);
    assert!(!answered.is_empty());
    running.ended().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Whatever is asked in whatever order, also with restarts and another key-encryption key in between: the first answer
    /// for an identifier is the answer for ever.
    #[test]
    fn the_first_answer_for_an_identifier_is_the_answer_for_ever(
        steps in proptest::collection::vec((0_u8..4, 0_u32..6, 0_u8..2), 1..25)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let place = Place::new();
            let mut kek = 2;
            let mut running = place.running().await;
            let mut model: HashMap<u32, ContentKey> = HashMap::new();
            for (what, number, asset) in steps {
                let asset = ["film", "other"][usize::from(asset)];
                match what {
                    0 | 1 => {
                        let wanted =
                            [KeyWanted { kid: kid(number), asset: asset.to_owned(), track: "all".to_owned() }];
                        match (running.keys.obtain(&wanted).await, model.get(&number)) {
                            (Ok(found), Some(known)) => assert_eq!(&found[0], known),
                            (Ok(found), None) => {
                                model.insert(number, found[0].clone());
                            }
                            (Err(error), known) => {
                                assert_eq!(error.code, "key-of-another-asset");
                                assert_ne!(known.unwrap().asset, asset);
                            }
                        }
                    }
                    2 => {
                        let found = running.keys.find(&[kid(number)]).await.unwrap();
                        assert_eq!(found[0].as_ref(), model.get(&number));
                    }
                    _ => {
                        running.ended().await;
                        let previous = place.kek("previous", kek);
                        kek += 1;
                        running = place
                            .started(serde_json::json!({
                                "key_encryption_key": place.kek("kek", kek),
                                "previous_key_encryption_key": previous,
                            }))
                            .await
                            .unwrap();
                        running.keeper.rotate().await.unwrap();
                    }
                }
            }
            running.ended().await;
        });
    }
}
