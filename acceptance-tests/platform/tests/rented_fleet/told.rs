//! What people are told of a fleet: metrics, `streamverse fleet list` and `why`, the controller's log.

use std::process::Command;
use std::time::{Duration, Instant};

use streamverse_acceptance::{Node, binaries};

use crate::watched;

/// Metrics of what did not happen here: nobody preempted, refused or overran anything, and RunPod has no spot.
const DID_NOT_HAPPEN: [&str; 7] = [
    "streamverse_fleet_preemptions_total",
    "streamverse_fleet_fallback_seconds_total",
    "streamverse_fleet_drain_overruns_total",
    "streamverse_fleet_refusals_total",
    "streamverse_fleet_on_demand",
    "streamverse_fleet_on_demand_limit",
    "streamverse_fleet_budget_dollars",
];

/// What the controller tells is what the dashboard and the alerts ask for, and nothing else.
pub(crate) fn is_watched(node: &Node) {
    let said = Command::new("curl")
        .args(["-sf", "--max-time", "10", "--unix-socket"])
        .arg(node.socket())
        .arg("http://n/v1/deployments/test/owners/fleet-controller/main/metrics")
        .output()
        .unwrap();
    let page = String::from_utf8_lossy(&said.stdout).into_owned();
    let told: Vec<String> = page
        .lines()
        .filter_map(|it| it.strip_prefix("# TYPE streamverse_fleet_")?.split_once(' '))
        .map(|(name, kind)| {
            let total = if kind == "counter" { "_total" } else { "" };
            format!("streamverse_fleet_{name}{total}")
        })
        .collect();
    let asked = watched::asked();
    assert!(told.len() > 10, "{page}");
    for name in &told {
        assert!(asked.contains(name), "{name} is told, and nobody looks at it");
    }
    for name in asked {
        let there = told.contains(&name) || DID_NOT_HAPPEN.contains(&name.as_str());
        assert!(there, "{name} is asked for, and the controller tells {told:?}\n{}", log(node));
    }
}

/// What `streamverse fleet` says.
fn asked(node: &Node, words: &[&str]) -> String {
    let mut command = Command::new(binaries().join("streamverse"));
    command.arg("fleet").args(words).arg("--run-dir").arg(node.folder().join("run"));
    let said = command.output().unwrap();
    assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).into_owned()
}

/// Nothing was handed to the controller.
pub(crate) fn has_no_fleet(node: &Node) {
    let list = asked(node, &["list"]);
    assert!(!list.lines().any(|it| it.starts_with("encode ")), "{list}");
}

/// What people are told of the fleet is what the controller decided and logged, and what the account says of it: it made so many pods.
pub(crate) fn is_told(node: &Node, pods: usize) {
    let asked = |words: &[&str]| asked(node, words);
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let list = asked(&["list"]);
        let row: Vec<&str> =
            list.lines().find(|it| it.starts_with("encode ")).unwrap().split_whitespace().collect();
        assert!(row[5].starts_with('$') && row[5] != "$0", "pods were paid for: {list}");
        // It tells what it saw at its last look.
        if row[1..4] == ["0", "0", "0"] {
            break;
        }
        assert!(Instant::now() < end, "no pod is there, and it tells of some: {list}");
        std::thread::sleep(Duration::from_millis(500));
    }
    let (why, log) = (asked(&["why", "encode", "--last", "1000"]), log(node));
    let decided: Vec<&str> =
        why.lines().filter_map(|it| it.split_once(' ')?.1.split("; it was refused").next()).collect();
    let logged: Vec<&str> = log
        .lines()
        .filter_map(|it| it.split_once(" INFO ")?.1.split_once(" why="))
        .map(|(line, _)| line)
        .filter(|line| line.starts_with("encode: "))
        .collect();
    assert_eq!(decided, logged, "what was decided is what was logged");
    let launched = decided.iter().filter(|it| it.starts_with("encode: launch ")).count();
    assert_eq!(launched, pods, "each pod has a line that says why it is there: {why}");
    for word in ["drain", "terminate", "it failed", "it has had nothing to do"] {
        assert!(why.contains(word), "{word} was decided: {why}");
    }
}

/// What the controller logged.
pub(crate) fn log(node: &Node) -> String {
    let log = node.folder().join("data/test/log/fleet-controller.main.service.fleet-controller.log");
    std::fs::read_to_string(log).unwrap_or_default()
}
