//! The embedded log: the suite, and what is its own: an owner that is started again.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use streamverse_core::log::{EVENT_LOG, open_log};
use streamverse_core::{Ready, Result, ServiceContext, Start, Stop};
use tokio::task::JoinHandle;

use crate::kit::Place;
use crate::suites;

async fn owner(cx: &ServiceContext) -> (Stop, JoinHandle<Result<()>>) {
    let Start::Service(start) = EVENT_LOG.start else { panic!("the log is a service") };
    let service = start(json!({ "name": "main" }), cx.clone()).await.unwrap();
    let stop = Stop::new();
    let (ready, mut is_ready) = Ready::new();
    let task = tokio::spawn(service.run(ready, stop.clone()));
    is_ready.wait_for(|ready| *ready).await.unwrap();
    (stop, task)
}

#[tokio::test]
async fn the_embedded_log_is_an_event_log() {
    let place = Place::new();
    let (stop, task) = owner(&place.cx).await;
    let log = open_log("embedded://here/main", &place.cx).await.unwrap();
    suites::log(&*log, "transcode").await;
    stop.stop();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn clients_go_on_when_the_owner_is_started_again() {
    let place = Place::new();
    let (stop, task) = owner(&place.cx).await;
    let log = open_log("embedded://here/main", &place.cx).await.unwrap();
    log.ensure_topic("t", 1, None).await.unwrap();
    log.append("t", "k", Bytes::from_static(b"before")).await.unwrap();
    stop.stop();
    task.await.unwrap().unwrap();
    let cx = place.cx.clone();
    let again = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        owner(&cx).await
    });
    log.append("t", "k", Bytes::from_static(b"after")).await.unwrap();
    let all = log.read_all("t").await.unwrap();
    assert_eq!(all.iter().map(|it| it.value.as_ref()).collect::<Vec<_>>(), [b"before".as_ref(), b"after"]);
    let (stop, task) = again.await.unwrap();
    stop.stop();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_log_has_one_owner() {
    let place = Place::new();
    let (stop, task) = owner(&place.cx).await;
    let Start::Service(start) = EVENT_LOG.start else { panic!("the log is a service") };
    let error = start(json!({ "name": "main" }), place.cx.clone()).await.err().unwrap();
    assert_eq!(error.code, "log-owned");
    stop.stop();
    task.await.unwrap().unwrap();
}
