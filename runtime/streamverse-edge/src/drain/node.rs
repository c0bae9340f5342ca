//! A Kubernetes node that leaves: nothing new comes to it, and its pods are evicted, which their budgets may delay.
//!
//! Source: Kubernetes documentation, "Safely Drain a Node", "API-initiated Eviction" (429 while a PodDisruptionBudget
//! forbids it).

mod api;

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use streamverse_core::Result;
use streamverse_model::compute::{Reason, WholeNode};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::now_ms;
use api::Api;

/// Between two looks at the pods.
const EVERY: Duration = Duration::from_secs(1);

/// A drain under way.
pub(super) struct Draining {
    until: watch::Sender<u64>,
    work: JoinHandle<Vec<String>>,
}

impl Draining {
    /// Begins to drain; it ends at `until_ms` at the latest.
    pub(super) fn begin(node: WholeNode, reason: Reason, until_ms: u64) -> Draining {
        let (until, watched) = watch::channel(until_ms);
        Draining { until, work: tokio::spawn(drain(node, reason, watched)) }
    }

    /// There is less time.
    pub(super) fn hurry(&self, until_ms: u64) {
        let _ = self.until.send(until_ms);
    }
}

/// The pods that could not leave in time, when it is over; never where nothing is drained.
pub(super) async fn done(draining: Option<&mut Draining>) -> Vec<String> {
    match draining {
        Some(draining) => (&mut draining.work).await.unwrap_or_else(|error| {
            warn!(%error, "The drain of the node was lost.");
            vec!["node".to_owned()]
        }),
        None => std::future::pending().await,
    }
}

async fn drain(node: WholeNode, reason: Reason, until: watch::Receiver<u64>) -> Vec<String> {
    let mut left = vec![format!("node/{}", node.name)];
    let mut told: Option<String> = None;
    let mut connected: Option<Api> = None;
    loop {
        let until_ms = *until.borrow();
        match step(&mut connected, &node, reason, until_ms).await {
            Ok(there) if there.is_empty() => {
                info!(node = node.name, "The node is empty.");
                return Vec::new();
            }
            Ok(there) => left = there,
            Err(error) => {
                let text = error.chain();
                // The same words once, not every second.
                if told.as_deref() != Some(&text) {
                    warn!(error = text, "The node cannot be drained; it is tried again.");
                }
                told = Some(text);
                // Credentials may have run out.
                connected = None;
            }
        }
        if now_ms() >= *until.borrow() {
            return left;
        }
        tokio::time::sleep(EVERY.mul_f64(rand::random_range(0.5..1.0))).await;
    }
}

/// Cordons the node and asks each of its pods to leave. Returns those that are still there. All of it may be repeated.
async fn step(
    connected: &mut Option<Api>,
    node: &WholeNode,
    reason: Reason,
    until_ms: u64,
) -> Result<Vec<String>> {
    let api = match connected {
        Some(api) => api,
        none => none.insert(Api::connect(node.kubeconfig.as_deref()).await?),
    };
    let path = format!("/api/v1/nodes/{}", node.name);
    let why = json!({ "streamverse.io/draining": reason.as_str() });
    let cordon = json!({ "metadata": { "annotations": why }, "spec": { "unschedulable": true } });
    api.merge(&path, &cordon).await?;
    let pods = api.pods_of(&node.name).await?;
    let leaving: Vec<&Value> = pods.iter().filter(|pod| leaves(pod, node.own_pod.as_deref())).collect();
    let asked = join_all(leaving.iter().map(|pod| evict(api, pod, until_ms))).await;
    asked.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(leaving.iter().map(|pod| name_of(pod)).collect())
}

fn name_of(pod: &Value) -> String {
    let part = |key: &str| pod["metadata"][key].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", part("namespace"), part("name"))
}

/// Whether a pod is one that leaves: not one of a DaemonSet, which would come again; not one of the kubelet's own; not one
/// that has ended; not this one.
fn leaves(pod: &Value, own: Option<&str>) -> bool {
    let meta = &pod["metadata"];
    let of_daemon_set = meta["ownerReferences"]
        .as_array()
        .is_some_and(|owners| owners.iter().any(|it| it["kind"] == "DaemonSet" && it["controller"] == true));
    let mirror = !meta["annotations"]["kubernetes.io/config.mirror"].is_null();
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    !of_daemon_set && !mirror && !ended && own != Some(&name_of(pod))
}

/// Asks a pod to leave. One that may not yet, because of its budget, is asked again at the next step.
async fn evict(api: &Api, pod: &Value, until_ms: u64) -> Result<()> {
    let meta = &pod["metadata"];
    // One that is going already is told again only where it would be later than the node.
    let ends = meta["deletionTimestamp"].as_str().and_then(|it| it.parse::<jiff::Timestamp>().ok());
    if let Some(ends) = ends
        && u64::try_from(ends.as_millisecond()).unwrap_or_default() <= until_ms.saturating_add(1000)
    {
        return Ok(());
    }
    let own = pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
    let left = until_ms.saturating_sub(now_ms()) / 1000;
    // A pod whose own time is longer than the node's must know that, or it is cut off in the middle.
    let grace = own.min(left.max(1));
    let (namespace, name) =
        (meta["namespace"].as_str().unwrap_or_default(), meta["name"].as_str().unwrap_or_default());
    let body = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "namespace": namespace, "name": name },
        "deleteOptions": { "gracePeriodSeconds": grace, "preconditions": { "uid": meta["uid"] } },
    });
    api.evict(&format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction"), &body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_come_again_or_is_over_is_left_where_it_is() {
        let pod = |meta: Value, phase: &str| {
            let mut pod = json!({ "metadata": meta, "status": { "phase": phase } });
            pod["metadata"]["namespace"] = json!("live");
            pod["metadata"]["name"] = json!("a");
            pod
        };
        let owner = |kind: &str| json!({ "ownerReferences": [{ "kind": kind, "controller": true }] });
        assert!(leaves(&pod(owner("ReplicaSet"), "Running"), None));
        assert!(leaves(&pod(json!({}), "Pending"), Some("live/b")));
        assert!(!leaves(&pod(json!({}), "Running"), Some("live/a")));
        assert!(!leaves(&pod(owner("DaemonSet"), "Running"), None));
        assert!(!leaves(&pod(owner("Job"), "Succeeded"), None));
        let mirror = json!({ "annotations": { "kubernetes.io/config.mirror": "x" } });
        assert!(!leaves(&pod(mirror, "Running"), None));
    }
}
