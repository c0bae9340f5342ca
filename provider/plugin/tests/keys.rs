//! What plans of a key service refuse, and what they know already.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use terraform_provider_streamverse::Streamverse;
use tfplugin_testing::client::{Client, Failure, Plan};

async fn client() -> Client {
    let client = Client::of::<Streamverse>().await.unwrap();
    let image = format!("registry.example/streamverse@sha256:{}", "0".repeat(64));
    let cluster = json!({ "kubeconfig": "/nowhere", "images": { "streamverse": image } });
    client
        .configure(json!({
            "deployment": "test",
            "sites": {
                "default": { "node": { "socket": "/nowhere/node.sock" } },
                "cloud": { "kubernetes": cluster },
            },
        }))
        .await
        .unwrap();
    client
}

async fn plan(client: &Client, change: &Value) -> Result<Plan, Failure> {
    let mut config = json!({ "name": "main", "catalogue": "sqlite://default/main",
        "key_encryption_key": { "file": "/etc/kek" }, "access_key_ref": "env:ACCESS_KEY" });
    for (name, value) in change.as_object().unwrap() {
        config[name] = value.clone();
    }
    client.resource("streamverse_key_service").plan(None, config).await
}

#[tokio::test]
async fn a_key_service_that_cannot_work_is_refused_at_its_attribute() {
    let client = client().await;
    let postgres = "postgres://u@db/x";
    let vault =
        |address: &str| json!({ "vault_transit": { "address": address, "key": "k", "token_ref": "env:T" } });
    for (change, at, says) in [
        (json!({ "site": "cloud", "catalogue": postgres }), "key_encryption_key.file", "no file of a host"),
        (
            json!({ "site": "cloud", "catalogue": postgres, "key_encryption_key": { "environment": "KEK" } }),
            "key_encryption_key.environment",
            "secret` or `vault_transit",
        ),
        (
            json!({ "site": "cloud", "key_encryption_key": { "secret": { "value_ref": "env:KEK" } } }),
            "catalogue",
            "place of a host",
        ),
        (json!({ "replicas": 2 }), "replicas", "Kubernetes cluster: cloud"),
        (json!({ "catalogue": "file://default/x" }), "catalogue", "streamverse_catalogue"),
        (
            json!({ "previous_key_encryption_key": { "file": "/etc/kek" } }),
            "previous_key_encryption_key",
            "the one of now",
        ),
        (
            json!({ "key_encryption_key": vault("https://v:1"), "previous_key_encryption_key": vault("https://v:1") }),
            "previous_key_encryption_key",
            "keys rotate",
        ),
        (
            json!({ "key_encryption_key": vault("http://vault.example:8200") }),
            "key_encryption_key.vault_transit.address",
            "in the clear",
        ),
        (json!({ "key_encryption_key": { "file": "kek" } }), "key_encryption_key.file", "absolute path"),
        (
            json!({ "key_encryption_key": { "environment": "a b" } }),
            "key_encryption_key.environment",
            "variable's name",
        ),
        (json!({ "audit_retention": "1h" }), "audit_retention", "a day at least"),
    ] {
        let Err(failure) = plan(&client, &change).await else { panic!("{change} was planned") };
        let errors: Vec<_> = failure.errors().collect();
        assert_eq!(errors.len(), 1, "{change}: {failure:?}");
        let found = errors[0].path.as_ref().map(ToString::to_string).unwrap_or_default();
        let text = format!("{} {}", errors[0].summary, errors[0].detail);
        assert_eq!(found, at, "{change}: {text}");
        assert!(text.contains(says), "{change}: {text}");
    }
    for change in [
        json!({ "key_encryption_key": { "file": "/a", "environment": "B" } }),
        json!({ "key_encryption_key": {} }),
        json!({ "access_key_ref": null }),
        json!({ "access_key_wo": "x" }),
    ] {
        assert!(plan(&client, &change).await.is_err(), "{change}");
    }
}

#[tokio::test]
async fn where_it_will_be_asked_is_known_before_it_is_there() {
    let client = client().await;
    let planned = plan(&client, &json!({})).await.unwrap();
    let url = "keys://127.0.0.1:9180?secret=key-service.main";
    assert_eq!(planned["url"], json!(url));
    let cloud = json!({ "site": "cloud", "catalogue": "postgres://u@db/x", "replicas": 2,
        "key_encryption_key": { "secret": { "value_ref": "env:KEK" } } });
    let planned = plan(&client, &cloud).await.unwrap();
    let url = "keys://test-key-service-main-http.test.svc:9180?secret=key-service.main";
    assert_eq!(planned["url"], json!(url));
}
