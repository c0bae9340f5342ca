//! Plans of controllers, fleets and whatever else buys or scales: what they refuse and warn of, at which attribute; and that what is not known
//! yet is refused only where nothing that it may become would help.

use serde_json::{Value, json};
use terraform_provider_streamverse::Streamverse;
use tfplugin_framework::schema::Diagnostic;
use tfplugin_testing::client::{Client, Failure, Instance, Plan, unknown};

/// 32 bytes in base64.
const IDENTITY: &str = "cGxhbnRlZC1mbGVldC1pZGVudGl0eS0zMi1ieXRlcyE=";
const CONTROLLER: &str = "streamverse_fleet_controller";

/// A node whose address is not known yet, and a cluster that nobody answers for: no plan waits for either.
async fn client() -> Client {
    let client = Client::of::<Streamverse>().await.unwrap();
    let images = json!({ "streamverse": format!("registry.example/x@sha256:{}", "0".repeat(64)) });
    client
        .configure(json!({
            "deployment": "test",
            "runpod": { "endpoint": "http://127.0.0.1:9", "api_key_ref": "env:NOT_SET_AND_NOT_NEEDED" },
            "sites": {
                "default": { "node": { "socket": unknown() } },
                "cloud": { "kubernetes": { "kubeconfig": "/nowhere", "images": images } },
            },
        }))
        .await
        .unwrap();
    client
}

/// A good configuration.
fn good(kind: &str) -> Value {
    match kind {
        CONTROLLER => json!({
            "name": "main", "public_url": "https://fleet.example:9190", "catalogue": "sqlite://default/main",
            "stores": ["kafka://k.example:9092?partitions=12", "s3://media"], "identity_ref": "env:IDENTITY",
            "runpod": { "api_key_ref": "env:KEY" }, "monthly_budget": 500,
            "on_demand_limits": [{ "cloud": "aws", "class": "gpu", "max": 2 }], "tick": "15s", "retention": "30days",
        }),
        "streamverse_runpod_fleet" => json!({
            "name": "one", "controller": "main", "transcoder": "main", "image": "x:1", "environment": { "MODE": "live" },
            "candidates": [{ "gpu": "L40S", "data_centre": "EU-RO-1" }, { "gpu": "L4" }],
            "range": { "min": 1, "max": 4, "price_ceiling": 1.2, "monthly_budget": 400 },
            "policy": { "spread": 2 },
            "schedule": { "idle": "15m", "night": { "from": "23:00", "to": "06:00", "time_zone": "Europe/Berlin" } },
            "queue": { "event_log": "kafka://k.example:9092?partitions=12", "scale_out_above": 100, "scale_in_below": 10 },
        }),
        "streamverse_runpod_endpoint" => json!({
            "name": "e", "image": "x", "scaling": { "queue_delay": "4s" }, "gpu": { "pools": ["ADA_48_PRO"], "excluded": ["NVIDIA L40"] },
            "workers": { "min": 1, "max": 3, "idle_timeout": "10s" }, "ports": ["8080/http"], "env": { "A": "x" },
        }),
        "streamverse_runpod_template" => json!({
            "name": "t", "image": "x", "persistent_volume": { "size_gb": 20, "path": "/w" }, "ports": ["8080/http"], "env": { "A": "x" },
        }),
        "streamverse_runpod_network_volume" => {
            json!({ "name": "v", "size_gb": 20, "data_center": "EU-RO-1" })
        }
        "streamverse_runpod_registry_credential" => {
            json!({ "name": "c", "username": "u", "password_ref": "env:NOT_SET_AND_NOT_NEEDED" })
        }
        "streamverse_keda_scaler" => json!({
            "name": "s", "site": "cloud", "target": { "kind": "transcoder", "name": "main" }, "min": 0, "max": 12,
            "queue": { "event_log": "kafka://k.example:9092?partitions=12" },
        }),
        other => panic!("{other}"),
    }
}

const KINDS: [&str; 7] = [
    CONTROLLER,
    "streamverse_runpod_fleet",
    "streamverse_runpod_endpoint",
    "streamverse_runpod_template",
    "streamverse_runpod_network_volume",
    "streamverse_runpod_registry_credential",
    "streamverse_keda_scaler",
];

fn with(base: &Value, change: &Value) -> Value {
    let mut config = base.clone();
    for (name, value) in change.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

/// Where the plan is refused, and the whole text.
fn refused(planned: Result<Plan, Failure>, what: &Value) -> (String, String) {
    let Err(failure) = planned else { panic!("{what} was planned") };
    let errors: Vec<_> = failure.errors().collect();
    assert_eq!(errors.len(), 1, "{what}: {failure:?}");
    let at = errors[0].path.as_ref().map(ToString::to_string).unwrap_or_default();
    (at, format!("{}: {}", errors[0].summary, errors[0].detail))
}

#[tokio::test]
async fn a_controller_that_cannot_work_is_refused_at_its_attribute() {
    let client = client().await;
    let limit = |cloud: &str| json!({ "cloud": cloud, "class": "gpu", "max": 2 });
    let at = |endpoint: &str| json!({ "api_key_ref": "env:KEY", "endpoint": endpoint });
    let kafka = "kafka://k.example:9092";
    for (change, at, says) in [
        (json!({ "tick": "4s" }), "tick", "5 s to 5 minutes"),
        (json!({ "tick": "6m" }), "tick", "5 s to 5 minutes"),
        (
            json!({ "on_demand_limits": [limit("runpod")] }),
            "on_demand_limits[0]",
            "rents on-demand pods only",
        ),
        (
            json!({ "on_demand_limits": [limit("aws"), limit("aws")] }),
            "on_demand_limits[1]",
            "have two limits",
        ),
        (json!({ "stores": [kafka, kafka] }), "stores[1]", "A store given twice"),
        (json!({ "stores": ["file://default/media"] }), "stores[0]", "a place of one host"),
        (
            json!({ "stores": ["keys://h?secret=key-service.main"] }),
            "stores[0]",
            "content keys stay on the site",
        ),
        (json!({ "stores": ["kafka://localhost:9092"] }), "stores[0]", "each worker itself"),
        (json!({ "public_url": "http://fleet.example" }), "public_url", "must be https://HOST:PORT"),
        (json!({ "public_url": "https://a:b:c" }), "public_url", "No address"),
        (
            json!({ "public_url": "https://fleet.media.svc:9190" }),
            "public_url",
            "workers are rented elsewhere",
        ),
        (json!({ "public_url": "https://127.0.0.1:9190" }), "public_url", "each worker itself"),
        (json!({ "runpod": at("ftp://api.runpod.io") }), "runpod", "No endpoint"),
        (json!({ "runpod": at("http://api.runpod.io") }), "runpod", "in the clear"),
        (
            json!({ "identity_ref": null, "identity_wo": "dG9vIHNob3J0", "identity_wo_version": 1 }),
            "identity_wo",
            "32 bytes in base64",
        ),
        (json!({ "runpod": { "api_key_wo": " ", "api_key_wo_version": 1 } }), "runpod", "key is empty"),
        (json!({ "catalogue": kafka }), "catalogue", "sqlite:// or postgres://"),
        (json!({ "catalogue": "sqlite://cloud/main" }), "catalogue", "site"),
        (json!({ "replicas": 2 }), "replicas", "Kubernetes cluster: cloud"),
        (json!({ "replicas": 6 }), "replicas", "5"),
        (json!({ "name": "Main" }), "name", "a-z"),
        (json!({ "site": "paris" }), "site", "here is no site"),
    ] {
        let (found, text) =
            refused(client.resource(CONTROLLER).plan(None, with(&good(CONTROLLER), &change)).await, &change);
        assert!(found == at && text.contains(says), "{change}: at {found}: {text}");
        assert!(!text.contains("dG9vIHNob3J0"), "{text}");
    }
}

/// What a plan of the controller warns of, each as `PATH: text`.
async fn warned(client: &Client, prior: Option<&Instance>, change: &Value) -> Vec<String> {
    let plan = client.resource(CONTROLLER).plan(prior, with(&good(CONTROLLER), change)).await.unwrap();
    let told = |it: &Diagnostic| {
        let at = it.path.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{at}: {} {}", it.summary, it.detail)
    };
    plan.warnings().iter().map(told).collect()
}

/// The controller as it was applied with this change of the good configuration.
async fn applied(client: &Client, change: &Value) -> Instance {
    let config = with(&good(CONTROLLER), change);
    let plan = client.resource(CONTROLLER).plan(None, config).await.unwrap();
    held(client, plan.planned(), &json!({})).await
}

/// A controller as it was planned, but for this change, on its site.
async fn held(client: &Client, planned: &Value, change: &Value) -> Instance {
    let held = json!({ "address": "https://127.0.0.1:9190", "revision": "one" });
    client.upgrade(CONTROLLER, 0, with(&with(planned, &held), change)).await.unwrap()
}

/// A controller of which import found no secret: a site keeps versions, and no references.
async fn imported(client: &Client) -> Instance {
    let plan = client.resource(CONTROLLER).plan(None, good(CONTROLLER)).await.unwrap();
    let account = with(&plan.planned()["runpod"], &json!({ "api_key_ref": null }));
    held(client, plan.planned(), &json!({ "identity_ref": null, "runpod": account })).await
}

#[tokio::test]
async fn a_controller_that_parts_from_its_workers_or_pods_is_warned_of_and_nothing_else_is() {
    let client = client().await;
    let at = |url: &str| json!({ "public_url": url });
    for (change, told) in [
        (json!({}), None),
        (at("https://10.0.0.7:9190"), Some("public_url: Out of a rented worker's reach")),
        (
            json!({ "public_url": "https://127.0.0.1:9190", "runpod": null }),
            Some("public_url: Out of a rented worker's reach"),
        ),
        (json!({ "stores": ["kafka://10.0.0.7:9092"] }), Some("stores[0]: Out of a rented worker's reach")),
    ] {
        let found = warned(&client, None, &change).await;
        assert_eq!(found.len(), usize::from(told.is_some()), "{change}: {found:?}");
        assert!(found.iter().all(|it| told.is_some_and(|told| it.starts_with(told))), "{change}: {found:?}");
    }
    let wo = json!({ "identity_ref": null, "identity_wo": IDENTITY, "identity_wo_version": 1 });
    let second = json!({ "identity_ref": null, "identity_wo": IDENTITY, "identity_wo_version": 2 });
    let key = |version: u32| json!({ "runpod": { "api_key_wo": "k", "api_key_wo_version": version } });
    let elsewhere = json!({ "runpod": { "api_key_ref": "env:KEY", "endpoint": "https://api.example" } });
    for (before, after, told) in [
        (json!({}), json!({}), None),
        (
            json!({}),
            json!({ "catalogue": "sqlite://default/other" }),
            Some("catalogue: Its fleets stay behind"),
        ),
        (json!({}), json!({ "identity_ref": "env:OTHER" }), Some("identity_ref: Another authority")),
        (json!({}), wo.clone(), Some("Another authority")),
        (wo.clone(), wo.clone(), None),
        (wo.clone(), second, Some("identity_wo_version: Another authority")),
        (json!({}), elsewhere, Some("runpod: Another account")),
        (json!({}), json!({ "runpod": { "api_key_ref": "env:OTHER" } }), Some("runpod: Another account")),
        (json!({}), json!({ "runpod": { "api_key_ref": unknown() } }), None),
        (key(1), key(1), None),
        (key(1), key(2), Some("runpod: Another account")),
        (json!({}), json!({ "runpod": null }), Some("runpod: Its fleets are left without an account")),
        (json!({}), json!({ "runpod": unknown() }), None),
        (json!({ "runpod": null }), json!({}), None),
    ] {
        let prior = applied(&client, &before).await;
        let found = warned(&client, Some(&prior), &after).await;
        assert_eq!(found.len(), usize::from(told.is_some()), "{before} then {after}: {found:?}");
        let is = |it: &String| told.is_some_and(|told| it.contains(told));
        assert!(found.iter().all(is), "{before} then {after}: {found:?}");
    }
    let prior = imported(&client).await;
    for after in [json!({}), wo] {
        let found = warned(&client, Some(&prior), &after).await;
        assert!(found.is_empty(), "what import cannot know is no change: {found:?}");
    }
}

#[tokio::test]
async fn a_fleet_is_held_against_what_the_same_run_plans_of_its_controller() {
    let fleet = json!({ "range": { "min": 1, "max": 4 } });
    for (before, controller, refusal) in [
        (None, json!({}), None),
        (None, json!({ "monthly_budget": 100 }), Some(("range", "may spend $100.00"))),
        (None, json!({ "monthly_budget": null }), None),
        (None, json!({ "monthly_budget": unknown() }), None),
        (None, json!({ "monthly_budget": 100, "name": "other" }), None),
        (None, json!({ "monthly_budget": 100, "name": unknown() }), None),
        (Some(json!({})), json!({ "runpod": null }), Some(("controller", "no account"))),
        (Some(json!({})), json!({ "runpod": unknown() }), None),
        (Some(json!({ "monthly_budget": 100 })), json!({ "monthly_budget": 1000 }), None),
    ] {
        // A run of its own each.
        let client = client().await;
        let prior = match &before {
            Some(change) => Some(applied(&client, change).await),
            None => None,
        };
        warned(&client, prior.as_ref(), &controller).await;
        let kind = "streamverse_runpod_fleet";
        let planned = client.resource(kind).plan(None, with(&good(kind), &fleet)).await;
        match refusal {
            None => assert!(planned.is_ok(), "{controller}: {planned:?}"),
            Some((at, says)) => {
                let (found, text) = refused(planned, &controller);
                assert!(found == at && text.contains(says), "{controller}: at {found}: {text}");
            }
        }
    }
}

/// The configuration with each of its values, at any depth, unknown.
fn each_unknown(of: &Value) -> Vec<Value> {
    let members: Vec<(String, &Value)> = match of {
        Value::Object(all) => all.iter().map(|(name, it)| (name.clone(), it)).collect(),
        Value::Array(all) => all.iter().enumerate().map(|(index, it)| (index.to_string(), it)).collect(),
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    for (name, inner) in members {
        let put = |it: Value| {
            let mut all = of.clone();
            match &mut all {
                Value::Array(all) => all[name.parse::<usize>().unwrap()] = it,
                all => all[&name] = it,
            }
            all
        };
        found.push(put(unknown()));
        found.extend(each_unknown(inner).into_iter().map(put));
    }
    found
}

/// What of a resource people may write, but for what is given in one of two ways.
fn arguments(client: &Client, kind: &str) -> Vec<String> {
    let block = client.schema().resource_schemas[kind].block.clone().unwrap();
    let given = |it: &str| it.ends_with("_wo") || it.ends_with("_wo_version") || it.ends_with("_ref");
    let all = block.attributes.into_iter().filter(|it| it.optional || it.required);
    all.map(|it| it.name).filter(|it| !given(it) && it != "timeouts").collect()
}

#[tokio::test]
async fn what_is_not_known_yet_is_planned_whatever_it_is() {
    let client = client().await;
    for kind in KINDS {
        let resource = client.resource(kind);
        let good = good(kind);
        let mut all = each_unknown(&good);
        all.push(good.clone());
        let rest = arguments(&client, kind).into_iter().filter(|it| good.get(it).is_none());
        all.extend(rest.map(|it| with(&good, &json!({ it: unknown() }))));
        for config in all {
            let planned = resource.plan(None, config.clone()).await;
            assert!(planned.is_ok(), "{kind} {config}: {planned:?}");
        }
    }
}

#[tokio::test]
async fn what_nothing_unknown_can_save_is_refused() {
    let client = client().await;
    let kafka = "kafka://k.example:9092?partitions=2";
    let gpu = |name: &str| json!({ "gpu": name, "gpus": unknown(), "data_centre": unknown(), "tenancy": unknown() });
    let range = |min: u32, max: u32| json!({ "min": min, "max": max, "price_ceiling": unknown() });
    for (kind, known, says) in [
        ("fleet_controller", json!({ "tick": "1s" }), "5 s to 5 minutes"),
        ("fleet_controller", json!({ "stores": [unknown(), "file:///srv"] }), "a place of one host"),
        (
            "fleet_controller",
            json!({ "runpod": { "endpoint": "ftp://x", "api_key_ref": unknown() } }),
            "No endpoint",
        ),
        (
            "fleet_controller",
            json!({ "on_demand_limits": [{ "cloud": "runpod", "class": "gpu", "max": unknown() }] }),
            "rents on-demand pods only",
        ),
        ("runpod_fleet", json!({ "range": range(3, 2) }), "max = 2"),
        ("runpod_fleet", json!({ "candidates": [gpu("L40T"), unknown()] }), "Unknown GPU"),
        ("runpod_fleet", json!({ "candidates": [gpu("H100")], "transcoder": "main" }), "No encoder"),
        (
            "runpod_fleet",
            json!({ "queue": { "event_log": kafka }, "range": range(1, 3) }),
            "More workers than partitions",
        ),
        (
            "runpod_fleet",
            json!({ "queue": { "event_log": unknown(), "scale_in_below": 100 } }),
            "Thresholds that cross",
        ),
        ("runpod_fleet", json!({ "image": "x", "template_id": "t" }), "Two things to run"),
        ("runpod_fleet", json!({ "environment": { "STREAMVERSE_X": unknown() } }), "A name of ours"),
        ("runpod_fleet", json!({ "name": "a--b" }), "divides the parts"),
        ("runpod_endpoint", json!({ "workers": { "min": 4, "max": 3 } }), "max` is 3 and `"),
        ("runpod_endpoint", json!({ "scaling": {} }), "queue_delay` or `"),
        ("runpod_template", json!({ "allowed_cuda_versions": [unknown(), "12"] }), "MAJOR.MINOR"),
        ("runpod_network_volume", json!({ "size_gb": 5 }), "10"),
        ("keda_scaler", json!({ "min": 3, "max": 2 }), "max = 2 is less than min = 3"),
        ("keda_scaler", json!({ "queue": null, "min": 0 }), "Nothing starts the first"),
    ] {
        let kind = format!("streamverse_{kind}");
        let rest = arguments(&client, &kind).into_iter().map(|it| (it, unknown())).collect();
        let mut config = with(&Value::Object(rest), &known);
        if kind == CONTROLLER {
            config["identity_ref"] = unknown();
        }
        let (_, text) = refused(client.resource(&kind).plan(None, config).await, &known);
        assert!(text.contains(says), "{kind} {known}: {text}");
    }
}

#[tokio::test]
async fn an_import_from_a_site_that_is_not_looked_at_does_not_say_that_nothing_is_there() {
    let client = client().await;
    for kind in [CONTROLLER, "streamverse_runpod_fleet", "streamverse_catalogue"] {
        let Err(failure) = client.import(kind, "default/main").await else { panic!("{kind} was imported") };
        let told = format!("{failure:?}");
        assert!(told.contains("ite default was not looked at"), "{told}");
        assert!(!told.contains("here is no"), "{told}");
    }
}
