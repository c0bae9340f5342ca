//! The stores of a cluster pass the very suites that the embedded ones pass, against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../../runtime/core/tests/stores/kit.rs"]
mod kit;
#[path = "../../../runtime/core/tests/stores/suites.rs"]
mod suites;

use std::path::Path;

use kit::Place;
use streamverse_acceptance::servers::{PASSWORD, Servers};
use streamverse_core::{log, stores};

/// A credential as a site lays it.
fn credential(place: &Place, name: &str, key: &str, value: &str) {
    let folder: &Path = &place.cx.credentials_dir.join(name);
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(key), value).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_of_a_cluster_pass_the_suites_of_the_embedded_ones() {
    let Some(servers) = tokio::task::spawn_blocking(Servers::start).await.unwrap() else { return };
    let place = Place::new();
    credential(&place, "catalogue.main", "password", PASSWORD);
    credential(&place, "cache.main", "password", PASSWORD);
    credential(&place, "object-store.main", "access-key", "id");
    credential(&place, "object-store.main", "secret-key", "key");
    let cx = &place.cx;

    let s3 = format!(
        "s3://media/suite?endpoint=http://127.0.0.1:{}&path_style=true&secret=object-store.main",
        servers.s3
    );
    suites::objects(stores::open_objects(&s3, cx).unwrap()).await;

    let postgres =
        format!("postgres://streamverse@127.0.0.1:{}/streamverse?secret=catalogue.main", servers.postgres);
    let one = stores::open_catalogue(&postgres, cx).await.unwrap();
    let other = stores::open_catalogue(&postgres, cx).await.unwrap();
    suites::catalogue(&*one, &*other).await;

    let redis = format!("redis://127.0.0.1:{}/0?secret=cache.main", servers.redis);
    suites::cache(&*stores::open_cache(&redis, 0, cx).await.unwrap()).await;

    let kafka = format!("kafka://127.0.0.1:{}?prefix=suite-&replication=1", servers.kafka);
    suites::log(&*log::open_log(&kafka, cx).await.unwrap(), "tasks").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_told_without_the_password() {
    let Some(servers) = tokio::task::spawn_blocking(Servers::start).await.unwrap() else { return };
    let place = Place::new();
    let wrong = "wrong-password-2b6e";
    credential(&place, "catalogue.main", "password", wrong);
    credential(&place, "cache.main", "password", wrong);
    let postgres =
        format!("postgres://streamverse@127.0.0.1:{}/streamverse?secret=catalogue.main", servers.postgres);
    let error = stores::open_catalogue(&postgres, &place.cx).await.err().unwrap();
    assert_eq!(error.code, "store-credentials", "{}", error.chain());
    assert!(!error.chain().contains(wrong), "{}", error.chain());
    let redis = format!("redis://127.0.0.1:{}/0?secret=cache.main", servers.redis);
    let cache = stores::open_cache(&redis, 0, &place.cx).await.unwrap();
    let error = cache.get("a").await.err().unwrap();
    assert_eq!(error.code, "store-credentials", "{}", error.chain());
    assert!(!error.chain().contains(wrong), "{}", error.chain());
}
