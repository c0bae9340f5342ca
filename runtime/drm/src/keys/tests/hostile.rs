//! Requests that nobody of ours sends.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;
use streamverse_core::stores::key_wire::{self as wire, AccessKey};

use super::{Place, Running, kid};

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn access() -> AccessKey {
    AccessKey::parse(&STANDARD.encode([1; 32])).unwrap()
}

/// Sends a body as somebody who knows the access key; the status and the code of the answer.
async fn sent(running: &Running, path: &str, body: Vec<u8>) -> (u16, String) {
    let nonce = wire::fresh::<16>().unwrap();
    let header = access().sign("a/b", now(), &nonce, path, &body);
    raw(running, path, Some(header), body).await
}

async fn raw(running: &Running, path: &str, header: Option<String>, body: Vec<u8>) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.post(format!("http://127.0.0.1:{}{path}", running.port)).body(body);
    if let Some(header) = header {
        request = request.header("authorization", header);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let told: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default();
    (status, told["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn what_is_malformed_nested_or_too_large_is_refused_with_a_code_and_makes_nothing() {
    let place = Place::new();
    let running = place.running().await;
    let one = json!({ "kid": kid(0), "asset": "film", "track": "all" });
    let with = |name: &str, value: serde_json::Value| {
        let mut one = one.clone();
        one[name] = value;
        json!({ "keys": [one] }).to_string().into_bytes()
    };
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes();
    for (path, body, wanted) in [
        (wire::OBTAIN, b"".to_vec(), (400, "request-invalid")),
        (wire::OBTAIN, b"{".to_vec(), (400, "request-invalid")),
        (wire::OBTAIN, vec![0xff; 100], (400, "request-invalid")),
        (wire::OBTAIN, nested, (400, "request-invalid")),
        (wire::OBTAIN, with("kid", json!("00")), (400, "request-invalid")),
        (wire::OBTAIN, with("kid", json!(1e300)), (400, "request-invalid")),
        (wire::OBTAIN, with("asset", json!("")), (400, "request-invalid")),
        (wire::OBTAIN, with("asset", json!("a\nb")), (400, "request-invalid")),
        (wire::OBTAIN, with("asset", json!("x".repeat(201))), (400, "request-invalid")),
        (wire::OBTAIN, with("track", json!("x".repeat(201))), (400, "request-invalid")),
        (wire::FIND, json!({ "kids": vec![kid(0); 1001] }).to_string().into_bytes(), (413, "too-large")),
        (wire::OBTAIN, vec![b' '; wire::LARGEST_REQUEST + 1], (413, "too-large")),
        (wire::FIND, json!({ "kids": [{ "a": [[[]]] }] }).to_string().into_bytes(), (400, "request-invalid")),
        ("/v1/import", b"not sealed at all, but long enough for a nonce".to_vec(), (503, "key-answer")),
        ("/v1/restore", json!({ "keys": [{ "kid": kid(0), "asset": "a", "track": "all", "made_ms": 0, "kek": "local:0", "data_key": "", "sealed": "" }] }).to_string().into_bytes(), (409, "backup-key")),
        ("/v1/audit", json!({ "after": 7 }).to_string().into_bytes(), (400, "request-invalid")),
        ("/v1/list", json!({ "after": "'; drop table records; --" }).to_string().into_bytes(), (200, "")),
        ("/v1/nothing", b"{}".to_vec(), (404, "not-found")),
    ] {
        let found = sent(&running, path, body.clone()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert_eq!((found.0, found.1.as_str()), wanted, "{path} {shown}");
    }
    assert!(running.keeper.list().await.unwrap().is_empty());
    running.ended().await;
}

#[tokio::test]
async fn who_does_not_know_the_access_key_or_repeats_a_request_gets_nothing() {
    let place = Place::new();
    let running = place.running().await;
    let body = json!({ "kids": [kid(0)] }).to_string().into_bytes();
    let nonce = [9; 16];
    let good = access().sign("a/b", now(), &nonce, wire::FIND, &body);
    assert_eq!(raw(&running, wire::FIND, Some(good.clone()), body.clone()).await.0, 200);
    let replayed = raw(&running, wire::FIND, Some(good.clone()), body.clone()).await;
    assert_eq!(replayed, (409, "replayed".to_owned()));
    let other = AccessKey::parse(&STANDARD.encode([2; 32])).unwrap();
    let old = now() - 600_000;
    for (header, code) in [
        (None, "access-denied"),
        (Some(String::new()), "access-denied"),
        (Some("Bearer abc".to_owned()), "access-denied"),
        (Some(good.replace("a/b", "c/d")), "access-denied"),
        (Some(other.sign("a/b", now(), &nonce, wire::FIND, &body)), "access-denied"),
        (Some(access().sign("a/b", now(), &[8; 16], wire::OBTAIN, &body)), "access-denied"),
        (Some(access().sign("a/b", now(), &[8; 16], wire::FIND, b"{}")), "access-denied"),
        (Some(access().sign("a/b", old, &[8; 16], wire::FIND, &body)), "clock"),
        (Some(access().sign("a/b", u64::MAX, &[8; 16], wire::FIND, &body)), "clock"),
    ] {
        let found = raw(&running, wire::FIND, header.clone(), body.clone()).await;
        assert_eq!(found, (401, code.to_owned()), "{header:?}");
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = client.get(format!("http://127.0.0.1:{}{}", running.port, wire::FIND)).send().await.unwrap();
    assert_eq!(get.status().as_u16(), 405);
    for path in ["/livez", "/readyz", "/metrics"] {
        let answer = client.get(format!("http://127.0.0.1:{}{path}", running.port)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
    }
    assert!(
        running.metrics.text().contains("streamverse_keys_denied_total 10"),
        "{}",
        running.metrics.text()
    );
    running.ended().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn whatever_is_sent_is_answered_and_the_service_lives(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..10),
        texts in proptest::collection::vec("[\\[\\]{}\":,0-9a-z.eE+-]{0,80}", 1..10),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let place = Place::new();
            let running = place.running().await;
            for body in bodies.into_iter().chain(texts.into_iter().map(String::into_bytes)) {
                for path in [wire::OBTAIN, wire::FIND, "/v1/import", "/v1/restore", "/v1/rotate"] {
                    let (status, _) = sent(&running, path, body.clone()).await;
                    assert!([200, 400, 404, 409, 413, 503].contains(&status), "{path}: {status}");
                }
            }
            running.keys.probe().await.unwrap();
            running.ended().await;
        });
    }
}
