//! Another key-encryption key: content keys stay, whatever happens in the middle, and a wrong one is refused.

use std::sync::Arc;

use serde_json::json;
use streamverse_core::stores::{Records, open_records};

use super::{Place, kid, wanted};
use crate::keys::KeyStore;
use crate::keys::kek::LocalKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

async fn records(place: &Place) -> Arc<dyn Records> {
    open_records("sqlite://here/main", &place.cx("looking")).await.unwrap()
}

fn local(seed: u8) -> Arc<LocalKey> {
    Arc::new(LocalKey::parse(&STANDARD.encode([seed; 32]), "a test").unwrap())
}

async fn keks(place: &Place) -> Vec<String> {
    let mut all: Vec<String> = records(place)
        .await
        .list("content-keys", "", 1000)
        .await
        .unwrap()
        .into_iter()
        .map(|(_, record)| record.value["kek"].to_string())
        .collect();
    all.sort();
    all.dedup();
    all
}

#[tokio::test]
async fn rotation_that_is_stopped_in_the_middle_goes_on_and_both_keys_are_good_meanwhile() {
    let place = Place::new();
    let first = place.running().await;
    let mut made = Vec::new();
    // Each request seals under a data key of its own.
    for number in 0..40 {
        made.extend(first.keys.obtain(&wanted("film", number..number + 1)).await.unwrap());
    }
    first.ended().await;
    let before = records(&place).await.list("content-keys", "", 1000).await.unwrap();
    // Half of it, by somebody who then is gone.
    let half = KeyStore::new(records(&place).await, local(3), Some(local(2)));
    assert_eq!(half.rewrap("", 20).await.unwrap().rewrapped, 20);
    assert_eq!(keks(&place).await.len(), 2);
    let kids: Vec<_> = (0..40).map(kid).collect();
    assert_eq!(half.find(&kids).await.unwrap(), made.iter().cloned().map(Some).collect::<Vec<_>>());
    let both = json!({ "key_encryption_key": place.kek("new", 3), "previous_key_encryption_key": place.kek("kek", 2) });
    let second = place.started(both.clone()).await.unwrap();
    let done = second.keeper.rotate().await.unwrap();
    assert_eq!((done.looked_at, done.unknown), (40, 0));
    // The service tends by itself too, so that either of them did the rest.
    let again = second.keeper.rotate().await.unwrap();
    assert_eq!((again.rewrapped, again.unknown), (0, 0));
    assert_eq!(second.keys.find(&kids).await.unwrap(), made.iter().cloned().map(Some).collect::<Vec<_>>());
    second.ended().await;
    assert_eq!(keks(&place).await.len(), 1);
    // Content keys were not touched: what is sealed under the data keys is byte for byte what it was.
    let after = records(&place).await.list("content-keys", "", 1000).await.unwrap();
    for ((id, before), (same, after)) in before.iter().zip(&after) {
        assert_eq!(id, same);
        assert_eq!(before.value["sealed"], after.value["sealed"]);
        assert_ne!(before.value["data_key"], after.value["data_key"]);
    }
    // The old key is needed no longer.
    let third = place.started(json!({ "key_encryption_key": place.kek("new", 3) })).await.unwrap();
    assert_eq!(third.keys.find(&kids).await.unwrap(), made.into_iter().map(Some).collect::<Vec<_>>());
    third.ended().await;
}

#[tokio::test]
async fn one_damaged_record_keeps_no_other_from_being_sealed_anew() {
    let place = Place::new();
    let first = place.running().await;
    let mut made = Vec::new();
    for number in 0..12 {
        made.extend(first.keys.obtain(&wanted("film", number..number + 1)).await.unwrap());
    }
    first.ended().await;
    let records = records(&place).await;
    let (torn, unreadable) = (kid(3).hex(), kid(7).hex());
    for id in [&torn, &unreadable] {
        let record = records.get("content-keys", id).await.unwrap().unwrap();
        let mut value = record.value;
        if *id == torn {
            value["data_key"] = json!(STANDARD.encode([9_u8; 60]));
        } else {
            value = json!({ "nothing": "of ours" });
        }
        assert!(records.replace("content-keys", id, record.version, &value).await.unwrap());
    }
    let store = KeyStore::new(Arc::clone(&records), local(3), Some(local(2)));
    store.check().await.unwrap();
    let done = store.rewrap("", 100).await.unwrap();
    assert_eq!((done.looked_at, done.rewrapped, done.damaged), (12, 10, 2));
    let alone = KeyStore::new(records, local(3), None);
    for key in made.into_iter().filter(|it| ![&torn, &unreadable].contains(&&it.kid.hex())) {
        assert_eq!(alone.find(&[key.kid]).await.unwrap(), [Some(key)]);
    }
}

#[tokio::test]
async fn a_service_tends_to_what_is_under_the_previous_key_by_itself() {
    let place = Place::new();
    let first = place.running().await;
    first.keys.obtain(&wanted("film", 0..30)).await.unwrap();
    first.ended().await;
    let both = json!({ "key_encryption_key": place.kek("new", 3), "previous_key_encryption_key": place.kek("kek", 2) });
    let second = place.started(both).await.unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !second.metrics.text().contains("streamverse_keys_rewrapped_total 30") {
        assert!(std::time::Instant::now() < until, "{}", second.metrics.text());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    second.ended().await;
}

#[tokio::test]
async fn a_wrong_key_encryption_key_is_refused_and_nothing_is_damaged() {
    let place = Place::new();
    let first = place.running().await;
    let made = first.keys.obtain(&wanted("film", 0..3)).await.unwrap();
    first.ended().await;
    let before = records(&place).await.list("content-keys", "", 10).await.unwrap();
    let wrong = json!({ "key_encryption_key": place.kek("wrong", 9) });
    let error = place.started(wrong).await.err().unwrap();
    assert_eq!(error.code, "key-encryption-key");
    assert!(error.message.contains("previous_key_encryption_key"), "{error}");
    assert_eq!(records(&place).await.list("content-keys", "", 10).await.unwrap(), before);
    let again = place.running().await;
    assert_eq!(again.keys.obtain(&wanted("film", 0..3)).await.unwrap(), made);
    again.ended().await;
}

#[tokio::test]
async fn a_record_that_was_moved_or_changed_does_not_open() {
    let place = Place::new();
    let running = place.running().await;
    running.keys.obtain(&wanted("film", 0..2)).await.unwrap();
    let records = records(&place).await;
    let record = records.get("content-keys", &kid(0).hex()).await.unwrap().unwrap();
    // The key of one identifier under another one.
    records.insert("content-keys", &kid(7).hex(), &record.value).await.unwrap();
    // Another asset's name beside it.
    let mut other = record.value.clone();
    other["asset"] = json!("other");
    records.insert("content-keys", &kid(8).hex(), &other).await.unwrap();
    for number in [7, 8] {
        assert_eq!(running.keys.find(&[kid(number)]).await.unwrap_err().code, "key-damaged");
    }
    assert!(running.keys.find(&[kid(0), kid(1)]).await.unwrap().iter().all(Option::is_some));
    running.ended().await;
}

#[test]
fn a_key_file_that_others_may_read_or_that_is_none_is_refused_without_being_repeated() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kek");
    std::fs::write(&path, STANDARD.encode([5; 32])).unwrap();
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    for wrong in [0o644, 0o640, 0o660, 0o604, 0o700, 0o4600] {
        mode(wrong);
        let error = LocalKey::of_file(&path).unwrap_err();
        assert!(error.message.contains("chmod 0600"), "{wrong:o}: {error}");
    }
    mode(0o600);
    let id = format!("{:?}", LocalKey::of_file(&path).unwrap());
    assert!(!id.contains(&hex::encode([5; 32])) && !id.contains(&STANDARD.encode([5; 32])), "{id}");
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(LocalKey::of_file(&link).is_err(), "a link may lead anywhere by the next start");
    assert!(LocalKey::of_file(folder.path()).is_err());
    assert!(LocalKey::of_file(&folder.path().join("none")).is_err());
    for text in ["hunter2", "", &STANDARD.encode([1; 16]), &"A".repeat(10_000)] {
        std::fs::write(&path, text).unwrap();
        let error = LocalKey::of_file(&path).unwrap_err();
        assert!(text.is_empty() || !error.chain().contains(text), "{error}");
    }
}
