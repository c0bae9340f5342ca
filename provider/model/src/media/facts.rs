//! What a source file is, as a probe found it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a source file is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MediaFacts {
    /// `sha256:` and 64 hexadecimal digits, as found.
    pub digest: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Container, as ffprobe names it: `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// The picture, if there is one.
    pub video: Option<VideoFacts>,
    /// Sound tracks, in the file's order.
    pub audio: Vec<AudioFacts>,
    /// Subtitles inside of the file.
    pub subtitles: Vec<SubtitleFacts>,
    /// What is unusual, in words: a variable frame rate, interlacing, rotation.
    pub remarks: Vec<String>,
}

/// A picture track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VideoFacts {
    /// `h264`.
    pub codec: String,
    /// Width in pixels, as shown: after rotation and with square pixels.
    pub width: u32,
    /// Height in pixels, as shown.
    pub height: u32,
    /// Average frames per second as a fraction: `30000/1001`.
    pub frame_rate: String,
    /// Whether frames come at uneven times.
    pub variable_frame_rate: bool,
    /// Whether lines of two fields are interleaved.
    pub interlaced: bool,
    /// Clockwise, in degrees: 0, 90, 180, 270.
    pub rotation: u32,
    /// Whether it is HDR (PQ or HLG).
    pub hdr: bool,
}

/// A sound track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AudioFacts {
    /// `aac`.
    pub codec: String,
    /// How many channels.
    pub channels: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// The language as the file says it; `und` where it does not.
    pub language: String,
}

/// Subtitles inside of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SubtitleFacts {
    /// `subrip`.
    pub codec: String,
    /// The language as the file says it; `und` where it does not.
    pub language: String,
}
