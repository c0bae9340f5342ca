//! How far an object is, by the rules of its kind. Every system reports readiness differently; where a kind has
//! `observedGeneration`, an older one means that nobody looked at the change yet.

use serde_json::Value;
use streamverse_model::platform::{Phase, Reason, is_leased};

use super::names;

/// How far one object is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) phase: Phase,
    pub(super) reason: Option<Reason>,
}

impl Standing {
    fn of(phase: Phase) -> Standing {
        Standing { phase, reason: None }
    }

    pub(super) fn because(phase: Phase, code: &str, text: impl Into<String>) -> Standing {
        Standing { phase, reason: Some(Reason::new(code, text)) }
    }
}

/// How far a live object is.
pub(super) fn standing(live: &Value) -> Standing {
    if let Some(since) = live.pointer("/metadata/deletionTimestamp").and_then(Value::as_str) {
        return Standing::because(Phase::Stopping, "deleting", format!("it is being removed since {since}"));
    }
    match live["kind"].as_str().unwrap_or_default() {
        "ConfigMap"
        | "Secret"
        | "NetworkPolicy"
        | "PodDisruptionBudget"
        | "ServiceAccount"
        | "Role"
        | "RoleBinding"
        | "Lease"
        | "TriggerAuthentication" => Standing::of(Phase::Ready),
        // KEDA tells of no generation that it has seen.
        "ScaledObject" => scaled_object(live),
        "HorizontalPodAutoscaler" => seen(live).unwrap_or_else(|| autoscaler(live)),
        "Deployment" => seen(live).unwrap_or_else(|| deployment(live)),
        "DaemonSet" => seen(live).unwrap_or_else(|| daemon_set(live)),
        "Job" => job(live),
        "Service" => service(live),
        "Kafka" | "KafkaTopic" | "KafkaUser" | "KafkaMirrorMaker2" => {
            seen(live).unwrap_or_else(|| strimzi(live, false))
        }
        // A pool says Ready through its cluster: a condition stands there only when something is wrong.
        "KafkaNodePool" => seen(live).unwrap_or_else(|| strimzi(live, true)),
        _ => seen(live).unwrap_or_else(|| by_conditions(live)),
    }
}

fn number(live: &Value, pointer: &str) -> i64 {
    live.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// Waiting, while the controller did not look at the newest change.
fn seen(live: &Value) -> Option<Standing> {
    let wanted = number(live, "/metadata/generation");
    match live.pointer("/status/observedGeneration").and_then(Value::as_i64) {
        Some(observed) if observed >= wanted => None,
        Some(_) => Some(Standing::because(
            Phase::Waiting,
            "not-observed",
            "its controller has not looked at the change yet",
        )),
        None => Some(Standing::because(
            Phase::Waiting,
            "not-observed",
            "no controller has looked at it yet: is the one for this kind running?",
        )),
    }
}

fn condition<'a>(live: &'a Value, kind: &str) -> Option<&'a Value> {
    live.pointer("/status/conditions")?.as_array()?.iter().find(|it| it["type"] == kind)
}

fn is_true(condition: Option<&Value>) -> bool {
    condition.is_some_and(|it| it["status"] == "True")
}

/// A condition's own reason and message.
fn told(phase: Phase, condition: &Value, otherwise: &str) -> Standing {
    let text = condition["message"].as_str().filter(|text| !text.is_empty()).unwrap_or(otherwise);
    Standing::because(phase, condition["reason"].as_str().unwrap_or("condition"), text)
}

fn deployment(live: &Value) -> Standing {
    let wanted = live.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let (updated, available, all) = (
        number(live, "/status/updatedReplicas"),
        number(live, "/status/availableReplicas"),
        number(live, "/status/replicas"),
    );
    // Of those that hold a lease one acts, and the others are not ready as long as it does.
    let leased = live
        .pointer("/metadata/labels")
        .and_then(|it| it.get(format!("{}/kind", names::PREFIX)))
        .and_then(Value::as_str)
        .is_some_and(is_leased);
    let enough = if leased { wanted.min(1) } else { wanted };
    if updated == wanted && available >= enough && all == wanted {
        return Standing::of(Phase::Ready);
    }
    if let Some(stuck) = condition(live, "Progressing").filter(|it| it["status"] == "False") {
        return told(Phase::Failed, stuck, "it makes no progress");
    }
    let text = format!("{available} of {wanted} pods are available, {updated} of them new");
    Standing::because(Phase::Starting, "rolling-out", text)
}

fn daemon_set(live: &Value) -> Standing {
    let wanted = number(live, "/status/desiredNumberScheduled");
    let (updated, available) =
        (number(live, "/status/updatedNumberScheduled"), number(live, "/status/numberAvailable"));
    if wanted == 0 {
        return Standing::because(Phase::Waiting, "no-node", "no node of the cluster takes it");
    }
    if updated == wanted && available == wanted {
        return Standing::of(Phase::Ready);
    }
    let text = format!("{available} of {wanted} nodes have it available, {updated} of them new");
    Standing::because(Phase::Starting, "rolling-out", text)
}

fn job(live: &Value) -> Standing {
    if is_true(condition(live, "Complete")) {
        return Standing::of(Phase::Succeeded);
    }
    if let Some(failed) = condition(live, "Failed").filter(|it| it["status"] == "True") {
        return told(Phase::Failed, failed, "it failed");
    }
    if is_true(condition(live, "Suspended")) {
        return Standing::because(Phase::Waiting, "suspended", "somebody suspended it");
    }
    match number(live, "/status/active") {
        0 => Standing::because(Phase::Applied, "not-started", "no pod of it runs yet"),
        _ => Standing::of(Phase::Running),
    }
}

fn service(live: &Value) -> Standing {
    let balanced = live.pointer("/spec/type").and_then(Value::as_str) == Some("LoadBalancer");
    let given = live.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    if balanced && given.is_none_or(Vec::is_empty) {
        return Standing::because(
            Phase::Waiting,
            "no-address",
            "the load balancer has no address yet; a cluster without one needs expose = \"node_port\" or \"cluster_ip\"",
        );
    }
    Standing::of(Phase::Ready)
}

/// Ready=True; on failure the type itself becomes NotReady (Strimzi's documentation, "Status of custom resources").
fn strimzi(live: &Value, silent: bool) -> Standing {
    if let Some(paused) = condition(live, "ReconciliationPaused").filter(|it| it["status"] == "True") {
        return told(Phase::Waiting, paused, "its reconciliation is paused");
    }
    if let Some(bad) = condition(live, "NotReady").filter(|it| it["status"] == "True") {
        return told(Phase::Failed, bad, "it is not ready");
    }
    if is_true(condition(live, "Ready")) || silent {
        return Standing::of(Phase::Ready);
    }
    Standing::because(Phase::Starting, "not-ready", "its operator has not said Ready yet")
}

/// `Ready`; `Paused` and `Fallback` say why nothing is scaled although it is (KEDA documentation, "Scaling Deployments").
fn scaled_object(live: &Value) -> Standing {
    if live.pointer("/status/conditions").is_none() {
        let text = "no controller has looked at it yet: is KEDA running?";
        return Standing::because(Phase::Waiting, "not-observed", text);
    }
    if let Some(paused) = condition(live, "Paused").filter(|it| it["status"] == "True") {
        return told(Phase::Waiting, paused, "it is paused");
    }
    by_conditions(live)
}

/// It is able to scale, and knows by what. Where nothing runs it is disabled, which is no fault.
fn autoscaler(live: &Value) -> Standing {
    if let Some(it) = condition(live, "AbleToScale").filter(|it| it["status"] == "False") {
        return told(Phase::Starting, it, "it cannot scale");
    }
    match condition(live, "ScalingActive") {
        Some(it) if it["status"] == "True" || it["reason"] == "ScalingDisabled" => Standing::of(Phase::Ready),
        Some(it) => told(Phase::Starting, it, "it knows no figures: is there a metrics server?"),
        None => Standing::because(Phase::Starting, "not-ready", "it has not looked at its figures yet"),
    }
}

fn by_conditions(live: &Value) -> Standing {
    match condition(live, "Ready").or_else(|| condition(live, "Available")) {
        Some(it) if it["status"] == "True" => Standing::of(Phase::Ready),
        Some(it) => told(Phase::Starting, it, "it is not ready"),
        None => Standing::because(Phase::Starting, "not-ready", "it does not say yet whether it is ready"),
    }
}

/// Why pods do not run: the first thing that a person can do something about.
pub(super) fn pods(list: &Value) -> Option<Reason> {
    let items = list["items"].as_array()?;
    items.iter().find_map(of_pod)
}

fn of_pod(pod: &Value) -> Option<Reason> {
    let name = pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    if let Some(it) = condition(pod, "PodScheduled").filter(|it| it["status"] == "False") {
        let text = format!("pod {name}: {}", it["message"].as_str().unwrap_or("no node has room for it"));
        return Some(Reason::new("unschedulable", text));
    }
    for part in ["initContainerStatuses", "containerStatuses"] {
        for container in
            pod.pointer(&format!("/status/{part}")).and_then(Value::as_array).into_iter().flatten()
        {
            let which = container["name"].as_str().unwrap_or_default();
            let Some(waiting) = container.pointer("/state/waiting") else { continue };
            let reason = waiting["reason"].as_str().unwrap_or_default();
            let said = waiting["message"].as_str().unwrap_or_default();
            let code = match reason {
                "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" => "image-pull",
                "CrashLoopBackOff" => "crashed",
                "CreateContainerConfigError" => "secret-missing",
                _ => continue,
            };
            let ended = container.pointer("/lastState/terminated");
            let last = ended.and_then(|it| it["message"].as_str()).unwrap_or_default();
            return Some(Reason::new(
                code,
                format!("pod {name}, container {which}: {reason} {said} {last}").trim(),
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kafka(generation: i64, observed: Option<i64>, conditions: &Value) -> Value {
        let mut live = json!({ "kind": "Kafka", "metadata": { "generation": generation }, "status": { "conditions": conditions } });
        if let Some(observed) = observed {
            live["status"]["observedGeneration"] = json!(observed);
        }
        live
    }

    #[test]
    fn strimzi_changes_the_type_of_its_condition() {
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        let not = json!([{ "type": "NotReady", "status": "True", "reason": "InvalidResource", "message": "no node pool" }]);
        assert_eq!(standing(&kafka(1, Some(1), &ready)).phase, Phase::Ready);
        // Ready, but of the generation before the change.
        assert_eq!(standing(&kafka(2, Some(1), &ready)).phase, Phase::Waiting);
        assert_eq!(standing(&kafka(1, None, &json!([]))).phase, Phase::Waiting);
        let failed = standing(&kafka(1, Some(1), &not));
        assert_eq!(failed.phase, Phase::Failed);
        assert_eq!(failed.reason.unwrap().text, "no node pool");
    }

    #[test]
    fn a_roll_out_is_ready_when_no_old_pod_is_left() {
        let live = |updated, available, all| {
            json!({ "kind": "Deployment", "metadata": { "generation": 3 }, "spec": { "replicas": 2 }, "status": {
                "observedGeneration": 3, "updatedReplicas": updated, "availableReplicas": available, "replicas": all } })
        };
        assert_eq!(standing(&live(2, 2, 2)).phase, Phase::Ready);
        assert_eq!(standing(&live(2, 2, 3)).phase, Phase::Starting);
        assert_eq!(standing(&live(1, 2, 2)).phase, Phase::Starting);
    }

    #[test]
    fn who_scales_is_ready_when_it_can_and_knows_by_what() {
        let live = |kind: &str, conditions: &Value| {
            let status = json!({ "observedGeneration": 1, "conditions": conditions });
            standing(&json!({ "kind": kind, "metadata": { "generation": 1 }, "status": status })).phase
        };
        let one = |kind: &str, status: &str, reason: &str| json!({ "type": kind, "status": status, "reason": reason });
        let able = one("AbleToScale", "True", "ReadyForNewScale");
        let hpa = |active: Value| live("HorizontalPodAutoscaler", &json!([able, active]));
        assert_eq!(hpa(one("ScalingActive", "True", "ValidMetricFound")), Phase::Ready);
        assert_eq!(hpa(one("ScalingActive", "False", "ScalingDisabled")), Phase::Ready);
        assert_eq!(hpa(one("ScalingActive", "False", "FailedGetResourceMetric")), Phase::Starting);
        // KEDA tells of no generation.
        let keda = |status: &Value| {
            standing(&json!({ "kind": "ScaledObject", "metadata": { "generation": 4 }, "status": status }))
        };
        assert_eq!(keda(&json!({ "conditions": [one("Ready", "True", "")] })).phase, Phase::Ready);
        assert_eq!(keda(&json!({ "conditions": [one("Ready", "False", "")] })).phase, Phase::Starting);
        assert_eq!(
            keda(&json!({ "conditions": [one("Ready", "True", ""), one("Paused", "True", "")] })).phase,
            Phase::Waiting
        );
        assert!(keda(&json!({})).reason.unwrap().text.contains("is KEDA running?"));
    }

    #[test]
    fn a_pod_that_no_node_takes_says_why() {
        let pods_of = json!({ "items": [{ "metadata": { "name": "a-1" }, "status": { "conditions": [
            { "type": "PodScheduled", "status": "False", "message": "0/2 nodes are available: 2 Insufficient cpu." }] } }] });
        assert!(pods(&pods_of).unwrap().text.contains("Insufficient cpu"));
    }
}
