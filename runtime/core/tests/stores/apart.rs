//! Deployments that share servers: none sees, or takes, what is another's.

use std::time::Duration;

use bytes::Bytes;
use streamverse_core::stores::{open_cache, open_catalogue};
use streamverse_model::platform::Owner;

use crate::cluster;
use crate::kit::Place;
use crate::servers::{self, PASSWORD};
use crate::suites;

fn of(deployment: &str) -> Place {
    let mut place = cluster::place(PASSWORD);
    place.cx.owner = Owner::new(deployment, "event-log", "main").unwrap();
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deployments_of_one_database_have_catalogues_of_their_own() {
    let Some(server) = servers::postgres(None) else { return };
    let url = format!("postgres://streamverse@127.0.0.1:{}/postgres?secret=store.main", server.port);
    let (dev, live) = (of("dev"), of("live"));
    // Both make the table, at once.
    let (one, other) = tokio::join!(open_catalogue(&url, &dev.cx), open_catalogue(&url, &live.cx));
    let (one, other) = (one.unwrap(), other.unwrap());
    one.publish(&suites::asset("film", "1")).await.unwrap();
    assert_eq!(other.asset("film").await.unwrap(), None);
    assert_eq!(other.assets().await.unwrap(), []);
    other.publish(&suites::asset("film", "2")).await.unwrap();
    assert_eq!(one.asset("film").await.unwrap(), Some(suites::asset("film", "1")));
    other.withdraw("film").await.unwrap();
    assert_eq!(one.assets().await.unwrap(), [suites::asset("film", "1")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_from_before_deployments_were_kept_apart_goes_on() {
    let Some(server) = servers::postgres(None) else { return };
    let record = serde_json::to_string(&suites::asset("old", "1")).unwrap();
    let sql = format!(
        "create table streamverse_assets (name text primary key, record text not null);
         insert into streamverse_assets values ('old', '{record}')"
    );
    servers::sql(&server, &sql);
    let url = format!("postgres://streamverse@127.0.0.1:{}/postgres?secret=store.main", server.port);
    let (dev, live) = (of("dev"), of("live"));
    let all = futures::future::join_all((0..4).map(|_| open_catalogue(&url, &dev.cx))).await;
    let first = all.into_iter().map(Result::unwrap).next().unwrap();
    let second = open_catalogue(&url, &live.cx).await.unwrap();
    assert_eq!(first.assets().await.unwrap(), [suites::asset("old", "1")]);
    assert_eq!(second.assets().await.unwrap(), []);
    second.publish(&suites::asset("old", "2")).await.unwrap();
    first.withdraw("old").await.unwrap();
    assert_eq!(second.assets().await.unwrap(), [suites::asset("old", "2")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deployments_of_one_cache_have_keys_of_their_own() {
    let Some(server) = servers::redis(None) else { return };
    let url = format!("redis://127.0.0.1:{}/0?secret=store.main", server.port);
    let one = open_cache(&url, 0, &of("dev").cx).await.unwrap();
    let other = open_cache(&url, 0, &of("live").cx).await.unwrap();
    one.put("a", Bytes::from_static(b"x"), Duration::from_secs(60)).await.unwrap();
    assert_eq!(other.get("a").await.unwrap(), None);
    other.remove("a").await.unwrap();
    assert_eq!(one.get("a").await.unwrap().unwrap(), "x");
}
