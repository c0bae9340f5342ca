//! How assets are encrypted and who may do what with their keys. Pure configuration, nothing runs for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Duration, Field as _, Maybe, Schema, Severity};

use super::{DrmSystem, KeyId, Scheme};
use crate::media::{LadderSpec, TrackKind};
use crate::platform::{FilesObject, Name, Object, SpecError};

/// How assets are encrypted: scheme, systems, which tracks share a key and for how long, and where keys come from.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrmConfigSpec {
    /// How samples are encrypted: `cbcs`, which serves all systems, or `cenc` for older players of Widevine and PlayReady.
    #[attribute(default = "cbcs")]
    pub scheme: Scheme,
    /// The systems that players find signalled in manifests and init segments. `clearkey` works with the platform's own licence
    /// service; the others are signalled, and their licences come from their vendors' servers.
    pub systems: Vec<DrmSystem>,
    /// Which tracks share a key.
    #[attribute(default = "track_type")]
    pub key_granularity: KeyGranularity,
    /// How long a key is used before the next one takes over: a whole number of the ladder's segments, `1m` or `1h`. Each
    /// period has keys and init segments of its own; players ask for a licence for each. Where neither this nor
    /// `crypto_period_segments` is set, an asset keeps its keys.
    pub crypto_period: Option<Duration>,
    /// The same as a number of segments.
    #[attribute(validate(range = 1..=100_000))]
    pub crypto_period_segments: Option<u32>,
    /// Where content keys come from: the `url` of a `streamverse_key_service`.
    pub key_service: String,
    /// What licences allow. It changes no byte of a package: a change reaches assets without encrypting them again. It stands in
    /// the catalogue with each asset, where licence services and those that talk to vendors' servers read it.
    #[serde(default)]
    pub usage: Option<UsageSpec>,
}

/// Which tracks share a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyGranularity {
    /// One key for everything: `all`.
    Asset,
    /// One for pictures, one for sound: `video`, `audio`.
    TrackType,
    /// One for sound and one for each tier of pictures: `audio`, `video-sd` (576 lines and less), `video-hd` (1080 and less),
    /// `video-uhd`.
    ResolutionTier,
}

/// What licences allow.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageSpec {
    /// How long a licence is good for, with all its renewals; as long as playback lasts where none is given. The licence
    /// service then refuses to renew it (`licence-expired`), also where the stream had other assets meanwhile; a stream that is
    /// begun anew, or that had no licence for the asset for one and a half `licence_duration`, has all of it again. What must
    /// end for good is a `rental`, or a grant with an end.
    pub expiry: Option<Duration>,
    /// Whether a player may keep a licence and play without a network. The licence service refuses it otherwise
    /// (`offline-not-allowed`).
    #[attribute(default = false)]
    pub offline: bool,
    /// A rental: how long it may wait, and how long it may be watched. Of this and of what the entitlement policy says of
    /// rentals, the shorter holds.
    pub rental: Option<RentalSpec>,
    /// What the player and the screen must have, by what a key is for: `all`, `video`, `audio`, `video-sd`, `video-hd` or
    /// `video-uhd`, as `key_granularity` has them.
    #[serde(default)]
    pub tracks: Option<BTreeMap<String, TrackUsageSpec>>,
}

/// A rental.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RentalSpec {
    /// How long after it was bought the first play must begin.
    #[attribute(default = "30days")]
    pub start_within: Duration,
    /// How long after the first play it may be watched.
    #[attribute(default = "48h")]
    pub watch_within: Duration,
}

/// What the player and the screen must have for a track.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackUsageSpec {
    /// The version of HDCP that the way to the screen must have, `1.0` to `2.3`; none where it is not set.
    #[attribute(validate(one_of = ["1.0", "1.1", "1.2", "1.3", "1.4", "2.0", "2.1", "2.2", "2.3"]))]
    pub hdcp: Option<String>,
    /// Widevine's robustness level.
    #[attribute(validate(one_of = ["SW_SECURE_CRYPTO", "SW_SECURE_DECODE", "HW_SECURE_CRYPTO", "HW_SECURE_DECODE", "HW_SECURE_ALL"]))]
    pub widevine_robustness: Option<String>,
    /// PlayReady's security level: 150 (test), 2000 (software), 3000 (hardware).
    #[attribute(validate(one_of = [150, 2000, 3000]))]
    pub playready_security_level: Option<u32>,
}

/// What a `streamverse_drm_config` gives to assets as its `definition`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrmDefinition {
    /// The configuration's name.
    pub name: Name,
    /// The site that holds it.
    pub site: String,
    /// What it says.
    pub spec: DrmConfigSpec,
}

impl KeyGranularity {
    /// What the key of a track is for. `height` is that of pictures.
    pub fn label(self, kind: TrackKind, height: u32) -> &'static str {
        match (self, kind, height) {
            (KeyGranularity::Asset, ..) => "all",
            (_, TrackKind::Audio, _) => "audio",
            (KeyGranularity::TrackType, ..) => "video",
            (_, _, ..=576) => "video-sd",
            (_, _, ..=1080) => "video-hd",
            _ => "video-uhd",
        }
    }

    /// All labels that there can be.
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            KeyGranularity::Asset => &["all"],
            KeyGranularity::TrackType => &["video", "audio"],
            KeyGranularity::ResolutionTier => &["video-sd", "video-hd", "video-uhd", "audio"],
        }
    }
}

impl DrmDefinition {
    /// The owner's kind on its site.
    pub const KIND: &'static str = "drm-config";

    /// What the site holds: the configuration, as `spec.json`, from which an import reads it. Nothing runs for it.
    ///
    /// # Errors
    /// A spec that is no JSON, which does not happen.
    pub fn objects(spec: &DrmConfigSpec) -> Result<Vec<Object>, SpecError> {
        let files = BTreeMap::from([("spec.json".to_owned(), serde_json::to_string(spec)?)]);
        Ok(vec![Object::Files(FilesObject { name: Name::fixed("spec"), files })])
    }
}

impl DrmConfigSpec {
    /// Refuses what came as JSON and would not have passed as a `streamverse_drm_config`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), SpecError> {
        let written = DrmConfigSpec::view(&DrmConfigSpec::write(self))
            .map_err(|error| SpecError::new(error.to_string()))?;
        let mut found = Diagnostics::new();
        if let Maybe::Known(view) = written {
            super::config_check::check(&view, &mut found);
        }
        match found.iter().find(|it| it.severity == Severity::Error) {
            None => Ok(()),
            Some(first) => Err(SpecError::new(format!("{}: {}", first.summary, first.detail))),
        }
    }

    /// What of it changes the bytes of a package.
    pub fn bytes(&self) -> serde_json::Value {
        let mut systems = self.systems.clone();
        systems.sort();
        serde_json::json!({
            "scheme": self.scheme,
            "systems": systems,
            "key_granularity": self.key_granularity,
            "crypto_period": self.crypto_period,
            "crypto_period_segments": self.crypto_period_segments,
        })
    }

    /// How many segments of a ladder a crypto period has; none where an asset keeps its keys.
    ///
    /// # Errors
    /// A duration that is no whole number of segments.
    pub fn period_segments(&self, ladder: &LadderSpec) -> Result<Option<u64>, SpecError> {
        if let Some(segments) = self.crypto_period_segments {
            return Ok(Some(u64::from(segments.max(1))));
        }
        let Some(Duration(period)) = self.crypto_period else { return Ok(None) };
        let (period, segment) = (period.as_millis(), ladder.segment_duration.0.as_millis().max(1));
        if period == 0 || !period.is_multiple_of(segment) {
            let seconds = |ms: u128| ms as f64 / 1000.0;
            return Err(SpecError::new(format!(
                "a crypto period of {} s is no whole number of the ladder's segments, which are {} s: a key changes where \
                 a segment begins. Choose {} s, or set `crypto_period_segments`",
                seconds(period),
                seconds(segment),
                seconds(period.div_ceil(segment).max(1) * segment)
            )));
        }
        Ok(u64::try_from(period / segment).ok())
    }

    /// The identifiers of the keys of an asset's first crypto period, by what each is for: those of all renditions of a
    /// ladder. A source that is smaller than some of them is encrypted with fewer.
    pub fn key_ids(
        &self,
        deployment: &str,
        asset: &str,
        generation: &str,
        ladder: &LadderSpec,
    ) -> BTreeMap<String, KeyId> {
        let video = ladder.video.iter().map(|it| self.key_granularity.label(TrackKind::Video, it.height));
        let audio = ladder.audio.iter().map(|_| self.key_granularity.label(TrackKind::Audio, 0));
        let id = |label: &str| KeyId::derive(deployment, asset, generation, label, 0);
        video.chain(audio).map(|label| (label.to_owned(), id(label))).collect()
    }
}
