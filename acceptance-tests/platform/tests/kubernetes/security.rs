//! What the cluster's own rules say about what we make: restricted pods, and the parts that every workload has.

use serde_json::{Value, json};
use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Step, action};

use crate::hcl::{asset, binary, block, platform, stores};
use crate::lifecycle::nothing_left;

/// A pod that may do whatever it likes.
fn privileged() -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "privileged" }, "spec": {
        "containers": [{ "name": "main", "image": "x", "securityContext": { "privileged": true } }] } })
}

#[test]
fn a_namespace_for_restricted_pods_admits_ours_and_refuses_a_privileged_one() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("restricted");
    // Somebody's own namespace: enforced, and warned about at once.
    let mode = |name: &str| (format!("pod-security.kubernetes.io/{name}"), json!("restricted"));
    let labels: serde_json::Map<String, Value> =
        ["enforce", "warn", "audit"].iter().map(|it| mode(it)).collect();
    let body = json!({ "metadata": { "name": namespace, "labels": labels } });
    assert_eq!(cluster.request("POST", "/api/v1/namespaces", Some(body)).0, 201);
    cluster.until(
        &format!("/api/v1/namespaces/{namespace}/serviceaccounts/default"),
        std::time::Duration::from_secs(30),
        |_| true,
    );
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let (status, told) = cluster.request("POST", &pods, Some(privileged()));
    assert_eq!(status, 403, "{told}");
    assert!(told["message"].as_str().unwrap().contains("violates PodSecurity \"restricted"), "{told}");
    let config = format!("{}{}{}{}", block(cluster, namespace), stores(1), platform(2, ""), asset('a'));
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(Step::apply(config).expect_warning("The source was not looked at").after(|_| {
            // Deployments are never refused, only their pods: so these are counted, and each is sent once more as one that
            // would break a rule.
            let (_, list) = cluster.request("GET", &pods, None);
            let of = |kind: &str| {
                let label = |it: &&Value| it["metadata"]["labels"]["streamverse.io/kind"] == kind;
                list["items"].as_array().unwrap().iter().find(label).cloned()
            };
            for kind in ["transcoder", "origin", "ats-edge", "web-player", "vod-asset"] {
                let pod = of(kind).unwrap_or_else(|| panic!("no pod of {kind} was admitted"));
                let mut again = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": format!("again-{kind}") }, "spec": pod["spec"] });
                let dry = format!("{pods}?dryRun=All");
                let (status, told) = cluster.request("POST", &dry, Some(again.clone()));
                assert_eq!(status, 201, "{kind}: {told}");
                again["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
                assert_eq!(cluster.request("POST", &dry, Some(again)).0, 403, "{kind}: the rule does not hold");
            }
            Ok(())
        }))
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()
        .map(|_| ())
}

/// All of a list, by the name after `test-`.
fn items(cluster: &Cluster, namespace: &str, group: &str, plural: &str) -> Vec<Value> {
    let (status, list) = cluster.request("GET", &format!("/{group}/namespaces/{namespace}/{plural}"), None);
    assert_eq!(status, 200, "{list}");
    list["items"].as_array().cloned().unwrap_or_default()
}

#[test]
fn every_workload_has_what_a_cluster_asks_of_it() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("parts");
    let config = format!("{}{}{}{}", block(cluster, namespace), stores(1), platform(2, ""), asset('a'));
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(Step::apply(config).after(|_| {
            let list = |group: &str, plural: &str| items(cluster, namespace, group, plural);
            let (services, policies) =
                (list("apis/apps/v1", "deployments"), list("apis/networking.k8s.io/v1", "networkpolicies"));
            let (edges, jobs) = (list("apis/apps/v1", "daemonsets"), list("apis/batch/v1", "jobs"));
            let budgets = list("apis/policy/v1", "poddisruptionbudgets");
            assert_eq!((services.len(), edges.len(), jobs.len()), (3, 1, 1));
            for workload in services.iter().chain(&edges).chain(&jobs) {
                let name = workload["metadata"]["name"].as_str().unwrap();
                let labels = &workload["spec"]["template"]["metadata"]["labels"];
                for label in [
                    "app.kubernetes.io/name",
                    "app.kubernetes.io/instance",
                    "app.kubernetes.io/part-of",
                    "app.kubernetes.io/managed-by",
                    "streamverse.io/deployment",
                    "streamverse.io/kind",
                    "streamverse.io/name",
                ] {
                    assert!(
                        labels[label].is_string() && workload["metadata"]["labels"][label].is_string(),
                        "{name} lacks {label}"
                    );
                }
                let selects = |selector: &Value| {
                    selector["matchLabels"]
                        .as_object()
                        .is_some_and(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
                };
                // Nothing in and nothing out but what a policy of its own says.
                let own: Vec<&Value> =
                    policies.iter().filter(|it| selects(&it["spec"]["podSelector"])).collect();
                assert_eq!(own.len(), 1, "policies of {name}");
                assert_eq!(own[0]["spec"]["policyTypes"], json!(["Ingress", "Egress"]), "{name}");
                let pod = &workload["spec"]["template"]["spec"];
                assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
                assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
                assert_eq!(pod["topologySpreadConstraints"].as_array().unwrap().len(), 2, "{name}");
                let (main, init) = (&pod["containers"], &pod["initContainers"]);
                for container in main.as_array().into_iter().chain(init.as_array()).flatten() {
                    assert!(container["image"].as_str().unwrap().contains("@sha256:"), "{name}");
                    for resource in ["cpu", "memory", "ephemeral-storage"] {
                        assert!(
                            container["resources"]["requests"][resource].is_string(),
                            "{name}: {resource}"
                        );
                    }
                    assert!(container["resources"]["limits"]["memory"].is_string(), "{name}");
                    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{name}");
                }
                if workload["spec"]["backoffLimit"].is_null() {
                    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                        assert!(main[0][probe].is_object(), "{name} has no {probe}");
                    }
                }
                let budget = budgets.iter().find(|it| selects(&it["spec"]["selector"]));
                assert_eq!(budget.is_some(), services.contains(workload), "budget of {name}");
            }
            // Who may speak to an origin: what is of this deployment, at its port, and whoever collects metrics.
            let origin = policies.iter().find(|it| it["metadata"]["name"] == "test-origin-main").unwrap();
            let from = &origin["spec"]["ingress"][0];
            assert_eq!(
                from["from"],
                json!([{ "podSelector": { "matchLabels": { "streamverse.io/deployment": "test" } } }])
            );
            assert_eq!(from["ports"], json!([{ "port": 8080, "protocol": "TCP" }]));
            // Viewers come from anywhere, to the edge.
            let edge = policies.iter().find(|it| it["metadata"]["name"] == "test-ats-edge-main").unwrap();
            assert_eq!(edge["spec"]["ingress"][0], json!({ "ports": [{ "port": 8081, "protocol": "TCP" }] }));
            // Where a worker may go: name service, its store, its log, its catalogue.
            let worker = policies.iter().find(|it| it["metadata"]["name"] == "test-transcoder-main").unwrap();
            let text = worker["spec"]["egress"].to_string();
            for port in ["53", "9000", "9092", "9093", "5432"] {
                assert!(text.contains(&format!("\"port\":{port}")), "{port}: {text}");
            }
            Ok(())
        }))
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn a_change_of_an_edge_is_a_new_config_map_and_a_rolling_update_with_a_check() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("edge");
    let config = |manifests: u32| {
        format!(
            "{}resource \"streamverse_ats_edge\" \"main\" {{\n  name = \"main\"\n  origins = [{{ url = \"http://origin.example:8080\" }}]\n  storage = \"64MiB\"\n  cache = {{ manifests = \"{manifests}s\" }}\n}}\n",
            block(cluster, namespace)
        )
    };
    let at = "streamverse_ats_edge.main";
    let set = || {
        cluster
            .request(
                "GET",
                &format!("/apis/apps/v1/namespaces/{namespace}/daemonsets/test-ats-edge-main"),
                None,
            )
            .1
    };
    let mounted = |set: &Value| -> String {
        let volumes = set["spec"]["template"]["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        let engine = volumes.iter().find(|it| it["name"] == "engine").unwrap();
        engine["configMap"]["name"].as_str().unwrap().to_owned()
    };
    let maps = || -> Vec<String> {
        let names = items(cluster, namespace, "api/v1", "configmaps").into_iter();
        names
            .filter_map(|it| it["metadata"]["name"].as_str().map(str::to_owned))
            .filter(|it| it.contains("-config-"))
            .collect()
    };
    let seen = std::cell::RefCell::new(Vec::<String>::new());
    let look = |generation: u64| {
        let live = set();
        let (spec, pod) = (&live["spec"], &live["spec"]["template"]["spec"]);
        assert_eq!(live["metadata"]["generation"], generation, "{live}");
        assert_eq!(spec["updateStrategy"]["rollingUpdate"], json!({ "maxSurge": 0, "maxUnavailable": 1 }));
        assert_eq!(pod["initContainers"][0]["name"], "check");
        let command = pod["initContainers"][0]["command"].to_string();
        assert!(command.contains("traffic_server -C verify_config"), "{command}");
        assert_eq!(
            pod["initContainers"][0]["image"], pod["containers"][0]["image"],
            "checked by another binary"
        );
        // Rolled out: every node has the new one.
        assert_eq!(live["status"]["updatedNumberScheduled"], 2, "{live}");
        assert_eq!(live["status"]["numberAvailable"], 2, "{live}");
        let name = mounted(&live);
        let (status, map) =
            cluster.request("GET", &format!("/api/v1/namespaces/{namespace}/configmaps/{name}"), None);
        assert_eq!((status, &map["immutable"]), (200, &json!(true)));
        let pods = items(cluster, namespace, "api/v1", "pods");
        assert!(
            pods.iter().all(|pod| pod["spec"]["volumes"].to_string().contains(&name)),
            "a pod has another configuration"
        );
        seen.borrow_mut().push(name);
    };
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(Step::apply(config(2)).plan(action(at, Action::Create)).expect_no_warnings().after(|_| {
            look(1);
            assert_eq!(maps(), *seen.borrow());
            Ok(())
        }))
        .step(Step::apply(config(3)).plan(action(at, Action::Update)).expect_no_warnings().after(|_| {
            look(2);
            let mut both = seen.borrow().clone();
            both.sort();
            assert_eq!(both.len(), 2);
            assert_ne!(both[0], both[1]);
            // The last one stays: a pod of it may start again until the roll-out is through.
            assert_eq!(maps(), both);
            Ok(())
        }))
        .step(Step::apply(config(4)).plan(action(at, Action::Update)).after(|_| {
            look(3);
            let seen = seen.borrow();
            assert!(
                !maps().contains(&seen[0]) && maps().contains(&seen[1]) && maps().contains(&seen[2]),
                "{:?}",
                maps()
            );
            Ok(())
        }))
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()
        .map(|_| ())
}
