//! What is rendered, without a cluster.

use serde_json::{Value, json};
use streamverse_model::compute::{FleetControllerRun, FleetJobSpec};
use streamverse_model::delivery::AtsEdgeSpec;
use streamverse_model::media::{TranscoderSpec, VodJobSpec, default_ladder};
use streamverse_model::platform::{
    Bundle, CredentialUse, Name, Object, Owner, Peer, Reach, SecretObject, SpecUse,
};

use super::*;
use crate::kubernetes::config::{Expose, Image};

fn rendering() -> Rendering {
    let image = |of: &str| Image::parse(&format!("r/{of}@sha256:{}", "0".repeat(64))).unwrap();
    Rendering {
        site: "default".to_owned(),
        namespace: "video".to_owned(),
        images: BTreeMap::from([
            ("streamverse".to_owned(), image("streamverse:1")),
            ("traffic_server".to_owned(), image("ats:9.2.9")),
        ]),
        expose: Expose::ClusterIp,
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn owner(kind: &str) -> Owner {
    Owner::new("test", kind, "main").unwrap()
}

fn one<'a>(all: &'a [Rendered], kind: &str) -> &'a Value {
    &all.iter().find(|it| it.text("/kind") == kind).unwrap().body
}

fn transcoder() -> TranscoderSpec {
    serde_json::from_value(json!({
        "concurrency": 1, "workers": 1, "scratch": "1GiB", "memory": "1GiB", "event_log": "kafka://k:9092",
        "object_store": "s3://media?secret=object-store.media", "catalogue": "postgres://u@p/d?secret=catalogue.main",
    }))
    .unwrap()
}

#[test]
fn a_template_changes_with_the_versions_of_the_secrets_that_its_pod_reads() {
    let bundle = Bundle::new(owner("transcoder"), transcoder().objects().unwrap());
    let versions = |store: Option<u64>| {
        let of = |kind: &str, of: &str| CredentialUse { kind: name(kind), name: name(of) };
        let mut secrets = BTreeMap::from([(of("catalogue", "main"), 1)]);
        secrets.extend(store.map(|version| (of("object-store", "media"), version)));
        let all = render(&bundle, &rendering(), &Others { secrets, ..Others::default() }).unwrap();
        one(&all, "Deployment")["spec"]["template"]["metadata"]["annotations"]["streamverse.io/secrets"]
            .clone()
    };
    assert_eq!(versions(Some(1)), "catalogue.main=1,object-store.media=1");
    assert_eq!(versions(Some(2)), "catalogue.main=1,object-store.media=2");
    assert_eq!(versions(None), "catalogue.main=1");
}

#[test]
fn an_edge_rolls_with_its_own_key() {
    let spec: AtsEdgeSpec = serde_json::from_value(json!({
        "port": 8081, "tls": { "port": 8443, "certificate": "c" }, "policy": "first_live", "health_check": null,
        "storage": "64MiB", "memory": "32MiB", "cache": null, "congestion_control": null,
        "origins": [{ "url": "http://test-origin-main-http.video.svc:8080" }],
    }))
    .unwrap();
    let all = |version| {
        let bundle = Bundle::new(owner("ats-edge"), spec.objects(&owner("ats-edge"), Some(version)).unwrap());
        assert!(bundle.objects.iter().any(|it| matches!(it, Object::Secret(SecretObject { .. }))));
        render(&bundle, &rendering(), &Others::default()).unwrap()
    };
    let annotation = |version| {
        one(&all(version), "DaemonSet")["spec"]["template"]["metadata"]["annotations"]["streamverse.io/secrets"].clone()
    };
    assert_eq!(annotation(1), "ats-edge.main=1");
    assert_eq!(annotation(2), "ats-edge.main=2");
    // It reaches the origin's pods and name service, nothing else; nothing in it listens for those who collect metrics.
    let all = all(1);
    let policy = one(&all, "NetworkPolicy");
    let egress = policy["spec"]["egress"].as_array().unwrap();
    assert_eq!(egress.len(), 2, "{policy}");
    let to = &egress[1]["to"][0]["podSelector"]["matchLabels"];
    assert_eq!(to["app.kubernetes.io/instance"], "test-origin-main");
    assert!(!policy["spec"]["ingress"].to_string().contains("9900"), "{policy}");
    let room =
        one(&all, "DaemonSet")["spec"]["template"]["spec"]["volumes"][0]["emptyDir"]["sizeLimit"].clone();
    assert_eq!(room, "320Mi", "the cache alone has 64 MiB");
}

#[test]
fn only_pods_of_the_same_deployment_and_namespace_are_selected() {
    let bundle = Bundle::new(owner("origin"), Vec::new());
    let rendering = rendering();
    let others = Others::default();
    let scope = Scope { bundle: &bundle, rendering: &rendering, others: &others };
    let service = |name: &str, namespace: &str| Peer::Service {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    };
    for (peer, selected) in [
        (service("test-origin-main-http", "video"), true),
        (service("test-origin-main-http", "other"), false),
        (service("minio-http", "video"), false),
        (service("test-something", "video"), false),
        (Peer::Anywhere, false),
    ] {
        let reach = [Reach { peer: peer.clone(), port: 8080 }];
        let policy = network::policy(&scope, "service/origin", &[], &reach);
        let rule = policy.body.pointer("/spec/egress/1").unwrap();
        assert_eq!(rule.get("to").is_some(), selected, "{peer:?}: {rule}");
        assert_eq!(rule["ports"][0]["port"], 8080);
    }
}

#[test]
fn a_job_that_failed_for_good_is_not_tried_again() {
    let job: VodJobSpec = serde_json::from_value(json!({
        "name": "film", "transcoder": "main", "ladder": default_ladder(360, None),
        "asset": { "title": null, "thumbnails": null, "source": {
            "url": "s3://media/f", "digest": format!("sha256:{}", "0".repeat(64)), "allow_private": false } },
    }))
    .unwrap();
    let bundle = Bundle::new(owner("vod-asset"), job.objects().unwrap());
    let Some(Object::Job(object)) = bundle.objects.first() else { panic!() };
    let of = Bundle::new(owner("transcoder"), transcoder().objects().unwrap());
    let used = object.uses.iter().filter_map(|used| UsedService::of(used, &of)).collect();
    let all = render(&bundle, &rendering(), &Others { used, ..Others::default() }).unwrap();
    let spec = &one(&all, "Job")["spec"];
    // Kubernetes takes a failure policy only with pods that are never restarted in place.
    assert_eq!(spec["template"]["spec"]["restartPolicy"], "Never");
    let rules = spec["podFailurePolicy"]["rules"].as_array().unwrap();
    let fails = rules.iter().find(|rule| rule["action"] == "FailJob").unwrap();
    assert_eq!(fails["onExitCodes"], json!({ "containerName": "main", "operator": "In", "values": [2] }));
}

#[test]
fn only_who_reads_the_access_key_of_a_key_service_is_let_in_and_nobody_has_its_other_secrets() {
    let vault = json!({ "vault_transit": { "address": "https://vault.example:8200", "mount": "transit", "key": "k",
        "token": "key-encryption-key" } });
    let spec: streamverse_model::drm::KeyServiceSpec = serde_json::from_value(json!({
        "port": 9180, "replicas": 2, "catalogue": "postgres://u@p/d?secret=catalogue.main", "key_encryption_key": vault,
        "audit_retention": "30days",
    }))
    .unwrap();
    let of = owner("key-service");
    let bundle = Bundle::new(of.clone(), spec.objects(&of, Some(1), Some(2)).unwrap());
    let all = render(&bundle, &rendering(), &Others::default()).unwrap();
    let policy = &one(&all, "NetworkPolicy")["spec"];
    let label = "streamverse.io/reads-key-service.main";
    let peers =
        json!([{ "podSelector": { "matchLabels": { "streamverse.io/deployment": "test", label: "true" } } }]);
    assert_eq!(policy["ingress"][0]["from"], peers);
    assert!(policy["egress"].to_string().contains("\"port\":8200"), "{policy}");
    // Who packages: a job that names the key service.
    let url = "keys://test-key-service-main-http.video.svc:9180?secret=key-service.main";
    let read = streamverse_model::platform::StoreUrl::parse(url).unwrap();
    let job = json!({ "type": "job", "name": "vod", "target": "vod", "spec": {}, "deadline_seconds": 1,
        "credentials": read.credentials(),
        "reach": [{ "peer": { "service": { "name": read.host(), "namespace": "video" } }, "port": 9180 }] });
    let mut job: Value = job;
    job["reach"][0]["peer"]["service"]["name"] = json!("test-key-service-main-http");
    let bundle = Bundle::new(owner("vod-asset"), vec![serde_json::from_value(job).unwrap()]);
    let all = render(&bundle, &rendering(), &Others::default()).unwrap();
    let template = &one(&all, "Job")["spec"]["template"];
    assert_eq!(template["metadata"]["labels"][label], "true");
    let text = template.to_string();
    assert!(
        text.contains("test-key-service-main-secret") && !text.contains("test-key-service-main-own"),
        "{text}"
    );
    let egress = one(&all, "NetworkPolicy")["spec"]["egress"].to_string();
    assert!(egress.contains("\"app.kubernetes.io/instance\":\"test-key-service-main\""), "{egress}");
}

#[test]
fn a_controller_may_read_and_change_its_one_lease_and_reach_what_it_buys_from() {
    let run: FleetControllerRun = serde_json::from_value(json!({
        "controller": { "tick": "15s", "retention": "30days" }, "port": 9190, "public_url": "https://fleet.example:9190",
        "catalogue": "postgres://u@p/d?secret=catalogue.main", "stores": ["kafka://k:9092", "s3://media?secret=object-store.media"],
        "runpod": { "endpoint": "https://api.runpod.io" },
    }))
    .unwrap();
    let controller = owner("fleet-controller");
    let bundle = Bundle::new(controller.clone(), run.objects(&controller, 2, Some(1), Some(1)).unwrap());
    let all = render(&bundle, &rendering(), &Others::default()).unwrap();
    let role = one(&all, "Role");
    assert_eq!(
        role["rules"],
        json!([{ "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "resourceNames": ["test-fleet-controller-main"], "verbs": ["get", "update", "patch"] }])
    );
    assert_eq!(one(&all, "Lease")["metadata"]["name"], "test-fleet-controller-main");
    let account = one(&all, "ServiceAccount")["metadata"]["name"].clone();
    assert_eq!(one(&all, "RoleBinding")["subjects"][0]["name"], account);
    let deployment = one(&all, "Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!((&pod["serviceAccountName"], &pod["automountServiceAccountToken"]), (&account, &json!(true)));
    assert_eq!(
        deployment["spec"]["strategy"],
        json!({ "type": "Recreate" }),
        "a new one waits for the lease"
    );
    assert!(all.iter().all(|it| it.text("/kind") != "PodDisruptionBudget"));
    let policy = one(&all, "NetworkPolicy");
    let ports: Vec<u64> = policy["spec"]["egress"][1]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["port"].as_u64())
        .collect();
    assert_eq!(ports, [443, 5432, 6443, 9092], "{policy}");
    // Its workers are outside of the cluster.
    assert_eq!(policy["spec"]["ingress"][0], json!({ "ports": [{ "port": 9190, "protocol": "TCP" }] }));
    // Nobody else has an account.
    let other = Bundle::new(owner("transcoder"), transcoder().objects().unwrap());
    let all = render(&other, &rendering(), &Others::default()).unwrap();
    assert_eq!(one(&all, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"], false);
    assert!(all.iter().all(|it| it.text("/kind") != "ServiceAccount"));
}

#[test]
fn a_job_is_not_given_what_is_its_controllers_own() {
    let fleet = json!({ "controller": "main", "image": "i", "candidates": [{ "gpu": "L4", "gpus": 1, "tenancy": "secure" }],
        "range": { "min": 0, "max": 1 } });
    let spec: FleetJobSpec =
        serde_json::from_value(json!({ "name": "main", "fleet": { "runpod": fleet } })).unwrap();
    let of = |kind: &str, of: &str| CredentialUse { kind: name(kind), name: name(of) };
    let used = UsedService {
        used: SpecUse {
            kind: name("fleet-controller"),
            name: name("main"),
            service: name("fleet-controller"),
        },
        spec: json!({}),
        credentials: vec![of("catalogue", "main"), of("fleet-controller", "main")],
        reach: Vec::new(),
    };
    let bundle = Bundle::new(owner("runpod-fleet"), spec.objects().unwrap());
    let all = render(&bundle, &rendering(), &Others { used: vec![used], ..Others::default() }).unwrap();
    let job = one(&all, "Job").to_string();
    assert!(job.contains("test-catalogue-main-secret"), "{job}");
    assert!(!job.contains("fleet-controller-main-secret"), "{job}");
}
