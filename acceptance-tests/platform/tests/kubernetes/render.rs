//! What is rendered to files is what an apply makes.

use std::process::Command;

use serde_json::Value;
use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::hcl::{asset, binary, block, image, platform, stores};
use crate::lifecycle::nothing_left;

#[test]
fn files_for_gitops_are_what_an_apply_makes() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("files");
    let labelled = block(cluster, namespace).replace(
        "  deployment = \"test\"",
        "  deployment = \"test\"\n  default_labels = { team = \"video\" }",
    );
    let config = format!("{}{}{}{}", labelled, stores(1), platform(2, ""), asset('a'));
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (folder.path().join("state.json"), folder.path().join("out"));
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(Step::apply(config).after(|cx| {
            std::fs::write(&plan, cx.state()?.json().to_string())?;
            let said = Command::new(binary("streamverse"))
                .arg("render")
                .arg(&plan)
                .arg("--out")
                .arg(&out)
                .args([
                    "--label",
                    "team=video",
                    "--deployment",
                    "test",
                    "--namespace",
                    namespace,
                    "--expose",
                    "node_port",
                ])
                .args(["--image", &format!("streamverse={}", image("streamverse:0.1.0"))])
                .args(["--image", &format!("traffic_server={}", image("trafficserver:9.2.9"))])
                .output()?;
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            let mut seen = 0;
            for entry in std::fs::read_dir(&out)?.flatten() {
                let body: Value = serde_json::from_slice(&std::fs::read(entry.path())?)?;
                if body["kind"] == "Kustomization" || body["kind"] == "Namespace" {
                    continue;
                }
                let plural = match body["kind"].as_str().unwrap_or_default() {
                    "NetworkPolicy" => "networkpolicies".to_owned(),
                    kind => format!("{}s", kind.to_lowercase()),
                };
                let version = body["apiVersion"].as_str().unwrap_or_default();
                let root = if version.contains('/') { "apis" } else { "api" };
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                let path = format!("/{root}/{version}/namespaces/{namespace}/{plural}/{name}");
                let (status, live) = cluster.request("GET", &path, None);
                assert_eq!(status, 200, "{path} was rendered, and no apply made it");
                if body["kind"] == "ConfigMap" {
                    assert_eq!(live["data"], body["data"], "{path}");
                }
                assert_eq!(live["metadata"]["labels"], body["metadata"]["labels"], "{path}");
                assert_eq!(body["metadata"]["labels"]["team"], "video", "{path}");
                let annotations = "/spec/template/metadata/annotations";
                if body["kind"] == "Deployment" {
                    assert_eq!(live.pointer(annotations), body.pointer(annotations), "{path}");
                }
                seen += 1;
            }
            assert!(seen > 20, "{seen} files");
            assert!(out.join(format!("namespace-{namespace}.json")).is_file());
            Ok(())
        }))
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()
        .map(|_| ())
}
