//! Functions about codecs and ladders. Pure: the arithmetic is `model::media`'s.

use streamverse_model::media::levels::{self, Picture};
use streamverse_model::media::{FrameRate, LadderSpec, VideoCodec};
use tfplugin_framework::{FunctionError, Parts, function};

use crate::provider::Streamverse;

pub(super) fn register(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    parts.function(default_ladder()).function(codec_string())
}

/// A sensible ladder for sources up to a height.
///
/// Renditions at standard heights, none above it, with the bit rates of Apple's HLS authoring specification, and stereo
/// sound. Take its `video` and `audio` for a `streamverse_transcode_ladder`.
#[function]
fn default_ladder(
    /// Height of the largest picture, in pixels.
    max_height: u32,
    /// Frames per second (`"25"`, `"30000/1001"`); null where each source keeps its own.
    frame_rate: Option<String>,
) -> Result<LadderSpec, FunctionError> {
    let rate = match &frame_rate {
        Some(text) => Some(read_rate(text, 1)?),
        None => None,
    };
    Ok(streamverse_model::media::default_ladder(max_height, rate))
}

/// The codec string of a picture (RFC 6381).
///
/// With the lowest level that holds it, as the `CODECS` of an HLS playlist and the `codecs` of a DASH representation say
/// it: `avc1.64001f`.
#[function]
fn codec_string(
    /// `h264`, `hevc` or `av1`.
    codec: String,
    /// Width in pixels.
    width: u32,
    /// Height in pixels.
    height: u32,
    /// Frames per second: `"25"`, `"30000/1001"`.
    frame_rate: String,
    /// The highest bit rate, in bit/s.
    max_bit_rate: u64,
) -> Result<String, FunctionError> {
    let known = match codec.as_str() {
        "h264" => VideoCodec::H264,
        "hevc" => VideoCodec::Hevc,
        "av1" => VideoCodec::Av1,
        other => return Err(FunctionError::at(0, format!("{other:?} is none of h264, hevc, av1"))),
    };
    let picture = Picture { width, height, rate: read_rate(&frame_rate, 3)?, max_bit_rate };
    levels::codec_string(known, &picture).ok_or_else(|| {
        FunctionError::at(2, format!("no level of {codec} holds {width}×{height} at {frame_rate} frames per second and {max_bit_rate} bit/s"))
    })
}

fn read_rate(text: &str, argument: usize) -> Result<FrameRate, FunctionError> {
    FrameRate::parse(text).ok_or_else(|| {
        FunctionError::at(argument, format!("{text:?} is no frame rate: \"25\", \"30000/1001\""))
    })
}
