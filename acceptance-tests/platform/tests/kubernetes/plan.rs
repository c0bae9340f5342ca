//! What plans refuse and tolerate where a site is a cluster.

use serde_json::json;
use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Step, action};

use crate::hcl::{binary, block, image, platform, stores};
use crate::lifecycle::nothing_left;

#[test]
fn what_a_cluster_or_a_node_cannot_hold_is_refused_at_plan() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let block = block(cluster, "refused");
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(
            Step::apply(format!("{block}resource \"streamverse_object_store\" \"a\" {{\n  name = \"a\"\n}}\n"))
                .expect_plan_error("(?s)keeps nothing by itself.*`s3`.*node: here"),
        )
        .step(
            Step::apply(format!("{block}resource \"streamverse_event_log\" \"a\" {{\n  name = \"a\"\n}}\n"))
                .expect_plan_error("(?s)keeps nothing by itself.*`kafka`"),
        )
        .step(
            Step::apply(format!(
                "{block}resource \"streamverse_kafka_cluster\" \"a\" {{\n  name = \"a\"\n  site = \"here\"\n}}\n"
            ))
            .expect_plan_error("(?s)a node has none.*Kubernetes cluster \\(default\\)"),
        )
        .step(
            Step::apply(
                block.replace(&image("streamverse:0.1.0"), "registry.example/streamverse:latest") + &stores(1),
            )
                .expect_plan_error("(?s)no image by digest"),
        )
        .run()
        .map(|_| ())
}

#[test]
fn a_cluster_that_is_made_in_the_same_apply_plans_and_is_connected_to_at_apply() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("later");
    let known = block(cluster, namespace);
    // Address, certificate and token come from something that is made first, as from aws_eks_cluster.
    let access = "host = terraform_data.cluster.output.host\n        cluster_ca_certificate = terraform_data.cluster.output.ca\n        token = terraform_data.cluster.output.token";
    let later = known.replace(&format!("kubeconfig = \"{}\"", cluster.kubeconfig().display()), access);
    assert_ne!(later, known);
    let config = format!(
        "{later}resource \"terraform_data\" \"cluster\" {{\n  input = {{ host = \"{}\", ca = {:?}, token = \"{}\" }}\n}}\n{}{}",
        cluster.server(),
        cluster.ca_pem(),
        cluster.token(),
        stores(1),
        platform(1, ""),
    );
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(Step::apply(config).plan(action("streamverse_origin.main", Action::Create)))
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn what_others_hold_is_not_taken() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("held");
    let config = |replicas| format!("{}{}{}", block(cluster, namespace), stores(1), platform(replicas, ""));
    let deployment = format!("/apis/apps/v1/namespaces/{namespace}/deployments/test-origin-main");
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(Step::apply(config(2)))
        .step(
            Step::apply(config(3))
                .named("another applier holds the field")
                .before(|_| {
                    let body = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
                        "metadata": { "name": "test-origin-main" }, "spec": { "replicas": 6 } });
                    let path = format!("{deployment}?fieldManager=argocd&force=true");
                    let (status, told) = cluster.request("PATCH", &path, Some(body));
                    assert_eq!(status, 200, "{told}");
                    Ok(())
                })
                .expect_apply_error("(?s)\\.spec\\.replicas by argocd"),
        )
        .step(Step::apply(config(3)).named("the other gave it up").before(|_| {
            let body = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": { "name": "test-origin-main" } });
            let path = format!("{deployment}?fieldManager=argocd&force=true");
            assert_eq!(cluster.request("PATCH", &path, Some(body)).0, 200);
            Ok(())
        }))
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()?;
    // A name that somebody else's object has.
    let taken = json!({ "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "test-catalogue-main-files-store" }, "data": { "mine": "yes" } });
    let path =
        format!("/api/v1/namespaces/{namespace}/configmaps/test-catalogue-main-files-store?fieldManager=me");
    assert!(cluster.request("PATCH", &path, Some(taken)).0 < 300);
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(
            Step::apply(format!("{}{}", block(cluster, namespace), stores(1)))
                .expect_apply_error("(?s)test-catalogue-main-files-store.*nobody of ours"),
        )
        .run()
        .map(|_| ())
}

#[test]
fn pods_that_no_node_has_room_for_are_a_warning_with_the_reason() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("room");
    let config = |memory: &str| {
        format!("{}{}{}", block(cluster, namespace), stores(1), platform(1, "")).replace(
            "memory       = \"512MiB\"",
            &format!("memory = \"{memory}\"\n  timeouts = {{ create = \"12s\", update = \"60s\" }}"),
        )
    };
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(
            Step::apply(config("4096GiB")).expect_warning("(?s)is there, but not ready.*Insufficient memory"),
        )
        .step(
            Step::apply(config("256MiB"))
                .named("it fits: changed in place, never made anew")
                .plan(action("streamverse_transcoder.main", Action::Update))
                .expect_warning("(?s)is not ready.*Insufficient memory"),
        )
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()
        .map(|_| ())
}
