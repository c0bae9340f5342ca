//! How an asset is encrypted: its configuration, judged with its ladder, and the identifiers of its keys.

use std::collections::BTreeMap;

use streamverse_model::drm::DrmDefinition;
use streamverse_model::media::{LadderSpec, VodJobSpec};
use streamverse_model::platform::SpecError;
use tfplugin_framework::{Error, Result};

use super::vod_asset::{VodAsset, VodAssetView, ladder};
use crate::platform::settled;

/// Reads a definition.
pub(super) fn drm(text: &str) -> Result<DrmDefinition> {
    let refused = Error::invalid("this is no DRM configuration".to_owned())
        .at(VodAsset::drm())
        .next("Give the `definition` of a streamverse_drm_config.");
    serde_json::from_str(text).map_err(|error| refused.because(error))
}

/// The identifiers of an asset's keys, as a state has them.
pub(super) fn key_ids(deployment: &str, job: &VodJobSpec) -> BTreeMap<String, String> {
    let Some(drm) = &job.drm else { return BTreeMap::new() };
    let ids = drm.spec.key_ids(deployment, job.name.as_str(), &job.generation(), &job.ladder);
    ids.into_iter().map(|(label, kid)| (label, kid.to_string())).collect()
}

/// The identifiers of its keys, once all that they follow from is known.
pub(super) fn planned_keys(
    deployment: Option<&str>,
    view: &VodAssetView,
    generation: &str,
) -> Option<BTreeMap<String, String>> {
    let Some(text) = settled(view.drm.as_ref())? else { return Some(BTreeMap::new()) };
    let (drm, ladder) = (drm(text).ok()?, ladder(view.ladder.known()?).ok()?);
    let ids = drm.spec.key_ids(deployment?, view.name.known()?, generation, &ladder);
    Some(ids.into_iter().map(|(label, kid)| (label, kid.to_string())).collect())
}

/// Refuses what a `streamverse_drm_config` would have refused, and a crypto period that the ladder's segments do not fill.
pub(super) fn check_drm(drm: &DrmDefinition, ladder: Option<&LadderSpec>) -> Result<()> {
    let refused = |why: SpecError| Error::invalid(why.to_string()).at(VodAsset::drm());
    drm.spec.check().map_err(|error| {
        refused(error).next("Give the `definition` of a streamverse_drm_config, or correct this one.")
    })?;
    let Some(ladder) = ladder else { return Ok(()) };
    drm.spec.period_segments(ladder).map(|_| ()).map_err(|error| {
        refused(error).next(
            "Change `crypto_period` of the streamverse_drm_config, or `segment_duration` of the ladder.",
        )
    })
}
