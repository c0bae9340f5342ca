//! What a worker may take, what it lacks, and what an asset that failed leaves for its next run.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};
use streamverse_core::Error;
use streamverse_media::VOD;

use crate::kit::{Platform, spec};

const SHORT: &str = "-f lavfi -i testsrc2=s=640x360:r=25:d=3 -pix_fmt yuv420p -c:v libx264 -preset ultrafast";

/// An ffmpeg that answers questions and encodes nothing.
fn broken_ffmpeg(platform: &Platform) -> std::path::PathBuf {
    let path = platform.path("broken-ffmpeg");
    let real = platform.tool("ffmpeg").display();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *-version*|*-encoders*) exec {real} \"$@\";; esac\necho 'the encoder is on fire' >&2\nexit 1\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn one_rendition(mut spec: Value) -> Value {
    spec["ladder"]["video"].as_array_mut().unwrap().truncate(1);
    spec["ladder"]["audio"] = json!([]);
    spec["asset"]["thumbnails"] = Value::Null;
    spec
}

/// Runs an asset's job beside a worker.
async fn with_worker(
    platform: &Platform,
    transcoder: Value,
    ffmpeg: Option<&std::path::Path>,
    spec: Value,
) -> Result<Value, Error> {
    let mut cx = platform.cx("one");
    if let Some(ffmpeg) = ffmpeg {
        cx.tools.insert("ffmpeg".to_owned(), ffmpeg.to_owned());
    }
    let (stop, worker) = platform.worker_in(cx, transcoder).await;
    let made = tokio::time::timeout(Duration::from_secs(60), platform.job(&VOD, spec)).await;
    stop.stop();
    worker.await.unwrap().unwrap();
    made.expect("it ended within a minute")
}

/// Names of what lies below a folder of the store.
fn below(platform: &Platform, folder: &str) -> Vec<String> {
    let path = platform.path("data/stores/media").join(folder);
    let entries = std::fs::read_dir(path).into_iter().flatten();
    entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encode_has_its_lanes_share_of_memory_and_scratch() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", SHORT);
    let mut spec = one_rendition(spec("film", &clip));
    spec["ladder"]["video"][0]["bit_rate"] = json!(12_000_000);
    for (limit, value, share) in [("memory", "48MiB", "24 MiB"), ("scratch", "1MiB", "1 MiB")] {
        let mut small = platform.transcoder();
        (small[limit], small["concurrency"]) = (json!(value), json!(2));
        let error = with_worker(&platform, small, None, spec.clone()).await.unwrap_err();
        assert_eq!(error.code, "encode-failed", "{limit}: {error}");
        let told = error.message.contains(share) && error.message.contains(&format!("`{limit}`"));
        assert!(told, "{limit}: {error}");
    }
    // With what it needs, the same asset is made.
    with_worker(&platform, platform.transcoder(), None, spec).await.unwrap();
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_this_ffmpeg_lacks_is_named() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", SHORT);
    let mut spec = one_rendition(spec("film", &clip));
    spec["ladder"]["acceleration"] = json!("nvenc");
    let error = with_worker(&platform, platform.transcoder(), None, spec).await.unwrap_err();
    assert_eq!(error.code, "encode-failed");
    for told in ["encoder-missing", "h264_nvenc", "acceleration = \"none\""] {
        assert!(error.message.contains(told), "{told}: {error}");
    }
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_failed_for_good_is_made_by_its_next_run() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", SHORT);
    let (spec, broken) = (one_rendition(spec("film", &clip)), broken_ffmpeg(&platform));
    let error = with_worker(&platform, platform.transcoder(), Some(&broken), spec.clone()).await.unwrap_err();
    assert!(!error.retry && error.message.contains("on fire"), "{error}");
    assert!(!platform.path("scratch/job/vod").exists(), "scratch space is given back");
    // The same spec again, and the source is not asked for a second time.
    std::fs::remove_file(&clip).unwrap();
    with_worker(&platform, platform.transcoder(), None, spec).await.unwrap();
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_gone_from_the_store_is_fetched_again() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", SHORT);
    let (spec, broken) = (one_rendition(spec("film", &clip)), broken_ffmpeg(&platform));
    with_worker(&platform, platform.transcoder(), Some(&broken), spec.clone()).await.unwrap_err();
    // As a removal that was killed in the middle leaves it: the facts are there, the source is not.
    let generation = below(&platform, "work/film").remove(0);
    std::fs::remove_file(platform.path("data/stores/media/work/film").join(generation).join("source"))
        .unwrap();
    with_worker(&platform, platform.transcoder(), None, spec).await.unwrap();
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_superseded_generation_left_unfinished_goes_when_the_next_begins() {
    let Some(platform) = Platform::new().await else { return };
    let broken = broken_ffmpeg(&platform);
    let (first, second) = (
        platform.draw("first.mp4", SHORT),
        platform.draw("second.mp4", &SHORT.replace("testsrc2", "smptebars")),
    );
    with_worker(&platform, platform.transcoder(), Some(&broken), one_rendition(spec("film", &first)))
        .await
        .unwrap_err();
    let before = below(&platform, "work/film");
    assert_eq!(before.len(), 1);
    // Another asset's work is its own business.
    std::fs::create_dir_all(platform.path("data/stores/media/work/film-2/g")).unwrap();
    std::fs::write(platform.path("data/stores/media/work/film-2/g/source"), "x").unwrap();
    // Gone when the next one begins, whatever comes of that.
    with_worker(&platform, platform.transcoder(), Some(&broken), one_rendition(spec("film", &second)))
        .await
        .unwrap_err();
    let left = platform.path("data/stores/media/work/film").join(&before[0]).join("source");
    assert!(!left.exists(), "{}", left.display());
    assert!(platform.path("data/stores/media/work/film-2/g/source").exists());
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_in_another_bucket_is_refused_and_one_in_ours_is_read() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", SHORT);
    let mut spec = one_rendition(spec("film", &clip));
    std::fs::create_dir_all(platform.path("data/stores/media/in")).unwrap();
    std::fs::copy(&clip, platform.path("data/stores/media/in/clip.mp4")).unwrap();
    spec["asset"]["source"]["url"] = json!("s3://elsewhere/in/clip.mp4");
    let error = with_worker(&platform, platform.transcoder(), None, spec.clone()).await.unwrap_err();
    assert_eq!(error.code, "source-url", "{error}");
    assert!(error.message.contains("elsewhere") && error.message.contains("file://here/media"), "{error}");
    spec["asset"]["source"]["url"] = json!("s3://media/in/clip.mp4");
    with_worker(&platform, platform.transcoder(), None, spec).await.unwrap();
    platform.end().await;
}
