//! What every implementation of records must do.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use streamverse_core::stores::{Record, Records, open_records};

use crate::kit::Place;

/// `one` and `other` are two clients of the same records, as two processes have them.
pub(crate) async fn suite(one: Arc<dyn Records>, other: Arc<dyn Records>) {
    let (first, second) =
        (json!({ "a": "„eins“", "n": [1, 2.5, null] }), json!({ "b": "x".repeat(100_000) }));
    assert_eq!(one.get("keys", "k").await.unwrap(), None);
    assert_eq!(one.version("keys", "k").await.unwrap(), None);
    assert!(one.insert("keys", "k", &first).await.unwrap());
    let record = |version, value: &Value| Some(Record { version, value: value.clone() });
    let begun = other.version("keys", "k").await.unwrap().unwrap();
    assert!(!other.insert("keys", "k", &second).await.unwrap(), "what is there stays as it is");
    assert_eq!(other.get("keys", "k").await.unwrap(), record(begun, &first));
    assert!(!one.replace("keys", "k", begun + 1, &second).await.unwrap(), "a version that is not there yet");
    assert!(!one.replace("keys", "k", u64::MAX, &second).await.unwrap());
    assert!(other.replace("keys", "k", begun, &second).await.unwrap());
    assert!(!one.replace("keys", "k", begun, &first).await.unwrap(), "a version that was seen no more");
    assert_eq!(one.get("keys", "k").await.unwrap(), record(begun + 1, &second));
    assert_eq!(one.version("keys", "k").await.unwrap(), Some(begun + 1));
    assert!(!one.replace("keys", "none", begun, &first).await.unwrap());
    // Collections are apart.
    assert!(other.insert("other", "k", &first).await.unwrap());
    one.remove("keys", "k").await.unwrap();
    one.remove("keys", "k").await.unwrap();
    assert_eq!(other.get("keys", "k").await.unwrap(), None);
    assert_eq!(other.get("other", "k").await.unwrap().unwrap().value, first);
    // A removed one begins anew, and whoever still has an old version replaces nothing.
    assert!(one.insert("keys", "k", &first).await.unwrap());
    for old in [begun, begun + 1] {
        assert!(
            !other.replace("keys", "k", old, &second).await.unwrap(),
            "a version of one that was removed"
        );
    }
    assert_eq!(one.get("keys", "k").await.unwrap().unwrap().value, first);
    stamped(&*one, &*other).await;
    ordered(&*one, &*other).await;
    one_inserts(&one, &other).await;
    none_is_lost(&one, &other).await;
    for collection in ["keys", "other", "order", "race", "counter"] {
        one.remove_before(collection, "~").await.unwrap();
        assert_eq!(other.last(collection).await.unwrap(), None, "{collection}");
    }
}

/// A stamp, where there are stamps, changes with everything that either changes, and with nothing else.
async fn stamped(one: &dyn Records, other: &dyn Records) {
    let Some(before) = one.stamp() else { return };
    one.get("keys", "k").await.unwrap();
    assert_eq!(one.stamp(), Some(before));
    assert!(one.insert("counter", "own", &json!(1)).await.unwrap());
    let own = one.stamp();
    assert_ne!(own, Some(before), "what it changed itself");
    let version = other.version("counter", "own").await.unwrap().unwrap();
    assert!(other.replace("counter", "own", version, &json!(2)).await.unwrap());
    let others = one.stamp();
    assert_ne!(others, own, "what another process changed");
    other.remove("counter", "own").await.unwrap();
    assert_ne!(one.stamp(), others);
}

/// Ids come in the order of their bytes, in pages, from the last one, and go from the first.
async fn ordered(one: &dyn Records, other: &dyn Records) {
    let ids = ["", "0", "00", "10", "9", "A", "Z", "_", "a", "a b", "a'b", "é"];
    for id in ids.iter().rev() {
        assert!(one.insert("order", id, &json!(id)).await.unwrap(), "{id:?}");
    }
    let names = |page: Vec<(String, Record)>| page.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(names(other.list("order", "", 100).await.unwrap()), ids[1..], "after the empty one");
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = names(other.list("order", &after, 5).await.unwrap());
        assert_eq!(one.ids("order", &after, 5).await.unwrap(), page);
        let Some(last) = page.last().cloned() else { break };
        assert!(page.len() <= 5);
        all.extend(page);
        after = last;
    }
    assert_eq!(all, ids[1..]);
    assert!(other.list("order", "é", 5).await.unwrap().is_empty());
    assert_eq!(other.list("order", "9", 1).await.unwrap()[0].1.value, json!("A"));
    assert_eq!(other.last("order").await.unwrap().unwrap().0, "é");
    one.remove_before("order", "_").await.unwrap();
    assert_eq!(names(other.list("order", "", 100).await.unwrap()), ["_", "a", "a b", "a'b", "é"]);
    one.remove("order", "é").await.unwrap();
    one.remove_before("order", "b").await.unwrap();
    assert_eq!(other.last("order").await.unwrap(), None);
}

/// Of those who insert the same at once, one does, and all see its document.
async fn one_inserts(one: &Arc<dyn Records>, other: &Arc<dyn Records>) {
    for round in 0..10 {
        let id = format!("{round}");
        let racers = (0..8).map(|number| {
            let (records, id) = (Arc::clone(if number % 2 == 0 { one } else { other }), id.clone());
            tokio::spawn(async move {
                let won = records.insert("race", &id, &json!(number)).await.unwrap();
                (won.then_some(number), records.get("race", &id).await.unwrap().unwrap().value)
            })
        });
        let racers: Vec<_> = racers.collect();
        let (mut winners, mut seen) = (Vec::new(), BTreeSet::new());
        for racer in racers {
            let (won, value) = racer.await.unwrap();
            winners.extend(won);
            seen.insert(value.to_string());
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(seen, BTreeSet::from([winners[0].to_string()]));
    }
}

/// A counter that many raise by compare-and-swap loses no step.
async fn none_is_lost(one: &Arc<dyn Records>, other: &Arc<dyn Records>) {
    assert!(one.insert("counter", "c", &json!(0)).await.unwrap());
    let begun = other.version("counter", "c").await.unwrap().unwrap();
    let raisers = (0..6).map(|number| {
        let records = Arc::clone(if number % 2 == 0 { one } else { other });
        tokio::spawn(async move {
            let mut raised = 0;
            while raised < 10 {
                let there = records.get("counter", "c").await.unwrap().unwrap();
                let next = json!(there.value.as_u64().unwrap() + 1);
                raised += usize::from(records.replace("counter", "c", there.version, &next).await.unwrap());
            }
        })
    });
    let raisers: Vec<_> = raisers.collect();
    for raiser in raisers {
        raiser.await.unwrap();
    }
    let there = other.get("counter", "c").await.unwrap().unwrap();
    assert_eq!((there.value, there.version), (json!(60), begun + 60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_has_records() {
    let place = Place::new();
    let url = "sqlite://here/main";
    let one = open_records(url, &place.cx).await.unwrap();
    let other = open_records(url, &place.cx).await.unwrap();
    suite(one, other).await;
}

#[tokio::test]
async fn records_outlive_the_process_and_what_has_no_records_is_refused_by_name() {
    let place = Place::new();
    let records = open_records("sqlite://here/main", &place.cx).await.unwrap();
    assert!(records.insert("keys", "k", &json!(1)).await.unwrap());
    drop(records);
    let records = open_records("sqlite://here/main", &place.cx).await.unwrap();
    assert_eq!(records.get("keys", "k").await.unwrap().unwrap().value, json!(1));
    let error = open_records("redis://h", &place.cx).await.err().unwrap();
    assert!(error.message.contains("sqlite:// or postgres://"), "{error}");
}

/// Two deployments of one database, and a database that dies in between.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgresql_has_records_of_each_deployment_that_survive_its_death() {
    use crate::{cluster, servers};
    let Some(mut server) = servers::postgres(None) else { return };
    let url = format!("postgres://streamverse@127.0.0.1:{}/postgres?secret=store.main", server.port);
    let (here, mut there) = (cluster::place(servers::PASSWORD), cluster::place(servers::PASSWORD));
    there.cx.owner = streamverse_model::platform::Owner::new("another", "event-log", "main").unwrap();
    let opened = futures::future::join_all((0..4).map(|_| open_records(&url, &here.cx))).await;
    let opened: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    suite(Arc::clone(&opened[0]), Arc::clone(&opened[1])).await;

    let another = open_records(&url, &there.cx).await.unwrap();
    assert!(opened[0].insert("keys", "k", &json!("here")).await.unwrap());
    assert_eq!(another.get("keys", "k").await.unwrap(), None);
    assert!(another.insert("keys", "k", &json!("there")).await.unwrap());
    assert_eq!(another.list("keys", "", 10).await.unwrap().len(), 1);
    another.remove_before("keys", "~").await.unwrap();

    server.kill();
    let again = tokio::spawn(server.restart_in(std::time::Duration::from_secs(2)));
    let found = opened[1].get("keys", "k").await.unwrap();
    assert_eq!(
        found.map(|it| it.value),
        Some(json!("here")),
        "a call outlives the restart, the record the death"
    );
    assert!(!opened[0].insert("keys", "k", &json!("other")).await.unwrap());
    again.await.unwrap();
}
