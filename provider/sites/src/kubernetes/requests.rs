//! What a site asks of the API server: one kind of request each.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use streamverse_model::platform::{Name, Owner};

use super::client::{Answer, Ask, holders, refused};
use super::names;
use super::record::{self, Place, Record, collection};
use super::site::KubernetesSite;
use crate::error::{Class, Error, Result};
use crate::site::Deletion;

impl KubernetesSite {
    pub(super) fn namespace(&self) -> &str {
        &self.config.namespace
    }

    pub(super) async fn get(&self, path: String, about: &str) -> Result<Option<Value>> {
        let answer = self.api.ask(Ask { method: Method::GET, path, body: None, about }).await?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            404 => Ok(None),
            _ => Err(refused(&answer, about)),
        }
    }

    pub(super) async fn list_of(
        &self,
        api_version: &str,
        plural: &str,
        selector: &str,
    ) -> Result<Vec<Value>> {
        let path = format!(
            "{}?labelSelector={}",
            collection(api_version, plural, self.namespace()),
            selector.replace('=', "%3D").replace(',', "%2C").replace('/', "%2F")
        );
        let found = self.get(path, plural).await?.unwrap_or_default();
        Ok(found["items"].as_array().cloned().unwrap_or_default())
    }

    pub(super) async fn record(&self, owner: &Owner) -> Result<Option<Record>> {
        let place = record::place(owner);
        match self.get(place.path(self.namespace()), &place.title()).await? {
            Some(live) => Record::read(&live).map(Some),
            None => Ok(None),
        }
    }

    /// Server-side apply (Kubernetes API concepts): strict, without force. What people changed by hand is taken back and
    /// told; what another applier or a controller holds is a conflict.
    pub(super) async fn patch(
        &self,
        place: &Place,
        body: &Value,
        owner: &Owner,
        dry_run: bool,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        let title = place.title();
        let send = async |force: bool| -> Result<Answer> {
            let dry = if dry_run { "&dryRun=All" } else { "" };
            let path = format!(
                "{}?fieldManager={}&fieldValidation=Strict&force={force}{dry}",
                place.path(self.namespace()),
                names::manager(owner)
            );
            self.api.ask(Ask { method: Method::PATCH, path, body: Some(body), about: &title }).await
        };
        let mut answer = send(false).await?;
        let held = if answer.status == 409 { holders(&answer) } else { Vec::new() };
        if !held.is_empty() && held.iter().all(|it| it.by_hand) {
            let lines: Vec<String> =
                held.iter().map(|it| format!("{} (set by {})", it.field, it.manager)).collect();
            if !dry_run {
                warnings.push(format!("{title}: taken back what was changed by hand: {}", lines.join(", ")));
            }
            answer = send(true).await?;
        }
        if (200..300).contains(&answer.status) { Ok(()) } else { Err(refused(&answer, &title)) }
    }

    /// Has an object of the owner removed: as it was there, or `None` where it is gone, or is another's of that name.
    pub(super) async fn remove(&self, place: &Place, owner: &Owner) -> Result<Option<Value>> {
        let about = place.title();
        let Some(there) = self.get(place.path(self.namespace()), &about).await? else { return Ok(None) };
        if !is_of(&there, owner) {
            return Ok(None);
        }
        // The very object that was looked at, and no other that came in its place.
        let uid = &there["metadata"]["uid"];
        // What nothing depends on is gone at once; of a workload the pods go first.
        let alone = matches!(
            place.kind.as_str(),
            "ConfigMap"
                | "Secret"
                | "NetworkPolicy"
                | "PodDisruptionBudget"
                | "ServiceAccount"
                | "Role"
                | "RoleBinding"
                | "Lease"
        );
        let policy = if alone { "Background" } else { "Foreground" };
        let body = json!({ "propagationPolicy": policy, "preconditions": { "uid": uid } });
        let path = place.path(self.namespace());
        let answer =
            self.api.ask(Ask { method: Method::DELETE, path, body: Some(&body), about: &about }).await?;
        match answer.status {
            200..300 | 404 | 409 => Ok(Some(there)),
            _ => Err(refused(&answer, &about)),
        }
    }

    /// Removes objects side by side; what still holds one of them, if something does.
    pub(super) async fn remove_all(&self, places: &[&Place], owner: &Owner) -> Result<Option<Deletion>> {
        let mut asked = Vec::new();
        for place in places {
            if let Some(there) = self.remove(place, owner).await? {
                asked.push((place, there));
            }
        }
        for (place, before) in asked {
            let Some(there) = self.get(place.path(self.namespace()), &place.title()).await? else { continue };
            // Another object of the same name is somebody else's.
            if there["metadata"]["uid"] != before["metadata"]["uid"] {
                continue;
            }
            let finalizers = there.pointer("/metadata/finalizers").and_then(Value::as_array);
            let names: Vec<&str> = finalizers.into_iter().flatten().filter_map(Value::as_str).collect();
            let why = match names.as_slice() {
                [] => "it is being removed".to_owned(),
                ["foregroundDeletion"] => "it waits for what belongs to it".to_owned(),
                names => format!(
                    "it waits for its finalizer {} to be removed; where the operator that does this is gone, remove the \
                     finalizer by hand",
                    names.join(", ")
                ),
            };
            return Ok(Some(Deletion::Pending(format!("{}: {why}", place.title()))));
        }
        Ok(None)
    }

    /// Makes the namespace where it is missing, for restricted pods only.
    pub(super) async fn ensure_namespace(&self, deployment: &Name) -> Result<()> {
        let name = self.namespace();
        let about = format!("Namespace {name}");
        let path = format!("/api/v1/namespaces/{name}");
        match self.get(path, &about).await {
            Ok(Some(_)) => return Ok(()),
            // Who may not look at namespaces may still work in one.
            Err(error) if error.class == Class::Denied => return Ok(()),
            Err(error) => return Err(error),
            Ok(None) => {}
        }
        let body = super::render::namespace(name, deployment);
        let path = "/api/v1/namespaces".to_owned();
        let answer =
            self.api.ask(Ask { method: Method::POST, path, body: Some(&body), about: &about }).await?;
        match answer.status {
            200..300 | 409 => Ok(()), // 409: somebody was faster
            403 => {
                Err(refused(&answer, &about)
                    .next(format!("Make it yourself: kubectl create namespace {name}")))
            }
            _ => Err(refused(&answer, &about)),
        }
    }

    pub(super) async fn write_record(&self, record: &Record) -> Result<()> {
        let owner = &record.bundle.owner;
        let place = record::place(owner);
        let path =
            format!("{}?fieldManager={}&force=true", place.path(self.namespace()), names::manager(owner));
        let body = record.body(self.namespace())?;
        let about = place.title();
        let answer =
            self.api.ask(Ask { method: Method::PATCH, path, body: Some(&body), about: &about }).await?;
        if (200..300).contains(&answer.status) { Ok(()) } else { Err(refused(&answer, &about)) }
    }

    /// Waits a little for one object to go.
    pub(super) async fn gone(&self, place: &Place) -> Result<()> {
        for _ in 0..100 {
            if self.get(place.path(self.namespace()), &place.title()).await?.is_none() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(Error::new(Class::Retry, format!("{} is still being removed", place.title()))
            .next("Apply again when it is gone."))
    }
}

/// Whether an object belongs to the owner: by its labels, or, where somebody took those away, because we applied it.
fn is_of(there: &Value, owner: &Owner) -> bool {
    let labels = &there["metadata"]["labels"];
    if names::owned(owner).iter().all(|(key, value)| labels[key] == value.as_str()) {
        return true;
    }
    let managers = there.pointer("/metadata/managedFields").and_then(Value::as_array);
    managers.into_iter().flatten().any(|it| it["manager"] == names::manager(owner).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_its_owner_s_by_labels_or_by_who_applied_it() {
        let owner = Owner::new("demo", "origin", "main").unwrap();
        let labels = names::owned(&owner);
        assert!(is_of(&json!({ "metadata": { "labels": labels } }), &owner));
        let manager = names::manager(&owner);
        assert!(is_of(&json!({ "metadata": { "managedFields": [{ "manager": manager }] } }), &owner));
        let other = Owner::new("demo", "origin", "other").unwrap();
        assert!(!is_of(&json!({ "metadata": { "labels": labels } }), &other));
        assert!(!is_of(&json!({ "metadata": { "name": "demo-origin-main" } }), &owner));
    }
}
