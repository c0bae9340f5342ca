//! Packaging: joins segments, and lets Shaka Packager write CMAF with an HLS and a DASH manifest.
//!
//! Encoded tracks come as files, packages go to a folder: nothing here knows where either is stored.

use std::path::{Path, PathBuf};
use std::time::Duration;

use streamverse_core::stores::RenditionRecord;
use streamverse_core::tool::{Limits, Tool};
use streamverse_core::{Error, Result, ServiceContext, Stop};
use streamverse_model::media::{PACKAGE_INDEX, PackageIndex, VideoCodec, playlist_name};

use crate::encode::words;
use crate::index;
use crate::work::{make, scratch_failed};

/// A track that is to be packaged.
pub(crate) struct VideoTrack {
    pub(crate) name: String,
    /// Segments joined byte by byte.
    pub(crate) file: PathBuf,
    /// Seconds by which its time stamps were moved.
    pub(crate) shift: u64,
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
    pub(crate) duration_ms: u64,
}

impl Package<'_> {
    /// Writes the package into `folder`, with `scratch` for what lies between.
    pub(crate) async fn write(&self, scratch: &Path, folder: &Path) -> Result<PackageIndex> {
        make(folder).await?;
        let mut descriptors = Vec::new();
        for track in &self.video {
            let joined = scratch.join(format!("video-{}.mp4", track.name));
            self.join_segments(track, &joined).await?;
            let folder = format!("video/{}", track.name);
            // For players that show key frames while they wind (HLS authoring specification for Apple devices).
            let keys = format!(",iframe_playlist_name={folder}/iframes.m3u8");
            descriptors.push(segmented("video", &joined, &folder, &keys));
        }
        for track in &self.audio {
            // The packager knows no "undetermined".
            let language =
                if track.language == "und" { String::new() } else { format!(",language={}", track.language) };
            let extra = format!("{language},hls_group_id=audio,hls_name={}", track.name);
            descriptors.push(segmented("audio", &track.file, &format!("audio/{}", track.name), &extra));
        }
        for (number, track) in self.text.iter().enumerate() {
            let vtt = scratch.join(format!("text-{number}.vtt"));
            self.web_vtt(&track.file, &vtt).await?;
            descriptors.push(text(&vtt, number, track, &self.label_of(track)));
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
        Tool::of(self.cx, "packager").args(args).dir(folder).until(self.stop).limits(limits()).run().await?;
        let part = index::part(folder, &self.video, &self.audio).await?;
        let index = PackageIndex {
            version: 1,
            duration_ms: part.duration_ms,
            segment_ms: self.segment_ms,
            parts: vec![part],
            text: index::text(&self.text),
            protection: None,
        };
        write_json(&folder.join(PACKAGE_INDEX), &index).await?;
        Ok(index)
    }

    /// MPEG-TS whose time stamps were moved becomes MP4 that begins at zero.
    async fn join_segments(&self, track: &VideoTrack, to: &Path) -> Result<()> {
        let mut args = words("-v error -nostdin -y -protocol_whitelist file,pipe -copyts -f mpegts -i");
        args.push(track.file.to_string_lossy().into_owned());
        args.extend(words("-map 0:v:0 -c copy -output_ts_offset"));
        args.push(format!("-{}", track.shift));
        if track.codec == VideoCodec::Hevc {
            // ffmpeg would write hev1, which Apple's players do not take, under a manifest that says hvc1.
            args.extend(words("-tag:v hvc1"));
        }
        args.extend(words("-movflags +faststart -f mp4"));
        args.push(to.to_string_lossy().into_owned());
        Tool::of(self.cx, "ffmpeg").args(args).until(self.stop).limits(limits()).run().await.map(|_| ())
    }

    async fn web_vtt(&self, from: &Path, to: &Path) -> Result<()> {
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

    fn label_of(&self, track: &TextTrack) -> String {
        playlist_name(&track.label)
    }
}

async fn write_json(file: &Path, value: &impl serde::Serialize) -> Result<()> {
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

/// How codec strings of sound begin.
const SOUND: &[&str] = &["mp4a", "opus", "ac-3"];

/// What the master playlist says about the renditions.
pub(crate) fn renditions(
    master: &str,
    package: &Package<'_>,
    bytes: impl Fn(&str) -> u64,
) -> Vec<RenditionRecord> {
    let rate = |folder: &str| bytes(folder) * 8000 / package.duration_ms.max(1);
    let codecs_in = |line: &'_ str| {
        let told = line.strip_prefix("#EXT-X-STREAM-INF:")?.split("CODECS=\"").nth(1)?.split('"').next()?;
        Some(told.split(',').map(str::to_owned).collect::<Vec<_>>())
    };
    let codecs: Vec<String> = master.lines().filter_map(codecs_in).flatten().collect();
    // By its address: two renditions may have the same height. The line before an address describes it (RFC 8216 section
    // 4.3.4.2), sound included.
    let by_name = |name: &str| {
        let address = format!("video/{name}/index.m3u8");
        let mut pairs = master.lines().zip(master.lines().skip(1));
        let found = pairs.find(|(_, uri)| uri.trim() == address);
        let codecs = found.and_then(|(line, _)| codecs_in(line)).unwrap_or_default();
        let sound = |codec: &String| SOUND.iter().any(|it| codec.starts_with(it));
        codecs.into_iter().find(|codec| !sound(codec)).unwrap_or_default()
    };
    let video = package.video.iter().map(|track| RenditionRecord {
        name: track.name.clone(),
        kind: "video".to_owned(),
        codecs: by_name(&track.name),
        bit_rate: rate(&format!("video/{}/", track.name)),
        bytes: bytes(&format!("video/{}/", track.name)),
        width: track.width,
        height: track.height,
    });
    let sound = codecs.iter().find(|codec| SOUND.iter().any(|it| codec.starts_with(it)));
    let audio = package.audio.iter().map(|track| RenditionRecord {
        name: track.name.clone(),
        kind: "audio".to_owned(),
        codecs: sound.cloned().unwrap_or_default(),
        bit_rate: rate(&format!("audio/{}/", track.name)),
        bytes: bytes(&format!("audio/{}/", track.name)),
        width: 0,
        height: 0,
    });
    video.chain(audio).collect()
}
