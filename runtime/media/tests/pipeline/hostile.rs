//! Sources that are broken, odd or gone: a clear code, or a package that plays.

use serde_json::json;
use streamverse_media::VOD;

use crate::kit::{Platform, spec};

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_no_video_is_refused_in_words() {
    let Some(platform) = Platform::new().await else { return };
    let whole = platform.draw(
        "whole.mp4",
        "-f lavfi -i testsrc2=s=320x180:r=25:d=3 -pix_fmt yuv420p -c:v libx264 -preset ultrafast",
    );
    let bytes = std::fs::read(&whole).unwrap();
    let files: [(&str, Vec<u8>); 4] = [
        ("empty.mp4", Vec::new()),
        ("truncated.mp4", bytes[..bytes.len() / 2].to_vec()),
        ("text.mp4", b"this is no video\n".repeat(500)),
        ("noise.mp4", (0..100_000_u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 13) as u8).collect()),
    ];
    for (name, content) in files {
        let path = platform.path(name);
        std::fs::write(&path, content).unwrap();
        let error = platform.vod("bad", &path).await.unwrap_err();
        assert_eq!(error.code, "source-broken", "{name}: {error}");
        assert!(!error.retry);
    }
    let mut gone = spec("bad", &whole);
    gone["asset"]["source"]["url"] = json!("file:///nowhere/at/all.mp4");
    assert_eq!(platform.job(&VOD, gone).await.unwrap_err().code, "source-missing");
    let mut folder = spec("bad", &whole);
    folder["asset"]["source"]["url"] = json!(format!("file://{}", platform.folder.path().display()));
    assert_eq!(platform.job(&VOD, folder).await.unwrap_err().code, "source-missing");
    // Changed after it was declared.
    let changed = spec("bad", &whole);
    std::fs::write(&whole, &bytes[..bytes.len() - 1]).unwrap();
    let error = platform.job(&VOD, changed).await.unwrap_err();
    assert_eq!(error.code, "source-changed");
    assert!(error.message.contains("declare the new digest"), "{error}");
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_sources_become_even_packages() {
    let Some(platform) = Platform::new().await else { return };
    let (stop, worker) = platform.worker("one").await;
    let clips = [
        (
            "silent",
            "-f lavfi -i testsrc2=s=640x360:r=25:d=3 -pix_fmt yuv420p -c:v libx264 -preset ultrafast",
            2,
        ),
        ("sound", "-f lavfi -i sine=440:d=3 -c:a aac", 1),
        ("odd", "-f lavfi -i testsrc2=s=641x361:r=25:d=3 -c:v libx264 -preset ultrafast -pix_fmt yuv444p", 2),
        (
            "small",
            "-f lavfi -i testsrc2=s=160x90:r=12:d=3 -pix_fmt yuv420p -c:v libx264 -preset ultrafast",
            1,
        ),
        (
            "interlaced",
            "-f lavfi -i testsrc2=s=720x576:r=25:d=3 -vf setfield=tff -flags +ilme+ildct -pix_fmt yuv420p -c:v libx264 -preset ultrafast -x264-params tff=1",
            2,
        ),
        (
            "rotated",
            "-display_rotation 90 -f lavfi -i testsrc2=s=640x360:r=25:d=3 -pix_fmt yuv420p -c:v libx264 -preset ultrafast",
            2,
        ),
        (
            "variable",
            "-f lavfi -i testsrc2=s=640x360:r=50:d=3 -vf select='not(mod(n\\,3))+lt(random(0)\\,0.3)' -fps_mode vfr -pix_fmt yuv420p -c:v libx264 -preset ultrafast",
            2,
        ),
    ];
    for (name, args, renditions) in clips {
        let clip = platform.draw(&format!("{name}.mp4"), args);
        let made =
            platform.vod(name, &clip).await.unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
        assert_eq!(made["renditions"].as_array().unwrap().len(), renditions, "{name}: {made}");
        for rendition in made["renditions"].as_array().unwrap() {
            assert!(
                rendition["width"].as_u64().unwrap() % 2 == 0
                    && rendition["height"].as_u64().unwrap() % 2 == 0
            );
        }
    }
    stop.stop();
    worker.await.unwrap().unwrap();
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_goes_on_after_the_picture_is_cut_and_a_picture_that_is_cut_off_is_told() {
    let Some(platform) = Platform::new().await else { return };
    let (stop, worker) = platform.worker("one").await;
    let long = platform.draw("long.mp4", "-f lavfi -i testsrc2=s=320x180:r=25:d=3 -f lavfi -i sine=440:d=11 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -c:a aac");
    let made = platform.vod("long", &long).await.unwrap();
    assert_eq!(made["duration_ms"], 3000);
    let whole = platform.draw("whole.mp4", "-f lavfi -i testsrc2=s=320x180:r=25:d=20 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -movflags +faststart");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&whole, &bytes[..bytes.len() / 2]).unwrap();
    let error = platform.vod("cut", &whole).await.unwrap_err();
    assert!(["encode-failed", "source-broken"].contains(&error.code), "{error}");
    stop.stop();
    worker.await.unwrap().unwrap();
    platform.end().await;
}
