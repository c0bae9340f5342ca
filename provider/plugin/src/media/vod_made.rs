//! The data source `streamverse_vod_asset`: what was made of an asset, as its job tells.

use streamverse_model::media::MadeAsset;
use tfplugin_framework::schema::Computed;
use tfplugin_framework::{Context, DataSource, Result, Schema, State, data_source};

use super::vod_asset::VodAsset;
use crate::deploy::{self, Deployed as _, Look};
use crate::provider::Streamverse;

/// What was made of an asset: its renditions and their sizes. All of it is null, with a warning, while the job is not done;
/// a later plan fills it.
#[derive(Clone, Schema)]
pub struct VodMade {
    /// The name of a `streamverse_vod_asset`.
    pub name: String,
    /// Its site.
    #[attribute(default = "default")]
    pub site: String,
    /// What is published, as a digest of sources and ladder: the second part of addresses.
    pub generation: Computed<Option<String>>,
    /// Length in milliseconds.
    pub duration_ms: Computed<Option<u64>>,
    /// Bytes of everything that was made: renditions, subtitles, thumbnails, manifests.
    pub bytes: Computed<Option<u64>>,
    /// The renditions, the pictures first.
    pub renditions: Computed<Option<Vec<MadeRendition>>>,
}

/// A rendition that was made.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct MadeRendition {
    /// Its name in the ladder, with the number of the source's track where it is sound: `720p`, `stereo-0`.
    pub name: String,
    /// Codec string (RFC 6381), as the manifest has it.
    pub codecs: String,
    /// Width in pixels; null for sound.
    pub width: Option<u32>,
    /// Height in pixels; null for sound.
    pub height: Option<u32>,
    /// Bit/s on average, as made.
    pub bit_rate: u64,
    /// Bytes.
    pub bytes: u64,
}

#[data_source(name = "vod_asset")]
impl DataSource for VodMade {
    type Provider = Streamverse;

    async fn read(cx: &Context<Streamverse>, config: Self) -> Result<State<Self>> {
        let observed = match deploy::look_for(cx, VodAsset::KIND, &config.name, &config.site).await? {
            Look::Found(observed) => Some(observed),
            Look::Unknown => None,
            // Terraform reads this while planning, before the first apply has made the asset.
            Look::Gone => {
                cx.warn_at(
                    Self::name(),
                    format!("There is no asset {:?} yet", config.name),
                    format!(
                        "Site {} has none of that name. What was made is null until a later plan.",
                        config.site
                    ),
                );
                None
            }
        };
        let job = observed.as_ref().and_then(|it| it.object("job/vod-asset"));
        let result = job.and_then(|status| status.result.as_ref());
        let Some(made) = result.and_then(MadeAsset::read) else {
            if let Some(job) = job {
                cx.warn(
                    format!("{} is not made yet", config.name),
                    format!("{}. What was made is null until a later plan.", job.line()),
                );
            }
            return Ok(config.complete(VodMadeComputed {
                generation: None,
                duration_ms: None,
                bytes: None,
                renditions: None,
            }));
        };
        let shown = |pixels: u32| (pixels > 0).then_some(pixels);
        let renditions = made.renditions.into_iter().map(|it| MadeRendition {
            name: it.name,
            codecs: it.codecs,
            width: shown(it.width),
            height: shown(it.height),
            bit_rate: it.bit_rate,
            bytes: it.bytes,
        });
        Ok(config.complete(VodMadeComputed {
            generation: Some(made.generation),
            duration_ms: Some(made.duration_ms),
            bytes: Some(made.bytes),
            renditions: Some(renditions.collect()),
        }))
    }
}
