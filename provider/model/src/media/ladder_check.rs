//! What a ladder refuses, and what follows from it.

use std::time::Duration;

use tfplugin_schema::{Diagnostics, Maybe, Path};

use super::FrameRate;
use super::ladder::{
    Acceleration, AudioCodec, AudioRenditionView, Backend, ChannelLayout, LadderSpec, LadderSpecView,
    VideoCodec, VideoRendition, VideoRenditionView,
};
use super::levels::{Picture, audio_codec_string, codec_string, highest, level_of};
use crate::compute::{GPUS_AS_OF, gpus};

/// NVIDIA's GPUs with an encoder that clouds rent, whose names alone say who made them. One that is in no table is not judged
/// by its model: the worker finds out.
const WITH_ENCODER: &[&str] = &["T4", "A10", "A10G", "L4", "L40", "L40S"];
/// Words of a GPU's name that say who made it.
const MAKERS: &[(&str, Maker)] = &[
    ("NVIDIA", Maker::Nvidia),
    ("Tesla", Maker::Nvidia),
    ("GeForce", Maker::Nvidia),
    ("Quadro", Maker::Nvidia),
    ("RTX", Maker::Nvidia),
    ("GTX", Maker::Nvidia),
    ("Intel", Maker::Intel),
    ("Arc", Maker::Intel),
    ("Iris", Maker::Intel),
    ("UHD", Maker::Intel),
    ("AMD", Maker::Amd),
    ("Radeon", Maker::Amd),
];

/// Who made a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Nvidia,
    Intel,
    Amd,
}

/// Bit rates of AC-3 in kbit/s (ETSI TS 102 366 table 4.1, frame size codes).
const AC3: &[u64] = &[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];

/// Refuses what cannot work. What is not known yet is not judged.
pub fn check(view: &LadderSpecView, out: &mut Diagnostics) {
    // Where the configuration says nothing, the default holds.
    let segment = match &view.segment_duration {
        Maybe::Known(duration) => Some(duration.0),
        Maybe::Null => Some(Duration::from_secs(4)),
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
        accelerated(*acceleration, gpu, out);
    }
    videos(view, segment, out);
    audios(view, out);
}

/// Refuses an encoder that the GPU does not have.
fn accelerated(acceleration: Acceleration, gpu: &str, out: &mut Diagnostics) {
    let others = "acceleration = \"none\"";
    let (name, fits): (&str, &[Maker]) = match acceleration {
        Acceleration::None => return,
        Acceleration::Nvenc => ("NVENC", &[Maker::Nvidia]),
        Acceleration::Qsv => ("Quick Sync", &[Maker::Intel]),
        // NVIDIA's own driver has no VA-API, and the wrapper that others wrote for it decodes only.
        Acceleration::Vaapi => ("an encoder under VA-API", &[Maker::Intel, Maker::Amd]),
    };
    let maker = maker(gpu);
    if let Some(maker) = maker.filter(|maker| !fits.contains(maker)) {
        let own = match maker {
            Maker::Nvidia => "nvenc",
            Maker::Intel => "qsv",
            Maker::Amd => "vaapi",
        };
        out.error_at(LadderSpec::gpu(), "Encoder of another maker", format!("{gpu:?} is made by {maker:?} and has no {name} (table of {GPUS_AS_OF}). Use acceleration = {own:?}, or {others}."));
    } else if acceleration == Acceleration::Nvenc && is_without_encoder(gpu) {
        out.error_at(LadderSpec::gpu(), "GPU without an encoder", format!("{gpu:?} computes, but has no NVENC (table of {GPUS_AS_OF}). Use an L4, L40S, A10, T4 or RTX, or {others}."));
    }
}

fn maker(gpu: &str) -> Option<Maker> {
    let named = MAKERS.iter().find(|(word, _)| has_word(gpu, &[word])).map(|(_, maker)| *maker);
    named.or_else(|| {
        let ours = has_word(gpu, WITH_ENCODER) || is_without_encoder(gpu);
        ours.then_some(Maker::Nvidia)
    })
}

/// Those that compute but have no video encoder, in the table of what clouds rent: `A100` for all kinds of it.
fn is_without_encoder(gpu: &str) -> bool {
    let models = gpus().iter().filter(|it| it.nvenc.is_none());
    models.filter_map(|it| it.name.split(' ').next()).any(|model| has_word(gpu, &[model]))
}

/// By whole words of its name: an `A100-SXM4-80GB` is an A100, an `RTX A1000` is none.
fn has_word(gpu: &str, words: &[&str]) -> bool {
    gpu.split(|it: char| !it.is_ascii_alphanumeric())
        .any(|word| words.iter().any(|model| word.eq_ignore_ascii_case(model)))
}

fn videos(view: &LadderSpecView, segment: Option<Duration>, out: &mut Diagnostics) {
    let Some(all) = view.video.known() else { return };
    let mut seen: Vec<(VideoCodec, u32, u64)> = Vec::new();
    let mut names: Vec<&String> = Vec::new();
    for (at, rendition) in all.iter().enumerate() {
        let Some(rendition) = rendition.known() else { continue };
        let place = || LadderSpec::video().at(at);
        if let Some(name) = rendition.name.known() {
            if names.contains(&name) {
                name_taken(place().name().into(), name, out);
            }
            if name == "audio" || name.starts_with("audio-") {
                out.error_at(
                    place().name(),
                    "Reserved name",
                    "What begins with `audio` is the sound of an asset: give the picture another name.",
                );
            }
            names.push(name);
        }
        let codec = or_default(&rendition.codec, VideoCodec::H264);
        if codec == Some(VideoCodec::Av1) {
            out.error_at(place().codec(), "Codec not available", "This version encodes h264 and hevc. AV1 needs an intermediate format that it does not have yet.");
        }
        if rendition.height.known().is_some_and(|height| height % 2 == 1) {
            out.error_at(
                place().height(),
                "Odd height",
                "Codecs with 4:2:0 colour (ITU-T H.264 table 6-1) need even heights.",
            );
        }
        times(at, rendition, segment, out);
        bit_rates(at, rendition, codec, out);
        if let (Some(codec), Some(&height), Some(&bit_rate)) =
            (codec, rendition.height.known(), rendition.bit_rate.known())
        {
            // Codecs differ in what they need for the same picture: each is a ladder of its own.
            if let Some((_, low, rate)) = seen.iter().find(|(of, other, rate)| {
                *of == codec
                    && ((*other < height && *rate >= bit_rate) || (*other > height && *rate <= bit_rate))
            }) {
                out.error_at(place().bit_rate(), "Bit rates fall as sizes rise", format!("{height} lines at {bit_rate} bit/s beside {low} lines at {rate} bit/s: players take the higher rate for the better picture."));
            }
            seen.push((codec, height, bit_rate));
        }
    }
    if all.is_empty() && view.audio.known().is_some_and(Vec::is_empty) {
        out.error_at(LadderSpec::video(), "Nothing to make", "A ladder needs a video or an audio rendition.");
    }
}

/// Frame rate, segment and picture group, and whether they fit each other.
fn times(at: usize, rendition: &VideoRenditionView, segment: Option<Duration>, out: &mut Diagnostics) {
    let place = || LadderSpec::video().at(at);
    let shown = |duration: Duration| tfplugin_schema::Duration(duration);
    // A player can only switch at a key frame at the beginning of a segment (RFC 8216 section 6.2.4).
    let gop = rendition.gop.known().map(|gop| gop.0);
    if let (Some(gop), Some(segment)) = (gop, segment)
        && !segment.as_nanos().is_multiple_of(gop.as_nanos())
    {
        out.error_at(
            place().gop(),
            "Key frames miss the segments",
            format!(
                "A group of {} does not divide a segment of {}; choose a whole part of it.",
                shown(gop),
                shown(segment)
            ),
        );
        return;
    }
    let Some(text) = rendition.frame_rate.known() else { return };
    let Some(rate) = FrameRate::parse(text) else {
        out.error_at(
            place().frame_rate(),
            "Not a frame rate",
            format!("{text:?} must be a whole number of frames per second from 1 to 120, such as 25, or whole thousands over 1001, such as 30000/1001."),
        );
        return;
    };
    // Segments of uneven lengths are announced with a length that most of them do not have.
    if let Some(segment) = segment.filter(|it| !rate.divides(*it)) {
        out.error_at(
            place().frame_rate(),
            "Segments of broken frames",
            format!(
                "A segment of {} has {:.2} frames at {rate} frames per second. Set segment_duration = \"{}\", or another frame_rate.",
                shown(segment),
                rate.frames_in(segment),
                shown(rate.nearest(segment))
            ),
        );
    } else if let Some(gop) = gop.filter(|it| !rate.divides(*it)) {
        out.error_at(
            place().gop(),
            "Groups of broken frames",
            format!(
                "A group of {} has {:.2} frames at {rate} frames per second: choose a whole part of the segment that has whole frames, or leave gop out.",
                shown(gop),
                rate.frames_in(gop)
            ),
        );
    }
}

/// Ceiling and average, and whether a decoder exists that copes with them.
fn bit_rates(at: usize, rendition: &VideoRenditionView, codec: Option<VideoCodec>, out: &mut Diagnostics) {
    let place = || LadderSpec::video().at(at);
    let Some(&average) = rendition.bit_rate.known() else { return };
    if let Some(&most) = rendition.max_bit_rate.known()
        && most < average
    {
        out.error_at(
            place().max_bit_rate(),
            "Ceiling below the average",
            format!("{most} bit/s cannot hold an average of {average} bit/s."),
        );
        return;
    }
    let (given, where_to): (u64, Path) = match &rendition.max_bit_rate {
        Maybe::Known(most) => (*most, place().max_bit_rate().into()),
        Maybe::Null => (ceiling(average), place().bit_rate().into()),
        Maybe::Unknown => return,
    };
    let (Some(codec), Some(&height)) = (codec, rendition.height.known()) else { return };
    // Of a rate that only the source knows, the least is judged.
    let rate = match &rendition.frame_rate {
        Maybe::Known(text) => FrameRate::parse(text).unwrap_or(FrameRate::whole(1)),
        _ => FrameRate::whole(1),
    };
    if level_of(codec, &Picture::wide(height, rate, given)).is_none() {
        out.error_at(where_to, "Beyond every level", format!("No level of the codec holds {height} lines at {rate} frames per second with up to {given} bit/s over a buffer of two seconds, so no player can be promised to play it. Lower the bit rate, the height or the frame rate."));
    }
}

fn audios(view: &LadderSpecView, out: &mut Diagnostics) {
    let Some(all) = view.audio.known() else { return };
    // Segments, attributes and records are found by name alone.
    let videos = view.video.known().into_iter().flatten();
    let mut names: Vec<&String> = videos.filter_map(|it| it.known()?.name.known()).collect();
    for (at, rendition) in all.iter().enumerate() {
        let Some(rendition) = rendition.known() else { continue };
        if let Some(name) = rendition.name.known() {
            if names.contains(&name) {
                name_taken(LadderSpec::audio().at(at).name().into(), name, out);
            }
            names.push(name);
        }
        sound(at, rendition, out);
    }
}

/// What the codec itself allows of bit rate and sample rate.
fn sound(at: usize, rendition: &AudioRenditionView, out: &mut Diagnostics) {
    let place = || LadderSpec::audio().at(at);
    let sample_rate = or_default(&rendition.sample_rate, 48_000);
    let bit_rate = or_default(&rendition.bit_rate, 128_000);
    let channels = or_default(&rendition.layout, ChannelLayout::Stereo).map(|layout| match layout {
        ChannelLayout::Mono => 1,
        ChannelLayout::Stereo => 2,
        ChannelLayout::FiveOne => 6,
    });
    let mut too_much = |most: Option<u64>, why: &str| {
        if let (Some(most), Some(bit_rate)) = (most, bit_rate)
            && bit_rate > most
        {
            out.error_at(
                Path::from(place().bit_rate()),
                "More than the codec holds",
                format!("{bit_rate} bit/s are more than {most} bit/s: {why}. Lower bit_rate."),
            );
        }
    };
    match or_default(&rendition.codec, AudioCodec::Aac) {
        Some(AudioCodec::Aac) => {
            let most = channels.zip(sample_rate).map(|(channels, rate)| 6 * channels * u64::from(rate));
            too_much(most, "AAC has at most 6144 bits for 1024 samples of a channel (ISO/IEC 14496-3)");
        }
        Some(AudioCodec::Opus) => {
            too_much(channels.map(|it| it * 256_000), "libopus takes at most 256 kbit/s for each channel");
            // RFC 7845 and the Opus mapping of ISO BMFF: always 48 kHz.
            if sample_rate.is_some_and(|rate| rate != 48_000) {
                out.error_at(
                    Path::from(place().sample_rate()),
                    "Opus is 48 kHz",
                    "Opus in MP4 has 48000 samples per second (RFC 7845).",
                );
            }
        }
        Some(AudioCodec::Ac3) => {
            if let Some(rate) = bit_rate.filter(|rate| !AC3.iter().any(|it| it * 1000 == *rate)) {
                let near =
                    AC3.iter().map(|it| it * 1000).min_by_key(|it| it.abs_diff(rate)).unwrap_or(640_000);
                out.error_at(
                    Path::from(place().bit_rate()),
                    "Not a rate of AC-3",
                    format!("AC-3 has nineteen bit rates from 32000 to 640000 bit/s (ETSI TS 102 366); {near} is the nearest to {rate}."),
                );
            }
            if let Some(rate) = sample_rate.filter(|rate| *rate > 48_000) {
                out.error_at(
                    Path::from(place().sample_rate()),
                    "Not a rate of AC-3",
                    format!("AC-3 has at most 48000 samples per second (ETSI TS 102 366), not {rate}."),
                );
            }
        }
        None => {}
    }
}

fn name_taken(place: Path, name: &str, out: &mut Diagnostics) {
    out.error_at(
        place,
        "Name taken",
        format!("Two renditions are called {name:?}; addresses need one each."),
    );
}

/// What holds: the value, or the default where the configuration says nothing. `None` while it is unknown.
fn or_default<T: Clone>(value: &Maybe<T>, default: T) -> Option<T> {
    match value {
        Maybe::Known(value) => Some(value.clone()),
        Maybe::Null => Some(default),
        Maybe::Unknown => None,
    }
}

/// The highest bit rate where none is given.
fn ceiling(average: u64) -> u64 {
    average.saturating_add(average / 2)
}

impl VideoRendition {
    /// The highest bit rate over a buffer of two seconds, in bit/s.
    pub fn ceiling(&self) -> u64 {
        self.max_bit_rate.unwrap_or_else(|| ceiling(self.bit_rate))
    }
}

/// Bytes of an hour of all renditions. A spec that came by import was not checked, so any size must be borne.
pub fn storage_per_hour(spec: &LadderSpec) -> u64 {
    let video = spec.video.iter().map(|it| u128::from(it.bit_rate));
    let audio = spec.audio.iter().map(|it| u128::from(it.bit_rate));
    let second = video.chain(audio).sum::<u128>() / 8;
    u64::try_from(second * 3600).unwrap_or(u64::MAX)
}

/// Codec strings by rendition (RFC 6381), for the frame rate that is given or 60 frames per second, the most that a usual
/// source has.
pub fn codecs(spec: &LadderSpec) -> std::collections::BTreeMap<String, String> {
    let video = spec.video.iter().map(|it| (it.name.clone(), video_codec(it)));
    let audio = spec.audio.iter().map(|it| (it.name.clone(), audio_codec_string(it.codec).to_owned()));
    video.chain(audio).collect()
}

fn video_codec(rendition: &VideoRendition) -> String {
    let rate = rendition.frame_rate.as_deref().and_then(FrameRate::parse).unwrap_or(FrameRate::whole(60));
    let picture = Picture::wide(rendition.height, rate, rendition.ceiling());
    codec_string(rendition.codec, &picture).unwrap_or_else(|| highest(rendition.codec))
}

#[cfg(test)]
mod tests;
