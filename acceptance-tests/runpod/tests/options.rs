//! Pods with all that a fleet may ask for: each goes to RunPod as its description has it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::{Value, json};
use streamverse_compute::cloud::{Candidate, Cloud as _, ErrorClass, GroupSpec};
use streamverse_compute_runpod::{ApiKey, Client, Config, Runpod};
use streamverse_model::compute::{CloudKind, GroupName, InstanceName, Lifecycle, Tenancy};
use streamverse_runpod_stand_in::{KEY, StandIn};

fn made(it: &StandIn, method_path: &str, body: &Value) -> String {
    let (status, told) = it.api("POST", method_path, Some(body));
    assert!((200..300).contains(&status), "{method_path}: {status} {told}");
    told["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_pod_has_each_option_of_its_fleet_and_one_of_a_template_has_what_that_says() {
    let it = StandIn::start();
    let client = Client::new(Config::new(&it.endpoint, ApiKey::new(KEY).unwrap()).unwrap()).unwrap();
    let runpod = Runpod::new(client, Duration::from_secs(60));
    let volume =
        made(&it, "/v2/network-volumes", &json!({ "name": "v", "size": 20, "dataCenter": "EU-RO-1" }));
    let registry =
        made(&it, "/v2/registries", &json!({ "name": "r", "username": "robot", "password": "planted" }));
    let template = json!({
        "name": "t", "image": "registry.example/worker:7", "args": "worker --patience 9", "disk": 40, "ports": ["7000/tcp"],
        "env": { "MODE": "template", "SITE": "template" }, "registry": registry,
        "mounts": { "persistent": { "size": 50, "path": "/scratch" } }, "allowedCudaVersions": ["12.4"],
    });
    let template = made(&it, "/v2/templates", &template);
    let spec = |key: &str,
                gpus: u32,
                tenancy: Tenancy,
                region: &str,
                image: &str,
                options: &[(&str, &str)]| GroupSpec {
        name: GroupName::new("prod", "encode", key).unwrap(),
        candidate: Candidate {
            key: key.to_owned(),
            cloud: CloudKind::Runpod,
            region: region.to_owned(),
            zone: None,
            shape: "NVIDIA L40S".to_owned(),
            gpus,
            tenancy,
        },
        lifecycle: Lifecycle::OnDemand,
        max: 4,
        max_hourly: None,
        image: image.to_owned(),
        environment: [("MODE".to_owned(), "gpu".to_owned())].into(),
        options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    };
    let whole = [
        ("disk_gb", "30"),
        ("network_volume_id", volume.as_str()),
        ("network_volume_path", "/work"),
        ("ports", "8080/http, 9000/tcp"),
        ("args", "worker --patience 60"),
        ("registry_credential_id", registry.as_str()),
        ("min_cuda_version", "12.4"),
    ];
    let all = spec("whole", 1, Tenancy::Secure, "EU-RO-1", "registry.example/worker:1", &whole);
    let templated = ("template_id", template.as_str());
    let of_template = spec("template", 2, Tenancy::Secure, "", "", &[templated]);
    // What a fleet says goes before what its template says.
    let mixed = [
        templated,
        ("network_volume_id", volume.as_str()),
        ("ports", "7001/tcp"),
        ("disk_gb", "60"),
        ("min_cuda_version", "12.8"),
    ];
    let mixed = spec("mixed", 1, Tenancy::Community, "", "", &mixed);
    // By numbers, 12.11 is above 12.8: one data centre alone has it.
    let newest =
        spec("newest", 1, Tenancy::Secure, "", "registry.example/worker:1", &[("min_cuda_version", "12.9")]);
    let launch = async |spec: &GroupSpec| {
        let name = InstanceName { group: spec.name.clone(), number: 1 };
        runpod.launch(spec, &name).await
    };
    for spec in [&all, &of_template, &mixed, &newest] {
        launch(spec).await.unwrap();
    }
    // Hosts with older CUDA are no capacity.
    let older = [("min_cuda_version", "12.9")];
    let older = spec("older", 1, Tenancy::Secure, "EU-RO-1", "registry.example/worker:1", &older);
    assert_eq!(launch(&older).await.unwrap_err().class, ErrorClass::Capacity);
    let pod = |name: &str| {
        let all = it.things("pod");
        all.into_iter().find(|it| it["name"].as_str().unwrap().contains(name)).unwrap()
    };
    let (one, two, three) = (pod("whole"), pod("template"), pod("mixed"));
    for (member, wanted) in [
        ("gpu", json!({ "id": "NVIDIA L40S", "count": 1 })),
        ("cudaVersion", json!("12.8")),
        ("template", Value::Null),
        ("image", json!("registry.example/worker:1")),
        ("disk", json!(30)),
        ("args", json!("worker --patience 60")),
        ("cloud", json!("SECURE")),
        ("dataCenterId", json!("EU-RO-1")),
        ("env", json!({ "MODE": "gpu" })),
        ("ports", json!(["8080/http", "9000/tcp"])),
        ("registry", json!(registry)),
        ("mounts", json!({ "network": [{ "volumeId": volume, "path": "/work" }] })),
    ] {
        assert_eq!(one[member], wanted, "{member}: {one:#}");
    }
    for (member, wanted) in [
        // A pod keeps no link to the template that it was made of.
        ("template", Value::Null),
        ("image", json!("registry.example/worker:7")),
        ("cloud", json!("SECURE")),
        ("gpu", json!({ "id": "NVIDIA L40S", "count": 2 })),
        ("args", json!("worker --patience 9")),
        ("disk", json!(40)),
        ("ports", json!(["7000/tcp"])),
        ("env", json!({ "MODE": "gpu", "SITE": "template" })),
        ("registry", json!(registry)),
        ("mounts", json!({ "persistent": { "size": 50, "path": "/scratch" } })),
        // The only data centre whose hosts have what the template asks for.
        ("dataCenterId", json!("US-KS-2")),
        ("cudaVersion", json!("12.4")),
    ] {
        assert_eq!(two[member], wanted, "{member}: {two:#}");
    }
    for (member, wanted) in [
        ("image", json!("registry.example/worker:7")),
        ("args", json!("worker --patience 9")),
        ("cloud", json!("COMMUNITY")),
        ("disk", json!(60)),
        ("ports", json!(["7001/tcp"])),
        ("mounts", json!({ "network": [{ "volumeId": volume, "path": "/workspace" }] })),
        ("dataCenterId", json!("EU-RO-1")),
        ("cudaVersion", json!("12.8")),
    ] {
        assert_eq!(three[member], wanted, "{member}: {three:#}");
    }
    assert_eq!(pod("newest")["dataCenterId"], "CA-MTL-1");
    // So nothing holds the template either; the credential is held by those that pull with it.
    let delete = |path: String| it.api("DELETE", &path, None).0;
    assert_eq!(delete(format!("/v2/templates/{template}")), 204);
    assert_eq!(delete(format!("/v2/registries/{registry}")), 400);
    assert_eq!(it.violations(), Vec::<String>::new());
}
