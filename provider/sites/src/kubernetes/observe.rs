//! How far objects are, and what somebody changed.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};
use streamverse_model::platform::{Object, ObjectStatus, Observed, Owner, Phase, Reason};

use super::ready::{self, Standing};
use super::record::{Place, Record};
use super::render::{Others, Rendered, Rendering, render};
use super::site::{KubernetesSite, Live};
use super::{compare, names};
use crate::error::{Class, Result};

impl KubernetesSite {
    /// What the cluster holds for an owner, compared with what we would apply now.
    pub(super) async fn observed(&self, owner: &Owner) -> Result<Option<Observed>> {
        let Some(record) = self.record(owner).await? else { return Ok(None) };
        let secrets = self.secret_versions(&record.bundle).await?;
        let scaler = self.scaler_for(&record.bundle).await?;
        let others = Others { used: record.used.clone(), secrets, scaler };
        let (lives, found) = match render(&record.bundle, &Rendering::from(&self.config), &others) {
            Ok(rendered) => {
                let lives = self.find(rendered).await?;
                let found = drift(&lives, &record.rendered);
                (lives, found)
            }
            // An image that was taken out of the configuration together with its resource: what is there is looked at
            // all the same, so that it can be removed.
            Err(error) if error.class == Class::Invalid => {
                let lives = self.look_at_places(&record).await?;
                let mut found = Drift::default();
                found.by_others.extend(lives.iter().filter(|live| live.there.is_none()).map(gone));
                found.by_us.push(format!("it cannot be rendered any more: {error}"));
                (lives, found)
            }
            Err(error) => return Err(error),
        };
        let keys: Vec<String> = record.bundle.objects.iter().map(Object::key).collect();
        let objects = join_all(keys.iter().map(|key| {
            let of: Vec<&Live> = lives.iter().filter(|live| live.wanted.object == *key).collect();
            async move { self.status(owner, key, &of).await }
        }))
        .await;
        let lines = [found.by_others.as_slice(), found.by_us.as_slice()].concat();
        let revision = match lines.as_slice() {
            [] => record.bundle.revision(),
            lines => format!("drifted-{}", names::short(&lines.join("\n"))),
        };
        let Drift { by_others: drift, by_us: outdated } = found;
        Ok(Some(Observed { bundle: record.bundle, revision, objects, drift, outdated }))
    }

    /// What is there of what the record names, without knowing what it should be.
    async fn look_at_places(&self, record: &Record) -> Result<Vec<Live>> {
        let bare = |place: &Place| Rendered {
            object: String::new(),
            plural: place.plural.clone(),
            body: json!({
                "apiVersion": place.api_version, "kind": place.kind, "metadata": { "name": place.name },
            }),
        };
        let mut lives = self.find(record.current.iter().map(bare).collect()).await?;
        let label = format!("{}/object", names::PREFIX);
        for live in &mut lives {
            let labels = live.there.as_ref().and_then(|there| there.pointer("/metadata/labels"));
            let object = labels.and_then(|labels| labels.get(&label)).and_then(Value::as_str);
            live.wanted.object = object.unwrap_or_default().replacen('.', "/", 1);
        }
        Ok(lives)
    }

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
    let count = pods["items"].as_array().map_or(0, Vec::len);
    status.restarts = u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
    let Some(end) = said(pods) else { return };
    if let Some(result) = end.get("succeeded") {
        status.result = Some(result.clone());
    }
    if let (Some(failed), false) = (end.get("failed"), standing.phase.is_settled()) {
        let text = failed["message"].as_str().unwrap_or_default();
        standing.reason = Some(Reason::new(failed["code"].as_str().unwrap_or("failed"), text));
    }
}

/// The termination message of the newest pod.
fn said(pods: &Value) -> Option<Value> {
    let items = pods["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let started =
        |pod: &&Value| pod.pointer("/metadata/creationTimestamp").and_then(Value::as_str).map(str::to_owned);
    let last = items.iter().max_by_key(started)?;
    let message =
        last.pointer("/status/containerStatuses/0/state/terminated/message").and_then(Value::as_str);
    serde_json::from_str::<Value>(message?).ok()
}

/// What came of a job, while its pod is there.
pub(super) fn succeeded(pods: &Value) -> Option<Value> {
    Some(said(pods)?.get("succeeded")?.clone())
}

/// What is not as we would apply it now, in words: `Deployment a: .spec.replicas`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Drift {
    /// What somebody else changed.
    pub(super) by_others: Vec<String>,
    /// What we render differently than we did: another image, another version of a secret, another version of ours.
    pub(super) by_us: Vec<String>,
}

/// Compares what is there with what is rendered now, and that with what was rendered when it was applied.
fn drift(lives: &[Live], applied: &BTreeMap<String, String>) -> Drift {
    let mut found = Drift::default();
    for live in lives {
        let title = live.wanted.title();
        let before = applied.get(&title);
        let lines = match &live.there {
            None => vec![gone(live)],
            // A job is what it was made as; its template cannot be changed.
            Some(_) if live.wanted.text("/kind") == "Job" => Vec::new(),
            Some(there) => {
                let paths = compare::differences(&live.wanted.body, there);
                paths.into_iter().map(|path| format!("{title}: {path}")).collect()
            }
        };
        let ours = !applied.is_empty() && before != Some(&digest(&live.wanted));
        if ours { found.by_us.extend(lines) } else { found.by_others.extend(lines) }
    }
    found
}

fn gone(live: &Live) -> String {
    format!("{} is gone", live.wanted.title())
}

/// The number of replicas is not in it: it changes hands without anybody rendering anything else.
fn digest(it: &Rendered) -> String {
    let mut body = it.body.clone();
    if let Some(spec) = body["spec"].as_object_mut().filter(|_| it.text("/kind") == "Deployment") {
        spec.remove("replicas");
    }
    names::short(&body.to_string())
}

/// A digest of each object, by its title.
pub(super) fn digests<'a>(rendered: impl Iterator<Item = &'a Rendered>) -> BTreeMap<String, String> {
    rendered.map(|it| (it.title(), digest(it))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_rendering_is_told_apart_from_somebodys_hand() {
        let object = |image: &str| Rendered {
            object: "service/a".to_owned(),
            plural: "deployments".to_owned(),
            body: json!({ "kind": "Deployment", "metadata": { "name": "a" }, "spec": { "image": image } }),
        };
        let live =
            |wanted: &str, there: &str| Live { wanted: object(wanted), there: Some(object(there).body) };
        let applied = digests([object("one")].iter());
        let line = || vec!["Deployment a: .spec.image".to_owned()];
        assert_eq!(drift(&[live("one", "one")], &applied), Drift::default());
        let hand = drift(&[live("one", "other")], &applied);
        assert_eq!((hand.by_others, hand.by_us), (line(), Vec::new()));
        let ours = drift(&[live("two", "one")], &applied);
        assert_eq!((ours.by_others, ours.by_us), (Vec::new(), line()));
    }
}
