//! The test cluster as the place of `examples/kubernetes`: a real API server with its controllers and scheduler, and nodes
//! without a machine, whose pods are said to run (kwok). It shows what an apply makes; nothing plays there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Applied, write};
use crate::failure::{Failure, Outcome};
use crate::process::Run;
use crate::quickstart::place::Place;
use crate::tools;
use crate::workspace::Workspace;

const NAMESPACE: &str = "video";
/// From the first process to a cluster that takes pods.
const BOOT: Duration = Duration::from_secs(180);
/// Whoever reads its command line finds this.
const PROGRAM: &str = "test-cluster";
/// Nobody's: the stores behind the addresses do not exist.
const SECRETS: [(&str, &str); 2] = [("MEDIA_SECRET_KEY", "of-nobody"), ("CATALOGUE_PASSWORD", "of-nobody")];

/// Starts the cluster where it does not run, applies, and shows what is there.
pub(super) fn up(workspace: &Workspace, place: &Place) -> Outcome {
    println!("Setting up Kubernetes 1.36 and kwok (built once, about 8 minutes; then cached)");
    let ready = tools::prepare_cluster()?;
    if let Some(missing) = ready.missing().first() {
        return Err(Failure::new(missing.to_string()));
    }
    let applied = applied(workspace, place)?;
    applied.build(&["-p", "streamverse-acceptance", "--bin", PROGRAM])?;
    let folder = folder(place);
    if running(place).is_none() {
        // A cluster that was ended took its objects along.
        let _ = fs::remove_file(applied.state());
        start(workspace, place, &ready)?;
    }
    write(&applied.variables, &format!("{:#}\n", variables(&folder)))?;
    applied.terraform("apply")?;
    println!("\nWhat the cluster has in namespace {NAMESPACE}:");
    let shown = Run::new("show", workspace.root().join("target/debug").join(PROGRAM))
        .args(["show".as_ref(), folder.as_os_str(), NAMESPACE.as_ref()])
        .output()?;
    for line in shown.lines() {
        println!("  {line}");
    }
    println!(
        "\nThe API server, its controllers and its scheduler are Kubernetes' own. The nodes are not: kwok says"
    );
    println!(
        "that pods run, and no image is pulled. So nothing plays here, and the stores are addresses only."
    );
    println!("Look: KUBECONFIG={} kubectl -n {NAMESPACE} get all", folder.join("kubeconfig").display());
    println!("Change something: examples/kubernetes/main.tf, then this command again.");
    println!("Take it down: cargo xtask quickstart --kubernetes --test-cluster --down");
    Ok(())
}

/// Destroys what was applied, ends the cluster and removes its folder.
pub(super) fn down(workspace: &Workspace, place: &Place) -> Outcome {
    let applied = applied(workspace, place)?;
    if running(place).is_some() && applied.state().is_file() {
        applied.terraform("destroy")?;
    }
    stop(place);
    for file in [applied.state(), applied.state().with_extension("tfstate.backup")] {
        let _ = fs::remove_file(file);
    }
    for folder in [folder(place), place.base().join(applied.name)] {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::io("remove", &folder, &error));
            }
            _ => {}
        }
    }
    println!("Nothing of the test cluster is left but the cache of tools.");
    Ok(())
}

fn applied<'a>(workspace: &'a Workspace, place: &'a Place) -> Outcome<Applied<'a>> {
    let variables = folder(place).join("terraform.tfvars.json");
    let mut applied = Applied::new(workspace, place, PROGRAM, variables)?;
    applied.environment = SECRETS.to_vec();
    Ok(applied)
}

fn folder(place: &Place) -> PathBuf {
    place.base().join("cluster")
}

/// The example's variables, for this cluster: addresses of stores that are nowhere.
fn variables(folder: &Path) -> serde_json::Value {
    let digest = "0".repeat(64);
    json!({
        "cluster": {
            "kubeconfig": folder.join("kubeconfig"), "namespace": NAMESPACE, "expose": "node_port",
        },
        "images": {
            "streamverse": format!("registry.example/streamverse:0.1.0@sha256:{digest}"),
            "traffic_server": format!("registry.example/trafficserver:9.2.9@sha256:{digest}"),
        },
        "object_store": {
            "bucket": "media", "endpoint": "https://s3.example:9000", "access_key_id": "streamverse",
            "secret_access_key_ref": "env:MEDIA_SECRET_KEY",
        },
        "event_log": { "brokers": ["kafka-0.example:9092", "kafka-1.example:9092", "kafka-2.example:9092"] },
        "catalogue": {
            "host": "postgres.example", "user": "streamverse", "database": "catalogue",
            "password_ref": "env:CATALOGUE_PASSWORD",
        },
        "assets": { "film": {
            "title": "A film", "source": { "url": "s3://media/film.mp4", "digest": format!("sha256:{digest}") },
        } },
    })
}

fn start(workspace: &Workspace, place: &Place, ready: &tools::Ready) -> Outcome {
    println!("Starting the test cluster");
    let folder = folder(place);
    let log = folder.join("log");
    write(&log, "")?;
    let _ = fs::remove_file(folder.join("kubeconfig"));
    // A session of its own: it stays when this terminal goes.
    let script = format!(
        "setsid {} run {} >> {} 2>&1 < /dev/null & echo $! > {}",
        workspace.root().join("target/debug").join(PROGRAM).display(),
        folder.display(),
        log.display(),
        pid_file(place).display()
    );
    let mut run = Run::new(PROGRAM, "sh").args(["-c", &script]);
    for (variable, path) in ready.environment() {
        run = run.env(variable, path);
    }
    run.output()?;
    let until = Instant::now() + BOOT;
    while !folder.join("kubeconfig").is_file() {
        let said = || fs::read_to_string(&log).unwrap_or_default();
        if running(place).is_none() {
            return Err(Failure::new(format!("the test cluster ended: {}", said())));
        }
        if Instant::now() > until {
            stop(place);
            return Err(Failure::new(format!("the test cluster does not start: {}", said())));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn pid_file(place: &Place) -> PathBuf {
    folder(place).join("pid")
}

/// The process, if it is that one still: a number may have been given to another.
fn running(place: &Place) -> Option<String> {
    let pid = fs::read_to_string(pid_file(place)).ok()?.trim().to_owned();
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    String::from_utf8_lossy(&line).contains(PROGRAM).then_some(pid)
}

fn stop(place: &Place) {
    let Some(pid) = running(place) else { return };
    let _ = Run::new("kill", "kill").args([&pid]).output();
    let until = Instant::now() + Duration::from_secs(20);
    while running(place).is_some() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
}
