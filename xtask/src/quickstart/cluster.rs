//! `cargo xtask quickstart --kubernetes`: the same module on a cluster of yours.

use std::path::Path;

use super::place::Place;
use super::{APPLY_LIMIT, BUILD_LIMIT};
use crate::failure::{Failure, Outcome};
use crate::tools;
use crate::workspace::Workspace;

/// Says how a cluster is pointed at; with the variables that say which, applies `examples/kubernetes` to it.
pub(super) fn run(workspace: &Workspace, place: &Place, variables: Option<&Path>, down: bool) -> Outcome {
    let Some(variables) = variables else {
        tell(workspace);
        return Ok(());
    };
    let variables = variables
        .canonicalize()
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", variables.display())))?;
    let terraform = tools::command_line()?;
    println!("Building the provider");
    workspace
        .cargo("cargo build")
        .args(["build", "--quiet", "-p", "terraform-provider-streamverse"])
        .limit(BUILD_LIMIT)
        .show(|_| {})?;
    place.install_provider(workspace)?;
    let folder = workspace.root().join("examples/kubernetes");
    let state = place.base().join("kubernetes.tfstate");
    let state = format!("-state={}", state.display());
    let file = format!("-var-file={}", variables.display());
    // The lock remembers the provider's digest, and the provider was just built anew.
    let _ = std::fs::remove_file(folder.join(".terraform.lock.hcl"));
    let run = |verb: &str, rest: &[&str]| place.terraform_in(&folder, "kubernetes", &terraform, verb, rest);
    run("init", &[])?.limit(APPLY_LIMIT).output()?;
    let verb = if down { "destroy" } else { "apply" };
    println!("terraform {verb} on examples/kubernetes");
    run(verb, &["-auto-approve", "-input=false", &state, &file])?.limit(APPLY_LIMIT).show(|_| {})?;
    if !down {
        println!(
            "\nThe page fetches from `public_url` of your variables; without one, from an address inside of the cluster."
        );
        println!(
            "To look from here, set public_url = \"http://127.0.0.1:8081\", apply, run both commands of the output"
        );
        println!("`port_forwards` above, and open http://127.0.0.1:8000");
    }
    Ok(())
}

fn tell(workspace: &Workspace) {
    let folder = workspace.root().join("examples/kubernetes");
    println!("The quickstart's module on a Kubernetes cluster: {}\n", folder.display());
    println!("A cluster keeps nothing by itself, so it needs:");
    println!("  - images of streamverse and Traffic Server, by digest, that it can pull");
    println!("  - a bucket of S3 (or of what speaks like it), with your videos in it");
    println!("  - an Apache Kafka cluster, or streamverse_kafka_cluster where Strimzi runs");
    println!("  - a PostgreSQL (or YugabyteDB YSQL) database\n");
    println!("Then:");
    println!("  1. copy {}/terraform.tfvars.example and say in it where these are", folder.display());
    println!("  2. cargo xtask quickstart --kubernetes --var-file YOUR.tfvars");
    println!("  3. cargo xtask quickstart --kubernetes --var-file YOUR.tfvars --down");
    println!("\nFor GitOps: terraform plan -out=plan; terraform show -json plan > plan.json;");
    println!(
        "  streamverse render plan.json --out manifests --deployment video --image streamverse=… --image traffic_server=…"
    );
}
