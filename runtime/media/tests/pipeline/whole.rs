//! An asset that goes well, again, with another source, and with a worker that dies.

use std::time::Duration;

use serde_json::json;
use streamverse_core::log::open_log;
use streamverse_core::stores::open_catalogue;
use streamverse_media::{PROBE, VOD, VOD_REMOVE};
use streamverse_model::media::{LadderSpec, PACKAGE_INDEX, PackageIndex, TrackKind, ladder_check};

use crate::kit::{Platform, digest, spec};

const CLIP: &str = "-f lavfi -i testsrc2=s=640x360:r=30000/1001:d=9 -f lavfi -i sine=440:d=9 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -c:a aac";

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_is_packaged_without_a_gap_and_published_once() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", CLIP);
    let cx = platform.cx("one");
    let metrics = cx.metrics.clone();
    let (stop, worker) = platform.worker_in(cx, platform.transcoder()).await;
    let mut spec = spec("film", &clip);
    let subtitles = platform.path("en.srt");
    std::fs::write(&subtitles, "1\n00:00:01,000 --> 00:00:02,500\nHello, world\n").unwrap();
    spec["asset"]["subtitles"] = json!([{
        "language": "en", "label": "English", "source": { "url": format!("file://{}", subtitles.display()), "digest": digest(&subtitles), "allow_private": false }
    }]);
    let made = platform.job(&VOD, spec.clone()).await.unwrap();
    assert_eq!(made["renditions"].as_array().unwrap().len(), 3, "{made}");
    let generation = made["generation"].as_str().unwrap();
    let package = platform.path("data/stores/media/vod/film").join(generation);
    for name in ["hls.m3u8", "dash.mpd", "thumbnails/index.vtt", "thumbnails/sprite-001.jpg"] {
        assert!(package.join(name).is_file(), "{name}");
    }
    index_agrees(&platform, &package);
    let master = std::fs::read_to_string(package.join("hls.m3u8")).unwrap();
    assert!(master.contains("LANGUAGE=\"en\"") && master.contains("RESOLUTION=640x360"), "{master}");
    // Nine seconds at 30000/1001: 270 frames whose times go on evenly from zero.
    for rendition in ["video/360p", "video/180p"] {
        let file = platform.joined(&package, rendition);
        let times = platform.probe(&file, "-select_streams v -show_entries frame=pts -of csv=p=0");
        let times: Vec<i64> = times.iter().filter_map(|line| line.split(',').next()?.parse().ok()).collect();
        assert_eq!((times.len(), times[0]), (270, 0), "{rendition}");
        let steps: std::collections::BTreeSet<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.len() == 1, "{rendition}: {steps:?}");
    }
    let segments = |rendition: &str| std::fs::read_dir(package.join(rendition)).unwrap().count();
    assert_eq!(segments("video/360p"), segments("video/180p"), "all renditions are cut at the same times");
    assert!(
        !platform.path("data/stores/media/work/film").join(generation).join("source").exists(),
        "work is removed"
    );

    // Again: nothing is encoded.
    let log = open_log("embedded://here/main", &platform.cx("test")).await.unwrap();
    let before = log.read_all("encoded").await.unwrap().len();
    assert_eq!(before, 5 + 5 + 1);
    // What a rented worker's agent reads: the last commit may still be on its way.
    let said = metrics.text();
    assert!(said.contains("streamverse_transcoder_tasks_total "), "{said}");
    assert!(!said.contains("streamverse_transcoder_busy_seconds_total 0.0\n"), "{said}");
    assert_eq!(platform.job(&VOD, spec.clone()).await.unwrap()["generation"], made["generation"]);
    assert_eq!(log.read_all("encoded").await.unwrap().len(), before);

    // Another title: shown, and nothing is encoded.
    spec["asset"]["title"] = json!("Another title");
    platform.job(&VOD, spec.clone()).await.unwrap();
    let catalogue = open_catalogue("sqlite://here/main", &platform.cx("test")).await.unwrap();
    assert_eq!(catalogue.asset("film").await.unwrap().unwrap().title, "Another title");
    assert_eq!(log.read_all("encoded").await.unwrap().len(), before);

    // Another source: beside the old one, then shown.
    let other = platform.draw("other.mp4", &CLIP.replace("440", "880"));
    spec["asset"]["source"]["url"] = json!(format!("file://{}", other.display()));
    spec["asset"]["source"]["digest"] = json!(digest(&other));
    let second = platform.job(&VOD, spec).await.unwrap();
    assert_ne!(second["generation"], made["generation"]);
    assert!(package.join("hls.m3u8").is_file(), "viewers in the middle of the old one go on");
    assert_eq!(
        catalogue.asset("film").await.unwrap().unwrap().generation,
        second["generation"].as_str().unwrap()
    );

    // Taken away: nothing is left.
    platform.job(&VOD_REMOVE, json!({ "name": "film", "transcoder": "main" })).await.unwrap();
    assert!(catalogue.assets().await.unwrap().is_empty());
    let left = platform.probe(&platform.path("data/stores/media/vod/film/none"), "");
    assert!(left.is_empty() && !package.join("hls.m3u8").exists());
    stop.stop();
    worker.await.unwrap().unwrap();
    platform.end().await;
}

/// What `index.json` says is what ffprobe finds and what the packager's manifests say.
fn index_agrees(platform: &Platform, package: &std::path::Path) {
    let index: PackageIndex =
        serde_json::from_slice(&std::fs::read(package.join(PACKAGE_INDEX)).unwrap()).unwrap();
    assert_eq!((index.version, index.parts.len(), index.segment_ms), (1, 1, 2000));
    assert_eq!(index.duration_ms, 9009);
    assert!(package.join(&index.text[0].file).is_file() && index.text[0].language == "en");
    let mpd = std::fs::read_to_string(package.join("dash.mpd")).unwrap();
    let names: Vec<_> = index.parts[0].tracks.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["360p", "180p", "stereo-0"]);
    for track in &index.parts[0].tracks {
        let folder = if track.kind == TrackKind::Video { "video" } else { "audio" };
        let file = platform.joined(package, &format!("{folder}/{}", track.name));
        let stream = platform.probe(
            &file,
            "-show_entries stream=time_base,width,height,r_frame_rate,channels,sample_rate -of default=nw=1",
        );
        let says = |line: String| assert!(stream.contains(&line), "{line}: {stream:?}");
        says(format!("time_base=1/{}", track.timescale));
        if track.kind == TrackKind::Video {
            says(format!("width={}", track.width));
            says(format!("height={}", track.height));
            says(format!("r_frame_rate={}", track.frame_rate));
        } else {
            says(format!("channels={}", track.channels));
            says(format!("sample_rate={}", track.sample_rate));
        }
        assert!(
            mpd.contains(&format!("bandwidth=\"{}\" codecs=\"{}\"", track.bandwidth, track.codecs)),
            "{track:?}\n{mpd}"
        );
        // Every segment by itself, as ffprobe adds its packets up.
        let init = std::fs::read(package.join(&track.init)).unwrap();
        let mut begins = track.begins;
        for (number, length) in track.segments.iter().enumerate() {
            let segment = std::fs::read(package.join(track.segment(number as u64))).unwrap();
            let one = platform.path("one.mp4");
            std::fs::write(&one, [init.clone(), segment].concat()).unwrap();
            let packets = platform.probe(&one, "-show_entries packet=pts,duration -of csv=p=0");
            // What the edit list leaves out comes before zero.
            let packets: Vec<(i64, u64)> = packets
                .iter()
                .map(|line| line.split_once(',').unwrap())
                .map(|(pts, length)| (pts.parse().unwrap(), length.parse().unwrap()))
                .collect();
            let first = packets.iter().map(|it| it.0).min().unwrap();
            assert_eq!(u64::try_from(first).unwrap_or_default(), begins, "{} {number}", track.name);
            let all = packets.iter().map(|it| it.1).sum::<u64>();
            assert_eq!(all - first.min(0).unsigned_abs(), *length, "{} {number}", track.name);
            begins += length;
        }
        assert!(!package.join(track.segment(track.segments.len() as u64)).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_finished_segment_is_encoded_twice_when_workers_die() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", "-f lavfi -i testsrc2=s=1280x720:r=25:d=40 -f lavfi -i sine=440:d=40 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -c:a aac");
    let log = open_log("embedded://here/main", &platform.cx("test")).await.unwrap();
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let killer = async {
        for round in 0..4_u64 {
            let (_, worker) = platform.worker(&format!("w{round}")).await;
            let life = 300 + (seed.wrapping_mul(round + 7) >> 20) % 900;
            tokio::time::sleep(Duration::from_millis(life)).await;
            // As a kill: nothing is drained; lanes and their ffmpeg go with the task.
            worker.abort();
            let _ = worker.await;
        }
        platform.worker("last").await
    };
    let (made, (stop, worker)) = tokio::join!(platform.vod("film", &clip), killer);
    made.unwrap();
    let mut pieces: Vec<String> = log
        .read_all("encoded")
        .await
        .unwrap()
        .iter()
        .map(|record| {
            serde_json::from_slice::<serde_json::Value>(&record.value).unwrap()["piece"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    pieces.sort();
    let all = pieces.len();
    pieces.dedup();
    assert_eq!(pieces.len(), all, "seed {seed}: a piece was encoded twice");
    assert!(all <= 41);
    stop.stop();
    worker.await.unwrap().unwrap();
    platform.end().await;
}

/// An ffmpeg that reads no faster than four times the clip's own speed.
fn slow_ffmpeg(platform: &Platform) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = platform.path("slow-ffmpeg");
    let real = platform.tool("ffmpeg").display();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *segment_list*) exec {real} -readrate 4 \"$@\";; esac\nexec {real} \"$@\"\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_finishes_the_segment_that_it_has_begun() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw(
        "clip.mp4",
        "-f lavfi -i testsrc2=s=320x180:r=25:d=40 -pix_fmt yuv420p -c:v libx264 -preset ultrafast",
    );
    let log = open_log("embedded://here/main", &platform.cx("test")).await.unwrap();
    let told = async || log.read_all("encoded").await.map_or(0, |all| all.len());
    let replacing = async {
        let mut cx = platform.cx("first");
        cx.tools.insert("ffmpeg".to_owned(), slow_ffmpeg(&platform));
        let mut spec = platform.transcoder();
        spec["concurrency"] = serde_json::json!(1);
        let (stop, worker) = platform.worker_in(cx, spec).await;
        while told().await < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let before = told().await;
        stop.stop();
        worker.await.unwrap().unwrap();
        let after = told().await;
        (before, after, platform.worker("second").await)
    };
    let (made, (before, after, (stop, worker))) = tokio::join!(platform.vod("film", &clip), replacing);
    made.unwrap();
    assert!(after > before, "the segment under way was thrown away: {before} and {after}");
    assert!(after < told().await, "the first worker went on although it was told to stop");
    stop.stop();
    worker.await.unwrap().unwrap();
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_ladder_says_of_codecs_is_what_encoders_make() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw(
        "clip.mp4",
        "-f lavfi -i testsrc2=s=1280x720:r=50:d=1 -pix_fmt yuv420p -c:v libx264 -preset ultrafast",
    );
    let (stop, worker) = platform.worker("one").await;
    let mut spec = spec("film", &clip);
    let renditions = [
        ("a", "h264", 720, "50", 4_000_000),
        ("b", "h264", 720, "25", 3_000_000),
        ("c", "h264", 360, "25", 1_500_000),
        ("d", "hevc", 720, "50", 2_500_000),
        ("e", "hevc", 720, "25", 4_500_000),
        ("f", "hevc", 360, "25", 700_000),
    ];
    let renditions = renditions.map(|(name, codec, height, rate, bit_rate)| {
        json!({ "name": name, "codec": codec, "height": height, "frame_rate": rate, "bit_rate": bit_rate, "max_bit_rate": null, "gop": null })
    });
    spec["ladder"]["video"] = json!(renditions);
    spec["ladder"]["audio"] = json!([]);
    let ladder: LadderSpec = serde_json::from_value(spec["ladder"].clone()).unwrap();
    let made = platform.job(&VOD, spec).await.unwrap();
    let made = made["renditions"].as_array().unwrap().iter();
    let made: Vec<_> =
        made.map(|it| (it["name"].as_str().unwrap(), it["codecs"].as_str().unwrap())).collect();
    let told = ladder_check::codecs(&ladder);
    let told: Vec<_> = told.iter().map(|(name, codec)| (name.as_str(), codec.as_str())).collect();
    assert_eq!(made, told);
    stop.stop();
    worker.await.unwrap().unwrap();
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_tells_what_a_source_is() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", CLIP);
    let facts =
        platform.job(&PROBE, json!({ "source": format!("file://{}", clip.display()) })).await.unwrap();
    assert_eq!(facts["video"]["frame_rate"], "30000/1001");
    assert_eq!(facts["duration_ms"].as_u64().unwrap() / 100, 90);
    assert_eq!(facts["digest"], digest(&clip));
    platform.end().await;
}
