//! `cargo xtask quickstart --kubernetes`: the same module on a cluster: one of yours, or the test cluster of this host.

mod local;

use std::path::{Path, PathBuf};

use super::place::Place;
use super::{APPLY_LIMIT, BUILD_LIMIT};
use crate::failure::{Failure, Outcome};
use crate::process::Run;
use crate::tools;
use crate::workspace::Workspace;

/// What was asked for.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// The variables that say which cluster, which images and which stores.
    pub(super) variables: Option<PathBuf>,
    /// Whether the test cluster of this host is meant.
    pub(super) local: bool,
}

/// Says how a cluster is pointed at; with the variables that say which, or on the test cluster, applies
/// `examples/kubernetes` to it.
pub(super) fn run(workspace: &Workspace, options: &Options, down: bool) -> Outcome {
    let place = Place::of_clusters()?;
    match &options.variables {
        _ if options.local && down => return local::down(workspace, &place),
        _ if options.local => return local::up(workspace, &place),
        None => tell(workspace),
        Some(variables) => {
            let variables = variables
                .canonicalize()
                .map_err(|error| Failure::new(format!("{} cannot be read: {error}", variables.display())))?;
            let applied = Applied::new(workspace, &place, "kubernetes", variables)?;
            applied.build(&[])?;
            applied.terraform(if down { "destroy" } else { "apply" })?;
            if !down {
                println!(
                    "\nThe page fetches from `public_url` of your variables; without one, from an address inside of the cluster."
                );
                println!(
                    "To look from here, set public_url = \"http://127.0.0.1:8081\", apply, run both commands of the output"
                );
                println!("`port_forwards` above, and open http://127.0.0.1:8000");
            }
        }
    }
    Ok(())
}

/// `examples/kubernetes` with variables and a state of its own.
struct Applied<'a> {
    workspace: &'a Workspace,
    place: &'a Place,
    /// The name of its state and of its Terraform data.
    name: &'static str,
    variables: PathBuf,
    program: PathBuf,
    /// What it finds in its environment.
    environment: Vec<(&'static str, &'static str)>,
}

impl<'a> Applied<'a> {
    fn new(
        workspace: &'a Workspace,
        place: &'a Place,
        name: &'static str,
        variables: PathBuf,
    ) -> Outcome<Self> {
        Ok(Applied {
            workspace,
            place,
            name,
            variables,
            program: tools::command_line()?,
            environment: Vec::new(),
        })
    }

    /// Builds the provider, and whatever else is needed beside it, and has the provider found.
    fn build(&self, beside: &[&str]) -> Outcome {
        println!("Building the provider");
        self.workspace
            .cargo("cargo build")
            .args(["build", "--quiet", "-p", "terraform-provider-streamverse"])
            .args(["--bin", "terraform-provider-streamverse"])
            .args(beside.iter().copied())
            .limit(BUILD_LIMIT)
            .show(|_| {})?;
        self.place.install_provider(&self.workspace.debug())
    }

    fn folder(&self) -> PathBuf {
        self.workspace.root().join("examples/kubernetes")
    }

    fn state(&self) -> PathBuf {
        self.place.base().join(format!("{}.tfstate", self.name))
    }

    fn command(&self, verb: &str, rest: &[&str]) -> Outcome<Run> {
        let run = self.place.terraform_in(&self.folder(), self.name, &self.program, verb, rest)?;
        let run = self.environment.iter().fold(run, |run, (name, value)| run.env(name, value));
        Ok(run.limit(APPLY_LIMIT))
    }

    /// `init`, then the verb, shown as it goes.
    fn terraform(&self, verb: &str) -> Outcome {
        // The lock remembers the provider's digest, and the provider was just built anew.
        let _ = std::fs::remove_file(self.folder().join(".terraform.lock.hcl"));
        self.command("init", &[])?.output()?;
        println!("terraform {verb} on examples/kubernetes");
        let (state, file) =
            (format!("-state={}", self.state().display()), format!("-var-file={}", self.variables.display()));
        self.command(verb, &["-auto-approve", "-input=false", &state, &file])?.show(|_| {})
    }
}

/// A file below the place, made or replaced.
fn write(file: &Path, text: &str) -> Outcome {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Failure::io("create", folder, &error))?;
    }
    std::fs::write(file, text).map_err(|error| Failure::io("write", file, &error))
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
    println!(
        "\nNo cluster at hand? A real API server on this host, whose nodes are simulated (nothing plays there):"
    );
    println!("  cargo xtask quickstart --kubernetes --test-cluster          # again: \"No changes\"");
    println!("  cargo xtask quickstart --kubernetes --test-cluster --down");
    println!("\nFor GitOps: terraform plan -out=plan; terraform show -json plan > plan.json;");
    println!(
        "  streamverse render plan.json --out manifests --deployment video --image streamverse=… --image traffic_server=…"
    );
}
