//! A platform on a cluster from its creation to its end.

use serde_json::{Value, json};
use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, value, with_each};

use crate::hcl::{POSTGRES_SECRET, PUBLIC_URL, S3_SECRET, asset, binary, block, platform, stores};

fn deployment(cluster: &Cluster, namespace: &str, name: &str) -> Value {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
    cluster.request("GET", &path, None).1
}

#[test]
fn a_platform_lives_on_a_cluster() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let clis = Cli::both()?;
    with_each(&clis, |cli| {
        let namespace = &cluster.namespace("life");
        let config = |replicas, rest: &str| {
            format!("{}{}{}", block(cluster, namespace), stores(1), platform(replicas, rest))
        };
        let origin = "streamverse_origin.main";
        let edge = "streamverse_ats_edge.main";
        let secret = format!("/api/v1/namespaces/{namespace}/secrets/test-object-store-media-secret");
        Case::new(cli)
            .provider(ADDRESS, binary("terraform-provider-streamverse"))
            .secrets_absent(&[S3_SECRET, POSTGRES_SECRET])
            .step(
                Step::apply(config(2, ""))
                    .plan(action(origin, Action::Create))
                    .expect_no_warnings()
                    .state(value(
                        origin,
                        "address",
                        format!("http://test-origin-main-http.{namespace}.svc:8080").as_str(),
                    ))
                    .after(|_| {
                        let live = deployment(cluster, namespace, "test-origin-main");
                        assert_eq!(live["status"]["availableReplicas"], 2, "{live}");
                        // The page tells browsers where viewers reach the edge, not where the cluster does.
                        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
                        let orders = cluster.request("GET", &path, None).1.to_string();
                        assert!(orders.contains(&format!("delivery\\\":\\\"{PUBLIC_URL}")), "{orders}");
                        let pod = &live["spec"]["template"]["spec"];
                        assert_eq!(pod["automountServiceAccountToken"], false);
                        assert_eq!(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
                        let (status, kept) = cluster.request("GET", &secret, None);
                        assert_eq!(status, 200);
                        assert!(kept["data"]["secret-key"].is_string(), "the secret has no value");
                        Ok(())
                    }),
            )
            .step(Step::apply(config(3, "")).plan(action(origin, Action::Update)).after(|_| {
                let live = deployment(cluster, namespace, "test-origin-main");
                assert_eq!(live["status"]["availableReplicas"], 3, "{live}");
                Ok(())
            }))
            .step(
                Step::apply(config(3, "cache = { manifests = \"5s\" }"))
                    .named("a change of the edge is another ConfigMap and a roll-out")
                    .plan(action(edge, Action::Update)),
            )
            .step(
                Step::reapply()
                    .named("somebody scaled it by hand and took its address away")
                    .before(|_| {
                        let path = format!(
                            "/apis/apps/v1/namespaces/{namespace}/deployments/test-origin-main?fieldManager=kubectl-scale"
                        );
                        let (status, told) =
                            cluster.merge(&path, &json!({ "spec": { "replicas": 7 } }));
                        assert_eq!(status, 200, "{told}");
                        let path = format!("/api/v1/namespaces/{namespace}/services/test-origin-main-http");
                        assert_eq!(cluster.request("DELETE", &path, None).0, 200);
                        Ok(())
                    })
                    .expect_warning("(?s)taken back what was changed by hand: .spec.replicas")
                    .plan(action(origin, Action::Update))
                    .after(|_| {
                        let live = deployment(cluster, namespace, "test-origin-main");
                        assert_eq!(live["spec"]["replicas"], 3);
                        Ok(())
                    }),
            )
            .step(
                Step::reapply()
                    .named("somebody removed all of it")
                    .before(|_| {
                        cluster.deletes_all_in(namespace);
                        Ok(())
                    })
                    .plan(action(origin, Action::Create)),
            )
            .step(Step::import(origin, Id::attribute("name")))
            .step(Step::import(edge, Id::attribute("name")))
            .step(Step::import("streamverse_event_log.work", Id::attribute("name")))
            .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
            .run()
    })
}

#[test]
fn an_asset_is_a_job_and_another_digest_is_another_job() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("asset");
    let config =
        |digit| format!("{}{}{}{}", block(cluster, namespace), stores(1), platform(1, ""), asset(digit));
    let at = "streamverse_vod_asset.film";
    let jobs = || -> Vec<String> {
        let path = format!("/apis/batch/v1/namespaces/{namespace}/jobs");
        let (_, list) = cluster.request("GET", &path, None);
        let names = list["items"].as_array().cloned().unwrap_or_default();
        names.iter().filter_map(|it| it["metadata"]["name"].as_str().map(str::to_owned)).collect()
    };
    let before = std::cell::RefCell::new(Vec::new());
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(Step::apply(config('a')).plan(action(at, Action::Create)).after(|_| {
            *before.borrow_mut() = jobs();
            assert_eq!(before.borrow().len(), 1, "{:?}", before.borrow());
            Ok(())
        }))
        .step(Step::apply(config('b')).plan(action(at, Action::Update)).after(|_| {
            let now = jobs();
            assert_eq!(now.len(), 1, "{now:?}");
            assert_ne!(now, *before.borrow());
            Ok(())
        }))
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn a_rotated_secret_has_its_readers_pods_made_anew_in_the_same_apply() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("rotate");
    let config = |version| format!("{}{}{}", block(cluster, namespace), stores(version), platform(1, ""));
    let annotations = "/spec/template/metadata/annotations/streamverse.io~1secrets";
    let versions =
        |name: &str| deployment(cluster, namespace, name).pointer(annotations).cloned().unwrap_or_default();
    let page = || deployment(cluster, namespace, "test-web-player-main")["metadata"]["generation"].clone();
    let before = std::cell::RefCell::new(Value::Null);
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(Step::apply(config(1)).after(|_| {
            assert_eq!(versions("test-origin-main"), "catalogue.main=1,object-store.media=1");
            *before.borrow_mut() = page();
            Ok(())
        }))
        .step(
            Step::apply(config(2))
                .plan(action("streamverse_object_store.media", Action::Update))
                .plan(action("streamverse_origin.main", Action::NoOp))
                .expect_no_warnings()
                .after(|_| {
                    for name in ["test-origin-main", "test-transcoder-main"] {
                        assert_eq!(versions(name), "catalogue.main=1,object-store.media=2", "{name}");
                    }
                    assert_eq!(page(), *before.borrow(), "it reads another secret");
                    // The pods themselves are others.
                    let path = format!(
                        "/api/v1/namespaces/{namespace}/pods?labelSelector=streamverse.io%2Fkind%3Dorigin"
                    );
                    cluster.until(&path, std::time::Duration::from_secs(60), |list| {
                        let pods = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
                        let new = |pod: &Value| {
                            let said = pod.pointer("/metadata/annotations/streamverse.io~1secrets");
                            said.and_then(Value::as_str).is_some_and(|it| it.contains("media=2"))
                        };
                        !pods.is_empty() && pods.iter().all(new)
                    });
                    Ok(())
                }),
        )
        .step(
            Step::reapply()
                .named("a reader that was missed is rolled by its own apply")
                .before(|_| {
                    let path = format!(
                        "/apis/apps/v1/namespaces/{namespace}/deployments/test-origin-main?fieldManager=kubectl-edit"
                    );
                    let old = json!({ "streamverse.io/secrets": "catalogue.main=1,object-store.media=1" });
                    let body = json!({ "spec": { "template": { "metadata": { "annotations": old } } } });
                    let (status, told) = cluster.merge(&path, &body);
                    assert_eq!(status, 200, "{told}");
                    Ok(())
                })
                .plan(action("streamverse_origin.main", Action::Update))
                .after(|_| {
                    assert_eq!(versions("test-origin-main"), "catalogue.main=1,object-store.media=2");
                    Ok(())
                }),
        )
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()
        .map(|_| ())
}

/// What is left of the deployment in the namespace.
pub(crate) fn nothing_left(cluster: &Cluster, namespace: &str) -> Result<(), String> {
    let kinds = [
        "api/v1/{n}/configmaps",
        "api/v1/{n}/secrets",
        "api/v1/{n}/services",
        "apis/apps/v1/{n}/deployments",
        "apis/apps/v1/{n}/daemonsets",
        "apis/batch/v1/{n}/jobs",
        "apis/networking.k8s.io/v1/{n}/networkpolicies",
        "apis/policy/v1/{n}/poddisruptionbudgets",
        "apis/autoscaling/v2/{n}/horizontalpodautoscalers",
        "apis/keda.sh/v1alpha1/{n}/scaledobjects",
        "apis/keda.sh/v1alpha1/{n}/triggerauthentications",
    ];
    let mut left = Vec::new();
    for kind in kinds {
        let path = format!("/{}", kind.replace("{n}", &format!("namespaces/{namespace}")));
        let (_, list) = cluster.request("GET", &path, None);
        for item in list["items"].as_array().into_iter().flatten() {
            let name = item["metadata"]["name"].as_str().unwrap_or_default();
            if name != "kube-root-ca.crt" {
                left.push(format!("{kind} {name}"));
            }
        }
    }
    if left.is_empty() { Ok(()) } else { Err(format!("left in {namespace}: {left:?}")) }
}
