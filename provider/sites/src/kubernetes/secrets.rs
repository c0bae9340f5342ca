//! Secrets of other owners: their versions, and those who read them.
//!
//! A program reads its secrets once, at its start. So a pod's template carries the versions of what its pod reads: a
//! service that is applied takes them from the secrets that are there, and a secret that gets another version has the
//! templates of its readers changed in the same apply. A reader that was missed shows drift, and its next apply rolls it.

use std::collections::BTreeMap;

use serde_json::Value;
use streamverse_model::platform::{Bundle, CredentialUse, Object, Owner};

use super::record::{Place, Record};
use super::render::{Others, Rendering, render, secret_name};
use super::site::KubernetesSite;
use super::{compare, names};
use crate::error::Result;

/// Where a template's versions stand, or what holds them where there were none.
const VERSIONS: &str = ".spec.template.metadata.annotations";

/// The secrets that the pods of a bundle read for as long as they run.
fn read_by(bundle: &Bundle) -> impl Iterator<Item = &CredentialUse> {
    bundle.objects.iter().flat_map(|object| match object {
        Object::Service(it) => it.credentials.as_slice(),
        Object::Engine(it) => it.credentials.as_slice(),
        _ => &[],
    })
}

fn is_of(credential: &CredentialUse, owner: &Owner) -> bool {
    credential.kind == owner.kind && credential.name == owner.name
}

impl KubernetesSite {
    /// What a bundle takes from other owners, as it is now.
    pub(super) async fn others(&self, bundle: &Bundle) -> Result<Others> {
        let used = self.used(bundle).await?;
        let secrets = self.secret_versions(bundle).await?;
        Ok(Others { used, secrets, scaler: self.scaler_for(bundle).await? })
    }

    /// The versions of the secrets of others that a bundle reads. One that is not there has none.
    pub(super) async fn secret_versions(&self, bundle: &Bundle) -> Result<BTreeMap<CredentialUse, u64>> {
        let mut versions = BTreeMap::new();
        for credential in read_by(bundle).filter(|it| !is_of(it, &bundle.owner)) {
            let place = Place {
                api_version: "v1".to_owned(),
                kind: "Secret".to_owned(),
                plural: "secrets".to_owned(),
                name: secret_name(bundle.owner.deployment.as_str(), credential),
            };
            let there = self.get(place.path(self.namespace()), &place.title()).await?.unwrap_or_default();
            let version = there
                .pointer("/metadata/annotations")
                .and_then(|all| all.get(format!("{}/version", names::PREFIX)))
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok());
            if let Some(version) = version {
                versions.insert(credential.clone(), version);
            }
        }
        Ok(versions)
    }

    /// Has the pods that read a secret of this bundle made anew, where its version is not the one that they were made with.
    pub(super) async fn tell_readers(&self, bundle: &Bundle, warnings: &mut Vec<String>) -> Result<()> {
        if !bundle.objects.iter().any(|object| matches!(object, Object::Secret(_))) {
            return Ok(());
        }
        let _turn = self.telling.lock().await;
        let deployment = &bundle.owner.deployment;
        let selector = format!("{0}/deployment={deployment},{0}/object=record", names::PREFIX);
        for item in self.list_of("v1", "configmaps", &selector).await? {
            let Ok(record) = Record::read(&item) else { continue };
            let reader = &record.bundle;
            if reader.owner == bundle.owner || !read_by(reader).any(|it| is_of(it, &bundle.owner)) {
                continue;
            }
            if let Err(error) = self.tell_reader(&record, warnings).await {
                warnings.push(format!(
                    "{} reads the secret of {} and was not restarted: {error}. Its next apply does it.",
                    reader.owner, bundle.owner
                ));
            }
        }
        Ok(())
    }

    /// Changes the versions in the templates of one reader. Where anything else differs, its own apply has to come: the
    /// plan has shown that, and nothing is changed that no plan has shown.
    async fn tell_reader(&self, record: &Record, warnings: &mut Vec<String>) -> Result<()> {
        let bundle = &record.bundle;
        let secrets = self.secret_versions(bundle).await?;
        let others = Others { used: record.used.clone(), secrets, scaler: self.scaler_for(bundle).await? };
        let mut templates = render(bundle, &Rendering::from(&self.config), &others)?;
        templates.retain(|it| matches!(it.text("/kind"), "Deployment" | "DaemonSet"));
        for live in self.find(templates).await? {
            let Some(there) = &live.there else { continue };
            let differences = compare::differences(&live.wanted.body, there);
            if !differences.is_empty() && differences.iter().all(|path| path.starts_with(VERSIONS)) {
                match others.scaler.as_ref().filter(|_| live.wanted.text("/kind") == "Deployment") {
                    // Its number is left to the scaler, which must declare it before we let go of it.
                    Some(scaler) => self.put_left_open(&live, bundle, scaler, warnings).await?,
                    None => {
                        let place = Place::of(&live.wanted);
                        self.patch(&place, &live.wanted.body, &bundle.owner, false, warnings).await?;
                    }
                }
            }
        }
        Ok(())
    }
}
