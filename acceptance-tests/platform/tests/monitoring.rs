//! What is shipped for those who watch: Prometheus itself reads the alert rules and the questions of the dashboard.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/watched.rs"]
mod watched;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use watched::{folder, questions};

/// Runs promtool, and returns what it said if it was content. `None` where there is no promtool.
fn promtool(args: &[&str], folder: &Path) -> Option<String> {
    let program = std::env::var_os("STREAMVERSE_PROMTOOL");
    let Some(program) = program else {
        let what = "STREAMVERSE_PROMTOOL is not set: `cargo xtask test` gets it";
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("SKIPPED: {what}");
        return None;
    };
    let said = Command::new(program).args(args).current_dir(folder).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "promtool {args:?}: {text}");
    Some(text)
}

#[test]
fn prometheus_takes_the_alert_rules_and_each_alert_comes_when_it_should() {
    let Some(said) = promtool(&["check", "rules", "fleet.rules.yaml"], &folder()) else { return };
    assert!(said.contains("rules found"), "{said}");
    promtool(&["test", "rules", "fleet.rules.test.yaml"], &folder());
}

#[test]
fn prometheus_can_read_every_question_of_the_dashboard() {
    let questions = questions();
    assert!(questions.len() > 20, "{questions:?}");
    let place = tempfile::tempdir().unwrap();
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (index, (_, question)) in questions.iter().enumerate() {
        // What Grafana puts in.
        let question =
            ["$__rate_interval", "$__range"].iter().fold(question.clone(), |it, name| it.replace(name, "5m"));
        rules.push_str(&format!(
            "      - record: question:{index}\n        expr: {}\n",
            Value::from(question)
        ));
    }
    std::fs::write(place.path().join("rules.yaml"), rules).unwrap();
    promtool(&["check", "rules", "rules.yaml"], place.path());
}
