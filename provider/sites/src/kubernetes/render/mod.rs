//! From a bundle to Kubernetes objects. Pure: the same bundle and rendering give the same bytes, so that `streamverse
//! render`, an apply and the comparison with live objects all mean the same.

mod engine;
mod job;
mod lease;
mod network;
mod pod;
pub(super) mod scaler;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use streamverse_model::platform::{
    Bundle, CredentialUse, FilesObject, ManifestObject, Name, Object, Owner, Reach, SecretObject, SpecUse,
};

use super::config::{Expose, Image, KubernetesConfig};
use super::names;
use crate::error::{Class, Error, Result};

/// What a cluster adds to a bundle.
#[derive(Clone, Debug)]
pub struct Rendering {
    /// The site's name, for services' contexts.
    pub site: String,
    /// The namespace.
    pub namespace: String,
    /// Images by what runs in them.
    pub images: BTreeMap<String, Image>,
    /// How public endpoints are offered.
    pub expose: Expose,
}

impl From<&KubernetesConfig> for Rendering {
    fn from(config: &KubernetesConfig) -> Rendering {
        Rendering {
            site: config.site.to_string(),
            namespace: config.namespace.clone(),
            images: config.images.clone(),
            expose: config.expose,
        }
    }
}

impl Rendering {
    fn image(&self, of: &str) -> Result<&Image> {
        self.images.get(of).ok_or_else(|| {
            Error::new(Class::Invalid, format!("site {} has no image for {of}", self.site))
                .next(format!("Add `{of}` to `images` of the site's kubernetes block, by digest."))
        })
    }
}

/// What a job takes from the service of another owner: its spec, and what that service may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsedService {
    /// Whose it is.
    #[serde(rename = "use")]
    pub used: SpecUse,
    /// Its spec.
    pub spec: Value,
    /// Secrets that it reads.
    pub credentials: Vec<CredentialUse>,
    /// What it reaches.
    pub reach: Vec<Reach>,
}

impl UsedService {
    /// What a bundle has of it.
    pub fn of(used: &SpecUse, bundle: &Bundle) -> Option<UsedService> {
        bundle.objects.iter().find_map(|object| match object {
            Object::Service(service) if service.name == used.service => Some(UsedService {
                used: used.clone(),
                spec: service.spec.clone(),
                credentials: service.credentials.clone(),
                reach: service.reach.clone(),
            }),
            _ => None,
        })
    }
}

/// What a rendering takes from other owners of the deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Others {
    /// The services that its jobs use.
    pub used: Vec<UsedService>,
    /// The versions of the secrets that its services and engines read, as far as they are there.
    pub secrets: BTreeMap<CredentialUse, u64>,
    /// Who decides how many of its service run, where it is not itself.
    pub scaler: Option<Owner>,
}

/// One Kubernetes object.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Which object of the bundle it belongs to: `service/origin`.
    pub object: String,
    /// The plural of its kind, as in paths.
    pub plural: String,
    /// The object itself.
    pub body: Value,
}

impl Rendered {
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// `Deployment demo-origin-main`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.text("/kind"), self.text("/metadata/name"))
    }

    /// Files of such a name hold it when it is rendered to a folder: `deployment-demo-origin-main.json`.
    pub fn file_name(&self) -> String {
        format!("{}-{}.json", self.text("/kind").to_ascii_lowercase(), self.text("/metadata/name"))
    }
}

/// What one rendering works on.
struct Scope<'a> {
    bundle: &'a Bundle,
    rendering: &'a Rendering,
    others: &'a Others,
}

impl Scope<'_> {
    fn owner(&self) -> &Owner {
        &self.bundle.owner
    }

    fn metadata(&self, object: &str, name: &str) -> Value {
        json!({
            "name": name,
            "namespace": self.rendering.namespace,
            "labels": names::labels(self.owner(), object, &self.bundle.labels),
        })
    }

    /// What a pod's template says about the secrets that its pod reads: `object-store.media=2`. A program reads them once,
    /// at its start, so another version is another template, and so other pods.
    fn secrets(&self, credentials: &[CredentialUse]) -> BTreeMap<String, String> {
        let own = || {
            self.bundle.objects.iter().find_map(|object| match object {
                Object::Secret(it) => Some(it.version),
                _ => None,
            })
        };
        let version = |of: &CredentialUse| match of.kind == self.owner().kind && of.name == self.owner().name
        {
            true => own(),
            false => self.others.secrets.get(of).copied(),
        };
        let mut versions: Vec<String> = credentials
            .iter()
            .filter_map(|of| Some(format!("{}.{}={}", of.kind, of.name, version(of)?)))
            .collect();
        versions.sort();
        versions.dedup();
        match versions.is_empty() {
            true => BTreeMap::new(),
            false => BTreeMap::from([(format!("{}/secrets", names::PREFIX), versions.join(","))]),
        }
    }

    fn config_map(&self, object: &str, name: &str, data: &BTreeMap<String, String>, fixed: bool) -> Rendered {
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self.metadata(object, name),
            "data": data,
        });
        if fixed {
            body["immutable"] = json!(true);
        }
        Rendered { object: object.to_owned(), plural: "configmaps".to_owned(), body }
    }
}

/// The objects of a bundle, in the order in which they are applied: what is mounted comes first.
///
/// # Errors
/// An image that the site does not have, a spec that its engine's rendering refuses, a service that a job uses and that
/// is not in `others`.
pub fn render(bundle: &Bundle, rendering: &Rendering, others: &Others) -> Result<Vec<Rendered>> {
    let scope = Scope { bundle, rendering, others };
    let mut all = Vec::new();
    for (index, object) in bundle.objects.iter().enumerate() {
        let rendered = match object {
            Object::Service(it) => service::render(&scope, it),
            Object::Engine(it) => engine::render(&scope, it),
            Object::Job(it) => job::render(&scope, it),
            Object::Secret(it) => Ok(vec![secret(&scope, it)]),
            Object::Endpoint(it) => network::endpoint(&scope, it).map(|it| vec![it]),
            Object::Files(it) => Ok(vec![files(&scope, it)]),
            Object::Manifest(it) => manifest(&scope, it).map(|it| vec![it]),
            Object::Scaler(it) => scaler::render(&scope, it),
        };
        all.extend(rendered.map_err(|error| {
            let field = error.field.clone().unwrap_or_default();
            error.field(format!("/objects/{index}{field}"))
        })?);
    }
    all.sort_by_key(|it| order(it.text("/kind")));
    Ok(all)
}

/// The namespace of a deployment, for restricted pods only (Pod Security Admission).
pub fn namespace(name: &str, deployment: &Name) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": {
        "app.kubernetes.io/managed-by": "streamverse",
        "app.kubernetes.io/part-of": deployment,
        "pod-security.kubernetes.io/enforce": "restricted",
    } } })
}

fn order(kind: &str) -> u8 {
    match kind {
        "Secret" | "ConfigMap" => 0,
        "NetworkPolicy" | "PodDisruptionBudget" | "ServiceAccount" | "Role" | "RoleBinding" | "Lease" => 1,
        "Service" => 2,
        _ => 3,
    }
}

/// The name of the secret of an owner. Its first secret is what others mean.
pub(super) fn secret_name(deployment: &str, credential: &CredentialUse) -> String {
    match Owner::new(deployment, credential.kind.as_str(), credential.name.as_str()) {
        Ok(owner) => names::name(&owner, "secret"),
        Err(_) => String::new(),
    }
}

/// A secret without its values: they are put beside it by an apply that has them.
fn secret(scope: &Scope<'_>, it: &SecretObject) -> Rendered {
    let object = format!("secret/{}", it.name);
    let mut metadata = scope.metadata(&object, &names::name(scope.owner(), it.name.as_str()));
    metadata["annotations"] = json!({ format!("{}/version", names::PREFIX): it.version.to_string() });
    let body = json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata });
    Rendered { object, plural: "secrets".to_owned(), body }
}

fn files(scope: &Scope<'_>, it: &FilesObject) -> Rendered {
    let object = format!("files/{}", it.name);
    scope.config_map(&object, &names::name(scope.owner(), &format!("files-{}", it.name)), &it.files, false)
}

fn manifest(scope: &Scope<'_>, it: &ManifestObject) -> Result<Rendered> {
    let object = format!("manifest/{}", it.name);
    let mut body = it.body.clone();
    let name = body.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
    let Some(name) = name.filter(|_| body.get("apiVersion").is_some() && body.get("kind").is_some()) else {
        return Err(Error::new(Class::Invalid, format!("{object} lacks apiVersion, kind or metadata.name"))
            .field("/body"));
    };
    let mut metadata = scope.metadata(&object, &name);
    // The resource's own labels stay: operators read some of them (strimzi.io/cluster).
    if let Some(own) = body.pointer("/metadata/labels").and_then(Value::as_object) {
        for (key, value) in own {
            metadata["labels"][key] = value.clone();
        }
    }
    if let Some(annotations) = body.pointer("/metadata/annotations") {
        metadata["annotations"] = annotations.clone();
    }
    body["metadata"] = metadata;
    Ok(Rendered { object, plural: it.plural.clone(), body })
}
