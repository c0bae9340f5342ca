//! What a package holds, for those who make other manifests of it: `index.json` beside its manifests.
//!
//! Times are whole numbers of a track's own timescale; nothing is rounded.

use serde::{Deserialize, Serialize};

use crate::drm::KeyId;

/// The name of the file in a package's folder.
pub const PACKAGE_INDEX: &str = "index.json";

/// What a package holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageIndex {
    /// 1.
    pub version: u32,
    /// Milliseconds of the whole, rounded up.
    pub duration_ms: u64,
    /// Milliseconds of a segment but for the last of a part.
    pub segment_ms: u64,
    /// What follows one another: one part for each crypto period, one where there is none. Each begins at zero and has init
    /// segments of its own.
    pub parts: Vec<Part>,
    /// Subtitles, each one WebVTT file for the whole asset.
    #[serde(default)]
    pub text: Vec<TextFile>,
    /// How it is encrypted; none where it is clear.
    #[serde(default)]
    pub protection: Option<Protection>,
}

/// A stretch of a package that is encrypted with the same keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Milliseconds, rounded up: the longest of its tracks.
    pub duration_ms: u64,
    /// Its tracks: the same names in the same order in every part. Every video track has the same number of segments, which
    /// begin at the same times.
    pub tracks: Vec<IndexTrack>,
}

/// What a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// A track of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexTrack {
    /// As in the ladder; for sound with the language where there are several: unique among those of its kind.
    pub name: String,
    /// Pictures or sound.
    pub kind: TrackKind,
    /// Codec string (RFC 6381).
    pub codecs: String,
    /// Bit/s at its peak, as a manifest says it.
    pub bandwidth: u64,
    /// Width in pixels; 0 for sound.
    #[serde(default)]
    pub width: u32,
    /// Height in pixels; 0 for sound.
    #[serde(default)]
    pub height: u32,
    /// Frames per second as a fraction, `30000/1001`; empty for sound.
    #[serde(default)]
    pub frame_rate: String,
    /// Sound's language (BCP 47); empty where it is not known.
    #[serde(default)]
    pub language: String,
    /// Channels of sound; 0 for pictures.
    #[serde(default)]
    pub channels: u32,
    /// Samples per second of sound; 0 for pictures.
    #[serde(default)]
    pub sample_rate: u32,
    /// Units of a second for what follows.
    pub timescale: u32,
    /// When what the first segment shows begins, in units: after its edit list (ISO/IEC 14496-12 section 8.6.6).
    #[serde(default)]
    pub begins: u64,
    /// Its init segment, relative to the package.
    pub init: String,
    /// Its media segments, relative to the package, with `$Number$` or `$Number%05d$` (ISO/IEC 23009-1 section 5.3.9.4.4).
    pub media: String,
    /// Number of the first segment in `media`.
    pub first_number: u64,
    /// The length of each segment, in units.
    pub segments: Vec<u64>,
    /// The key of its samples; none where they are clear.
    #[serde(default)]
    pub kid: Option<KeyId>,
}

impl IndexTrack {
    /// The path of segment `number`, counted from 0, relative to the package.
    pub fn segment(&self, number: u64) -> String {
        let number = self.first_number.saturating_add(number);
        self.media.replace("$Number%05d$", &format!("{number:05}")).replace("$Number$", &number.to_string())
    }
}

/// Subtitles as one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextFile {
    /// BCP 47.
    pub language: String,
    /// What a player's menu says.
    pub label: String,
    /// The WebVTT file, relative to the package.
    pub file: String,
}

/// How a package is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// `cenc` or `cbcs` (ISO/IEC 23001-7).
    pub scheme: String,
    /// The constant IV of `cbcs`, 32 hexadecimal digits.
    #[serde(default)]
    pub iv: Option<String>,
    /// The systems that it is signalled for: `clearkey`, `widevine`, `playready`, `fairplay`.
    pub systems: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_path_has_its_number() {
        let track: IndexTrack = serde_json::from_value(serde_json::json!({
            "name": "720p", "kind": "video", "codecs": "avc1.64001f", "bandwidth": 1, "timescale": 12800,
            "init": "video/720p/init.mp4", "media": "video/720p/$Number%05d$.m4s", "first_number": 1, "segments": [51200],
        }))
        .unwrap();
        assert_eq!(track.segment(0), "video/720p/00001.m4s");
        assert_eq!(track.segment(99_999), "video/720p/100000.m4s");
    }
}
