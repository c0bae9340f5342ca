//! Packaging: joins segments, and lets Shaka Packager write CMAF with an HLS and a DASH manifest.
//!
//! Encoded tracks come as files, packages go to a folder: nothing here knows where either is stored.

use std::path::{Path, PathBuf};
use std::time::Duration;

use streamverse_core::stores::RenditionRecord;
use streamverse_core::tool::{Limits, Tool};
use streamverse_core::{Error, Result, ServiceContext, Stop};
use streamverse_model::media::{
    AudioCodec, IndexTrack, PackageIndex, Part, TrackKind, VideoCodec, playlist_name,
};

use crate::encode::words;
use crate::index;
use crate::protect::{PeriodKeys, Protect};
use crate::work::{make, scratch_failed};

/// A track that is to be packaged.
pub(crate) struct VideoTrack {
    pub(crate) name: String,
    /// Segments joined byte by byte.
    pub(crate) file: PathBuf,
    /// Milliseconds by which its time stamps were moved: what is before the part, too.
    pub(crate) shift_ms: u64,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// `25` or `30000/1001`.
    pub(crate) frame_rate: String,
    pub(crate) codec: VideoCodec,
}

/// See [`VideoTrack`].
pub(crate) struct AudioTrack {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) language: String,
    pub(crate) channels: u32,
    pub(crate) sample_rate: u32,
}

/// WebVTT or SubRip.
pub(crate) struct TextTrack {
    pub(crate) file: PathBuf,
    pub(crate) language: String,
    pub(crate) label: String,
}

/// Everything of one package.
pub(crate) struct Package<'a> {
    pub(crate) cx: &'a ServiceContext,
    pub(crate) stop: &'a Stop,
    /// Milliseconds of a segment.
    pub(crate) segment_ms: u64,
    pub(crate) video: Vec<VideoTrack>,
    pub(crate) audio: Vec<AudioTrack>,
    pub(crate) text: Vec<TextTrack>,
    /// What it is encrypted with.
    pub(crate) keys: Option<(&'a Protect, &'a PeriodKeys)>,
}

impl Package<'_> {
    /// Writes the package, or a part of one, into `folder`, with `scratch` for what lies between.
    pub(crate) async fn write(&self, scratch: &Path, folder: &Path) -> Result<Part> {
        make(folder).await?;
        let label = |kind, height| match self.keys {
            Some((protect, _)) => format!(",drm_label={}", protect.label(kind, height)),
            None => String::new(),
        };
        let mut descriptors = Vec::new();
        for track in &self.video {
            let joined = scratch.join(format!("video-{}.mp4", track.name));
            self.join_segments(track, &joined).await?;
            let folder = format!("video/{}", track.name);
            let label = label(TrackKind::Video, track.height);
            // For players that show key frames while they wind (HLS authoring specification for Apple devices).
            let extra = format!(",iframe_playlist_name={folder}/iframes.m3u8{label}");
            descriptors.push(segmented("video", &joined, &folder, &extra));
        }
        for track in &self.audio {
            // The packager knows no "undetermined".
            let language =
                if track.language == "und" { String::new() } else { format!(",language={}", track.language) };
            let label = label(TrackKind::Audio, 0);
            let extra = format!("{language},hls_group_id=audio,hls_name={}{label}", track.name);
            descriptors.push(segmented("audio", &track.file, &format!("audio/{}", track.name), &extra));
        }
        for (number, track) in self.text.iter().enumerate() {
            let vtt = scratch.join(format!("text-{number}.vtt"));
            self.web_vtt(&track.file, &vtt).await?;
            descriptors.push(text(&vtt, number, track, &playlist_name(&track.label)));
        }
        let seconds = Duration::from_millis(self.segment_ms).as_secs_f64();
        let mut args = descriptors;
        args.extend([
            format!("--segment_duration={seconds}"),
            "--hls_master_playlist_output=hls.m3u8".to_owned(),
            "--hls_playlist_type=VOD".to_owned(),
            "--mpd_output=dash.mpd".to_owned(),
            "--generate_static_live_mpd".to_owned(),
        ]);
        if let Some(first) = self.audio.first().filter(|first| first.language != "und") {
            args.push(format!("--default_language={}", first.language));
        }
        let tool = Tool::of(self.cx, "packager").dir(folder).until(self.stop).limits(limits());
        match self.keys {
            None => tool.args(args).run().await.map(|_| ()).map_err(crashed)?,
            Some((protect, keys)) => {
                args.extend(protect.args(keys));
                let ran = tool.args(args).input(Protect::flags(keys)).run().await;
                ran.map(|_| ()).map_err(|error| crashed(Protect::without_keys(keys, error)))?;
            }
        }
        let part = index::part(folder, &self.video, &self.audio).await?;
        if let Some((protect, keys)) = self.keys {
            protect.check(&part, keys)?;
        }
        Ok(part)
    }

    /// MPEG-TS whose time stamps were moved becomes MP4 that begins at zero.
    async fn join_segments(&self, track: &VideoTrack, to: &Path) -> Result<()> {
        let mut args = words("-v error -nostdin -y -protocol_whitelist file,pipe -copyts -f mpegts -i");
        args.push(track.file.to_string_lossy().into_owned());
        args.extend(words("-map 0:v:0 -c copy -output_ts_offset"));
        args.push(format!("-{}.{:03}", track.shift_ms / 1000, track.shift_ms % 1000));
        if track.codec == VideoCodec::Hevc {
            // ffmpeg would write hev1, which Apple's players do not take, under a manifest that says hvc1.
            args.extend(words("-tag:v hvc1"));
        }
        args.extend(words("-movflags +faststart -f mp4"));
        args.push(to.to_string_lossy().into_owned());
        Tool::of(self.cx, "ffmpeg").args(args).until(self.stop).limits(limits()).run().await.map(|_| ())
    }

    /// SubRip becomes WebVTT.
    pub(crate) async fn web_vtt(&self, from: &Path, to: &Path) -> Result<()> {
        let mut args = words("-v error -nostdin -y -protocol_whitelist file,pipe -i");
        args.push(from.to_string_lossy().into_owned());
        args.extend(words("-map 0:s:0 -c:s webvtt -f webvtt"));
        args.push(to.to_string_lossy().into_owned());
        let made = Tool::of(self.cx, "ffmpeg").args(args).until(self.stop).limits(limits()).run().await;
        made.map(|_| ()).map_err(|error| match error.code {
            "tool-failed" => {
                Error::permanent("subtitles-broken", "subtitles are neither WebVTT nor SubRip").because(error)
            }
            _ => error,
        })
    }
}

/// Sound from `begin_ms` on, to `end_ms` where there is one: whole packets, those nearest to it, and times from zero.
pub(crate) async fn cut_audio(
    (cx, stop): (&ServiceContext, &Stop),
    (from, to): (&Path, &Path),
    track: (AudioCodec, u32),
    (begin_ms, end_ms): (u64, u64),
) -> Result<()> {
    let (codec, rate) = (track.0, u64::from(track.1));
    // Samples of a packet: AAC-LC, AC-3 (ETSI TS 102 366 section 4.2), 20 ms of Opus.
    let packet = match codec {
        AudioCodec::Aac => 1024,
        AudioCodec::Ac3 => 1536,
        AudioCodec::Opus => rate / 50,
    };
    let nearest = |ms: u64| (ms.saturating_mul(rate) + packet * 500) / (packet * 1000).max(1);
    let (first, end) = (nearest(begin_ms), nearest(end_ms));
    // Aimed between packets, so that no rounding takes another one.
    let seconds = |samples: u64| {
        let micros = u128::from(samples) * 1_000_000 / u128::from(rate.max(1));
        format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    };
    let mut args = words("-v error -nostdin -y -protocol_whitelist file,pipe");
    if first > 0 {
        args.extend(["-ss".to_owned(), seconds(first * packet + packet / 4)]);
    }
    args.extend(["-i".to_owned(), from.to_string_lossy().into_owned()]);
    args.extend(words("-map 0:a:0 -c copy -t"));
    args.push(seconds((end.saturating_sub(first).max(1) * packet).saturating_sub(packet / 2)));
    if first > 0 {
        args.extend(words("-avoid_negative_ts make_zero"));
    }
    args.extend(words("-movflags +faststart -f mp4"));
    args.push(to.to_string_lossy().into_owned());
    Tool::of(cx, "ffmpeg").args(args).until(stop).limits(limits()).run().await.map(|_| ())
}

/// Writes a file of the package.
pub(crate) async fn write_json(file: &Path, value: &impl serde::Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Error::permanent("work", "an index cannot be written").because(error))?;
    let unwritable = |error| scratch_failed(format!("{} cannot be written", file.display()), error);
    tokio::fs::write(file, bytes).await.map_err(unwritable)
}

fn segmented(stream: &str, file: &Path, folder: &str, extra: &str) -> String {
    format!(
        "in={},stream={stream},init_segment={folder}/init.mp4,segment_template={folder}/$Number%05d$.m4s,playlist_name={folder}/index.m3u8{extra}",
        file.display()
    )
}

/// Where a subtitle lies in a package.
pub(crate) fn text_folder(number: usize, track: &TextTrack) -> String {
    format!("text/{number}-{}", track.language)
}

/// Text as one WebVTT file for both: DASH takes it beside segments, HLS as a playlist of one segment.
fn text(file: &Path, number: usize, track: &TextTrack, label: &str) -> String {
    let folder = text_folder(number, track);
    format!(
        "in={},stream=text,segment_template={folder}/$Number%05d$.vtt,playlist_name={folder}/index.m3u8,language={},hls_group_id=text,hls_name={label},dash_label={label}",
        file.display(),
        track.language
    )
}

pub(crate) fn limits() -> Limits {
    Limits { time: Duration::from_secs(4 * 3600), ..Limits::default() }
}

/// What was made of each track, over all parts.
pub(crate) fn renditions(index: &PackageIndex, bytes: impl Fn(&str) -> u64) -> Vec<RenditionRecord> {
    let folder = |track: &IndexTrack| track.init.trim_end_matches("init.mp4").to_owned();
    let first = index.parts.first().map(|part| part.tracks.as_slice()).unwrap_or_default();
    let record = |(number, track): (usize, &IndexTrack)| {
        let parts = index.parts.iter().filter_map(|part| part.tracks.get(number));
        let bytes: u64 = parts.map(|track| bytes(&folder(track))).sum();
        RenditionRecord {
            name: track.name.clone(),
            kind: if track.kind == TrackKind::Video { "video" } else { "audio" }.to_owned(),
            codecs: track.codecs.clone(),
            bit_rate: bytes.saturating_mul(8000) / index.duration_ms.max(1),
            bytes,
            width: track.width,
            height: track.height,
        }
    };
    first.iter().enumerate().map(record).collect()
}
/// The packager's threads crash it now and then on a busy machine, whatever it reads, and what it reads we made: it is run again.
fn crashed(mut error: Error) -> Error {
    error.retry |= error.code == "tool-failed" && error.message.contains("ended with signal");
    error
}
