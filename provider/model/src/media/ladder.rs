//! A transcode ladder: which renditions are made of a source. Pure configuration, nothing runs for it.

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Duration, Field as _, Maybe, Schema};

use crate::platform::SpecError;

/// The renditions that are made of every source: sizes, bit rates, audio layouts, and the segment length that all of
/// them share.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderSpec {
    /// Length of a segment; all renditions are cut at the same times. A source whose own frame rate is kept and has no
    /// whole frames in it gets the nearest length that has (4.004 s for 4 s at 30000/1001), where sound and pictures would
    /// be cut more than one frame of sound apart otherwise.
    #[attribute(default = "4s")]
    pub segment_duration: Duration,
    /// Video renditions, in any order.
    #[serde(default)]
    pub video: Vec<VideoRendition>,
    /// Audio renditions, in any order; each of the source's languages is made in each of them.
    #[serde(default)]
    pub audio: Vec<AudioRendition>,
    /// What encodes: the processor, or a GPU's encoder. Workers refuse what their ffmpeg has no encoder for; what encoders
    /// of GPUs make was never tried on one.
    #[attribute(default = "none")]
    pub acceleration: Acceleration,
    /// Which program drives the encoder.
    #[attribute(default = "ffmpeg")]
    pub backend: Backend,
    /// The GPU that the workers have, such as `L4`; checked against the table of encoders.
    pub gpu: Option<String>,
}

impl LadderSpec {
    /// Refuses what came as JSON and would not have passed as a `streamverse_transcode_ladder`. Names become parts of paths:
    /// one with a dot or a slash would lead out of its folder.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), SpecError> {
        let names = self.video.iter().map(|it| &it.name).chain(self.audio.iter().map(|it| &it.name));
        for name in names {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if name.is_empty() || name.len() > 32 || name.starts_with('-') || !name.bytes().all(fits) {
                return Err(SpecError::new(format!(
                    "{name:?} is no name of a rendition: it must be 1 to 32 characters of a-z, 0-9 and -"
                )));
            }
        }
        if let Some(one) = self.video.iter().find(|it| !(16..=8192).contains(&it.height)) {
            return Err(SpecError::new(format!(
                "{}: the height is 16 to 8192 lines, not {}",
                one.name, one.height
            )));
        }
        let written =
            LadderSpec::view(&LadderSpec::write(self)).map_err(|error| SpecError::new(error.to_string()))?;
        let mut found = Diagnostics::new();
        if let Maybe::Known(view) = written {
            super::ladder_check::check(&view, &mut found);
        }
        match found.iter().next() {
            None => Ok(()),
            Some(first) => Err(SpecError::new(format!("{}: {}", first.summary, first.detail))),
        }
    }
}

/// One video rendition.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoRendition {
    /// Unique in the ladder, part of addresses: `720p`.
    #[attribute(validate(length = 1..=32, regex("^[a-z0-9][a-z0-9-]*$", says = "must be a-z, 0-9 and -")))]
    pub name: String,
    /// The codec.
    #[attribute(default = "h264")]
    pub codec: VideoCodec,
    /// Height in pixels; even. The width follows from the source's shape.
    #[attribute(validate(range = 16..=8192))]
    pub height: u32,
    /// Frames per second as a number or a fraction (`"25"`, `"30000/1001"`); the source's own where none is given.
    pub frame_rate: Option<String>,
    /// Average bit rate in bit/s. The highest level of any codec (6.2 of H.264) ends at 1 Gbit/s.
    #[attribute(validate(range = 10_000..=1_000_000_000))]
    pub bit_rate: u64,
    /// The highest bit rate over a buffer of two seconds, in bit/s; one and a half times `bit_rate` where none is given.
    #[attribute(validate(range = 10_000..=1_000_000_000))]
    pub max_bit_rate: Option<u64>,
    /// Distance between key frames; divides the segment. The segment's length where none is given.
    pub gop: Option<Duration>,
}

/// One audio rendition.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioRendition {
    /// Unique in the ladder, part of addresses: `stereo`.
    #[attribute(validate(length = 1..=32, regex("^[a-z0-9][a-z0-9-]*$", says = "must be a-z, 0-9 and -")))]
    pub name: String,
    /// The codec.
    #[attribute(default = "aac")]
    pub codec: AudioCodec,
    /// Which loudspeakers.
    #[attribute(default = "stereo")]
    pub layout: ChannelLayout,
    /// Bit rate in bit/s.
    #[attribute(default = 128_000, validate(range = 8_000..=1_536_000))]
    pub bit_rate: u64,
    /// Samples per second.
    #[attribute(default = 48_000, validate(one_of = [32_000, 44_100, 48_000, 96_000]))]
    pub sample_rate: u32,
    /// Integrated loudness to normalise to, in LUFS (EBU R 128 asks for -23); the source's own where none is given.
    #[attribute(validate(range = -40.0..=-5.0))]
    pub loudness: Option<f64>,
}

/// A video codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoCodec {
    /// H.264 / AVC (ITU-T H.264): every player has it.
    H264,
    /// H.265 / HEVC (ITU-T H.265).
    Hevc,
    /// AV1 (AOMedia).
    Av1,
}

/// An audio codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioCodec {
    /// AAC-LC (ISO/IEC 14496-3).
    Aac,
    /// Opus (RFC 6716).
    Opus,
    /// Dolby Digital (ETSI TS 102 366).
    Ac3,
}

/// Which loudspeakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelLayout {
    /// One.
    Mono,
    /// Left and right.
    Stereo,
    /// Five and a subwoofer.
    #[attribute(name = "5.1")]
    #[serde(rename = "5.1")]
    FiveOne,
}

impl ChannelLayout {
    /// How many loudspeakers.
    pub fn channels(self) -> u32 {
        match self {
            ChannelLayout::Mono => 1,
            ChannelLayout::Stereo => 2,
            ChannelLayout::FiveOne => 6,
        }
    }
}

/// What encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acceleration {
    /// The processor.
    None,
    /// NVIDIA's encoder.
    Nvenc,
    /// Intel Quick Sync.
    Qsv,
    /// Whatever the VA-API driver has.
    Vaapi,
}

/// Which program drives the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// ffmpeg.
    Ffmpeg,
    /// GStreamer.
    Gstreamer,
}
