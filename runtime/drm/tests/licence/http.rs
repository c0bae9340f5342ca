//! The targets `key-service` and `licence-service` as they run, over HTTP.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use streamverse_core::stores::{KeyWanted, open_keys};
use streamverse_core::{JobHandle, Ready, Stop, Target, run};
use streamverse_model::drm::KeyId;
use streamverse_model::platform::Owner;
use tokio::task::JoinHandle;

use crate::kit::{self, SECRET, bearer, claims, context, policy};
use crate::ports::free_port;

const ADMIN: &str = "the token of who writes grants, 32 bytes at least";

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn credential(folder: &Path, of: &str, key: &str, value: &str) {
    let folder = folder.join("credentials").join(of);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(key), value).unwrap();
}

struct Running {
    stop: Stop,
    task: JoinHandle<streamverse_core::Result<Value>>,
}

/// One that need not be ready yet.
struct Beginning {
    running: Running,
    is_ready: tokio::sync::watch::Receiver<bool>,
    name: &'static str,
}

impl Beginning {
    async fn ready(mut self) -> Running {
        let waiting = self.is_ready.wait_for(|it| *it);
        if !matches!(tokio::time::timeout(Duration::from_secs(60), waiting).await, Ok(Ok(_))) {
            panic!("{} is not ready: {:?}", self.name, self.running.task.await);
        }
        self.running
    }
}

impl Running {
    async fn start(target: &'static Target, spec: Value, folder: &Path) -> Running {
        Running::begin(target, spec, folder).ready().await
    }

    fn begin(target: &'static Target, spec: Value, folder: &Path) -> Beginning {
        let mut cx = context(folder);
        cx.owner = Owner::new("test", target.name, "main").unwrap();
        cx.object = format!("service/{}", target.name);
        let ((ready, is_ready), stop) = (Ready::new(), Stop::new());
        let told = stop.clone();
        let task =
            tokio::spawn(
                async move { run::supervise(target, spec, cx, ready, JobHandle::new(), &told).await },
            );
        Beginning { running: Running { stop, task }, is_ready, name: target.name }
    }

    async fn end(self) {
        self.stop.stop();
        self.task.await.unwrap().unwrap();
    }
}

struct Site {
    folder: tempfile::TempDir,
    port: u16,
    admin: u16,
    keys: u16,
    http: Client,
}

impl Site {
    fn new() -> Site {
        let folder = tempfile::tempdir().unwrap();
        credential(folder.path(), "key-service.main", "access-key", &STANDARD.encode([5; 32]));
        credential(folder.path(), "licence-service.main", "admin-token", ADMIN);
        credential(folder.path(), "licence-service.main", "token-one", SECRET);
        let kek = folder.path().join("kek");
        std::fs::write(&kek, STANDARD.encode([7; 32])).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&kek, std::fs::Permissions::from_mode(0o600)).unwrap();
        Site { folder, port: free_port(), admin: free_port(), keys: free_port(), http: Client::new() }
    }

    fn keys_url(&self) -> String {
        format!("keys://127.0.0.1:{}?secret=key-service.main", self.keys)
    }

    async fn key_service(&self) -> Running {
        let kek = self.folder.path().join("kek");
        let spec = json!({
            "port": self.keys, "replicas": 1, "catalogue": "sqlite://here/main", "audit_retention": "1day",
            "key_encryption_key": { "file": kek },
        });
        Running::start(&streamverse_drm::KEY_SERVICE, spec, self.folder.path()).await
    }

    fn licence_spec(&self, policy: &Value) -> Value {
        json!({
            "service": {
                "port": self.port, "admin_port": self.admin, "replicas": 1, "key_service": self.keys_url(),
                "catalogue": "sqlite://here/main", "cache": null, "policy": policy.to_string(),
                "token": { "issuer": "shop", "audience": "tv", "max_lifetime": "5m", "clock_skew": "1s" },
                "allowed_origins": ["https://tv.example.org"],
            },
            "keys": { "one": { "secret": { "version": 1 } } },
        })
    }

    async fn licence_service(&self, policy: &Value) -> Running {
        let spec = self.licence_spec(policy);
        Running::start(&streamverse_drm::LICENCE_SERVICE, spec, self.folder.path()).await
    }

    /// A key of the asset, as a packager gets one.
    async fn packaged(&self, asset: &str) -> KeyId {
        let mut cx = context(self.folder.path());
        cx.owner = Owner::new("test", "vod-asset", asset).unwrap();
        let kid = kit::kid(asset);
        let wanted = KeyWanted { kid, asset: asset.to_owned(), track: "all".to_owned() };
        open_keys(&self.keys_url(), &cx).unwrap().obtain(&[wanted]).await.unwrap();
        kid
    }

    async fn admin(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}/admin/v1/accounts/{path}", self.admin);
        let request = self.http.request(method.parse().unwrap(), url).bearer_auth(ADMIN).json(&body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    async fn ask(&self, claims: &Value, kids: &[KeyId]) -> (u16, Value) {
        let kids: Vec<String> = kids.iter().map(|it| URL_SAFE_NO_PAD.encode(it.0)).collect();
        let request = self.http.post(self.url()).header("authorization", bearer(claims));
        let answer = request.json(&json!({ "kids": kids, "type": "temporary" })).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/licence/clearkey", self.port)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_granted_it_gets_the_key_that_the_packager_got_and_nobody_else_does() {
    let site = Site::new();
    let key_service = site.key_service().await;
    let kid = site.packaged("film").await;
    let service = site.licence_service(&policy()).await;
    assert_eq!(site.ask(&claims("ann", "1", now_ms()), &[kid]).await.1["code"], "account-unknown");
    let granted =
        site.admin("PUT", "ann/grants/g1", json!({ "kind": "subscription", "package": "basic" })).await;
    assert_eq!((granted.0, &granted.1["package"]), (200, &json!("basic")), "{granted:?}");
    let (status, licence) = site.ask(&claims("ann", "2", now_ms()), &[kid]).await;
    assert_eq!(
        (status, &licence["keys"][0]["kid"]),
        (200, &json!(URL_SAFE_NO_PAD.encode(kid.0))),
        "{licence}"
    );
    assert_eq!(
        site.ask(&claims("ann", "2", now_ms()), &[kid]).await,
        (
            401,
            json!({
                "code": "token-replayed", "message": "the token was used before: ask for another one",
            })
        )
    );
    // A second and a third device: two streams is what the policy has.
    for (device, code) in [("tv-2", Value::Null), ("tv-3", json!("too-many-streams"))] {
        let mut claims = claims("ann", device, now_ms());
        claims["device"] = json!(device);
        assert_eq!(site.ask(&claims, &[kid]).await.1["code"], code, "{device}");
    }
    let streams = site.admin("GET", "ann/streams", Value::Null).await.1["streams"].clone();
    assert_eq!((streams.as_array().unwrap().len(), &streams[0]["asset"]), (2, &json!("film")), "{streams}");
    let path = format!("ann/streams/{}", streams[0]["id"].as_str().unwrap());
    assert_eq!(site.admin("DELETE", &path, Value::Null).await.0, 204);
    let mut third = claims("ann", "3", now_ms());
    third["device"] = json!("tv-3");
    assert_eq!(site.ask(&third, &[kid]).await.0, 200);
    // The three devices that it may have; one is forgotten.
    assert_eq!(site.admin("GET", "ann", Value::Null).await.1["devices"], json!(["tv-1", "tv-2", "tv-3"]));
    assert_eq!(site.admin("DELETE", "ann/devices/tv-2", Value::Null).await.0, 204);
    assert_eq!(site.admin("GET", "ann/devices", Value::Null).await.1, json!({ "devices": ["tv-1", "tv-3"] }));
    assert_eq!(site.admin("DELETE", "ann/grants/g1", Value::Null).await.0, 204);
    assert_eq!(site.ask(&claims("ann", "4", now_ms()), &[kid]).await.1["code"], "not-entitled");
    assert_eq!(site.admin("DELETE", "ann", Value::Null).await.0, 204);
    assert_eq!(site.admin("GET", "ann", Value::Null).await.0, 404);
    assert_eq!(site.ask(&claims("ann", "5", now_ms()), &[kid]).await.1["code"], "account-unknown");
    // The key service is away, and the key is not known: no licence.
    let other = site.packaged("other").await;
    key_service.end().await;
    assert_eq!(
        site.ask(&claims("ann", "6", now_ms()), &[other]).await,
        (
            503,
            json!({
                "code": "key-service-unavailable", "message": "the key service does not answer: try again",
            })
        )
    );
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_refuses_who_has_no_token_and_what_the_policy_does_not_sell() {
    let site = Site::new();
    let service = site.licence_service(&policy()).await;
    let url = format!("http://127.0.0.1:{}/admin/v1/accounts/ann", site.admin);
    for token in ["", "wrong", &ADMIN[1..]] {
        let answer = site.http.put(&url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    // Nothing of it is on the port of players.
    let url = format!("http://127.0.0.1:{}/admin/v1/accounts/ann", site.port);
    assert_eq!(site.http.get(&url).bearer_auth(ADMIN).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    for (body, status, code) in [
        (json!({ "kind": "subscription", "package": "gold" }), 422, "not-offered"),
        (json!({ "kind": "event", "event": "gold" }), 422, "not-offered"),
        (json!({ "kind": "subscription", "asset": "film" }), 400, "request-malformed"),
        (json!({ "kind": "rental", "asset": "film", "package": "basic" }), 400, "request-malformed"),
        (json!({ "kind": "rental", "asset": "film", "for": "ever" }), 400, "request-malformed"),
        (json!({ "kind": "rental", "asset": "film", "until": "soon" }), 400, "request-malformed"),
        (
            json!({ "kind": "rental", "asset": "film", "until": "2001-01-01T00:00:00Z" }),
            400,
            "request-malformed",
        ),
        (json!({ "kind": "rental", "asset": "film" }), 200, ""),
        (json!({ "kind": "rental", "asset": "film" }), 200, ""),
        (json!({ "kind": "purchase", "asset": "film" }), 409, "grant-exists"),
    ] {
        let (said, answer) = site.admin("PUT", "ann/grants/g", body.clone()).await;
        assert_eq!((said, answer["code"].as_str().unwrap_or_default()), (status, code), "{body}");
    }
    // What is no JSON, is too deep, or has numbers beyond all measure.
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = format!("{{\"kind\":\"rental\",\"asset\":\"film\",\"until\":1e{}}}", "9".repeat(1000));
    for body in [String::new(), "{".to_owned(), nested, huge] {
        let url = format!("http://127.0.0.1:{}/admin/v1/accounts/ann/grants/h", site.admin);
        let answer = site.http.put(&url).bearer_auth(ADMIN).body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{} bytes", body.len());
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "request-malformed");
    }
    let grants = site.admin("GET", "ann/grants", Value::Null).await.1;
    assert_eq!(
        (grants["grants"].as_array().unwrap().len(), &grants["grants"][0]["asset"]),
        (1, &json!("film"))
    );
    assert_eq!(site.admin("DELETE", "bob/grants/g", Value::Null).await.0, 404);
    assert_eq!(site.admin("PUT", "a%20b", Value::Null).await.0, 400);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_ask_where_it_is_allowed_and_large_requests_are_refused_in_the_same_words() {
    let site = Site::new();
    let service = site.licence_service(&policy()).await;
    for (origin, allowed) in [("https://tv.example.org", true), ("https://evil.example.org", false)] {
        let asked = site.http.request("OPTIONS".parse().unwrap(), site.url()).header("origin", origin);
        let answer = asked.header("access-control-request-method", "POST").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(answer.headers().contains_key("access-control-allow-origin"), allowed, "{origin}");
        // A denial can be read too.
        let answer = site.http.post(site.url()).header("origin", origin).send().await.unwrap();
        assert_eq!(answer.headers().contains_key("access-control-allow-origin"), allowed, "{origin}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "token-missing");
    }
    let send = async |body: Vec<u8>| {
        let request =
            || site.http.post(site.url()).header("authorization", "Bearer x.y.z").body(body.clone());
        // Whoever still sends when the answer is there may lose it with the connection (RFC 9112 section 9.6), and one that is
        // kept may be closed just then.
        for _ in 0..20 {
            match request().send().await {
                Err(error) if error.is_request() => tokio::time::sleep(Duration::from_millis(100)).await,
                answer => return answer,
            }
        }
        request().send().await
    };
    for size in [5 << 10, 900 << 10] {
        let answer = send(vec![b'x'; size]).await.unwrap();
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "request-too-large", "{size}");
    }
    assert_eq!(send(Vec::new()).await.unwrap().json::<Value>().await.unwrap()["code"], "token-malformed");
    assert_eq!(site.http.get(site.url()).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    let metrics = site.http.get(format!("http://127.0.0.1:{}/metrics", site.port)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("streamverse_licences_refused_total{code=\"token-missing\"} 2"), "{metrics}");
    assert_eq!(
        site.http.get(format!("http://127.0.0.1:{}/readyz", site.port)).send().await.unwrap().status(),
        StatusCode::OK
    );
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_before_the_first_tokens_are_taken_is_told_when_to_come_again() {
    let site = Site::new();
    let key_service = site.key_service().await;
    let spec = site.licence_spec(&policy());
    let service = Running::begin(&streamverse_drm::LICENCE_SERVICE, spec, site.folder.path());
    let asked = async || {
        let request =
            site.http.post(site.url()).header("authorization", bearer(&claims("ann", "1", now_ms())));
        request.json(&json!({ "kids": [URL_SAFE_NO_PAD.encode([1; 16])], "type": "temporary" })).send().await
    };
    let answer = loop {
        match asked().await {
            Ok(answer) => break answer,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    // On a slow machine it may have waited long enough before it was asked.
    if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
        let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=4).contains(&seconds), "{seconds}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "service-starting");
    }
    let service = service.ready().await;
    let code = asked().await.unwrap().json::<Value>().await.unwrap()["code"].clone();
    assert_eq!(code, "key-unknown");
    service.end().await;
    key_service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_holds_from_the_next_start_and_nothing_is_granted_twice() {
    let site = Site::new();
    let key_service = site.key_service().await;
    let kid = site.packaged("film").await;
    let service = site.licence_service(&policy()).await;
    site.admin("PUT", "ann/grants/g1", json!({ "kind": "subscription", "package": "basic" })).await;
    let used = claims("ann", "1", now_ms());
    assert_eq!(site.ask(&used, &[kid]).await.0, 200);
    service.end().await;
    let mut fewer = policy();
    fewer["streams"] = json!(1);
    let begun = std::time::Instant::now();
    let service = site.licence_service(&fewer).await;
    eprintln!("the next process was ready after {:?}", begun.elapsed());
    assert_eq!(site.ask(&used, &[kid]).await.1["code"], "token-replayed");
    let mut other = claims("ann", "2", now_ms());
    other["device"] = json!("tv-2");
    assert_eq!(site.ask(&other, &[kid]).await.1["code"], "too-many-streams");
    service.end().await;
    key_service.end().await;
}
