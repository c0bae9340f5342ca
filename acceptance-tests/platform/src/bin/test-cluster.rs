//! The test cluster for a person: `cargo xtask quickstart --kubernetes --test-cluster` starts it and looks into it.
//!
//! `test-cluster run FOLDER` writes `FOLDER/kubeconfig` once pods can be placed, and runs until it is ended; whatever ends
//! it, its processes and files go along. `test-cluster show FOLDER NAMESPACE` lists what is there.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool: its answers go to stdout"
)]

use std::path::Path;
use std::process::ExitCode;

use streamverse_acceptance::cluster::{Cluster, objects};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["run", folder] => run(Path::new(folder)),
        ["show", folder, namespace] => show(Path::new(folder), namespace),
        _ => Err("test-cluster run FOLDER | show FOLDER NAMESPACE".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Path) -> Result<(), String> {
    let cluster = Cluster::shared().ok_or("the cluster's programs are not set")?;
    let (fresh, place) = (folder.join("kubeconfig.new"), folder.join("kubeconfig"));
    std::fs::copy(cluster.kubeconfig(), &fresh)
        .and_then(|_| std::fs::rename(&fresh, &place))
        .map_err(|error| format!("{} cannot be written: {error}", place.display()))?;
    loop {
        std::thread::park(); // until a signal ends us
    }
}

fn show(folder: &Path, namespace: &str) -> Result<(), String> {
    for line in objects(&folder.join("kubeconfig"), namespace)? {
        println!("{line}");
    }
    Ok(())
}
