//! Who decides how many of a service run: the service by its spec, or a scaler.
//!
//! The field `spec.replicas` of the Deployment changes hands without a moment in which nobody has it, for a field that its
//! last applier leaves out falls back to 1 (Kubernetes documentation, "Server-Side Apply", transferring ownership): first the
//! scaler declares the number as it is, then the service's apply leaves it out. An autoscaler writes it by the subresource
//! `scale`, which takes it from both. When the scaler goes, the service declares its own number again.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use streamverse_model::compute::{KedaScalerSpec, SCALED_KINDS, check_scaled};
use streamverse_model::platform::{Bundle, Object, Owner, ScalerObject};

use super::client::{Answer, Ask, holders, refused};
use super::names;
use super::record::{Place, Record};
use super::render::scaler::{held, marker, scaler_of, target};
use super::render::{Others, Rendering, render};
use super::site::{KubernetesSite, Live};
use crate::error::{Class, Error, Result};

/// Kinds that change the number of pods. One goes before another comes, and before what else its owner has.
pub(super) const SCALERS: &[&str] = &["HorizontalPodAutoscaler", "ScaledObject"];
/// How often an autoscaler may be faster than we are.
const TRIES: usize = 8;

impl KubernetesSite {
    /// Who decides how many of a bundle's service run, where that is not the bundle itself.
    pub(super) async fn scaler_for(&self, bundle: &Bundle) -> Result<Option<Owner>> {
        let kind = bundle.owner.kind.as_str().replace('-', "_");
        if !SCALED_KINDS.contains(&kind.as_str()) {
            return Ok(None);
        }
        let place = Place {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            plural: "configmaps".to_owned(),
            name: marker(&bundle.owner),
        };
        let marker = self.get(place.path(self.namespace()), &place.title()).await?;
        Ok(marker.and_then(|it| scaler_of(&bundle.owner, &it)))
    }

    /// Refuses a scaler of what is not there, or cannot be several.
    pub(super) async fn check_scalers(&self, bundle: &Bundle) -> Result<()> {
        for (at, it) in scalers(bundle) {
            let of = target(&bundle.owner, &it.of);
            let invalid = |text: String| Error::new(Class::Invalid, text).field(format!("/objects/{at}/of"));
            let Some(record) = self.record(&of).await? else {
                return Err(invalid(format!(
                    "{} of deployment {} is not on the site",
                    of.key(),
                    of.deployment
                ))
                .next(
                    "Put it on the same site, and let this resource refer to it, so that it is made first.",
                ));
            };
            let spec: KedaScalerSpec =
                serde_json::from_value(it.spec.clone()).map_err(|error| invalid(error.to_string()))?;
            check_scaled(&spec, &record.bundle).map_err(|error| {
                invalid(error.to_string()).next("Give it what it needs first, or lower max.")
            })?;
        }
        Ok(())
    }

    /// Has the services leave their number to the scalers of a bundle. A service of which something else differs leaves it
    /// with its own next apply, which the plan has shown.
    pub(super) async fn take_over(&self, bundle: &Bundle, warnings: &mut Vec<String>) -> Result<()> {
        for (_, it) in scalers(bundle) {
            let of = target(&bundle.owner, &it.of);
            let Some(record) = self.record(&of).await? else { continue };
            for live in self.deployments(&record, Some(bundle.owner.clone())).await? {
                let Some(there) = &live.there else { continue };
                if super::compare::differences(&live.wanted.body, there).is_empty() {
                    self.put_left_open(&live, &record.bundle, &bundle.owner, warnings).await?;
                }
                // Kubernetes' own autoscaler does nothing where there is nothing: what KEDA left at none begins again.
                let spec: KedaScalerSpec = serde_json::from_value(it.spec.clone()).map_err(|error| {
                    Error::new(Class::Invalid, "the scaler's spec cannot be read").because(error)
                })?;
                if spec.queue.is_none() && there.pointer("/spec/replicas").and_then(Value::as_u64) == Some(0)
                {
                    self.wake(&Place::of(&live.wanted), &bundle.owner, spec.min).await?;
                }
            }
        }
        Ok(())
    }

    /// Has the services of a bundle's scalers decide for themselves again: their numbers, and nothing else of them. What a new version
    /// of ours would render otherwise is the service's own next apply, which its plan shows.
    pub(super) async fn hand_back(&self, bundle: &Bundle) -> Result<()> {
        for (_, it) in scalers(bundle) {
            let of = target(&bundle.owner, &it.of);
            let Some(record) = self.record(&of).await? else { continue };
            for live in self.deployments(&record, None).await? {
                let Some(there) = &live.there else { continue };
                let place = Place::of(&live.wanted);
                let manager = names::manager(&of);
                let mut body = fields(there, &manager).next().map_or(Value::Null, |it| declared(it, there));
                body["apiVersion"] = live.wanted.body["apiVersion"].clone();
                body["kind"] = live.wanted.body["kind"].clone();
                body["metadata"]["name"] = json!(place.name);
                body["metadata"]["namespace"] = json!(self.namespace());
                body["spec"]["replicas"] = live.wanted.body["spec"]["replicas"].clone();
                let mut answer = self.apply_as(&place, &body, &manager, false).await?;
                let held_by = holders(&answer);
                if answer.status == 409
                    && !held_by.is_empty()
                    && held_by.iter().all(|it| it.by_hand || it.field == ".spec.replicas")
                {
                    answer = self.apply_as(&place, &body, &manager, true).await?;
                }
                match answer.status {
                    // What another applier holds is told by the service's own apply.
                    200..300 | 404 | 409 => {}
                    _ => return Err(refused(&answer, &place.title())),
                }
                let scaler = names::manager(&bundle.owner);
                if (200..300).contains(&answer.status) && manages(there, &scaler) {
                    let nothing = held(&place.name, self.namespace(), None);
                    let answer = self.apply_as(&place, &nothing, &scaler, false).await?;
                    if !(200..300).contains(&answer.status) && answer.status != 404 {
                        return Err(refused(&answer, &place.title()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Applies a Deployment whose number is the scaler's. One that is made begins with the number of its spec.
    pub(super) async fn put_left_open(
        &self,
        live: &Live,
        bundle: &Bundle,
        scaler: &Owner,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        let place = Place::of(&live.wanted);
        let owner = &bundle.owner;
        let ours = match &live.there {
            Some(there) => holds_replicas(there, &names::manager(owner)),
            None => {
                let mut body = live.wanted.body.clone();
                let count = bundle.objects.iter().find_map(|object| match object {
                    Object::Service(it) => Some(it.replicas),
                    _ => None,
                });
                body["spec"]["replicas"] = json!(count.unwrap_or(1));
                self.patch(&place, &body, owner, false, warnings).await?;
                true
            }
        };
        if ours {
            self.hold(&place, scaler).await?;
        }
        self.patch(&place, &live.wanted.body, owner, false, warnings).await
    }

    /// Has a scaler declare the number that a Deployment begins with.
    async fn wake(&self, place: &Place, scaler: &Owner, count: u32) -> Result<()> {
        let body = held(&place.name, self.namespace(), Some(i64::from(count.max(1))));
        let answer = self.apply_as(place, &body, &names::manager(scaler), true).await?;
        match answer.status {
            200..300 => Ok(()),
            _ => Err(refused(&answer, &place.title())),
        }
    }

    /// Has a scaler declare the number of a Deployment as it is.
    async fn hold(&self, place: &Place, scaler: &Owner) -> Result<()> {
        let manager = names::manager(scaler);
        for _ in 0..TRIES {
            let Some(there) = self.get(place.path(self.namespace()), &place.title()).await? else {
                return Ok(());
            };
            let count = there.pointer("/spec/replicas").and_then(Value::as_i64).or(Some(1));
            let body = held(&place.name, self.namespace(), count);
            let answer = self.apply_as(place, &body, &manager, false).await?;
            match answer.status {
                200..300 => return Ok(()),
                // Somebody changed it since it was read.
                409 => {
                    let pause = rand::random_range(50..300);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                _ => return Err(refused(&answer, &place.title())),
            }
        }
        Err(Error::new(Class::Retry, format!("the number of {} changes all the time", place.title())).next(
            "Apply again; if it stays so, two autoscalers undo each other: `kubectl get hpa` shows them.",
        ))
    }

    /// The Deployments of a record as they would be applied now, and as they are.
    async fn deployments(&self, record: &Record, scaler: Option<Owner>) -> Result<Vec<Live>> {
        let bundle = &record.bundle;
        let secrets = self.secret_versions(bundle).await?;
        let others = Others { used: record.used.clone(), secrets, scaler };
        let mut all = render(bundle, &Rendering::from(&self.config), &others)?;
        all.retain(|it| it.text("/kind") == "Deployment");
        self.find(all).await
    }

    async fn apply_as(&self, place: &Place, body: &Value, manager: &str, force: bool) -> Result<Answer> {
        let path = format!(
            "{}?fieldManager={manager}&fieldValidation=Strict&force={force}",
            place.path(self.namespace())
        );
        let about = place.title();
        self.api.ask(Ask { method: Method::PATCH, path, body: Some(body), about: &about }).await
    }
}

fn scalers(bundle: &Bundle) -> impl Iterator<Item = (usize, &ScalerObject)> {
    bundle.objects.iter().enumerate().filter_map(|(at, object)| match object {
        Object::Scaler(it) => Some((at, it)),
        _ => None,
    })
}

/// The fields that a manager's applies declared.
fn fields<'a>(there: &'a Value, manager: &str) -> impl Iterator<Item = &'a Value> {
    let entries = there.pointer("/metadata/managedFields").and_then(Value::as_array);
    let of = move |it: &&Value| it["manager"] == manager && it["operation"] == "Apply";
    entries.into_iter().flatten().filter(of).map(|it| &it["fieldsV1"])
}

fn manages(there: &Value, manager: &str) -> bool {
    fields(there, manager).next().is_some()
}

/// Whether a manager's apply declared the number of replicas.
fn holds_replicas(there: &Value, manager: &str) -> bool {
    fields(there, manager).any(|it| it.pointer("/f:spec/f:replicas").is_some())
}

/// What was declared, as it is now: the part of an object that a set of fields names (Kubernetes documentation, "Server-Side
/// Apply", field management; the format is that of structured-merge-diff). To declare it again changes nothing.
fn declared(fields: &Value, there: &Value) -> Value {
    let Some(fields) = fields.as_object().filter(|it| !it.is_empty()) else { return there.clone() };
    match there {
        Value::Object(members) => {
            let part = |(name, value): (&String, &Value)| {
                let part = fields.get(&format!("f:{name}")).map(|it| declared(it, value))?;
                Some((name.clone(), part))
            };
            Value::Object(members.iter().filter_map(part).collect())
        }
        Value::Array(entries) => {
            let named = |entry: &Value| {
                fields.iter().find_map(|(name, below)| {
                    let its = match name.split_once(':')? {
                        ("k", keys) => {
                            let keys: serde_json::Map<String, Value> = serde_json::from_str(keys).ok()?;
                            keys.iter().all(|(key, value)| entry.get(key) == Some(value))
                        }
                        ("v", value) => serde_json::from_str::<Value>(value).ok()? == *entry,
                        _ => false,
                    };
                    its.then(|| declared(below, entry))
                })
            };
            Value::Array(entries.iter().filter_map(named).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_declared_is_found_in_what_is_there_and_nothing_else() {
        let there = json!({ "metadata": { "name": "it", "labels": { "a": "1", "theirs": "2" }, "finalizers": ["x", "y"] },
            "spec": { "replicas": 3, "paused": false, "containers": [
                { "name": "sidecar", "image": "s" },
                { "name": "main", "image": "m", "tty": false, "args": ["1", "2"], "ports": [
                    { "containerPort": 80, "protocol": "TCP" }, { "containerPort": 80, "protocol": "UDP" }] },
            ], "volumes": [{ "name": "v", "emptyDir": {} }] } });
        let fields = json!({ "f:metadata": { "f:labels": { "f:a": {} }, "f:finalizers": { "v:\"y\"": {} } },
            "f:spec": { "f:containers": { "k:{\"name\":\"main\"}": { ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"UDP\"}": { ".": {}, "f:containerPort": {} } } } },
                "f:volumes": { "k:{\"name\":\"v\"}": { ".": {}, "f:name": {}, "f:emptyDir": {} } }, "f:gone": {} } });
        assert_eq!(
            declared(&fields, &there),
            json!({ "metadata": { "labels": { "a": "1" }, "finalizers": ["y"] },
                "spec": { "containers": [{ "name": "main", "image": "m", "args": ["1", "2"], "ports": [{ "containerPort": 80 }] }],
                    "volumes": [{ "name": "v", "emptyDir": {} }] } })
        );
    }

    #[test]
    fn who_declared_the_number_is_told_by_managed_fields() {
        let entry = |manager: &str, operation: &str, fields: &Value| json!({ "manager": manager, "operation": operation, "fieldsV1": fields });
        let number = json!({ "f:spec": { "f:replicas": {} } });
        let there = json!({ "metadata": { "managedFields": [
            entry("ours", "Apply", &number),
            entry("kube-controller-manager", "Update", &number),
            entry("other", "Apply", &json!({ "f:spec": { "f:template": {} } })),
        ] } });
        assert!(holds_replicas(&there, "ours"));
        assert!(!holds_replicas(&there, "kube-controller-manager") && !holds_replicas(&there, "other"));
        assert!(manages(&there, "other") && !manages(&there, "nobody"));
    }
}
