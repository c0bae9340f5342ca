//! The test cluster itself: what tests of the provider on Kubernetes rely on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it must be"
)]

use std::time::Duration;

use serde_json::{Value, json};
use streamverse_acceptance::cluster::{Cluster, has_condition};

const SOON: Duration = Duration::from_secs(60);

fn applied(cluster: &Cluster, path: &str, body: Value) {
    let (status, said) = cluster.request("PATCH", path, Some(body));
    assert!(matches!(status, 200 | 201), "{path}: {status} {said}");
}

fn pod(image: &str, request: &str) -> Value {
    json!({ "containers": [{ "name": "main", "image": image, "resources": { "requests": { "cpu": request } } }] })
}

fn fresh(cluster: &Cluster) -> String {
    let namespace = cluster.namespace("cluster");
    cluster.create_namespace(&namespace);
    namespace
}

#[test]
fn a_deployment_becomes_available_across_the_zones_and_goes_without_a_trace() {
    let Some(cluster) = Cluster::shared() else { return };
    let namespace = fresh(cluster);
    let mut spec = pod("example.invalid/x:1", "100m");
    spec["initContainers"] = json!([{ "name": "first", "image": "example.invalid/x:1" }]);
    spec["topologySpreadConstraints"] = json!([{
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": { "matchLabels": { "app": "x" } },
    }]);
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/x");
    let body = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "x" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "x" } },
            "template": { "metadata": { "labels": { "app": "x" } }, "spec": spec },
        },
    });
    applied(cluster, &path, body);
    cluster.until(&path, SOON, |deployment| {
        deployment["status"]["availableReplicas"].as_u64() == Some(2)
            && has_condition(deployment, "Available")
    });
    let pods = cluster.request("GET", &format!("/api/v1/namespaces/{namespace}/pods"), None).1;
    let mut nodes: Vec<&str> = pods["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| {
            assert_eq!(pod["status"]["phase"], "Running");
            assert!(pod["status"]["podIP"].is_string(), "{pod}");
            pod["spec"]["nodeName"].as_str().unwrap()
        })
        .collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["node-a", "node-b"]);
    assert!(cluster.left_in(&namespace).contains(&"deployments/x".to_owned()));
    // Somebody's edit by hand, and another's claim to the same field.
    let (status, said) = cluster.merge(&path, &json!({ "spec": { "replicas": 1 } }));
    assert_eq!((status, said["spec"]["replicas"].as_u64()), (200, Some(1)), "{said}");
    let claim = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": { "replicas": 3 } });
    let (status, _) = cluster.request("PATCH", &format!("{path}?fieldManager=another"), Some(claim));
    assert_eq!(status, 409);
    cluster.deletes_all_in(&namespace);
    assert_eq!(cluster.left_in(&namespace), [""; 0]);
}

#[test]
fn a_job_completes() {
    let Some(cluster) = Cluster::shared() else { return };
    let namespace = fresh(cluster);
    let mut spec = pod("example.invalid/x:1", "100m");
    spec["restartPolicy"] = json!("Never");
    let path = format!("/apis/batch/v1/namespaces/{namespace}/jobs/once");
    let body = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": "once" },
        "spec": { "template": { "spec": spec } },
    });
    applied(cluster, &path, body);
    cluster.until(&path, SOON, |job| has_condition(job, "Complete"));
}

#[test]
fn a_stateful_set_gets_its_volumes() {
    let Some(cluster) = Cluster::shared() else { return };
    let namespace = fresh(cluster);
    let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/store");
    let body = json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": { "name": "store" },
        "spec": {
            "replicas": 2,
            "serviceName": "store",
            "selector": { "matchLabels": { "app": "store" } },
            "template": {
                "metadata": { "labels": { "app": "store" } },
                "spec": pod("example.invalid/x:1", "100m"),
            },
            "volumeClaimTemplates": [{
                "metadata": { "name": "data" },
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": { "requests": { "storage": "1Gi" } },
                },
            }],
        },
    });
    applied(cluster, &path, body);
    cluster.until(&path, SOON, |set| set["status"]["readyReplicas"].as_u64() == Some(2));
    let claim = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/data-store-1");
    let (_, claim) = cluster.request("GET", &claim, None);
    assert_eq!(claim["status"]["phase"], "Bound", "{claim}");
    cluster.deletes_all_in(&namespace);
    cluster.until("/api/v1/persistentvolumes", SOON, |list| list["items"].as_array().unwrap().is_empty());
}

#[test]
fn a_kafka_is_accepted_once_its_definition_is_there() {
    let Some(cluster) = Cluster::shared() else { return };
    if !cluster.load_crds(&["strimzi/kafka.yaml", "strimzi/kafkanodepool.yaml"]) {
        return;
    }
    let namespace = fresh(cluster);
    let path = format!("/apis/kafka.strimzi.io/v1/namespaces/{namespace}/kafkas/work");
    let listener = json!({ "name": "plain", "port": 9092, "type": "internal", "tls": false });
    let mut body = json!({
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "Kafka",
        "metadata": { "name": "work" },
        "spec": { "kafka": { "listeners": [listener] } },
    });
    applied(cluster, &path, body.clone());
    let (_, kafka) = cluster.request("GET", &path, None);
    assert_eq!(kafka["spec"]["kafka"]["listeners"][0]["port"].as_u64(), Some(9092), "{kafka}");
    body["spec"]["kafka"]["listenerz"] = json!([]);
    // Not 400: server-side apply fails on what a definition lacks before the fields are validated.
    let (status, said) = cluster.request("PATCH", &format!("{path}?fieldValidation=Strict"), Some(body));
    assert_eq!(status, 500, "{said}");
    assert!(said["message"].as_str().unwrap().contains("listenerz: field not declared in schema"), "{said}");
    assert_eq!(cluster.left_in(&namespace), ["kafkas/work"]);
}

#[test]
fn a_pod_that_fits_nowhere_waits_and_says_why() {
    let Some(cluster) = Cluster::shared() else { return };
    let namespace = fresh(cluster);
    let path = format!("/api/v1/namespaces/{namespace}/pods/large");
    let body = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "large" },
        "spec": pod("example.invalid/x:1", "1000"),
    });
    applied(cluster, &path, body);
    let large = cluster.until(&path, SOON, |pod| pod["status"]["conditions"].is_array());
    let placed = &large["status"]["conditions"][0];
    assert_eq!(large["status"]["phase"], "Pending");
    assert_eq!((&placed["type"], &placed["reason"]), (&json!("PodScheduled"), &json!("Unschedulable")));
    assert!(placed["message"].as_str().unwrap().contains("2 Insufficient cpu"), "{placed}");
}

#[test]
fn an_image_that_cannot_be_pulled_keeps_its_pod_waiting() {
    let Some(cluster) = Cluster::shared() else { return };
    let namespace = fresh(cluster);
    let path = format!("/api/v1/namespaces/{namespace}/pods/absent");
    let body = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "absent" },
        "spec": pod("absent.invalid/x:1", "100m"),
    });
    applied(cluster, &path, body);
    let absent = cluster.until(&path, SOON, |pod| pod["status"]["containerStatuses"].is_array());
    assert_eq!(absent["status"]["phase"], "Pending");
    let waiting = &absent["status"]["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["reason"], "ImagePullBackOff");
    assert!(!has_condition(&absent, "Ready"));
}

#[test]
fn what_the_kubeconfig_says_is_enough_to_trust_the_cluster() {
    let Some(cluster) = Cluster::shared() else { return };
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["clusters"][0]["cluster"]["server"], cluster.server());
    assert!(config["clusters"][0]["cluster"]["certificate-authority-data"].is_string());
    assert_eq!(config["users"][0]["user"]["token"], cluster.token());
    assert!(cluster.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
    let (status, version) = cluster.request("GET", "/version", None);
    assert_eq!((status, &version["gitVersion"]), (200, &json!("v1.36.3")));
    eprintln!("booted in {:?}, resident {:?} MiB", cluster.booted(), cluster.memory());
}
