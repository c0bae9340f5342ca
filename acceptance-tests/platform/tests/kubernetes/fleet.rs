//! A fleet controller and a fleet on a cluster: its pods may read and change their one Lease, and nothing else.

use serde_json::{Value, json};
use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, value};

use crate::hcl::{POSTGRES_SECRET, S3_SECRET, binary, block, platform, stores};
use crate::lifecycle::nothing_left;

/// 32 bytes in base64.
const IDENTITY: &str = "cGxhbnRlZC1mbGVldC1pZGVudGl0eS0zMi1ieXRlcyE=";
const KEY: &str = "planted-runpod-key-6c1d";
const CONTROLLER: &str = "streamverse_fleet_controller.main";
const FLEET: &str = "streamverse_runpod_fleet.encode";

fn rented(replicas: u32, max: u32) -> String {
    format!(
        r#"
resource "streamverse_fleet_controller" "main" {{
  name       = "main"
  replicas   = {replicas}
  public_url = "https://fleet.example:9190"
  catalogue  = streamverse_catalogue.main.url
  stores     = [streamverse_event_log.work.url, streamverse_object_store.media.url]
  identity_wo         = "{IDENTITY}"
  identity_wo_version = 1
  runpod              = {{ api_key_wo = "{KEY}", api_key_wo_version = 1 }}
}}
resource "streamverse_runpod_fleet" "encode" {{
  name       = "encode"
  controller = streamverse_fleet_controller.main.name
  transcoder = streamverse_transcoder.main.name
  image      = "registry.example/worker:1"
  candidates = [{{ gpu = "L40S" }}, {{ gpu = "L4" }}]
  range      = {{ max = {max} }}
  queue      = {{ event_log = streamverse_event_log.work.url }}
}}
"#
    )
}

/// Whether the controller's pods may do that.
fn may(cluster: &Cluster, namespace: &str, verb: &str, (group, resource): (&str, &str), name: &str) -> bool {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": format!("system:serviceaccount:{namespace}:test-fleet-controller-main"),
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group, "resource": resource, "name": name,
            },
        },
    });
    let (status, told) =
        cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", Some(review));
    assert_eq!(status, 201, "{told}");
    told["status"]["allowed"] == true
}

fn get(cluster: &Cluster, path: &str) -> Value {
    cluster.request("GET", path, None).1
}

#[test]
fn a_controller_may_touch_its_one_lease_and_a_fleet_is_a_job_without_its_secrets() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("fleet");
    let config = |replicas, max| {
        format!("{}{}{}{}", block(cluster, namespace), stores(1), platform(1, ""), rented(replicas, max))
    };
    let leases = ("coordination.k8s.io", "leases");
    let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles");
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .secrets_absent(&[S3_SECRET, POSTGRES_SECRET, IDENTITY, KEY])
        .step(
            Step::apply(config(1, 4))
                .named("create")
                .plan(action(FLEET, Action::Create))
                .state(value(
                    CONTROLLER,
                    "address",
                    format!("https://test-fleet-controller-main-https.{namespace}.svc:9190").as_str(),
                ))
                .after(|_| {
                    let own = "test-fleet-controller-main";
                    for verb in ["get", "update", "patch"] {
                        assert!(may(cluster, namespace, verb, leases, own), "{verb} its lease");
                    }
                    for (verb, what, name) in [
                        ("create", leases, ""),
                        ("delete", leases, own),
                        ("update", leases, "another"),
                        ("list", leases, ""),
                        ("get", ("", "secrets"), "test-catalogue-main-secret"),
                        ("list", ("", "pods"), ""),
                    ] {
                        assert!(!may(cluster, namespace, verb, what, name), "{verb} {what:?} {name:?}");
                    }
                    let at = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{own}");
                    let pod = &get(cluster, &at)["spec"]["template"]["spec"];
                    assert_eq!(pod["serviceAccountName"], own);
                    let service = get(cluster, &format!("/api/v1/namespaces/{namespace}/services/{own}-https"));
                    assert_eq!(service["spec"]["type"], "NodePort", "workers are outside: {service}");
                    // The fleet's job reads stores, and neither the identity nor the key to the account.
                    let jobs = get(cluster, &format!("/apis/batch/v1/namespaces/{namespace}/jobs"));
                    let text = jobs.to_string();
                    assert!(text.contains("test-catalogue-main-secret"), "{text}");
                    assert!(!text.contains("test-fleet-controller-main-secret"), "{text}");
                    Ok(())
                }),
        )
        .step(
            Step::apply(config(2, 6))
                .named("one stands by, and the fleet may grow")
                .plan(action(CONTROLLER, Action::Update))
                .plan(action(FLEET, Action::Update)),
        )
        .step(
            Step::reapply()
                .named("somebody gave it more rights")
                .before(|_| {
                    let rules = json!({ "rules": [{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["*"] }] });
                    let path = format!("{roles}/test-fleet-controller-main?fieldManager=kubectl-edit");
                    assert_eq!(cluster.merge(&path, &rules).0, 200);
                    assert!(may(cluster, namespace, "get", ("", "secrets"), "x"));
                    Ok(())
                })
                .plan(action(CONTROLLER, Action::Update))
                .after(|_| {
                    assert!(!may(cluster, namespace, "get", ("", "secrets"), "x"), "it keeps them");
                    Ok(())
                }),
        )
        .step(
            Step::reapply()
                .named("somebody removed its lease")
                .before(|_| {
                    let path = format!(
                        "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/test-fleet-controller-main"
                    );
                    assert_eq!(cluster.request("DELETE", &path, None).0, 200);
                    Ok(())
                })
                .plan(action(CONTROLLER, Action::Update)),
        )
        .step(Step::import(CONTROLLER, Id::attribute("name")).ignoring(&[
            "identity_wo_version",
            "runpod.api_key_wo_version",
        ]))
        .step(Step::import(FLEET, Id::attribute("name")))
        .check_destroyed(|_| {
            nothing_left(cluster, namespace)?;
            for kind in ["serviceaccounts", "roles", "rolebindings", "leases"] {
                let root = match kind {
                    "serviceaccounts" => "api/v1",
                    "leases" => "apis/coordination.k8s.io/v1",
                    _ => "apis/rbac.authorization.k8s.io/v1",
                };
                let list = get(cluster, &format!("/{root}/namespaces/{namespace}/{kind}"));
                let left = list["items"].as_array().into_iter().flatten();
                let left: Vec<&Value> = left.map(|it| &it["metadata"]["name"]).filter(|it| **it != "default").collect();
                if !left.is_empty() {
                    return Err(format!("{kind} are left: {left:?}").into());
                }
            }
            Ok(())
        })
        .run()
        .map(|_| ())
}
