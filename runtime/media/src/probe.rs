//! What a source file is: ffprobe's answer, read and judged.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use streamverse_core::tool::{Limits, Tool};
use streamverse_core::{Error, Job, JobHandle, Result, ServiceContext, Start, Stop, Target};
use streamverse_model::media::{AudioFacts, MediaFacts, SourceSpec, SubtitleFacts, VideoFacts};
use streamverse_model::platform::node::ProbeRequest;

use crate::fetch::fetch;
use crate::work::make;

/// The target `probe`: looks at a source (spec: `ProbeRequest`) and returns its facts.
pub const PROBE: Target = Target {
    name: "probe",
    start: Start::Job(|spec, cx| {
        Box::pin(async move {
            let request: ProbeRequest = serde_json::from_value(spec).map_err(|error| {
                Error::permanent("spec-invalid", "this is no probe's spec").because(error)
            })?;
            Ok(Box::new(ProbeJob { request, cx }) as Box<dyn Job>)
        })
    }),
};

struct ProbeJob {
    request: ProbeRequest,
    cx: ServiceContext,
}

#[async_trait]
impl Job for ProbeJob {
    async fn run(self: Box<Self>, _: JobHandle, stop: Stop) -> Result<Value> {
        let facts = probe_source(&self.request, &self.cx, &stop).await?;
        serde_json::to_value(facts)
            .map_err(|error| Error::permanent("probe", "the facts cannot be told").because(error))
    }
}

/// Fetches a source into scratch space and looks at it.
///
/// # Errors
/// `source-…` when it cannot be had, `source-broken` when it is no media.
pub async fn probe_source(request: &ProbeRequest, cx: &ServiceContext, stop: &Stop) -> Result<MediaFacts> {
    let source = SourceSpec {
        url: request.source.clone(),
        digest: request.digest.clone().unwrap_or_default(),
        allow_private: request.allow_private,
    };
    let folder = cx.scratch_dir.join(format!("probe-{:016x}", rand::random::<u64>()));
    make(&folder).await?;
    let file = folder.join("source");
    let probed = async {
        let (digest, _) = fetch(&source, None, &file, stop).await?;
        probe(&file, digest, cx, stop).await
    }
    .await;
    let _ = tokio::fs::remove_dir_all(&folder).await;
    probed
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<Stream>,
    format: Option<Format>,
}

#[derive(Debug, Deserialize)]
struct Format {
    #[serde(default)]
    format_name: String,
    duration: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stream {
    codec_type: String,
    codec_name: String,
    width: u32,
    height: u32,
    sample_aspect_ratio: Option<String>,
    r_frame_rate: String,
    avg_frame_rate: String,
    field_order: Option<String>,
    color_transfer: Option<String>,
    duration: Option<String>,
    channels: u32,
    sample_rate: Option<String>,
    tags: std::collections::BTreeMap<String, String>,
    side_data_list: Vec<Value>,
    disposition: std::collections::BTreeMap<String, u8>,
}

/// What the file is.
pub(crate) async fn probe(
    file: &Path,
    digest: String,
    cx: &ServiceContext,
    stop: &Stop,
) -> Result<MediaFacts> {
    let bytes = tokio::fs::metadata(file).await.map_or(0, |about| about.len());
    if bytes == 0 {
        return Err(broken("it is empty"));
    }
    let limits = Limits { time: Duration::from_secs(120), memory: 2 << 30, file: 1 << 20 };
    let said = Tool::of(cx, "ffprobe")
        .args(["-v", "error", "-protocol_whitelist", "file", "-show_format", "-show_streams", "-of", "json"])
        .args([file])
        .limits(limits)
        .until(stop)
        .run()
        .await
        .map_err(|error| match error.code {
            "tool-failed" => broken("ffprobe cannot read it").because(error),
            _ => error,
        })?;
    let answer: Answer = serde_json::from_str(&said.stdout)
        .map_err(|error| broken("ffprobe's answer is not understood").because(error))?;
    judge(&answer, digest, bytes)
}

fn judge(answer: &Answer, digest: String, bytes: u64) -> Result<MediaFacts> {
    let format = answer.format.as_ref().ok_or_else(|| broken("it is no media file"))?;
    // Text and pictures are media to ffprobe; they are no source.
    if format.format_name == "tty" || format.format_name.ends_with("_pipe") || format.format_name == "image2"
    {
        return Err(broken("it is no video or audio file"));
    }
    let of = |kind: &'static str| answer.streams.iter().filter(move |stream| stream.codec_type == kind);
    // A cover picture is no video.
    let video = of("video").find(|stream| stream.disposition.get("attached_pic") != Some(&1));
    let mut remarks = Vec::new();
    let picture = video.map(|stream| video_facts(stream, &mut remarks)).transpose()?;
    let audio: Vec<AudioFacts> = of("audio").filter(|stream| stream.channels > 0).map(audio_facts).collect();
    if picture.is_none() && audio.is_empty() {
        return Err(broken("it has neither picture nor sound"));
    }
    // The picture's own length first: sound that goes on after it is cut.
    let told = [video.and_then(|stream| stream.duration.as_deref()), format.duration.as_deref()];
    let seconds = told.into_iter().flatten().find_map(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    if !(seconds.is_finite() && seconds > 0.0 && seconds < 1e7) {
        return Err(broken("it has no length: it may be cut off, or still be written"));
    }
    let subtitles = of("subtitle")
        .map(|stream| SubtitleFacts { codec: stream.codec_name.clone(), language: language(stream) });
    Ok(MediaFacts {
        digest,
        bytes,
        container: format.format_name.clone(),
        duration_ms: (seconds * 1000.0).round() as u64,
        video: picture,
        audio,
        subtitles: subtitles.collect(),
        remarks,
    })
}

fn video_facts(stream: &Stream, remarks: &mut Vec<String>) -> Result<VideoFacts> {
    if stream.width == 0 || stream.height == 0 || stream.width > 16_384 || stream.height > 16_384 {
        return Err(broken("its picture has no usable size"));
    }
    let rotation = stream
        .side_data_list
        .iter()
        .find_map(|data| data.get("rotation").and_then(Value::as_i64))
        .unwrap_or(0);
    let rotation = u32::try_from((-rotation).rem_euclid(360)).unwrap_or(0);
    // Square pixels, upright.
    let (wide, high) = ratio(stream.sample_aspect_ratio.as_deref().unwrap_or("1:1"), ':').unwrap_or((1, 1));
    let shown = (u64::from(stream.width) * wide + high / 2) / high;
    let (mut width, mut height) = (u32::try_from(shown).unwrap_or(stream.width).max(2), stream.height);
    if rotation % 180 == 90 {
        (width, height) = (height, width);
    }
    let real = ratio(&stream.r_frame_rate, '/');
    let average = ratio(&stream.avg_frame_rate, '/').or(real).unwrap_or((25, 1));
    let variable = real.is_some_and(|real| {
        let (a, b) = (real.0 as f64 / real.1 as f64, average.0 as f64 / average.1 as f64);
        (a - b).abs() > 0.01 * b
    });
    let interlaced =
        stream.field_order.as_deref().is_some_and(|order| ["tt", "bb", "tb", "bt"].contains(&order));
    let hdr = stream.color_transfer.as_deref().is_some_and(|it| it == "smpte2084" || it == "arib-std-b67");
    let mut remark = |when: bool, text: &str| {
        if when {
            remarks.push(text.to_owned());
        }
    };
    remark(variable, "frames come at uneven times; packages have a constant rate");
    remark(interlaced, "it is interlaced; packages are not");
    remark(rotation != 0, "it is rotated; packages are upright");
    remark(hdr, "it is HDR; packages are mapped to SDR");
    remark(stream.width % 2 == 1 || stream.height % 2 == 1, "its size is odd; packages have even sizes");
    Ok(VideoFacts {
        codec: stream.codec_name.clone(),
        width,
        height,
        frame_rate: sane_rate(average),
        variable_frame_rate: variable,
        interlaced,
        rotation,
        hdr,
    })
}

/// The rate that packages get: the usual one that is nearest to the average. Others are files of screen recorders and
/// telephones, whose rates mean nothing.
fn sane_rate((numerator, denominator): (u64, u64)) -> String {
    const USUAL: &[(u64, u64)] = &[
        (10, 1),
        (12, 1),
        (15, 1),
        (24_000, 1001),
        (24, 1),
        (25, 1),
        (30_000, 1001),
        (30, 1),
        (48, 1),
        (50, 1),
        (60_000, 1001),
        (60, 1),
    ];
    let rate = numerator as f64 / denominator as f64;
    let far = |it: &(u64, u64)| (it.0 as f64 / it.1 as f64 - rate).abs();
    let near = USUAL.iter().min_by(|a, b| far(a).total_cmp(&far(b)));
    near.map_or_else(|| "25".to_owned(), |(n, d)| fraction(*n, *d))
}

fn fraction(numerator: u64, denominator: u64) -> String {
    if denominator == 1 { numerator.to_string() } else { format!("{numerator}/{denominator}") }
}

fn ratio(text: &str, between: char) -> Option<(u64, u64)> {
    let (a, b) = text.split_once(between)?;
    let (a, b) = (a.parse().ok()?, b.parse().ok()?);
    (a > 0 && b > 0 && a < 1_000_000_000 && b < 1_000_000_000).then_some((a, b))
}

fn audio_facts(stream: &Stream) -> AudioFacts {
    AudioFacts {
        codec: stream.codec_name.clone(),
        channels: stream.channels,
        sample_rate: stream.sample_rate.as_deref().and_then(|rate| rate.parse().ok()).unwrap_or(0),
        language: language(stream),
    }
}

fn language(stream: &Stream) -> String {
    let told = stream.tags.get("language").map(String::as_str).unwrap_or("und");
    let fits = (2..=3).contains(&told.len()) && told.bytes().all(|byte| byte.is_ascii_lowercase());
    if fits { told.to_owned() } else { "und".to_owned() }
}

fn broken(why: &str) -> Error {
    Error::permanent("source-broken", format!("the source cannot be used: {why}"))
}
