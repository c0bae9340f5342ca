//! A channel's playlists against a file of the same bytes that the origin serves, by the same HTTP server, each on one
//! processor, in turns; and a thousand channels in one process, idle and asked.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use streamverse_core::stores::{AssetRecord, open_catalogue};
use streamverse_core::{Ready, ServiceContext, Start, Stop};
use streamverse_model::platform::Owner;

use crate::children::{Server, pinned};
use crate::figures::{Goal, Rounds, Row};
use crate::load::Asking;
use crate::origin::{context, run_target, units};
use crate::{Outcome, Setup, folder, free_port, tell};

/// Requests for a playlist, of those for a file of the same bytes.
const GOAL: f64 = 0.5;
/// Channels in one process.
const MANY: u32 = 1_000;
/// How long a thousand channels may take to announce their first hours, each with what is durable.
const BEGIN: Duration = Duration::from_secs(240);

/// Measures.
///
/// # Errors
/// What stopped it.
pub async fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let mut rows = playlists(setup).await?;
    rows.extend(many(setup).await?);
    Ok(rows)
}

async fn playlists(setup: &Setup) -> Outcome<Vec<Row>> {
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
    for (what, path) in [("HLS", "/channel/main/video/720p.m3u8"), ("DASH", "/channel/main/dash.mpd")] {
        let bytes = answer(ours, path).await?;
        let copy = format!("/vod/copy/1/{}", path.rsplit('/').next().unwrap_or_default());
        let file = cx.data_dir.join("stores/media").join(copy.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().ok_or("no folder")?)?;
        std::fs::write(&file, &bytes)?;
        let (live, fixed) = ([path.to_owned()], [copy]);
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

async fn many(setup: &Setup) -> Outcome<Vec<Row>> {
    let folder = folder()?;
    let cx = context(folder.path(), "fast-channel")?;
    assets(&cx).await?;
    let port = free_port()?;
    let started = Instant::now();
    // Each has connections of its own to the catalogue: more files than a process usually may have.
    let mut command = pinned(setup.cores.server, "sh");
    command.args(["-c", "ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" \"$@\""]).arg(std::env::current_exe()?);
    command
        .args(["--channels", &MANY.to_string(), "--port", &port.to_string(), "--folder"])
        .arg(folder.path());
    let mut server = Server::start("channels", &mut command, &folder.path().join("log"))?;
    let ready = folder.path().join("ready");
    while !ready.is_file() {
        if started.elapsed() > BEGIN {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            let text: String = log.chars().rev().take(2000).collect::<Vec<_>>().into_iter().rev().collect();
            return Err(format!("a thousand channels are not ready: {text}").into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    server.listens(port).await?;
    tell(format!("{MANY} channels are ready after {:.1} s", started.elapsed().as_secs_f64()));
    let (mut memory, mut idle, mut busy) = (Rounds::default(), Rounds::default(), Rounds::default());
    let paths = ["/channel/c0/video/720p.m3u8".to_owned(), "/channel/c0/dash.mpd".to_owned()];
    let asking = Asking { port, paths: &paths, connections: 32 };
    for round in 1..=setup.rounds(3) {
        let (before, since) = (server.cpu_seconds(), Instant::now());
        tokio::time::sleep(Duration::from_secs(10)).await;
        idle.push_alone((server.cpu_seconds() - before) / since.elapsed().as_secs_f64() * 100.0);
        let load = asking.round(setup, || server.cpu_seconds()).await?;
        busy.push_alone(load.requests_per_core());
        memory.push_alone(resident(server.pid())?);
        tell(format!(
            "{MANY} channels, round {round}: {:.0} requests per CPU second",
            load.requests_per_core()
        ));
    }
    Ok(vec![
        memory.row(format!("{MANY} channels in one process: resident memory"), "MB", "after load"),
        idle.row(format!("{MANY} channels in one process: idle"), "% of a core", "less is better"),
        busy.row(format!("{MANY} channels in one process: playlists of one of them"), units(false).0, ""),
    ])
}

/// Runs many channels in this process until it is ended.
///
/// # Errors
/// A channel that cannot be started.
pub async fn serve_many(count: u32, port: u16, folder: &Path) -> Outcome<()> {
    let base = context(folder, "fast-channel")?;
    let Start::Service(start) = streamverse_delivery::FAST_CHANNEL.start else {
        return Err("a channel is no service".into());
    };
    let stop = Stop::new();
    let mut all = Vec::new();
    for number in 0..count {
        let owner = Owner::new("bench", "fast-channel", &format!("c{number}"))?;
        let cx = ServiceContext { owner, metrics: streamverse_core::Metrics::new(), ..base.clone() };
        let service = start(spec(if number == 0 { port } else { 0 }), cx).await?;
        let (ready, is_ready) = Ready::new();
        tokio::spawn(service.run(ready, stop.clone()));
        all.push(is_ready);
    }
    for ready in &mut all {
        ready.wait_for(|ready| *ready).await?;
    }
    std::fs::write(folder.join("ready"), "")?;
    std::future::pending::<()>().await;
    Ok(())
}

/// Resident memory in megabytes.
fn resident(pid: u32) -> Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0 / 1e6)
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
fn spec(port: u16) -> Value {
    json!({
        "port": port, "object_store": "file://here/media", "catalogue": "sqlite://here/main",
        "start": "2026-01-01T00:00:00Z", "sources": { "film": {}, "slate": {} },
        "schedule": { "order": { "items": ["film"] } }, "slate": "slate",
        "ad_breaks": { "every": "10m", "duration": "30s" },
    })
}

async fn assets(cx: &ServiceContext) -> Outcome<()> {
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
