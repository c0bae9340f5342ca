//! A worker that is told to stop: what it has begun has the time that whoever stops it gives, and no more.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use streamverse_core::log::open_log;
use streamverse_core::{Result, Stop};
use streamverse_media::VOD;
use tokio::task::JoinHandle;

use crate::kit::{Platform, spec};

const CLIP: &str = "-f lavfi -i testsrc2=s=320x180:r=25:d=12 -pix_fmt yuv420p -c:v libx264 -preset ultrafast";
/// Two seconds each.
const SEGMENTS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);
/// Less than a worker takes that was not told how long it may.
const SOON: Duration = Duration::from_secs(20);

/// An ffmpeg that tells of its segments as `then` does with them.
fn ffmpeg(platform: &Platform, name: &str, then: &str) -> PathBuf {
    let path = platform.path(name);
    let real = platform.tool("ffmpeg").display();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *-version*|*-encoders*) exec {real} \"$@\";; esac\n{real} \"$@\" | {{ {then}; }}\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A worker with that ffmpeg, who stops it giving it so long.
async fn worker(platform: &Platform, ffmpeg: PathBuf, patience: Duration) -> (Stop, JoinHandle<Result<()>>) {
    let mut cx = platform.cx("one");
    cx.tools.insert("ffmpeg".to_owned(), ffmpeg);
    platform.worker_until(cx, platform.transcoder(), Stop::patient(patience)).await
}

/// The segments that are kept.
fn kept(platform: &Platform) -> usize {
    let (mut count, mut folders) = (0, vec![platform.path("data/stores/media/work")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => count += usize::from(path.extension().is_some_and(|it| it == "ts")),
            }
        }
    }
    count
}

async fn until(platform: &Platform, count: usize) {
    let more = async {
        while kept(platform) < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, more).await.expect("a segment is made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_finishes_its_segment_in_the_order_s_time_and_takes_no_longer() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", CLIP);
    let mut spec = spec("film", &clip);
    spec["ladder"]["video"].as_array_mut().unwrap().truncate(1);
    (spec["ladder"]["audio"], spec["asset"]["thumbnails"]) = (json!([]), Value::Null);
    let work = async {
        // It has the time: the segment that it is at is kept, and no other one is begun.
        let slow = ffmpeg(&platform, "slow", r#"while read -r name; do echo "$name"; sleep 2; done"#);
        let (stop, task) = worker(&platform, slow, PATIENCE).await;
        until(&platform, 1).await;
        let told = kept(&platform);
        stop.stop();
        tokio::time::timeout(PATIENCE, task).await.expect("it ends").unwrap().unwrap();
        let first = kept(&platform);
        assert!((told + 1..SEGMENTS).contains(&first), "{told} were kept when it was told, then {first}");
        // It has not: what it cannot finish in time is somebody else's.
        let stuck = ffmpeg(&platform, "stuck", r#"read -r name; echo "$name"; sleep 600"#);
        let (stop, task) = worker(&platform, stuck, Duration::from_secs(1)).await;
        until(&platform, first + 1).await;
        stop.stop();
        tokio::time::timeout(SOON, task).await.expect("it takes no longer than it may").unwrap().unwrap();
        assert_eq!(kept(&platform), first + 1);
        platform.worker("one").await
    };
    let (made, (stop, task)) = tokio::join!(platform.job(&VOD, spec), work);
    made.unwrap();
    stop.stop();
    task.await.unwrap().unwrap();
    let log = open_log("embedded://here/main", &platform.cx("reader")).await.unwrap();
    assert_eq!(log.read_all("encoded").await.unwrap().len(), SEGMENTS, "each was encoded once");
    platform.end().await;
}
