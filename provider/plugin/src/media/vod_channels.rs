//! Which channels still play an asset that is to be destroyed.

use streamverse_model::media::TranscoderSpec;
use streamverse_model::media::channel::FastChannelSpec;
use tfplugin_framework::{Context, Result};

use super::fast_channel::FastChannel;
use super::vod_asset::VodAsset;
use crate::deploy::{self, Deployed as _};
use crate::provider::Streamverse;

/// Says which channels still play it. They go on without it, so that it is no error: whoever takes an asset out of a channel
/// and destroys it in one apply cannot tell Terraform which comes first.
pub(super) async fn warn_of_channels(cx: &Context<Streamverse>, asset: &VodAsset) -> Result<()> {
    let channels = channels_of(cx, asset).await?;
    if !channels.is_empty() {
        cx.warn(
            "A channel still plays the asset",
            format!(
                "{} may play {:?}. What was announced of it no longer loads, neither in what comes within the channel's `horizon` \
                 nor in its catch-up window; after that, slate plays in its place. Take an asset out of a channel first, and \
                 destroy it when the horizon has passed.",
                channels.join(", "),
                asset.name
            ),
        );
    }
    Ok(())
}

/// The channels on the asset's site that may play it and read its catalogue.
async fn channels_of(cx: &Context<Streamverse>, asset: &VodAsset) -> Result<Vec<String>> {
    let provider = cx.provider();
    let transcoder = provider.owner("transcoder", &asset.transcoder)?;
    let site = provider.site(&asset.site)?;
    let asking = |error| {
        deploy::asked(error, format!("asking site {} which channels play {}", asset.site, asset.name))
    };
    let Some(observed) = site.observe(&transcoder).await.map_err(asking)? else { return Ok(Vec::new()) };
    let Ok(made_by) = deploy::found_spec::<TranscoderSpec>(&observed) else { return Ok(Vec::new()) };
    let mut channels = Vec::new();
    for owner in site.list(&transcoder.deployment).await.map_err(asking)? {
        if owner.kind.as_str() != FastChannel::KIND {
            continue;
        }
        let Some(observed) = site.observe(&owner).await.map_err(asking)? else { continue };
        let Ok(spec) = deploy::found_spec::<FastChannelSpec>(&observed) else { continue };
        if spec.catalogue == made_by.catalogue && spec.assets().contains(&asset.name) {
            channels.push(format!("streamverse_fast_channel {:?}", owner.name.as_str()));
        }
    }
    Ok(channels)
}
