//! How far objects are, and what somebody changed.

use serde_json::{Value, json};
use streamverse_model::platform::{ObjectStatus, Owner, Phase, Reason};

use super::ready::{self, Standing};
use super::site::{KubernetesSite, Live};
use super::{compare, names};

impl KubernetesSite {
    /// Why the pods of an object do not run.
    pub(super) async fn pods(&self, owner: &Owner, object: &str) -> Value {
        let selector = names::selector(&names::selected(owner, object));
        match self.list_of("v1", "pods", &selector).await {
            Ok(items) => json!({ "items": items }),
            Err(_) => Value::Null, // the reason is a help, not a condition
        }
    }

    /// The status of one object of the bundle: that of the least ready of what it became.
    pub(super) async fn status(&self, owner: &Owner, object: &str, lives: &[&Live]) -> ObjectStatus {
        let mut status = ObjectStatus {
            object: object.to_owned(),
            phase: Phase::Ready,
            reason: None,
            restarts: 0,
            pids: Vec::new(),
            progress: None,
            result: None,
        };
        let mut main = Standing { phase: Phase::Ready, reason: None };
        for live in lives {
            let standing = match &live.there {
                Some(there) => ready::standing(there),
                None => {
                    Standing::because(Phase::Applied, "missing", format!("{} is gone", live.wanted.title()))
                }
            };
            let better =
                standing.phase == Phase::Ready || (standing.phase.is_settled() && main.phase != Phase::Ready);
            if !better {
                main = standing;
            }
        }
        let job = object.starts_with("job/");
        if !main.phase.is_settled() || job {
            let pods = self.pods(owner, object).await;
            if !main.phase.is_settled()
                && let Some(reason) = ready::pods(&pods)
            {
                main.reason = Some(reason);
            }
            if job {
                end_of(&pods, &mut status, &mut main);
            }
        }
        status.phase = main.phase;
        status.reason = main.reason;
        status
    }
}

/// How the newest pod of a job ended, by its termination message.
fn end_of(pods: &Value, status: &mut ObjectStatus, standing: &mut Standing) {
    let items = pods["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let started =
        |pod: &&Value| pod.pointer("/metadata/creationTimestamp").and_then(Value::as_str).map(str::to_owned);
    status.restarts = u32::try_from(items.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let Some(last) = items.iter().max_by_key(started) else { return };
    let message =
        last.pointer("/status/containerStatuses/0/state/terminated/message").and_then(Value::as_str);
    let Some(end) = message.and_then(|text| serde_json::from_str::<Value>(text).ok()) else { return };
    if let Some(result) = end.get("succeeded") {
        status.result = Some(result.clone());
    }
    if let (Some(failed), false) = (end.get("failed"), standing.phase.is_settled()) {
        let text = failed["message"].as_str().unwrap_or_default();
        standing.reason = Some(Reason::new(failed["code"].as_str().unwrap_or("failed"), text));
    }
}

/// What somebody changed, in words: `Deployment a: .spec.replicas`.
pub(super) fn drift(lives: &[Live]) -> Vec<String> {
    let mut found = Vec::new();
    for live in lives {
        let title = live.wanted.title();
        match &live.there {
            None => found.push(format!("{title} is gone")),
            // A job is what it was made as; its template cannot be changed.
            Some(_) if live.wanted.text("/kind") == "Job" => {}
            Some(there) => {
                let paths = compare::differences(&live.wanted.body, there);
                found.extend(paths.into_iter().map(|path| format!("{title}: {path}")));
            }
        }
    }
    found
}
