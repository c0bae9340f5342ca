//! What a ladder refuses, and what follows from it.

use tfplugin_schema::{Diagnostics, Maybe, Path};

use super::ladder::{
    Acceleration, AudioCodec, AudioRendition, Backend, LadderSpec, LadderSpecView, VideoCodec, VideoRendition,
};

/// GPUs without a video encoder, and those with one, by the names that clouds use (NVIDIA's Video Encode and Decode
/// Support Matrix, read for `facts/spot-gpu.md` on 2026-11-21).
const WITHOUT_ENCODER: &[&str] = &["A100", "H100", "H200", "B200", "A30", "GH200"];

/// Refuses what cannot work. What is not known yet is not judged.
pub fn check(view: &LadderSpecView, out: &mut Diagnostics) {
    // Where the configuration says nothing, the default holds.
    let segment = match &view.segment_duration {
        Maybe::Known(duration) => Some(duration.0),
        Maybe::Null => Some(std::time::Duration::from_secs(4)),
        Maybe::Unknown => None,
    };
    if segment.is_some_and(|it| it.as_millis() < 1000 || it.as_millis() > 15_000) {
        out.error_at(LadderSpec::segment_duration(), "Unusable segment length", "Segments are 1 s to 15 s long: shorter ones cost more requests than they save, longer ones make players wait.");
    }
    if view.backend.known() == Some(&Backend::Gstreamer) {
        out.error_at(
            LadderSpec::backend(),
            "Backend not available",
            "This version drives ffmpeg only. Set backend = \"ffmpeg\".",
        );
    }
    if let (Some(acceleration), Some(gpu)) = (view.acceleration.known(), view.gpu.known()) {
        let lacks = WITHOUT_ENCODER.iter().any(|it| gpu.to_uppercase().contains(it));
        if *acceleration == Acceleration::Nvenc && lacks {
            out.error_at(LadderSpec::gpu(), "GPU without an encoder", format!("An {gpu} computes, but has no NVENC. Use an L4, L40S, A10, T4 or RTX, or acceleration = \"none\"."));
        }
    }
    videos(view, segment, out);
    audios(view, out);
}

fn videos(view: &LadderSpecView, segment: Option<std::time::Duration>, out: &mut Diagnostics) {
    let Some(all) = view.video.known() else { return };
    let mut seen: Vec<(usize, u32, u64)> = Vec::new();
    let mut names: Vec<&String> = Vec::new();
    for (at, rendition) in all.iter().enumerate() {
        let Some(rendition) = rendition.known() else { continue };
        let place = || LadderSpec::video().at(at);
        if let Some(name) = rendition.name.known() {
            if names.contains(&name) {
                out.error_at(
                    place().name(),
                    "Name taken",
                    format!("Two renditions are called {name:?}; addresses need one each."),
                );
            }
            names.push(name);
        }
        if rendition.codec.known() == Some(&VideoCodec::Av1) {
            out.error_at(place().codec(), "Codec not available", "This version encodes h264 and hevc. AV1 needs an intermediate format that it does not have yet.");
        }
        if rendition.height.known().is_some_and(|height| height % 2 == 1) {
            out.error_at(
                place().height(),
                "Odd height",
                "Codecs with 4:2:0 colour (ITU-T H.264 table 6-1) need even heights.",
            );
        }
        // A player can only switch at a key frame at the beginning of a segment (RFC 8216 section 6.2.4).
        if let (Some(gop), Some(segment)) = (rendition.gop.known(), segment)
            && (gop.0.is_zero() || segment.as_millis() % gop.0.as_millis().max(1) != 0)
        {
            out.error_at(
                place().gop(),
                "Key frames miss the segments",
                format!(
                    "A group of {gop} does not divide a segment of {}; choose a whole part of it.",
                    tfplugin_schema::Duration(segment)
                ),
            );
        }
        if let Some(rate) = rendition.frame_rate.known() {
            let (n, d) = rate.split_once('/').unwrap_or((rate, "1"));
            if !matches!((n.parse::<u32>(), d.parse::<u32>()), (Ok(1..=300_000), Ok(1 | 1001))) {
                out.error_at(
                    place().frame_rate(),
                    "Not a frame rate",
                    format!("{rate:?} must be whole, such as 25, or over 1001, such as 30000/1001."),
                );
            }
        }
        if let (Some(most), Some(average)) = (rendition.max_bit_rate.known(), rendition.bit_rate.known())
            && most < average
        {
            out.error_at(
                place().max_bit_rate(),
                "Ceiling below the average",
                format!("{most} bit/s cannot hold an average of {average} bit/s."),
            );
        }
        if let (Some(&height), Some(&bit_rate)) = (rendition.height.known(), rendition.bit_rate.known()) {
            if let Some((_, low, rate)) = seen.iter().find(|(_, other, rate)| {
                (*other < height && *rate >= bit_rate) || (*other > height && *rate <= bit_rate)
            }) {
                out.error_at(place().bit_rate(), "Bit rates fall as sizes rise", format!("{height} lines at {bit_rate} bit/s beside {low} lines at {rate} bit/s: players take the higher rate for the better picture."));
            }
            seen.push((at, height, bit_rate));
        }
    }
    if all.is_empty() && view.audio.known().is_some_and(Vec::is_empty) {
        out.error_at(LadderSpec::video(), "Nothing to make", "A ladder needs a video or an audio rendition.");
    }
}

fn audios(view: &LadderSpecView, out: &mut Diagnostics) {
    let Some(all) = view.audio.known() else { return };
    let mut names: Vec<&String> = Vec::new();
    for (at, rendition) in all.iter().enumerate() {
        let Some(rendition) = rendition.known() else { continue };
        let place = || -> tfplugin_schema::Path { LadderSpec::audio().at(at).name().into() };
        if let Some(name) = rendition.name.known() {
            if names.contains(&name) {
                out.error_at(
                    place(),
                    "Name taken",
                    format!("Two renditions are called {name:?}; addresses need one each."),
                );
            }
            names.push(name);
        }
        // RFC 7845 and the Opus mapping of ISO BMFF: always 48 kHz.
        if rendition.codec.known() == Some(&AudioCodec::Opus)
            && rendition.sample_rate.known().is_some_and(|rate| *rate != 48_000)
        {
            out.error_at(
                Path::from(LadderSpec::audio().at(at).sample_rate()),
                "Opus is 48 kHz",
                "Opus in MP4 has 48000 samples per second (RFC 7845).",
            );
        }
    }
}

/// Bytes of an hour of all renditions.
pub fn storage_per_hour(spec: &LadderSpec) -> u64 {
    let video: u64 = spec.video.iter().map(|it| it.bit_rate).sum();
    let audio: u64 = spec.audio.iter().map(|it| it.bit_rate).sum();
    (video + audio) / 8 * 3600
}

/// Codec strings by rendition (RFC 6381), for the frame rate that is given or 60 frames per second, the most that a usual
/// source has.
pub fn codecs(spec: &LadderSpec) -> std::collections::BTreeMap<String, String> {
    let video = spec.video.iter().map(|it| (it.name.clone(), video_codec(it)));
    let audio = spec.audio.iter().map(|it| (it.name.clone(), audio_codec(it)));
    video.chain(audio).collect()
}

fn video_codec(rendition: &VideoRendition) -> String {
    let width = u64::from(rendition.height) * 16 / 9;
    let rate = rendition.frame_rate.as_deref().unwrap_or("60");
    let (n, d) = rate.split_once('/').unwrap_or((rate, "1"));
    let rate = n.parse::<f64>().unwrap_or(60.0) / d.parse::<f64>().unwrap_or(1.0);
    match rendition.codec {
        VideoCodec::H264 => {
            // ITU-T H.264 table A-1: macroblocks per frame and per second.
            let frame = width.div_ceil(16) * u64::from(rendition.height).div_ceil(16);
            let second = (frame as f64 * rate).ceil() as u64;
            const LEVELS: &[(u8, u64, u64)] = &[
                (30, 1620, 40_500),
                (31, 3600, 108_000),
                (32, 5120, 216_000),
                (40, 8192, 245_760),
                (42, 8704, 522_240),
                (50, 22_080, 589_824),
                (51, 36_864, 983_040),
                (52, 36_864, 2_073_600),
                (60, 139_264, 4_177_920),
            ];
            let level = LEVELS.iter().find(|(_, f, s)| frame <= *f && second <= *s).map_or(62, |it| it.0);
            format!("avc1.6400{level:02x}")
        }
        VideoCodec::Hevc => format!(
            "hvc1.1.6.L{}.90",
            if rendition.height <= 720 {
                93
            } else if rendition.height <= 1080 {
                123
            } else {
                153
            }
        ),
        VideoCodec::Av1 => "av01.0.08M.08".to_owned(),
    }
}

fn audio_codec(rendition: &AudioRendition) -> String {
    match rendition.codec {
        AudioCodec::Aac => "mp4a.40.2",
        AudioCodec::Opus => "opus",
        AudioCodec::Ac3 => "ac-3",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tfplugin_schema::Field as _;

    use super::*;

    fn ladder() -> serde_json::Value {
        json!({
            "segment_duration": "4s", "acceleration": "none", "backend": "ffmpeg", "gpu": null,
            "video": [
                { "name": "720p", "codec": "h264", "height": 720, "frame_rate": "25", "bit_rate": 3_000_000, "max_bit_rate": null, "gop": "2s" },
                { "name": "360p", "codec": "h264", "height": 360, "frame_rate": null, "bit_rate": 800_000, "max_bit_rate": null, "gop": null },
            ],
            "audio": [{ "name": "stereo", "codec": "aac", "layout": "stereo", "bit_rate": 128_000, "sample_rate": 48_000, "loudness": null }],
        })
    }

    fn findings(change: impl FnOnce(&mut serde_json::Value)) -> Vec<String> {
        let mut ladder = ladder();
        change(&mut ladder);
        let spec: LadderSpec = serde_json::from_value(ladder).unwrap();
        let view = LadderSpec::view(&LadderSpec::write(&spec)).unwrap();
        let mut out = Diagnostics::new();
        check(view.known().unwrap(), &mut out);
        out.iter()
            .map(|it| {
                format!("{}: {}", it.path.as_ref().map(ToString::to_string).unwrap_or_default(), it.summary)
            })
            .collect()
    }

    #[test]
    fn a_good_ladder_passes_and_each_fault_is_found_at_its_place() {
        assert_eq!(findings(|_| {}), [""; 0]);
        for (change, wanted) in [
            (json!([0, "gop", "3s"]), "video[0].gop: Key frames miss the segments"),
            (json!([0, "bit_rate", 700_000]), "video[1].bit_rate: Bit rates fall as sizes rise"),
            (json!([1, "name", "720p"]), "video[1].name: Name taken"),
            (json!([1, "codec", "av1"]), "video[1].codec: Codec not available"),
            (json!([1, "height", 361]), "video[1].height: Odd height"),
            (json!([0, "frame_rate", "29.97"]), "video[0].frame_rate: Not a frame rate"),
            (json!([0, "max_bit_rate", 1_000_000]), "video[0].max_bit_rate: Ceiling below the average"),
        ] {
            let found = findings(|ladder| {
                ladder["video"][change[0].as_u64().unwrap() as usize][change[1].as_str().unwrap()] =
                    change[2].clone();
            });
            assert_eq!(found, [wanted]);
        }
        let found = findings(|ladder| {
            ladder["acceleration"] = json!("nvenc");
            ladder["gpu"] = json!("H100");
        });
        assert_eq!(found, ["gpu: GPU without an encoder"]);
    }

    #[test]
    fn codec_strings_and_storage_follow() {
        let spec: LadderSpec = serde_json::from_value(ladder()).unwrap();
        assert_eq!(codecs(&spec)["720p"], "avc1.64001f");
        assert_eq!(codecs(&spec)["stereo"], "mp4a.40.2");
        assert_eq!(storage_per_hour(&spec), (3_000_000 + 800_000 + 128_000) / 8 * 3600);
    }
}
