//! The conformance suites of the stores: one function for each trait, called for each implementation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it must be"
)]

#[cfg(target_os = "linux")]
mod apart;
#[cfg(target_os = "linux")]
mod authority;
#[cfg(target_os = "linux")]
mod cluster;
mod kit;
mod log;
#[cfg(target_os = "linux")]
#[path = "../../../../acceptance-tests/platform/src/ports.rs"]
mod ports;
mod records;
#[cfg(target_os = "linux")]
mod servers;
mod suites;
#[cfg(target_os = "linux")]
mod tls;

use kit::Place;

#[tokio::test]
async fn a_folder_is_an_object_store() {
    let place = Place::new();
    suites::objects(streamverse_core::stores::open_objects("file://here/media", &place.cx).unwrap()).await;
}

#[tokio::test]
async fn sqlite_is_a_catalogue() {
    let place = Place::new();
    let url = "sqlite://here/main";
    let one = streamverse_core::stores::open_catalogue(url, &place.cx).await.unwrap();
    let other = streamverse_core::stores::open_catalogue(url, &place.cx).await.unwrap();
    suites::catalogue(&*one, &*other).await;
}

#[tokio::test]
async fn memory_is_a_cache() {
    let place = Place::new();
    suites::cache(
        &*streamverse_core::stores::open_cache("memory://here/main", 1 << 22, &place.cx).await.unwrap(),
    )
    .await;
}

#[tokio::test]
async fn a_store_of_another_site_is_refused_by_name() {
    let place = Place::new();
    let error = streamverse_core::stores::open_objects("file://paris/media", &place.cx).err().unwrap();
    assert_eq!(error.code, "store-elsewhere");
    let error = streamverse_core::stores::open_objects("kafka://a:1", &place.cx).err().unwrap();
    assert!(error.message.contains("s3://"), "{error}");
}
