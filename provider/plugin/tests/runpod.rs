//! What plans of RunPod's resources refuse, each at its attribute, and what they know already.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod fleets;

use serde_json::{Value, json};
use terraform_provider_streamverse::Streamverse;
use tfplugin_testing::client::{Client, Failure, Plan};

async fn client() -> Client {
    let client = Client::of::<Streamverse>().await.unwrap();
    // Nobody listens there: a plan of something new asks nobody.
    let runpod = json!({ "endpoint": "http://127.0.0.1:9", "api_key_ref": "env:NOT_SET_AND_NOT_NEEDED" });
    client.configure(json!({ "deployment": "test", "runpod": runpod })).await.unwrap();
    client
}

async fn plan(client: &Client, kind: &str, base: &Value, change: &Value) -> Result<Plan, Failure> {
    let mut config = base.clone();
    for (name, value) in change.as_object().unwrap() {
        config[name] = value.clone();
    }
    client.resource(format!("streamverse_runpod_{kind}")).plan(None, config).await
}

async fn refused(kind: &str, base: &Value, all: &[(Value, &str, &str)]) {
    let client = client().await;
    assert!(plan(&client, kind, base, &json!({})).await.is_ok(), "{base}");
    for (change, at, says) in all {
        let Err(failure) = plan(&client, kind, base, change).await else { panic!("{change} was planned") };
        let errors: Vec<_> = failure.errors().collect();
        assert_eq!(errors.len(), 1, "{change}: {failure:?}");
        let found = errors[0].path.as_ref().map(ToString::to_string).unwrap_or_default();
        let text = format!("{}: {}", errors[0].summary, errors[0].detail);
        assert!(found == *at && text.contains(says), "{change}: at {found}: {text}");
    }
}

#[tokio::test]
async fn an_endpoint_that_runpod_would_refuse_is_refused_at_its_attribute() {
    let base = json!({ "name": "e", "image": "x", "scaling": { "queue_delay": "4s" }, "gpu": { "pools": ["ADA_48_PRO"] }, "workers": {} });
    let gpu = |rest: Value| {
        let mut gpu = json!({ "pools": ["ADA_48_PRO"] });
        gpu.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({ "gpu": gpu })
    };
    let all = [
        (json!({ "image": null }), "image", "template_id"),
        (json!({ "scaling": {} }), "scaling", "`scaling.queue_delay` or `scaling.request_count`"),
        (
            json!({ "scaling": { "queue_delay": "4s", "request_count": 1 } }),
            "scaling",
            "remove one of the two",
        ),
        (
            json!({ "scaling": { "queue_delay": "100ms" } }),
            "scaling",
            "`scaling.queue_delay` is 500ms at least",
        ),
        (json!({ "routing": "LOAD_BALANCER" }), "scaling", "instead of `scaling.queue_delay`"),
        (
            json!({ "scaling": { "request_count": 2 }, "workers": { "idle_timeout": "10s" } }),
            "workers",
            "refuses `workers.idle_timeout`",
        ),
        (json!({ "workers": { "min": 4 } }), "workers", "`workers.max` is 3 and `workers.min` is 4"),
        (
            json!({ "workers": { "idle_timeout": "2h" } }),
            "workers",
            "`workers.idle_timeout` is whole seconds, from 1s to 1h",
        ),
        (
            json!({ "gpu": { "pools": ["ADA_48"] } }),
            "gpu",
            "\"ADA_48\" in `gpu.pools` is no pool of GPU types. Did you mean \"ADA_",
        ),
        (
            gpu(json!({ "excluded": ["NVIDIA L40X"] })),
            "gpu",
            "`gpu.excluded`: There is no GPU \"NVIDIA L40X\" in the table of 2026-11-21, and only those of the table are taken. Did you mean \"NVIDIA L40",
        ),
        (
            gpu(json!({ "excluded": ["L40S"] })),
            "gpu",
            "in `gpu.excluded` is known, but not by this name. RunPod calls it \"NVIDIA L40S\"",
        ),
        (gpu(json!({ "min_cuda_version": "12" })), "gpu", "`gpu.min_cuda_version` is MAJOR.MINOR"),
        (json!({ "ports": ["8080"] }), "ports[0]", "NUMBER/http"),
        (json!({ "env": { "A-B": "x" } }), "env[\"A-B\"]", "letters, digits and _"),
    ];
    refused("endpoint", &base, &all).await;
}

#[tokio::test]
async fn templates_and_volumes_refuse_at_their_attributes_too() {
    let template = json!({ "name": "t", "image": "x" });
    let all = [
        (
            json!({ "category": "CPU", "persistent_volume": { "size_gb": 10, "path": "/w" } }),
            "persistent_volume",
            "CPU pods",
        ),
        (json!({ "persistent_volume": { "size_gb": 9, "path": "/w" } }), "persistent_volume.size_gb", "10"),
        (json!({ "allowed_cuda_versions": ["12"] }), "allowed_cuda_versions[0]", "MAJOR.MINOR"),
        (json!({ "ports": ["70000/tcp"] }), "ports[0]", "1 to 65535"),
        (json!({ "name": "Main" }), "name", "a-z"),
    ];
    refused("template", &template, &all).await;
    let volume = json!({ "name": "v", "size_gb": 20, "data_center": "EU-RO-1" });
    let all =
        [(json!({ "size_gb": 5 }), "size_gb", "10"), (json!({ "tier": "FAST" }), "tier", "HIGH_PERFORMANCE")];
    refused("network_volume", &volume, &all).await;
}

#[tokio::test]
async fn an_endpoint_that_would_show_the_key_is_refused() {
    let client = Client::of::<Streamverse>().await.unwrap();
    let configured = client
        .configure(json!({ "deployment": "test", "runpod": { "endpoint": "http://api.runpod.io" } }))
        .await;
    assert!(format!("{:?}", configured.err().unwrap()).contains("in the clear"));
}
