//! A fleet controller and a fleet on a cluster: its pods may read and change their one Lease, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use streamverse_fleet::{KubernetesLease, Lease as _};
use streamverse_model::compute::{FleetReport, FleetSeen};
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, value};

use crate::hcl::{POSTGRES_SECRET, S3_SECRET, binary, block, platform, stores};
use crate::lifecycle::nothing_left;

/// 32 bytes in base64.
const IDENTITY: &str = "cGxhbnRlZC1mbGVldC1pZGVudGl0eS0zMi1ieXRlcyE=";
const KEY: &str = "planted-runpod-key-6c1d";
const CONTROLLER: &str = "streamverse_fleet_controller.main";
const TRANSCODER: &str = "streamverse_transcoder.main";
const FLEET: &str = "streamverse_runpod_fleet.encode";

/// A controller, and a fleet of it that does the work of the transcoder.
pub(crate) fn rented(name: &str, replicas: u32, max: u32) -> String {
    format!(
        r#"
resource "streamverse_fleet_controller" "main" {{
  name       = "{name}"
  replicas   = {replicas}
  public_url = "https://fleet.example:9190"
  catalogue  = streamverse_catalogue.main.url
  stores     = [streamverse_event_log.work.url, streamverse_object_store.media.url]
  identity_wo         = "{IDENTITY}"
  identity_wo_version = 1
  runpod              = {{ api_key_wo = "{KEY}", api_key_wo_version = 1 }}
}}
resource "streamverse_runpod_fleet" "encode" {{
  name       = "{name}-encode"
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

/// The Job that handed the fleet over.
pub(crate) fn job(cluster: &Cluster, namespace: &str) -> Value {
    let all = get(cluster, &format!("/apis/batch/v1/namespaces/{namespace}/jobs"))["items"].take();
    let of = |it: &Value| it["metadata"]["labels"]["streamverse.io/kind"] == "runpod-fleet";
    let its: Vec<Value> = all.as_array().into_iter().flatten().filter(|it| of(it)).cloned().collect();
    assert_eq!(its.len(), 1, "{its:?}");
    its.into_iter().next().unwrap()
}

/// What the controller, if its pod really ran, would say after that Job was done, by the lease that it holds.
fn told_by_controller(cluster: &Cluster, namespace: &str, job: &Value, fleets: BTreeMap<String, FleetSeen>) {
    let ended: jiff::Timestamp = job["status"]["completionTime"].as_str().unwrap().parse().unwrap();
    // As soon after as it is believed.
    let read_ms = u64::try_from(ended.as_millisecond()).unwrap() + 5_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (name, lasts) = ("test-fleet-controller-main", Duration::from_secs(15));
        let lease = KubernetesLease::by_kubeconfig(cluster.kubeconfig(), namespace, name, "one", lasts).await;
        let lease = lease.unwrap();
        assert!(lease.renew().await.unwrap());
        lease.tell(&FleetReport { read_ms, fleets }).await;
        lease.release().await;
    });
}

/// What a controller alone has of the namespace.
pub(crate) fn no_rights_left(cluster: &Cluster, namespace: &str) -> Result<(), String> {
    for kind in ["serviceaccounts", "roles", "rolebindings", "leases"] {
        let root = match kind {
            "serviceaccounts" => "api/v1",
            "leases" => "apis/coordination.k8s.io/v1",
            _ => "apis/rbac.authorization.k8s.io/v1",
        };
        let list = get(cluster, &format!("/{root}/namespaces/{namespace}/{kind}"));
        let left = list["items"].as_array().into_iter().flatten();
        let left: Vec<&Value> =
            left.map(|it| &it["metadata"]["name"]).filter(|it| **it != "default").collect();
        if !left.is_empty() {
            return Err(format!("{kind} are left: {left:?}"));
        }
    }
    Ok(())
}

#[test]
fn a_controller_may_touch_its_one_lease_and_a_fleet_is_a_job_without_its_secrets() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("fleet");
    let config = |replicas, max| {
        format!(
            "{}{}{}{}",
            block(cluster, namespace),
            stores(1),
            platform(1, ""),
            rented("main", replicas, max)
        )
    };
    let more_memory = |config: String| config.replace("memory       = \"512MiB\"", "memory       = \"1GiB\"");
    let kept = std::cell::RefCell::new(Value::Null);
    let anew = || {
        let now = job(cluster, namespace);
        assert_ne!(now["metadata"]["uid"], kept.borrow()["metadata"]["uid"], "no job handed it over anew");
        Ok(())
    };
    let leases = ("coordination.k8s.io", "leases");
    let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles");
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .secrets_absent(&[S3_SECRET, POSTGRES_SECRET, IDENTITY, KEY])
        .step(
            Step::apply(config(1, 4).replace("s3.example", "minio.media.svc"))
                .named("a store that only the cluster knows, and pods are at RunPod")
                .expect_plan_error(r"(?s)minio\.media\.svc\s+is\s+a\s+name\s+that\s+its\s+own\s+cluster"),
        )
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
        .step(
            Step::apply(more_memory(config(2, 6)))
                .named("another transcoder: its fleet's workers are given the new one in the same apply")
                .before(|_| {
                    *kept.borrow_mut() = job(cluster, namespace);
                    Ok(())
                })
                .plan(action(TRANSCODER, Action::Update))
                .plan(action(FLEET, Action::Update))
                .after(|_| {
                    let name = job(cluster, namespace)["metadata"]["name"].clone();
                    assert_ne!(name, kept.borrow()["metadata"]["name"]);
                    let path = format!("/api/v1/namespaces/{namespace}/configmaps/{}", name.as_str().unwrap());
                    let orders = get(cluster, &path)["data"]["specs.transcoder.main.json"].to_string();
                    assert!(orders.contains("1GiB") && !orders.contains("512MiB"), "{orders}");
                    Ok(())
                }),
        )
        .step(
            Step::reapply()
                .named("somebody changed its record in the controller's catalogue")
                .before(|_| {
                    *kept.borrow_mut() = job(cluster, namespace);
                    let edited = json!({ "definition": { "range": { "max": 99 } }, "generation": "0123456789abcdef" });
                    let fleets = [("main-encode".to_owned(), FleetSeen::of(&edited))];
                    told_by_controller(cluster, namespace, &kept.borrow(), fleets.into());
                    Ok(())
                })
                .expect_warning("(?s)was changed by somebody else.*another one in its controller's catalogue")
                .plan(action(FLEET, Action::Update))
                .after(|_| anew()),
        )
        .step(
            Step::reapply()
                .named("somebody took its record away")
                .before(|_| {
                    *kept.borrow_mut() = job(cluster, namespace);
                    told_by_controller(cluster, namespace, &kept.borrow(), BTreeMap::new());
                    Ok(())
                })
                .expect_warning("(?s)gone from its controller's catalogue")
                .plan(action(FLEET, Action::Update))
                .after(|_| anew()),
        )
        .step(
            Step::replan()
                .named("its controller has too many fleets to tell of them")
                .before(|_| {
                    let one = FleetSeen::of(&json!({ "generation": "0123456789abcdef" }));
                    let many = (0..10_000).map(|it| (format!("fleet-{it}"), one.clone())).collect();
                    told_by_controller(cluster, namespace, &job(cluster, namespace), many);
                    Ok(())
                })
                .expect_warning(r"(?s)was not looked at.*has\s+10000\s+fleets.*several\s+controllers"),
        )
        .step(
            Step::reapply()
                .named("somebody took its job away")
                .before(|_| {
                    let name = job(cluster, namespace)["metadata"]["name"].clone();
                    let path = format!("/apis/batch/v1/namespaces/{namespace}/jobs/{}", name.as_str().unwrap());
                    let how = json!({ "propagationPolicy": "Background" });
                    assert_eq!(cluster.request("DELETE", &path, Some(how)).0, 200);
                    Ok(())
                })
                .plan(action(FLEET, Action::Update))
                .after(|_| {
                    assert_eq!(job(cluster, namespace)["status"]["succeeded"], 1);
                    Ok(())
                }),
        )
        .step(Step::import(CONTROLLER, Id::attribute("name")).by_block().config(more_memory(config(2, 6))))
        .step(Step::import(FLEET, Id::attribute("name")).by_block().config(more_memory(config(2, 6))))
        .step(
            Step::apply(more_memory(config(2, 6).replace(&rented("main", 2, 6), &rented("other", 2, 6))))
                .named("other names")
                .plan(action(CONTROLLER, Action::Replace))
                .plan(action(FLEET, Action::Replace))
                .after(|_| {
                    let of = |kind: &str| get(cluster, &format!("/apis/{kind}"))["items"].to_string();
                    for kind in ["batch/v1/namespaces/NS/jobs", "coordination.k8s.io/v1/namespaces/NS/leases"] {
                        let there = of(&kind.replace("NS", namespace));
                        assert!(!there.contains("-main-encode") && !there.contains("controller-main"), "{there}");
                        assert!(there.contains("controller-other") || there.contains("other-encode"), "{there}");
                    }
                    Ok(())
                }),
        )
        .check_destroyed(|_| {
            nothing_left(cluster, namespace)?;
            no_rights_left(cluster, namespace).map_err(Into::into)
        })
        .run()
        .map(|_| ())
}
