//! Whether a live object still has what was applied. What others added beside it is none of our business.

use std::collections::BTreeSet;

use serde_json::Value;

/// The paths at which the live object has something else than was applied: `.spec.replicas`.
pub(super) fn differences(wanted: &Value, live: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(wanted, live, "", &mut found);
    found
}

fn walk(wanted: &Value, live: &Value, path: &str, found: &mut Vec<String>) {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            for (key, value) in wanted {
                let at = format!("{path}.{key}");
                match live.get(key) {
                    Some(other) => walk(value, other, &at, found),
                    // What is empty is left out by the API server.
                    None if is_empty(value) => {}
                    None => found.push(at),
                }
            }
        }
        (Value::Array(wanted), Value::Array(live)) => {
            let names: BTreeSet<&str> = wanted.iter().filter_map(|value| value["name"].as_str()).collect();
            if !wanted.is_empty() && names.len() == wanted.len() {
                // A list that others may add to: sidecars, their volumes.
                for value in wanted {
                    let at = format!("{path}[{}]", value["name"].as_str().unwrap_or_default());
                    match live.iter().find(|other| other["name"] == value["name"]) {
                        Some(other) => walk(value, other, &at, found),
                        None => found.push(at),
                    }
                }
            } else if wanted.len() == live.len() {
                for (index, (value, other)) in wanted.iter().zip(live).enumerate() {
                    walk(value, other, &format!("{path}[{index}]"), found);
                }
            } else {
                found.push(path.to_owned());
            }
        }
        (Value::String(a), Value::String(b)) if a != b => match (quantity(a), quantity(b)) {
            (Some(a), Some(b)) if a == b => {}
            _ => found.push(path.to_owned()),
        },
        (a, b) if a == b => {}
        _ => found.push(path.to_owned()),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(it) => !it,
        _ => false,
    }
}

/// A quantity in thousandths (Kubernetes API reference, "Quantity"): the server writes `1000m` back as `1`.
fn quantity(text: &str) -> Option<i128> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: i128 = text.get(..digits)?.parse().ok()?;
    let factor: i128 = match text.get(digits..)? {
        "m" => 1,
        "" => 1000,
        "k" => 1000 * 1000,
        "M" => 1000 * 1000_i128.pow(2),
        "G" => 1000 * 1000_i128.pow(3),
        "T" => 1000 * 1000_i128.pow(4),
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_add_is_no_difference_and_what_they_change_is() {
        let wanted = json!({ "spec": { "replicas": 2, "containers": [{ "name": "main", "image": "a" }], "cpu": "1000m" } });
        let live = json!({ "spec": {
            "replicas": 2, "paused": false, "cpu": "1",
            "containers": [{ "name": "sidecar", "image": "x" }, { "name": "main", "image": "a", "tty": false }],
        } });
        assert!(differences(&wanted, &live).is_empty());
        let changed = json!({ "spec": { "replicas": 5, "cpu": "1", "containers": [{ "name": "main", "image": "b" }] } });
        assert_eq!(differences(&wanted, &changed), [".spec.containers[main].image", ".spec.replicas"]);
    }

    #[test]
    fn entries_of_one_name_are_told_apart_by_their_place() {
        let all = json!([{ "name": "secret", "key": "password" }, { "name": "secret", "key": "ca" }]);
        assert!(differences(&all, &all).is_empty());
        let other = json!([{ "name": "secret", "key": "password" }, { "name": "secret", "key": "cert" }]);
        assert_eq!(differences(&all, &other), ["[1].key"]);
    }

    #[test]
    fn a_rule_more_is_a_difference() {
        let wanted = json!({ "ingress": [{ "ports": [{ "port": 1 }] }] });
        let live = json!({ "ingress": [{ "ports": [{ "port": 1 }] }, {}] });
        assert_eq!(differences(&wanted, &live), [".ingress"]);
    }
}
