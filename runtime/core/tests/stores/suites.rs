//! What every implementation of a store must do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use streamverse_core::log::{EventLog, Record};
use streamverse_core::stores::{AssetRecord, Cache, Catalogue, RenditionRecord};

pub(crate) async fn objects(store: Arc<dyn ObjectStore>) {
    let path = Path::from("vod/a/1/seg.m4s");
    store.put(&path, Bytes::from_static(b"0123456789").into()).await.unwrap();
    store.put(&path, Bytes::from_static(b"abcdefghij").into()).await.unwrap();
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "abcdefghij");
    assert_eq!(store.get_range(&path, 2..5).await.unwrap(), "cde");
    assert_eq!(store.head(&path).await.unwrap().size, 10);
    store.put(&Path::from("vod/b/1/x"), Bytes::new().into()).await.unwrap();
    let listed: Vec<_> = store.list(Some(&Path::from("vod/a"))).try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|it| it.location.to_string()).collect::<Vec<_>>(), ["vod/a/1/seg.m4s"]);
    store.delete(&path).await.unwrap();
    assert!(matches!(store.head(&path).await, Err(object_store::Error::NotFound { .. })));
}

pub(crate) async fn catalogue(one: &dyn Catalogue, other: &dyn Catalogue) {
    let asset = |name: &str, generation: &str| AssetRecord {
        name: name.to_owned(),
        generation: generation.to_owned(),
        title: "Ein Film – \"zwei\"".to_owned(),
        duration_ms: 1,
        renditions: vec![RenditionRecord {
            name: "720p".to_owned(),
            kind: "video".to_owned(),
            codecs: "avc1.64001f".to_owned(),
            bit_rate: 1,
            width: 1280,
            height: 720,
        }],
        subtitles: vec!["en".to_owned()],
        bytes: 5,
        hls: "hls.m3u8".to_owned(),
        dash: "dash.mpd".to_owned(),
        thumbnails: None,
    };
    one.probe().await.unwrap();
    assert_eq!(one.asset("a").await.unwrap(), None);
    one.publish(&asset("b", "1")).await.unwrap();
    one.publish(&asset("a", "1")).await.unwrap();
    other.publish(&asset("a", "2")).await.unwrap();
    other.publish(&asset("a", "2")).await.unwrap();
    assert_eq!(one.asset("a").await.unwrap(), Some(asset("a", "2")), "another process's change is seen");
    let names = |all: Vec<AssetRecord>| all.into_iter().map(|it| it.name).collect::<Vec<_>>();
    assert_eq!(names(other.assets().await.unwrap()), ["a", "b"]);
    one.withdraw("a").await.unwrap();
    one.withdraw("a").await.unwrap();
    assert_eq!(names(other.assets().await.unwrap()), ["b"]);
    one.withdraw("b").await.unwrap();
}

pub(crate) async fn cache(cache: &dyn Cache) {
    cache.probe().await.unwrap();
    assert_eq!(cache.get("a").await.unwrap(), None);
    cache.put("a", Bytes::from_static(b"\0\xff one"), Duration::from_secs(60)).await.unwrap();
    assert_eq!(cache.get("a").await.unwrap().unwrap(), Bytes::from_static(b"\0\xff one"));
    cache.put("a", Bytes::from_static(b"two"), Duration::from_millis(200)).await.unwrap();
    assert_eq!(cache.get("a").await.unwrap().unwrap(), "two");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(cache.get("a").await.unwrap(), None, "its time is over");
    cache.put("b", Bytes::from_static(b"x"), Duration::from_secs(60)).await.unwrap();
    cache.remove("b").await.unwrap();
    cache.remove("b").await.unwrap();
    assert_eq!(cache.get("b").await.unwrap(), None);
}

/// What is asked of every log. `topic` is new in it.
pub(crate) async fn log(log: &dyn EventLog, topic: &str) {
    log.ensure_topic(topic, 4, None).await.unwrap();
    log.ensure_topic(topic, 4, None).await.unwrap();
    for number in 0..20 {
        log.append(topic, &format!("key-{}", number % 7), Bytes::from(number.to_string())).await.unwrap();
    }
    let all = log.read_all(topic).await.unwrap();
    assert_eq!(all.len(), 20);
    assert!(in_order(&all), "records of a partition are in order, and a key stays in its partition");
    assert_eq!(log.lag("workers", topic).await.unwrap(), 20);

    // One member does half, and is gone with one record in its hands.
    let mut done = Vec::new();
    let mut first = log.join("workers", topic).await.unwrap();
    for _ in 0..10 {
        let record = next(&mut *first).await;
        first.commit(&record).await.unwrap();
        done.push(record);
    }
    let unfinished = next(&mut *first).await;
    drop(first);
    assert_eq!(log.lag("workers", topic).await.unwrap(), 10);

    // Two others share the rest: nothing is lost, what was unfinished comes again.
    let mut second = log.join("workers", topic).await.unwrap();
    let mut rest = Vec::new();
    while rest.len() < 10 {
        let record = next(&mut *second).await;
        second.commit(&record).await.unwrap();
        rest.push(record);
    }
    assert!(rest.iter().any(|it| it.value == unfinished.value), "an uncommitted record is given again");
    let mut values: Vec<u32> =
        done.iter().chain(&rest).map(|it| std::str::from_utf8(&it.value).unwrap().parse().unwrap()).collect();
    values.sort_unstable();
    assert_eq!(values, (0..20).collect::<Vec<_>>());
    assert_eq!(log.lag("workers", topic).await.unwrap(), 0);

    // Another group sees everything; a wait that was dropped lost nothing.
    let mut others = log.join("others", topic).await.unwrap();
    let dropped = tokio::time::timeout(Duration::from_millis(1), others.next()).await;
    let mut seen = usize::from(dropped.is_ok());
    while seen < 20 {
        next(&mut *others).await;
        seen += 1;
    }
}

async fn next(member: &mut dyn streamverse_core::log::Member) -> Record {
    tokio::time::timeout(Duration::from_secs(60), member.next()).await.expect("a record in time").unwrap()
}

fn in_order(all: &[Record]) -> bool {
    let mut last = std::collections::BTreeMap::new();
    let mut place = std::collections::BTreeMap::new();
    all.iter().all(|it| {
        let grows = last
            .insert(it.position.partition, it.position.offset)
            .is_none_or(|before| before < it.position.offset);
        grows && *place.entry(it.key.clone()).or_insert(it.position.partition) == it.position.partition
    })
}
