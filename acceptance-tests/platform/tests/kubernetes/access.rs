//! How a cluster is reached: by a program that prints credentials.

use std::collections::BTreeSet;
use std::path::Path;

use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::hcl::{binary, block, stores};
use crate::lifecycle::nothing_left;

/// A provider block that leads to the cluster by address and plugin.
fn by_plugin(cluster: &Cluster, namespace: &str, script: &Path) -> String {
    let kubeconfig = format!("kubeconfig = \"{}\"", cluster.kubeconfig().display());
    let direct = format!(
        "host = \"{}\"\n        cluster_ca_certificate = <<EOT\n{}\nEOT\n        exec = {{ command = \"sh\", args = [\"{}\"], env = {{ TOKEN = \"{}\" }} }}",
        cluster.server(),
        cluster.ca_pem().trim(),
        script.display(),
        cluster.token(),
    );
    let text = block(cluster, namespace).replace(&kubeconfig, &direct);
    assert!(text.contains("exec = {"), "{text}");
    text
}

#[test]
fn a_credential_plugin_runs_once_for_each_run_of_the_provider() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("plugin");
    let folder = tempfile::tempdir().unwrap();
    let (script, runs) = (folder.path().join("plugin.sh"), folder.path().join("runs"));
    let text = format!(
        "echo $PPID >> '{}'\nprintf '{{\"status\":{{\"token\":\"%s\"}}}}' \"$TOKEN\"\n",
        runs.display()
    );
    std::fs::write(&script, text).unwrap();
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(
            Step::apply(format!("{}{}", by_plugin(cluster, namespace, &script), stores(1)))
                .expect_no_warnings(),
        )
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()?;
    let said = std::fs::read_to_string(&runs).unwrap();
    let all: Vec<&str> = said.lines().collect();
    let providers: BTreeSet<&str> = all.iter().copied().collect();
    assert!(!all.is_empty() && all.len() == providers.len(), "{said}");
    Ok(())
}

#[test]
fn a_credential_plugin_that_fails_is_named_and_tells_no_secret() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("broken");
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("plugin.sh");
    std::fs::write(&script, "echo planted-plugin-2c41; echo planted-plugin-2c41 >&2; exit 1\n").unwrap();
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .secrets_absent(&["planted-plugin-2c41"])
        .step(
            Step::apply(format!("{}{}", by_plugin(cluster, namespace, &script), stores(1)))
                .expect_error("(?s)credential plugin \"sh\" failed"),
        )
        .run()
        .map(|_| ())
}
