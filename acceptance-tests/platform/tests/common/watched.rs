//! What the dashboard and the alert rules ask for.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where both are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/monitoring")
}

/// Every question of the dashboard, by its panel.
pub(crate) fn questions() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(folder().join("fleet.dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap().to_owned();
            all.push((title, target["expr"].as_str().unwrap().to_owned()));
        }
    }
    all
}

/// The metrics of fleets that are asked for, in order.
#[allow(dead_code, reason = "not every test asks")]
pub(crate) fn asked() -> Vec<String> {
    let rules = std::fs::read_to_string(folder().join("fleet.rules.yaml")).unwrap();
    let text = questions().into_iter().fold(rules, |all, (_, question)| all + " " + &question);
    let words = text.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
    let mut names: Vec<String> =
        words.filter(|it| it.starts_with("streamverse_fleet_")).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}
