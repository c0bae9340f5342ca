//! `streamverse_media_probe`: what a source file is, as the site that will transcode it sees it.

use std::time::Duration;

use streamverse_model::platform::node::ProbeRequest;
use streamverse_sites::Class;
use tfplugin_framework::schema::{Computed, Path};
use tfplugin_framework::{Context, DataSource, Error, Maybe, Result, Schema, State, data_source};

use crate::deploy;
use crate::placement::Placement;
use crate::provider::Streamverse;

/// Longer than this no plan should wait for a look at a file.
const LIMIT: Duration = Duration::from_secs(300);

/// What a source file is: the site fetches and looks at it, each time that the data source is read.
#[derive(Clone, Schema)]
pub struct MediaProbe {
    /// The site that looks.
    #[attribute(default = "default")]
    pub site: String,
    /// A `file:`, `http:`, `https:` or `s3:` address.
    pub url: String,
    /// The digest that it must have: `sha256:` and 64 hexadecimal digits.
    pub expected_digest: Option<String>,
    /// Whether addresses of private networks may be asked.
    #[attribute(default = false)]
    pub allow_private: bool,
    /// The digest, as found: `sha256:` and 64 hexadecimal digits.
    pub digest: Computed<String>,
    /// Size in bytes.
    pub bytes: Computed<u64>,
    /// Container, as ffprobe names it.
    pub container: Computed<String>,
    /// Length in milliseconds.
    pub duration_ms: Computed<u64>,
    /// The picture, if there is one.
    pub video: Computed<Option<ProbedVideo>>,
    /// Sound tracks, in the file's order.
    pub audio: Computed<Vec<ProbedAudio>>,
    /// What is unusual, in words: a variable frame rate, interlacing, rotation.
    pub remarks: Computed<Vec<String>>,
}

/// A picture track.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct ProbedVideo {
    /// `h264`.
    pub codec: String,
    /// Width in pixels, as shown.
    pub width: u32,
    /// Height in pixels, as shown.
    pub height: u32,
    /// Average frames per second as a fraction: `30000/1001`.
    pub frame_rate: String,
    /// Whether it is HDR (PQ or HLG).
    pub hdr: bool,
}

/// A sound track.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct ProbedAudio {
    /// `aac`.
    pub codec: String,
    /// How many channels.
    pub channels: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// The language as the file says it; `und` where it does not.
    pub language: String,
}

#[data_source(name = "media_probe")]
impl DataSource for MediaProbe {
    type Provider = Streamverse;

    async fn read(cx: &Context<Streamverse>, config: Self) -> Result<State<Self>> {
        let request = ProbeRequest {
            source: config.url.clone(),
            digest: config.expected_digest.clone(),
            allow_private: config.allow_private,
        };
        let owner = cx.provider().owner("media-probe", "look")?;
        let limit = cx.time_left().map_or(LIMIT, |left| left.min(LIMIT));
        let site = deploy::site_of(cx, &config.site)?;
        Placement::of(cx, &config.site).source(Self::url(), &Maybe::Known(config.url.clone()))?;
        let found = site.probe(&owner.deployment, &request, limit).await;
        let facts = found
            .map_err(|error| {
                let at: Path = match (error.class, error.field.as_deref()) {
                    (_, Some("/digest")) => Self::expected_digest().into(),
                    (_, Some(_)) | (Class::Invalid, None) => Self::url().into(),
                    _ => Self::site().into(),
                };
                deploy::asked(error, "looking at the source").at(at)
            })?
            .ok_or_else(|| {
                Error::invalid(format!(
                    "site {} could not look at it within {} s",
                    config.site,
                    limit.as_secs()
                ))
                .at(Self::url())
                .next("See whether the site has room for another job.")
            })?;
        let video = facts.video.map(|it| ProbedVideo {
            codec: it.codec,
            width: it.width,
            height: it.height,
            frame_rate: it.frame_rate,
            hdr: it.hdr,
        });
        let audio = facts.audio.into_iter().map(|it| ProbedAudio {
            codec: it.codec,
            channels: it.channels,
            sample_rate: it.sample_rate,
            language: it.language,
        });
        Ok(config.complete(MediaProbeComputed {
            digest: facts.digest,
            bytes: facts.bytes,
            container: facts.container,
            duration_ms: facts.duration_ms,
            video,
            audio: audio.collect(),
            remarks: facts.remarks,
        }))
    }
}
