//! Templates, network volumes and registry credentials.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::pods::PersistentMount;

/// A template: what a container is, for pods or serverless workers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// RunPod's identifier.
    pub id: String,
    /// Its name, which says whose it is.
    pub name: String,
    /// The image.
    pub image: String,
    /// Arguments of its entry point; empty for none.
    #[serde(default)]
    pub args: Option<String>,
    /// GB of a disk that is empty after a restart.
    pub disk: u32,
    /// The environment, in the clear.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Ports.
    #[serde(default)]
    pub ports: Vec<String>,
    /// The credential of the registry.
    #[serde(default)]
    pub registry: Option<String>,
    /// A disk of the host.
    #[serde(default)]
    pub mounts: TemplateMounts,
    /// Whether it is for serverless workers.
    pub serverless: bool,
    /// Whether other accounts see it.
    pub public: bool,
    /// `CPU`, `NVIDIA` or `AMD`.
    pub category: String,
    /// Whether SSH is set up.
    pub start_ssh: bool,
    /// Whether Jupyter is started.
    pub start_jupyter: bool,
    /// CUDA versions that hosts must have; any when empty.
    #[serde(default)]
    pub allowed_cuda_versions: Vec<String>,
}

/// What a template mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateMounts {
    /// A disk of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent: Option<PersistentMount>,
}

/// A template as it is to be, whole: the same to make one and to change one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateBody {
    /// Its name, which says whose it is.
    pub name: String,
    /// The image.
    pub image: String,
    /// Arguments of its entry point.
    pub args: String,
    /// GB of a disk that is empty after a restart.
    pub disk: u32,
    /// The environment. The API returns it: no secret belongs here.
    pub env: BTreeMap<String, String>,
    /// Ports.
    pub ports: Vec<String>,
    /// The credential of the registry; null for none.
    pub registry: Option<String>,
    /// A disk of the host. It can be given and changed, not taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<TemplateMounts>,
    /// Whether it is for serverless workers.
    pub serverless: bool,
    /// Whether other accounts see it.
    pub public: bool,
    /// `CPU`, `NVIDIA` or `AMD`.
    pub category: String,
    /// Whether SSH is set up.
    pub start_ssh: bool,
    /// Whether Jupyter is started.
    pub start_jupyter: bool,
    /// CUDA versions that hosts must have; any when empty.
    pub allowed_cuda_versions: Vec<String>,
}

kind!(Template, "template", "/v2/templates", "templates");

/// A network volume: storage in a data centre that outlives pods.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkVolume {
    /// RunPod's identifier.
    pub id: String,
    /// Its name, which says whose it is.
    pub name: String,
    /// GB.
    pub size: u32,
    /// Its data centre.
    pub data_center: String,
    /// `STANDARD` or `HIGH_PERFORMANCE`.
    #[serde(rename = "type")]
    pub tier: String,
}

/// A new network volume.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkVolumeBody {
    /// Its name, which says whose it is.
    pub name: String,
    /// GB.
    pub size: u32,
    /// Its data centre, for good.
    pub data_center: String,
    /// Its tier, for good; the data centre's own where none is given.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
}

/// What may be changed of a network volume.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkVolumeChange {
    /// Its name.
    pub name: String,
    /// GB: it only grows.
    pub size: u32,
}

kind!(
    NetworkVolume,
    "network volume",
    "/v2/network-volumes",
    "networkVolumes";
    const KEEPS_DATA: bool = true;
);

/// A credential of a container registry. What is in it the API never shows.
#[derive(Clone, Debug, Deserialize)]
pub struct Registry {
    /// RunPod's identifier.
    pub id: String,
    /// Its name, which says whose it is.
    pub name: String,
}

/// A new credential. It can be made and deleted, not changed.
#[derive(Clone, Serialize)]
pub struct RegistryBody {
    /// Its name, which says whose it is.
    pub name: String,
    /// Who logs in.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for RegistryBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryBody").field("name", &self.name).finish_non_exhaustive()
    }
}

kind!(
    Registry,
    "registry credential",
    "/v2/registries",
    "registries";
    const RENAMES: bool = false;
);
