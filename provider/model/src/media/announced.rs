//! What manifests will say of a ladder's renditions, known before anything is made: attributes of HLS (RFC 8216 section
//! 4.3.4.2) and of DASH (ISO/IEC 23009-1).
//!
//! They are what the encoder is told. A package's own manifests say what was measured, which is at most this, and leave
//! out renditions that are larger than the source.

use std::collections::BTreeMap;

use tfplugin_schema::Schema;

use super::ladder_check::codecs;
use super::{FrameRate, LadderSpec, VideoRendition};

/// What `EXT-X-STREAM-INF` says of a variant (RFC 8216 section 4.3.4.2).
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct HlsAttributes {
    /// `BANDWIDTH`: bit/s that the picture (its `max_bit_rate`, over two seconds) and the sound of the highest rate take
    /// at most.
    pub bandwidth: u64,
    /// `AVERAGE-BANDWIDTH`: bit/s of both on average.
    pub average_bandwidth: u64,
    /// `RESOLUTION`, as `1280x720`: reckoned for a source of 16:9, for the width follows from the source's shape. Null for
    /// sound alone.
    pub resolution: Option<String>,
    /// `FRAME-RATE`, with three decimals; null where each source keeps its own.
    pub frame_rate: Option<String>,
    /// `CODECS` (RFC 6381): the picture's and those of the sound beside it.
    pub codecs: String,
    /// `VIDEO-RANGE` (RFC 8216bis section 4.4.6.2): `SDR`, for HDR sources are mapped to it. Null for sound alone.
    pub video_range: Option<String>,
}

/// What a `Representation` says (ISO/IEC 23009-1 sections 5.3.5 and 5.3.7).
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct DashAttributes {
    /// `@bandwidth`: a channel of so many bit/s plays it without a stall once two seconds (`MPD@minBufferTime`) are loaded.
    pub bandwidth: u64,
    /// `@codecs` (RFC 6381).
    pub codecs: String,
    /// `@width`, reckoned for a source of 16:9; null for sound.
    pub width: Option<u32>,
    /// `@height`; null for sound.
    pub height: Option<u32>,
    /// `@frameRate`, as `25` or `30000/1001`; null where each source keeps its own, and for sound.
    pub frame_rate: Option<String>,
    /// `@audioSamplingRate`; null for a picture.
    pub audio_sampling_rate: Option<u32>,
}

/// The variants of HLS: by video rendition, or by audio rendition where there is no picture.
pub fn hls(spec: &LadderSpec) -> BTreeMap<String, HlsAttributes> {
    let strings = codecs(spec);
    let codec = |name: &str| strings.get(name).cloned().unwrap_or_default();
    let mut sounds: Vec<String> = spec.audio.iter().map(|it| codec(&it.name)).collect();
    sounds.sort();
    sounds.dedup();
    // A player takes one rendition of the group beside the picture: the largest counts (RFC 8216 section 4.3.4.2).
    let sound = spec.audio.iter().map(|it| it.bit_rate).max().unwrap_or(0);
    if spec.video.is_empty() {
        let alone = spec.audio.iter().map(|it| HlsAttributes {
            bandwidth: it.bit_rate,
            average_bandwidth: it.bit_rate,
            resolution: None,
            frame_rate: None,
            codecs: codec(&it.name),
            video_range: None,
        });
        return spec.audio.iter().map(|it| it.name.clone()).zip(alone).collect();
    }
    let of = |it: &VideoRendition| HlsAttributes {
        bandwidth: it.ceiling().saturating_add(sound),
        average_bandwidth: it.bit_rate.saturating_add(sound),
        resolution: Some(format!("{}x{}", wide(it.height), it.height)),
        frame_rate: rate(it).map(|rate| decimals(rate, 3)),
        codecs: std::iter::once(codec(&it.name)).chain(sounds.iter().cloned()).collect::<Vec<_>>().join(","),
        video_range: Some("SDR".to_owned()),
    };
    spec.video.iter().map(|it| (it.name.clone(), of(it))).collect()
}

/// The representations of DASH, by rendition.
pub fn dash(spec: &LadderSpec) -> BTreeMap<String, DashAttributes> {
    let strings = codecs(spec);
    let codec = |name: &str| strings.get(name).cloned().unwrap_or_default();
    let video = spec.video.iter().map(|it| {
        let attributes = DashAttributes {
            bandwidth: it.ceiling(),
            codecs: codec(&it.name),
            width: Some(wide(it.height)),
            height: Some(it.height),
            frame_rate: rate(it).map(|rate| rate.to_string()),
            audio_sampling_rate: None,
        };
        (it.name.clone(), attributes)
    });
    let audio = spec.audio.iter().map(|it| {
        let attributes = DashAttributes {
            bandwidth: it.bit_rate,
            codecs: codec(&it.name),
            width: None,
            height: None,
            frame_rate: None,
            audio_sampling_rate: Some(it.sample_rate),
        };
        (it.name.clone(), attributes)
    });
    video.chain(audio).collect()
}

fn rate(rendition: &VideoRendition) -> Option<FrameRate> {
    rendition.frame_rate.as_deref().and_then(FrameRate::parse)
}

/// The even width nearest to 16:9, as the encoder chooses it.
fn wide(height: u32) -> u32 {
    u32::try_from((u64::from(height) * 16 + 9) / 18 * 2).unwrap_or(u32::MAX)
}

/// Rounded to so many decimals, without floating point.
fn decimals(rate: FrameRate, count: u32) -> String {
    let scale = 10_u64.pow(count);
    let denominator = u64::from(rate.denominator.max(1));
    let all = (u64::from(rate.numerator) * scale * 2 + denominator) / (denominator * 2);
    format!("{}.{:0width$}", all / scale, all % scale, width = count as usize)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ladder(video: &serde_json::Value, audio: &serde_json::Value) -> LadderSpec {
        serde_json::from_value(json!({
            "segment_duration": "4s", "acceleration": "none", "backend": "ffmpeg", "gpu": null,
            "video": video, "audio": audio,
        }))
        .unwrap()
    }

    fn video(
        name: &str,
        height: u32,
        rate: Option<&str>,
        bit_rate: u64,
        most: Option<u64>,
    ) -> serde_json::Value {
        json!({ "name": name, "codec": "h264", "height": height, "frame_rate": rate, "bit_rate": bit_rate,
            "max_bit_rate": most, "gop": null })
    }

    fn audio(name: &str, codec: &str, bit_rate: u64) -> serde_json::Value {
        json!({ "name": name, "codec": codec, "layout": "stereo", "bit_rate": bit_rate, "sample_rate": 48_000,
            "loudness": null })
    }

    #[test]
    fn what_manifests_will_say_follows_from_the_ladder() {
        let spec = ladder(
            &json!([
                video("720p", 720, Some("30000/1001"), 3_000_000, Some(4_000_000)),
                video("234p", 234, None, 145_000, None),
            ]),
            &json!([audio("low", "aac", 64_000), audio("high", "ac3", 192_000)]),
        );
        let hls = hls(&spec);
        // 4 Mbit/s and the larger sound; 30000/1001 is 29.970; H.264 High at level 3.1.
        assert_eq!(
            hls["720p"],
            HlsAttributes {
                bandwidth: 4_192_000,
                average_bandwidth: 3_192_000,
                resolution: Some("1280x720".to_owned()),
                frame_rate: Some("29.970".to_owned()),
                codecs: "avc1.64001f,ac-3,mp4a.40.2".to_owned(),
                video_range: Some("SDR".to_owned()),
            }
        );
        // One and a half times 145 kbit/s is 217.5; 234 × 16 / 9 is 416.
        assert_eq!((hls["234p"].bandwidth, hls["234p"].average_bandwidth), (217_500 + 192_000, 337_000));
        assert_eq!(
            (hls["234p"].resolution.as_deref(), hls["234p"].frame_rate.as_deref()),
            (Some("416x234"), None)
        );
        let dash = dash(&spec);
        assert_eq!(
            dash["720p"],
            DashAttributes {
                bandwidth: 4_000_000,
                codecs: "avc1.64001f".to_owned(),
                width: Some(1280),
                height: Some(720),
                frame_rate: Some("30000/1001".to_owned()),
                audio_sampling_rate: None,
            }
        );
        assert_eq!((dash["high"].bandwidth, dash["high"].audio_sampling_rate), (192_000, Some(48_000)));
        assert_eq!((dash["low"].codecs.as_str(), dash["low"].width), ("mp4a.40.2", None));
    }

    #[test]
    fn sound_alone_is_a_variant_without_a_picture() {
        let spec = ladder(&json!([]), &json!([audio("stereo", "aac", 128_000)]));
        let found = &hls(&spec)["stereo"];
        assert_eq!((found.bandwidth, found.codecs.as_str()), (128_000, "mp4a.40.2"));
        assert_eq!((&found.resolution, &found.video_range), (&None, &None));
    }

    #[test]
    fn rates_have_three_decimals() {
        for (rate, wanted) in
            [("24000/1001", "23.976"), ("30000/1001", "29.970"), ("60000/1001", "59.940"), ("25", "25.000")]
        {
            assert_eq!(decimals(FrameRate::parse(rate).unwrap(), 3), wanted);
        }
    }
}
