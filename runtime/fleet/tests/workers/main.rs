//! What the API of a controller gives, to whom: over real TLS, with hostile workers among those who ask.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it must be"
)]

mod kit;

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use streamverse_fleet::api::ROOM;
use streamverse_fleet::authority::{Authority, PublicKey, WORKER_LIFETIME};
use streamverse_fleet::workers::Workers as _;
use streamverse_model::compute::{Phase, fleet_collection};
use streamverse_model::platform::{Name, Owner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use kit::{ONE, Setting, Stores, TWO, Worker, identity, real_ms};

async fn status(client: &reqwest::Client, url: String) -> u16 {
    client.get(url).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_token_enrols_its_instance_once_and_whoever_had_no_answer_asks_again_with_its_key() {
    let it = Setting::new().await;
    let (worker, thief) = (Worker::new(), Worker::new());
    let token = it.token(ONE);
    let refused = |(status, answer): (u16, Value), wanted: u16, code: &str| {
        assert_eq!((status, answer["code"].as_str()), (wanted, Some(code)), "{answer}");
    };
    refused(it.enrol(&worker.asks(TWO, &token)).await, 401, "token");
    refused(it.enrol(&worker.asks(ONE, "AAAA")).await, 401, "token");
    let stranger = Owner::new("prod", "fleet-controller", "other").unwrap();
    let stranger = Authority::new(kit::IDENTITY, &stranger).unwrap();
    refused(it.enrol(&worker.asks(ONE, &stranger.tokens().make(ONE, u64::MAX))).await, 401, "token");

    let (first, answer) = it.enrol(&worker.asks(ONE, &token)).await;
    assert_eq!((first, answer["renew_seconds"].as_u64()), (200, Some(8 * 3600)), "{answer}");
    refused(it.enrol(&thief.asks(ONE, &token)).await, 409, "token-used");
    assert_eq!(it.enrol(&worker.asks(ONE, &token)).await.0, 200, "its answer was lost, for example");
    refused(it.enrol(&thief.asks(ONE, &it.token(ONE))).await, 409, "token-used");

    // Once its time is over it is of no use to its own worker either.
    let late = it.token(TWO);
    it.later(Duration::from_secs(3601));
    refused(it.enrol(&worker.asks(TWO, &late)).await, 401, "token");
    let told = it.metrics.text();
    for (outcome, times) in [("enrolled", 2), ("used", 2), ("wrong", 3), ("expired", 1)] {
        let line = format!("streamverse_fleet_enrolments_total{{outcome=\"{outcome}\"}} {times}\n");
        assert!(told.contains(&line), "{line} {told}");
    }
    // What is kept is no secret.
    let kept = it.records.list(&fleet_collection("enrolled", "main"), "", 10).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].1.value["public_key"], json!(worker.public_key));
    assert!(!kept[0].1.value.to_string().contains(&token));
    it.end().await;
}

#[tokio::test]
async fn secrets_go_to_the_worker_itself_by_its_certificate_and_are_those_of_its_two_stores() {
    let it = Setting::new().await;
    let (one, two) = (it.enrolled(ONE).await, it.enrolled(TWO).await);
    let work = |name: &str| it.at(&format!("/v1/workers/{name}/work"));
    let mine = it.client(Some(&one.pem())).get(work(ONE)).send().await.unwrap();
    assert_eq!(
        (mine.status().as_u16(), mine.headers()["cache-control"].to_str().unwrap()),
        (200, "no-store")
    );
    let given: Value = mine.json().await.unwrap();
    let secrets = json!({
        "event-log.main": { "password": "planted-event-log.main-password" },
        "object-store.media": {
            "access-key": "planted-object-store.media-access-key",
            "secret-key": "planted-object-store.media-secret-key",
        },
    });
    assert_eq!(given["credentials"], secrets);
    assert_eq!((&given["target"], &given["drain_seconds"]), (&json!("transcoder"), &json!(300)));
    assert_eq!(given["spec"]["catalogue"], "", "not even where the catalogue is");
    assert!(!given.to_string().contains("catalogue.main"), "{given}");

    assert_eq!(status(&it.client(None), work(ONE)).await, 401);
    for (who, asks_for) in [(&two, ONE), (&one, TWO), (&one, "sv--prod--encode--a--3"), (&one, "a%2Fb")] {
        let client = it.client(Some(&who.pem()));
        assert_eq!(status(&client, work(asks_for)).await, 403, "{asks_for}");
    }
    for (method, what) in [("POST", "renew"), ("POST", "report"), ("GET", "orders?wait=20")] {
        let url = it.at(&format!("/v1/workers/{ONE}/{what}"));
        let asked = it.client(Some(&two.pem())).request(method.parse().unwrap(), url).body("{}").send();
        assert_eq!(asked.await.unwrap().status().as_u16(), 403, "{what}");
    }
    // A certificate without its key, one of another authority, one that has run out, and the API's own.
    let thief = Worker::new();
    let owner = Owner::new("prod", "fleet-controller", "other").unwrap();
    let other = Authority::new(kit::IDENTITY, &owner).unwrap();
    let key = PublicKey::parse(&thief.public_key).unwrap();
    let stranger = other.worker(ONE, &key, real_ms(), WORKER_LIFETIME).unwrap();
    let past = it.authority.worker(ONE, &key, real_ms() - 7_200_000, Duration::from_secs(3600)).unwrap();
    for certificate in [one.certificate.as_deref().unwrap(), &stranger, &past] {
        let pem = identity(certificate, &thief.key);
        let refused = match reqwest::Identity::from_pem(pem.as_bytes()) {
            Err(_) => true,
            Ok(_) => match it.client_or_none(&pem) {
                None => true,
                Some(client) => client.get(work(ONE)).send().await.is_err(),
            },
        };
        assert!(refused, "an answer for a thief");
    }
    it.end().await;
}

#[tokio::test]
async fn a_worker_that_is_not_wanted_any_more_gets_nothing_not_even_the_end_of_its_wait() {
    let it = Setting::new().await;
    let one = it.enrolled(ONE).await;
    let client = it.client(Some(&one.pem()));
    let url = |what: &str| it.at(&format!("/v1/workers/{ONE}/{what}"));
    it.look(&[ONE]);
    let waiting = {
        let (client, url) = (client.clone(), url("orders?wait=30"));
        tokio::spawn(async move { status(&client, url).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    it.look(&[]);
    assert_eq!(waiting.await.unwrap(), 410);
    for what in ["work", "orders?wait=20"] {
        assert_eq!(status(&client, url(what)).await, 410, "{what}");
    }
    assert_eq!(client.post(url("renew")).send().await.unwrap().status().as_u16(), 410);
    let token = it.authority.tokens().make(TWO, u64::MAX);
    assert_eq!(it.enrol(&Worker::new().asks(TWO, &token)).await.0, 410);

    // Another one leads; then this one again, which knows nobody until it has looked.
    it.leads.store(false, Ordering::Relaxed);
    it.roster.clear();
    let early = client.get(url("work")).send().await.unwrap();
    assert_eq!((early.status().as_u16(), early.headers()["retry-after"].to_str().unwrap()), (503, "5"));
    // It comes again on another connection, which another controller may take.
    assert_eq!(early.headers()["connection"], "close");
    it.leads.store(true, Ordering::Relaxed);
    assert_eq!(status(&client, url("work")).await, 503);
    it.look(&[ONE]);
    assert_eq!(status(&client, url("work")).await, 200);
    it.end().await;
}

#[tokio::test]
async fn an_order_reaches_who_waits_for_it_a_report_reaches_the_controller_and_a_certificate_is_renewed() {
    let it = Setting::new().await;
    let mut one = it.enrolled(ONE).await;
    let client = it.client(Some(&one.pem()));
    let url = |what: &str| it.at(&format!("/v1/workers/{ONE}/{what}"));
    assert_eq!(status(&client, url("orders?wait=0")).await, 204);
    assert_eq!(status(&client, url("orders?wait=x")).await, 400);
    let waiting = {
        let (client, url) = (client.clone(), url("orders?wait=30"));
        tokio::spawn(async move { client.get(url).send().await.unwrap().json::<Value>().await.unwrap() })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    it.registry.drain(ONE, 77);
    assert_eq!(waiting.await.unwrap(), json!({ "order": "drain", "seconds": 77 }));

    let say = |body: Value| client.post(url("report")).json(&body).send();
    let old = json!({ "phase": "working", "drained_ms": 0 });
    assert_eq!(say(old).await.unwrap().status().as_u16(), 204);
    assert_eq!(it.registry.told(ONE).unwrap().idle_since_ms, None);
    assert_eq!(it.registry.instance(ONE), None, "one of before does not say where it runs");
    let work = json!({ "running": 0, "idle_ms": 5000, "done": 2, "busy_ms": 8000 });
    let new = json!({ "phase": "draining", "reason": "preempted", "until_ms": 5, "work": work });
    let said = client.post(url("report?instance=pod-1")).json(&new).send().await;
    assert_eq!(said.unwrap().status().as_u16(), 204);
    assert_eq!(it.registry.instance(ONE).as_deref(), Some("pod-1"));
    let told = it.registry.told(ONE).unwrap();
    assert_eq!((told.phase, told.until_ms, told.preempted), (Phase::Draining, Some(5), true));
    assert!(told.idle_since_ms.unwrap() <= real_ms() - 5000);
    assert_eq!(it.registry.job_ms(&Name::parse("encode").unwrap()), Some(4000));
    assert_eq!(say(json!({ "phase": "asleep" })).await.unwrap().status().as_u16(), 400);

    let renewed: Value = client.post(url("renew")).send().await.unwrap().json().await.unwrap();
    let fresh = renewed["certificate"].as_str().unwrap().to_owned();
    assert_ne!(one.certificate.replace(fresh.clone()), Some(fresh));
    assert_eq!(status(&it.client(Some(&one.pem())), url("work")).await, 200);
    it.end().await;
}

#[tokio::test]
async fn neither_nonsense_nor_size_nor_slowness_nor_a_crowd_keeps_workers_from_their_controller() {
    let it = Setting::new().await;
    let one = it.enrolled(ONE).await;
    let client = it.client(Some(&one.pem()));
    let url = it.at(&format!("/v1/workers/{ONE}/orders?wait=0"));
    assert_eq!(status(&client, url.clone()).await, 204);
    // Nonsense, each kind of which ends in an answer or in a closed connection.
    let token = it.token(TWO);
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!({ "worker": TWO }),
        json!("x".repeat(1000)),
        json!({ "worker": TWO, "token": token, "public_key": "" }),
        json!({ "worker": TWO, "token": token, "public_key": "not base64" }),
        json!({ "worker": [TWO], "token": token, "public_key": one.public_key }),
        json!({ "worker": TWO, "token": token, "public_key": one.public_key, "more": 1 }),
    ];
    for body in odd {
        let (status, answer) = it.enrol(&body).await;
        assert!(matches!(status, 400 | 401), "{body}: {status} {answer}");
        assert!(!answer.to_string().contains(&token), "{answer}");
    }
    // Somebody who does not speak TLS, and a crowd that only holds connections: whoever is known is served.
    let mut plain = tokio::net::TcpStream::connect(it.address).await.unwrap();
    plain.write_all(b"GET /v1/enrol HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(30), plain.read_to_end(&mut said)).await.unwrap();
    assert!(!said.starts_with(b"HTTP"), "an answer without TLS");
    let mut crowd = Vec::new();
    for _ in 0..600 {
        crowd.push(tokio::net::TcpStream::connect(it.address).await.unwrap());
    }
    assert_eq!(status(&client, url.clone()).await, 204, "a worker's connection is not the crowd's");
    let elsewhere = it.client_at([127, 0, 0, 2].into(), &one.pem());
    assert_eq!(status(&elsewhere, url).await, 204, "nor is the room of other addresses");
    drop(crowd);
    let large = client.post(it.at("/v1/enrol")).body(vec![b' '; 3 << 10]).send().await.unwrap();
    assert_eq!(large.status().as_u16(), 413);
    let large = client.post(it.at(&format!("/v1/workers/{ONE}/report"))).body(vec![b' '; 70 << 10]);
    assert_eq!(large.send().await.unwrap().status().as_u16(), 413);
    // Tries without end: the address is told to wait, and the worker is not.
    let mut throttled = 0;
    let anonymous = it.client(None);
    for _ in 0..100 {
        let tried = anonymous.post(it.at("/v1/enrol")).body("{}").send().await;
        throttled += u32::from(tried.is_ok_and(|it| it.status().as_u16() == 429));
    }
    assert!(throttled > 10, "{throttled}");
    it.end().await;
}

#[tokio::test]
async fn a_worker_that_turned_bad_has_its_share_of_the_connections_and_the_others_are_served() {
    // Fewer than a worker could take that had no share.
    let all = ROOM.of_one + 4;
    let it = Setting::with(Stores { connections: all, ..Stores::default() }).await;
    let (mut bad, good) = (it.enrolled(ONE).await, it.enrolled(TWO).await);
    let url = |name: &str, what: &str| it.at(&format!("/v1/workers/{name}/{what}"));
    it.look(&[ONE, TWO]);
    let first = bad.pem();
    let renewed = it.client(Some(&first)).post(url(ONE, "renew")).send().await.unwrap();
    let renewed: Value = renewed.json().await.unwrap();
    bad.certificate = Some(renewed["certificate"].as_str().unwrap().to_owned());
    // Each on a connection of its own, which is held; half of them with the certificate that it was given later.
    let mut held = JoinSet::new();
    for at in 0..all * 2 {
        let pem = if at % 2 == 0 { first.clone() } else { bad.pem() };
        let (client, url) = (it.client(Some(&pem)), url(ONE, "orders?wait=30"));
        held.spawn(async move { client.get(url).send().await.is_ok() });
    }
    for _ in ROOM.of_one..all * 2 {
        let refused = tokio::time::timeout(Duration::from_secs(25), held.join_next()).await;
        assert!(!refused.expect("more than its share").unwrap().unwrap(), "an order that nobody gave");
    }
    assert_eq!(status(&it.client(Some(&good.pem())), url(TWO, "work")).await, 200, "another worker");
    // A share that was given back is there again.
    held.shutdown().await;
    let again = it.client(Some(&bad.pem()));
    let served = async {
        while again.get(url(ONE, "work")).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), served).await.unwrap();
    it.end().await;
}
