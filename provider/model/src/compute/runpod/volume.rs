//! A network volume.

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Maybe, Path, Schema};

/// Storage in one data centre that outlives pods.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunpodNetworkVolumeSpec {
    /// Its size in GB. It only grows.
    #[attribute(validate(range = 10..=4096))]
    pub size_gb: u32,
    /// Its data centre, `EU-RO-1`. Another one is another volume.
    #[attribute(replace, validate(length = 1..))]
    pub data_center: String,
}

/// Refuses to shrink: RunPod does not, and a new volume would be empty.
///
/// Sources: RunPod's API description of 2026-08-18, `UpdateNetworkVolumeRequest` ("network volume storage cannot be reduced").
pub fn check_volume_change(before: u32, after: &Maybe<u32>, out: &mut Diagnostics) {
    if after.is_known_and(|after| *after < before) {
        out.error_at(
            Path::attribute("size_gb"),
            "A volume does not shrink",
            format!(
                "It has {before} GB. Keep them, or copy what is in it to another volume, with another `name`."
            ),
        );
    }
}
