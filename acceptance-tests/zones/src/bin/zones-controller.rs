//! A controller as a process of its own, on the stand-in: `zones-controller ENDPOINT FOLDER LIMIT [KUBECONFIG LEASE SECONDS]`. The folder
//! holds its catalogue and, where no Lease is named, its lock file; it says `leads` and `stands by`, and ends when its standard input does.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use streamverse_zones_stand_in::controllers::{InCluster, run};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (endpoint, folder, limit, cluster) = match words.as_slice() {
        [endpoint, folder, limit] => (endpoint, folder, limit, None),
        [endpoint, folder, limit, kubeconfig, name, seconds] => {
            let lasts = Duration::from_secs(seconds.parse().unwrap_or(15));
            let cluster = InCluster { kubeconfig: kubeconfig.into(), name: name.clone(), lasts };
            (endpoint, folder, limit, Some(cluster))
        }
        _ => {
            eprintln!("usage: zones-controller ENDPOINT FOLDER LIMIT [KUBECONFIG LEASE SECONDS]");
            return ExitCode::from(2);
        }
    };
    let Ok(limit) = limit.parse() else {
        eprintln!("zones-controller: the limit {limit:?} is no number");
        return ExitCode::from(2);
    };
    match run(endpoint, Path::new(folder), limit, cluster.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zones-controller: {error}");
            ExitCode::FAILURE
        }
    }
}
