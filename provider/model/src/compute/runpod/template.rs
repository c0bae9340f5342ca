//! A template: what a container is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Maybe, Path, Schema};

use super::container::{check_container, is_cuda};

/// What a container is, for pods or serverless workers.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunpodTemplateSpec {
    /// The image.
    #[attribute(validate(length = 1..))]
    pub image: String,
    /// Arguments of the image's entry point, as one line.
    pub args: Option<String>,
    /// GB of a disk that is empty after each start.
    #[attribute(default = 20, validate(range = 1..))]
    pub disk_gb: u32,
    /// Plain environment. RunPod's API returns it: no secret belongs here.
    pub env: Option<BTreeMap<String, String>>,
    /// Ports, such as `8080/http` or `22/tcp`.
    pub ports: Option<Vec<String>>,
    /// The `id` of the credential with which the image is pulled.
    pub registry_credential_id: Option<String>,
    /// A disk of the pod's host, which outlives a restart and is lost with the host. Taking it away makes another template.
    pub persistent_volume: Option<PersistentVolumeSpec>,
    /// Whether it is for serverless workers; for pods otherwise.
    #[attribute(default = false)]
    pub serverless: bool,
    /// Whether all RunPod users see it.
    #[attribute(default = false)]
    pub public: bool,
    /// Where RunPod's console shows it; it chooses no hardware.
    #[attribute(default = "NVIDIA", validate(one_of = ["CPU", "NVIDIA", "AMD"]))]
    pub category: String,
    /// Whether the account's SSH keys are put into the container. RunPod's own default is true.
    #[attribute(default = false)]
    pub start_ssh: bool,
    /// Whether Jupyter is started. RunPod's own default is true.
    #[attribute(default = false)]
    pub start_jupyter: bool,
    /// CUDA versions that hosts must have, `12.8`; any where none is given.
    pub allowed_cuda_versions: Option<Vec<String>>,
}

/// A disk of the pod's host.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersistentVolumeSpec {
    /// Its size in GB.
    #[attribute(validate(range = 10..))]
    pub size_gb: u32,
    /// Where it is mounted.
    #[attribute(validate(regex("^/", says = "must be an absolute path")))]
    pub path: String,
}

/// Refuses what cannot work. What is not known yet is not judged.
///
/// Sources: RunPod's API description of 2026-08-18: `CreateTemplateRequest` (CUDA versions are `MAJOR.MINOR`), `PersistentMount` ("Disallowed on CPU
/// pods").
pub fn check_template(view: &RunpodTemplateSpecView, out: &mut Diagnostics) {
    check_container("env", &view.env, &view.ports, out);
    for (index, version) in view.allowed_cuda_versions.known().into_iter().flatten().enumerate() {
        if version.known().is_some_and(|version| !is_cuda(version)) {
            out.error_at(
                Path::attribute("allowed_cuda_versions").index(index),
                "No CUDA version",
                "A version of `allowed_cuda_versions` is MAJOR.MINOR, such as 12.8.",
            );
        }
    }
    let cpu = view.category.is_known_and(|it| it == "CPU");
    if cpu && matches!(view.persistent_volume, Maybe::Known(_)) {
        out.error_at(
            Path::attribute("persistent_volume"),
            "No such disk",
            "CPU pods have no disk of the host. Mount a network volume, or leave it out.",
        );
    }
}
