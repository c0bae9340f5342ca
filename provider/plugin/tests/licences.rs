//! What plans of licence services and entitlement policies refuse, at which attribute, and what they know already.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use terraform_provider_streamverse::Streamverse;
use tfplugin_testing::client::{Client, unknown};

async fn client() -> Client {
    let client = Client::of::<Streamverse>().await.unwrap();
    let image = format!("registry.example/streamverse:1@sha256:{}", "0".repeat(64));
    client
        .configure(json!({
            "deployment": "test",
            "sites": {
                "default": { "node": { "socket": "/nowhere/node.sock" } },
                "cloud": { "kubernetes": { "kubeconfig": "/nowhere", "images": { "streamverse": image } } },
            },
        }))
        .await
        .unwrap();
    client
}

const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEU63z/sYRTuJwDJ/A76EsATAFFBrn\nxUdOl/SfD+9yj8VyFaEmgyPyz1UOQDGuV8w1t7ltxcDpNWWs62rvoXKDEw==\n-----END PUBLIC KEY-----\n";

fn good() -> Value {
    let policy = json!({ "packages": [{ "name": "basic", "assets": ["*"] }], "purchases": true, "streams": 2,
        "devices": 5, "licence_duration": "2m" });
    json!({
        "name": "main", "key_service": "keys://127.0.0.1:1?secret=key-service.main", "catalogue": "sqlite://default/main",
        "policy": policy.to_string(), "token": { "issuer": "shop", "audience": "tv" },
        "token_keys": { "one": { "public_key": PEM } }, "admin_token_ref": "env:ADMIN",
    })
}

fn with(change: &Value) -> Value {
    let mut config = good();
    for (name, value) in change.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

#[tokio::test]
async fn a_licence_service_that_cannot_work_is_refused_at_its_attribute() {
    let client = client().await;
    let resource = client.resource("streamverse_licence_service");
    let key = |it: Value| json!({ "token_keys": { "one": it } });
    let token = |name: &str, value: &str| {
        let mut token = json!({ "issuer": "shop", "audience": "tv" });
        token[name] = json!(value);
        json!({ "token": token })
    };
    let cloud = json!({ "site": "cloud", "catalogue": "postgres://u@db/x" });
    let on_cloud = |change: Value| {
        let mut all = cloud.clone();
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        all
    };
    for (change, at, says) in [
        (json!({ "replicas": 2 }), "replicas", "a node runs one process"),
        (on_cloud(json!({ "replicas": 2 })), "replicas", "streamverse_cache"),
        (on_cloud(json!({ "replicas": 2, "cache": "memory://cloud/a" })), "replicas", "streamverse_cache"),
        (json!({ "site": "cloud" }), "catalogue", "pods"),
        (on_cloud(json!({ "admin_port": 9900 })), "admin_port", "health and metrics"),
        (json!({ "admin_port": 8090 }), "admin_port", "port of its own"),
        (json!({ "key_service": "sqlite://default/main" }), "key_service", "streamverse_key_service"),
        (json!({ "policy": "{}" }), "policy", "streamverse_entitlement_policy"),
        (json!({ "allowed_origins": ["https://tv.example.org/page"] }), "allowed_origins[0]", "origin"),
        (token("max_lifetime", "6m"), "token.max_lifetime", "5 min"),
        (token("clock_skew", "1m"), "token.clock_skew", "NTP"),
        (json!({ "token_keys": {} }), "token_keys", "nobody gets a licence"),
        (json!({ "token_keys": { "No": { "public_key": PEM } } }), "token_keys[\"No\"]", "a-z, 0-9"),
        (key(json!({})), "token_keys[\"one\"]", "secret_wo"),
        (key(json!({ "public_key": PEM, "secret_ref": "env:X" })), "token_keys[\"one\"]", "one algorithm"),
        (key(json!({ "public_key": "key.pem" })), "token_keys[\"one\"].public_key", "file("),
        (
            key(json!({ "public_key": PEM.replace("PUBLIC", "PRIVATE") })),
            "token_keys[\"one\"].public_key",
            "private key",
        ),
    ] {
        let failure = match resource.plan(None, with(&change)).await {
            Ok(_) => panic!("{change} was planned"),
            Err(failure) => failure,
        };
        let error = failure.errors().next().unwrap();
        let found = error.path.as_ref().map(ToString::to_string).unwrap_or_default();
        let text = format!("{} {}", error.summary, error.detail).to_lowercase();
        assert_eq!(found, at, "{change}: {text}");
        assert!(text.contains(&says.to_lowercase()), "{change}: {text}");
    }
}

#[tokio::test]
async fn addresses_of_a_licence_service_are_known_before_it_is_there_and_what_is_unknown_is_not_judged() {
    let client = client().await;
    let resource = client.resource("streamverse_licence_service");
    let plan = resource.plan(None, good()).await.unwrap();
    assert_eq!(plan["url"], json!("http://127.0.0.1:8090/licence/clearkey"));
    assert_eq!(plan["admin_address"], json!("http://127.0.0.1:8091"));
    let public = with(&json!({ "public_url": "https://tv.example.org/drm/", "port": unknown() }));
    let plan = resource.plan(None, public).await.unwrap();
    assert_eq!(plan["url"], json!("https://tv.example.org/drm/licence/clearkey"));
    assert!(plan.is_unknown("address"));
    for change in [
        json!({ "policy": unknown(), "token_keys": unknown(), "key_service": unknown() }),
        json!({ "token_keys": { "one": { "secret_wo": unknown() }, "two": { "public_key": unknown() } } }),
        json!({ "site": "cloud", "catalogue": "postgres://u@db/x", "replicas": 3, "cache": "redis://c:1/0" }),
        json!({ "site": "cloud", "catalogue": "postgres://u@db/x", "replicas": 3, "cache": unknown() }),
    ] {
        if let Err(failure) = resource.plan(None, with(&change)).await {
            panic!("{change}: {failure:?}");
        }
    }
}

#[tokio::test]
async fn a_policys_definition_is_planned_and_is_what_a_licence_service_takes() {
    let client = client().await;
    let policies = client.resource("streamverse_entitlement_policy");
    let config = json!({
        "packages": [{ "name": "basic", "assets": ["film"] }], "rental": {}, "streams": 3,
        "events": [{ "name": "final", "assets": ["match"], "from": "2026-12-01T18:00:00Z", "to": "2026-12-01T20:00:00Z" }],
    });
    let plan = policies.plan(None, config.clone()).await.unwrap();
    let definition = plan["definition"].as_str().unwrap().to_owned();
    let resource = client.resource("streamverse_licence_service");
    resource.plan(None, with(&json!({ "policy": definition }))).await.unwrap();
    let made = policies.apply(config).await.unwrap();
    assert_eq!(made["definition"], json!(definition));
    assert!(made.settled().await.unwrap());
    let later = policies.plan(None, json!({ "packages": unknown() })).await.unwrap();
    assert!(later.is_unknown("definition"));
    let twice = json!({ "packages": [{ "name": "a", "assets": ["x"] }, { "name": "a", "assets": ["y"] }] });
    let failure = policies.plan(None, twice).await.err().unwrap();
    let at = failure.errors().next().unwrap().path.as_ref().map(ToString::to_string);
    assert_eq!(at.as_deref(), Some("packages[1].name"));
}
