//! What people are told of a fleet: metrics, `streamverse fleet list` and `why`, the controller's log.

use std::process::Command;
use std::time::{Duration, Instant};

use streamverse_acceptance::{Node, binaries};
use streamverse_runpod_stand_in::Account;

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

/// What people are told who ask of fleets.
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

/// Waits until it is told that nobody is there: that is what was seen at the last look.
pub(crate) fn is_at_zero(node: &Node) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let list = asked(node, &["list"]);
        let row: Vec<&str> =
            list.lines().find(|it| it.starts_with("encode ")).unwrap().split_whitespace().collect();
        assert!(row[5].starts_with('$') && row[5] != "$0", "pods were paid for: {list}");
        if row[1..4] == ["0", "0", "0"] {
            return;
        }
        assert!(Instant::now() < end, "no pod is there, and it tells of some: {list}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// What people are told of the fleet is what the controller decided and logged, and what the account says of it: it made so many pods.
/// The first of them came because so many jobs waited.
pub(crate) fn is_told(node: &Node, account: &Account, waited: u64) {
    is_at_zero(node);
    let (why, log) = (asked(node, &["why", "encode", "--last", "1000"]), log(node));
    let decided: Vec<&str> =
        why.lines().filter_map(|it| it.split_once(' ')?.1.split("; it was refused").next()).collect();
    let logged: Vec<&str> = log
        .lines()
        .filter_map(|it| it.split_once(" INFO ")?.1.split_once(" why="))
        .map(|(line, _)| line)
        .filter(|line| line.starts_with("encode: "))
        .collect();
    assert_eq!(decided, logged, "what was decided is what was logged");
    // Two at once, by what waited and nothing else: nobody was there, and one would not have begun it in time.
    for (have, line) in decided.iter().take(2).enumerate() {
        let why = format!(": {have} of 2 run or start, and {waited} jobs wait");
        assert!(line.starts_with("encode: launch ") && line.ends_with(&why), "{why}: {line}");
    }
    let of_pods: Vec<_> = account.entries.iter().filter(|it| it.kind == "pod").collect();
    let gone = of_pods.iter().position(|it| it.event != "created" && it.event != "running").unwrap();
    let first = of_pods[..gone].iter().filter(|it| it.event == "created").count();
    assert_eq!(first, 2, "two were asked for before one went: {of_pods:?}");
    let pods: Vec<_> = of_pods.iter().filter(|it| it.event == "created").map(|it| &it.id).collect();
    let launched = decided.iter().filter(|it| it.starts_with("encode: launch ")).count();
    assert_eq!(launched, pods.len(), "each pod has a line that says why it is there: {why}");
    let failed = |id: &str| decided.contains(&format!("encode: drain {id}: it failed").as_str());
    assert_eq!(pods.iter().filter(|it| failed(it)).count(), 1, "one was killed: {why}");
    for id in pods.iter().filter(|it| !failed(it)) {
        let idle =
            decided.iter().any(|it| it.starts_with(&format!("encode: drain {id}: it has had nothing to do")));
        let back = decided.contains(&format!("encode: terminate {id}: it is drained").as_str());
        assert!(idle && back, "{id} had nothing to do, was drained, and went back: {why}");
    }
}

/// What the controller logged.
pub(crate) fn log(node: &Node) -> String {
    let log = node.folder().join("data/test/log/fleet-controller.main.service.fleet-controller.log");
    std::fs::read_to_string(log).unwrap_or_default()
}
