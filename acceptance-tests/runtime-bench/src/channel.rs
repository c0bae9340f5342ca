//! A channel's playlists against a file of the same bytes that the origin serves, by the same HTTP server, each on one
//! processor, in turns.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use streamverse_core::ServiceContext;
use streamverse_core::stores::{AssetRecord, open_catalogue};

use crate::figures::{Goal, Rounds, Row};
use crate::load::Asking;
use crate::origin::{context, run_target, units};
use crate::{Outcome, Setup, folder, free_port, tell};

/// Requests for a playlist, of those for a file of the same bytes.
const GOAL: f64 = 0.5;
/// What is asked for: live, what is new of it (a delta update), and the whole of DASH.
const KINDS: &[(&str, &str, &str)] = &[
    ("HLS", "/channel/main/video/720p.m3u8", "live.m3u8"),
    ("HLS delta", "/channel/main/video/720p.m3u8?_HLS_skip=YES", "delta.m3u8"),
    ("DASH", "/channel/main/dash.mpd", "dash.mpd"),
];

/// Measures.
///
/// # Errors
/// What stopped it.
pub async fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let folder = folder()?;
    let cx = context(folder.path(), "fast-channel")?;
    assets(&cx).await?;
    let (ours, theirs) = (free_port()?, free_port()?);
    let mut channel = run_target(setup, "fast-channel", &spec(ours), &cx, Some(setup.cores.server))?;
    channel.listens(ours).await?;
    let mut rows = Vec::new();
    let origin_spec = json!({
        "port": theirs, "replicas": 1, "object_store": "file://here/media", "catalogue": "sqlite://here/main",
        "cache": null, "memory": "256MiB", "allowed_origins": ["*"], "manifest_max_age": "2s",
        "manifest_stale": "60s", "segment_max_age": "30days",
    });
    let mut origin = run_target(setup, "origin", &origin_spec, &cx, Some(setup.cores.server))?;
    origin.listens(theirs).await?;
    for (what, path, name) in KINDS {
        let bytes = answer(ours, path).await?;
        let copy = format!("/vod/copy/1/{name}");
        let file = cx.data_dir.join("stores/media").join(copy.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().ok_or("no folder")?)?;
        std::fs::write(&file, &bytes)?;
        let (live, fixed) = ([(*path).to_owned()], [copy]);
        let asking_ours = Asking { port: ours, paths: &live, connections: 32 };
        let asking_theirs = Asking { port: theirs, paths: &fixed, connections: 32 };
        asking_ours.warm_up(setup).await?;
        asking_theirs.warm_up(setup).await?;
        let (mut per_core, mut median, mut late) = (Rounds::default(), Rounds::default(), Rounds::default());
        for round in 1..=setup.rounds(5) {
            let ours = asking_ours.round(setup, || channel.cpu_seconds()).await?;
            let theirs = asking_theirs.round(setup, || origin.cpu_seconds()).await?;
            per_core.push(ours.requests_per_core(), theirs.requests_per_core());
            median.push(ours.p50, theirs.p50);
            late.push(ours.p99, theirs.p99);
            tell(format!(
                "{what} playlist, round {round}: channel {:.0}, file {:.0} requests per CPU second",
                ours.requests_per_core(),
                theirs.requests_per_core()
            ));
        }
        let (unit, _) = units(false);
        let note = format!("{} bytes", bytes.len());
        let name = format!("channel: {what} playlist, per core / the same bytes as a file");
        rows.push(per_core.row(name, unit, note).goal(Goal::RatioAtLeast(GOAL)));
        let less = "32 connections; less is better";
        rows.push(median.row(format!("channel: {what} playlist, median / file"), "ms", less));
        rows.push(late.row(format!("channel: {what} playlist, 99th percentile / file"), "ms", less));
    }
    Ok(rows)
}

async fn answer(port: u16, path: &str) -> Outcome<Vec<u8>> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}{path}")).await?;
        if answer.status().is_success() {
            return Ok(answer.bytes().await?.to_vec());
        }
        if Instant::now() > until {
            return Err(format!("{path} answers {}", answer.status()).into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A film of two hours and a slate, with a break in every ten minutes.
pub(crate) fn spec(port: u16) -> Value {
    json!({
        "port": port, "object_store": "file://here/media", "catalogue": "sqlite://here/main",
        "start": "2026-01-01T00:00:00Z", "sources": { "film": {}, "slate": {} },
        "schedule": { "order": { "items": ["film"] } }, "slate": "slate",
        "ad_breaks": { "every": "10m", "duration": "30s" },
    })
}

/// What it plays.
pub(crate) async fn assets(cx: &ServiceContext) -> Outcome<()> {
    let catalogue = open_catalogue("sqlite://here/main", cx).await?;
    for (name, segments) in [("film", 1_800), ("slate", 3)] {
        let video = |height: u32| {
            json!({
                "name": format!("{height}p"), "kind": "video", "codecs": "avc1.64001f", "bandwidth": height * 4000,
                "width": height * 16 / 9, "height": height, "frame_rate": "25/1", "timescale": 12_800,
                "init": format!("video/{height}p/init.mp4"), "media": format!("video/{height}p/$Number%05d$.m4s"),
                "first_number": 1, "segments": vec![51_200; segments],
            })
        };
        let audio = json!({
            "name": "stereo", "kind": "audio", "codecs": "mp4a.40.2", "bandwidth": 128_000, "language": "en",
            "channels": 2, "sample_rate": 48_000, "timescale": 48_000, "init": "audio/stereo/init.mp4",
            "media": "audio/stereo/$Number%05d$.m4s", "first_number": 1, "segments": vec![192_000; segments],
        });
        let index = json!({
            "version": 1, "duration_ms": segments * 4000, "segment_ms": 4000,
            "parts": [{ "duration_ms": segments * 4000, "tracks": [video(360), video(720), video(1080), audio] }],
        });
        let place = cx.data_dir.join(format!("stores/media/vod/{name}/1"));
        std::fs::create_dir_all(&place)?;
        std::fs::write(place.join("index.json"), index.to_string())?;
        let record: AssetRecord = serde_json::from_value(json!({
            "name": name, "generation": "1", "title": name, "duration_ms": segments * 4000, "renditions": [],
            "subtitles": [], "bytes": 1, "hls": "hls.m3u8", "dash": "dash.mpd", "thumbnails": null,
        }))?;
        catalogue.publish(&record).await?;
    }
    Ok(())
}
