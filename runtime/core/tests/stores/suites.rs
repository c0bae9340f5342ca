//! What every implementation of a store must do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{MultipartUpload as _, ObjectStore, ObjectStoreExt as _, PutMode};
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
    assert!(matches!(store.get(&path).await, Err(object_store::Error::NotFound { .. })));
    one_writer_wins(&store).await;
    large_objects(&*store).await;
}

/// A conditional put: of those who make the same object at once, one does.
async fn one_writer_wins(store: &Arc<dyn ObjectStore>) {
    let path = Path::from("claims/one");
    let writers = (0..8).map(|number: u8| {
        let (store, path) = (Arc::clone(store), path.clone());
        tokio::spawn(async move {
            let made = store.put_opts(&path, vec![number; 1000].into(), PutMode::Create.into()).await;
            match made {
                Ok(_) => Some(number),
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                    None
                }
                Err(error) => panic!("{error}"),
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut winners = Vec::new();
    for writer in writers {
        winners.extend(writer.await.unwrap());
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let found = store.get(&path).await.unwrap().bytes().await.unwrap();
    assert!(found.len() == 1000 && found.iter().all(|byte| *byte == winners[0]));
    store.delete(&path).await.unwrap();
}

/// Written in parts, read in ranges; nothing is seen of an upload that was not finished.
async fn large_objects(store: &dyn ObjectStore) {
    const PART: usize = 6 << 20;
    let path = Path::from("vod/large");
    let mut upload = store.put_multipart(&path).await.unwrap();
    for part in 0..3_u8 {
        upload.put_part(vec![part; PART].into()).await.unwrap();
    }
    assert!(matches!(store.head(&path).await, Err(object_store::Error::NotFound { .. })));
    upload.complete().await.unwrap();
    let part = PART as u64;
    assert_eq!(store.head(&path).await.unwrap().size, 3 * part);
    let seam = store.get_range(&path, part - 2..part + 2).await.unwrap();
    assert_eq!(seam.as_ref(), [0, 0, 1, 1]);
    let ends =
        store.get_ranges(&path, &[0..1, 2 * part..2 * part + 1, 3 * part - 1..3 * part]).await.unwrap();
    assert_eq!(ends.concat(), [0, 2, 2]);
    let end = store.get_range(&path, 3 * part - 1..3 * part + 10).await.unwrap();
    assert_eq!(end.as_ref(), [2], "a range past the end is cut");
    let mut dropped = store.put_multipart(&Path::from("vod/dropped")).await.unwrap();
    dropped.put_part(vec![0; PART].into()).await.unwrap();
    dropped.abort().await.unwrap();
    assert!(store.head(&Path::from("vod/dropped")).await.is_err());
    store.delete(&path).await.unwrap();
}

pub(crate) fn asset(name: &str, generation: &str) -> AssetRecord {
    AssetRecord {
        name: name.to_owned(),
        generation: generation.to_owned(),
        title: "Ein Film – \"zwei\"".to_owned(),
        duration_ms: 1,
        renditions: vec![RenditionRecord {
            bytes: 3_000_000,
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
        ..AssetRecord::default()
    }
}

pub(crate) async fn catalogue(one: &dyn Catalogue, other: &dyn Catalogue) {
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
    // Writers at once: a record is one of theirs, whole; and the order is that of bytes everywhere.
    let title = |number: usize| format!("{number}").repeat(5000);
    let writes = (0..20).map(|number: usize| {
        let at = if number.is_multiple_of(2) { one } else { other };
        async move {
            for name in ["B", "a-b", "ab"] {
                at.publish(&AssetRecord { title: title(number), ..asset(name, "1") }).await.unwrap();
            }
        }
    });
    futures::future::join_all(writes).await;
    let all = one.assets().await.unwrap();
    assert!(all.iter().all(|it| (0..20).any(|number| it.title == title(number))));
    assert_eq!(names(all), ["B", "a-b", "ab"]);
    for name in ["B", "a-b", "ab"] {
        other.withdraw(name).await.unwrap();
    }
    assert_eq!(one.assets().await.unwrap(), []);
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
    let large = Bytes::from(vec![7; 512 << 10]);
    cache.put("large", large.clone(), Duration::from_secs(60)).await.unwrap();
    assert!(cache.get("large").await.unwrap().unwrap() == large);
    let puts = (0..100).map(|number: u32| async move {
        let (key, value) = (format!("many/{number}"), Bytes::from(number.to_string()));
        cache.put(&key, value.clone(), Duration::from_secs(60)).await.unwrap();
        assert_eq!(cache.get(&key).await.unwrap().unwrap(), value);
    });
    futures::future::join_all(puts).await;
    one_insert_wins(cache).await;
}

/// Of many who keep something under a key at once, one is told so, until its time is over.
async fn one_insert_wins(cache: &dyn Cache) {
    let inserts = |lifetime: Duration| {
        futures::future::join_all((0..50_u32).map(move |number| async move {
            let value = Bytes::from(number.to_string());
            cache.insert("once", value.clone(), lifetime).await.unwrap().then_some(value)
        }))
    };
    let winners: Vec<_> = inserts(Duration::from_secs(60)).await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(cache.get("once").await.unwrap().as_ref(), winners.first());
    cache.remove("once").await.unwrap();
    assert!(cache.insert("once", Bytes::new(), Duration::from_millis(300)).await.unwrap());
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(inserts(Duration::from_secs(60)).await.into_iter().flatten().count(), 1, "its time was over");
    assert_eq!(inserts(Duration::from_secs(60)).await.into_iter().flatten().count(), 0);
    cache.remove("once").await.unwrap();
    assert!(cache.insert("once", Bytes::new(), Duration::from_secs(60)).await.unwrap());
    cache.put("once", Bytes::from_static(b"x"), Duration::from_secs(60)).await.unwrap();
    assert!(!cache.insert("once", Bytes::new(), Duration::from_secs(60)).await.unwrap());
    cache.remove("once").await.unwrap();
}

/// What is asked of every log. `topic` is new in it.
pub(crate) async fn log(log: &dyn EventLog, topic: &str) {
    log.probe().await.unwrap();
    no_topic(log, &format!("{topic}-none")).await;
    log.ensure_topic(topic, 4, None).await.unwrap();
    log.ensure_topic(topic, 4, None).await.unwrap();
    for number in 0..20 {
        log.append(topic, &format!("key-{}", number % 7), Bytes::from(number.to_string())).await.unwrap();
    }
    let all = log.read_all(topic).await.unwrap();
    assert_eq!(all.len(), 20);
    assert!(in_order(&all), "records of a partition are in order, and a key stays in its partition");
    assert_eq!(log.lag("workers", topic).await.unwrap(), 20);
    assert_eq!(progress(log, topic).await, (4, 0, 20));

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
    assert_eq!(progress(log, topic).await, (4, 10, 20));

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

    log_of_many(log, &format!("{topic}-many")).await;

    // Another group sees everything; a wait that was dropped lost nothing.
    let mut others = log.join("others", topic).await.unwrap();
    let dropped = tokio::time::timeout(Duration::from_millis(1), others.next()).await;
    let mut seen = usize::from(dropped.is_ok());
    while seen < 20 {
        next(&mut *others).await;
        seen += 1;
    }
}

/// How many partitions a topic has, and how many of its records are done and were ever written.
async fn progress(log: &dyn EventLog, topic: &str) -> (usize, u64, u64) {
    let partitions = log.progress("workers", topic).await.unwrap();
    (partitions.len(), partitions.iter().map(|it| it.done).sum(), partitions.iter().map(|it| it.end).sum())
}

/// A name that nobody made is an error at once, and is not made by asking.
async fn no_topic(log: &dyn EventLog, topic: &str) {
    for _ in 0..2 {
        let error = log.append(topic, "k", Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!((error.code, error.retry), ("no-topic", false), "{}", error.chain());
        assert_eq!(log.read_all(topic).await.unwrap_err().code, "no-topic");
        assert_eq!(log.lag("g", topic).await.unwrap_err().code, "no-topic");
    }
}

/// Many writers, large records, topics that grow, two members at once.
async fn log_of_many(log: &dyn EventLog, topic: &str) {
    log.ensure_topic(topic, 2, Some(Duration::from_secs(3600))).await.unwrap();
    log.ensure_topic(topic, 4, Some(Duration::from_secs(7200))).await.unwrap();
    log.ensure_topic(topic, 3, None).await.unwrap();
    let writes = (0..200_u32).map(|number| async move {
        log.append(topic, &format!("key-{}", number % 40), Bytes::from(number.to_string())).await.unwrap()
    });
    let mut places = futures::future::join_all(writes).await;
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 200, "every record has a place of its own");
    assert_eq!(places.iter().map(|it| it.partition).max(), Some(3), "partitions that were added are used");
    let large = Bytes::from((0..6 << 20).map(|at: u32| (at * 7 % 251) as u8).collect::<Vec<u8>>());
    let place = log.append(topic, "large", large.clone()).await.unwrap();
    let all = log.read_all(topic).await.unwrap();
    assert!(all.len() == 201 && in_order(&all));
    assert!(all.iter().any(|it| it.position == place && it.value == large));

    // A member at work on a record keeps nobody from joining, and nothing is lost when it goes.
    let mut slow = log.join("pair", topic).await.unwrap();
    let held = next(&mut *slow).await;
    let mut quick = log.join("pair", topic).await.unwrap();
    let first = next(&mut *quick).await;
    quick.commit(&first).await.unwrap();
    drop(slow);
    let mut seen = std::collections::BTreeSet::from([first.position]);
    while log.lag("pair", topic).await.unwrap() > 0 {
        let record = next(&mut *quick).await;
        quick.commit(&record).await.unwrap();
        seen.insert(record.position);
    }
    assert!(seen.len() == 201 && seen.contains(&held.position), "{} were seen", seen.len());
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
