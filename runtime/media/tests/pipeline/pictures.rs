//! What odd pictures become: upright, progressive, evenly timed, in their own shape, in SDR.

use serde_json::{Value, json};

use crate::kit::{Platform, spec};

const X264: &str = "-pix_fmt yuv420p -c:v libx264 -preset ultrafast";

/// Makes an asset of a clip and returns what was told of it and its largest rendition as one file.
async fn made(platform: &Platform, name: &str, args: &str) -> (Value, std::path::PathBuf) {
    let clip = platform.draw(&format!("{name}.mp4"), args);
    made_of(platform, name, &clip).await
}

async fn made_of(platform: &Platform, name: &str, clip: &std::path::Path) -> (Value, std::path::PathBuf) {
    let mut spec = spec(name, clip);
    spec["ladder"]["video"].as_array_mut().unwrap().truncate(1);
    spec["asset"]["thumbnails"] = json!(null);
    let (stop, worker) = platform.worker("one").await;
    let made = platform.job(&streamverse_media::VOD, spec).await;
    stop.stop();
    worker.await.unwrap().unwrap();
    let made = made.unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
    let package =
        platform.path("data/stores/media/vod").join(name).join(made["generation"].as_str().unwrap());
    (made, platform.joined(&package, "video/360p"))
}

/// The colour of a spot of the first frame, in parts of width and height.
fn colour(platform: &Platform, file: &std::path::Path, x: &str, y: &str) -> [u8; 3] {
    let filter = format!("crop=8:8:{x}:{y},scale=1:1,format=rgb24");
    let out = std::process::Command::new(platform.tool("ffmpeg"))
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-frames:v", "1", "-vf", &filter, "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    out.stdout[..3].try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_picture_is_upright() {
    let Some(platform) = Platform::new().await else { return };
    // Red on the left, blue on the right, and a note in the file that says: turn it.
    let flat = platform.draw("flat.mp4", &format!("-f lavfi -i color=red:s=320x360:r=25:d=2 -f lavfi -i color=blue:s=320x360:r=25:d=2 -filter_complex hstack {X264}"));
    let turned = platform.path("turned.mp4");
    let copied = std::process::Command::new(platform.tool("ffmpeg"))
        .args(["-v", "error", "-display_rotation", "90", "-i"])
        .arg(&flat)
        .args(["-c", "copy"])
        .arg(&turned)
        .status();
    assert!(copied.unwrap().success());
    let (made, file) = made_of(&platform, "turned", &turned).await;
    let shown = &made["renditions"][0];
    // 640 × 360, turned: 360 wide for 640 lines, scaled to the rendition's 360.
    assert_eq!((&shown["width"], &shown["height"]), (&json!(202), &json!(360)), "{made}");
    assert!(made["remarks"].to_string().contains("rotated"), "{made}");
    // 90 degrees against the clock: what was right is on top.
    let (top, bottom) = (colour(&platform, &file, "iw/2", "20"), colour(&platform, &file, "iw/2", "ih-30"));
    assert!(top[2] > 150 && top[0] < 80 && bottom[0] > 150 && bottom[2] < 80, "{top:?} {bottom:?}");
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uneven_picture_gets_the_ladders_rate_and_keeps_its_length() {
    let Some(platform) = Platform::new().await else { return };
    // A third of the frames, at uneven times.
    let (made, file) = made(&platform, "uneven", &format!("-f lavfi -i testsrc2=s=640x360:r=50:d=4 -vf select='not(mod(n\\,3))+lt(random(0)\\,0.3)' -fps_mode vfr {X264}")).await;
    assert!(made["remarks"].to_string().contains("uneven"), "{made}");
    let times = platform.probe(&file, "-select_streams v -show_entries frame=pts -of csv=p=0");
    let times: Vec<i64> = times.iter().filter_map(|line| line.split(',').next()?.parse().ok()).collect();
    let steps: std::collections::BTreeSet<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(steps.len(), 1, "{steps:?}");
    let seconds: f64 = platform.probe(&file, "-show_entries format=duration -of csv=p=0")[0].parse().unwrap();
    assert!((seconds - made["duration_ms"].as_f64().unwrap() / 1000.0).abs() < 0.1, "{seconds} {made}");
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interlaced_fields_become_whole_pictures() {
    let Some(platform) = Platform::new().await else { return };
    // Fields of two moments woven together: what moves has combs.
    let (made, file) = made(&platform, "woven", &format!("-f lavfi -i testsrc2=s=640x360:r=50:d=3 -vf interlace=lowpass=off,setfield=tff -flags +ilme+ildct -x264-params tff=1 {X264}")).await;
    assert!(made["remarks"].to_string().contains("interlaced"), "{made}");
    assert_eq!(
        platform.probe(&file, "-select_streams v -show_entries stream=field_order -of csv=p=0"),
        ["progressive"]
    );
    // ffmpeg's own judge of fields takes all 75 of the source for woven, and hardly one of these.
    let out = std::process::Command::new(platform.tool("ffmpeg"))
        .args(["-hide_banner", "-i"])
        .arg(&file)
        .args(["-vf", "idet", "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let multi = said.lines().rfind(|line| line.contains("Multi frame detection")).unwrap_or_default();
    let count = |name: &str| -> u32 {
        let rest = multi.split(&format!("{name}:")).nth(1).unwrap_or_default();
        rest.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or(u32::MAX)
    };
    assert!(count("Progressive") > 60 && count("TFF").saturating_add(count("BFF")) < 10, "{multi}");
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pixels_that_are_not_square_keep_the_pictures_shape() {
    let Some(platform) = Platform::new().await else { return };
    // PAL widescreen, and odd besides: 719 × 575 samples shown as 16:9.
    let clip = "-f lavfi -i testsrc2=s=719x575:r=25:d=2 -vf setdar=16/9 -c:v libx264 -preset ultrafast -pix_fmt yuv444p";
    let (made, file) = made(&platform, "wide", clip).await;
    let shown = platform
        .probe(&file, "-select_streams v -show_entries stream=width,height,sample_aspect_ratio -of csv=p=0");
    assert_eq!(shown, ["640,360,1:1"], "{made}");
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hdr_is_shown_as_sdr_and_neither_dark_nor_grey() {
    let Some(platform) = Platform::new().await else { return };
    let pq = "-f lavfi -i smptehdbars=s=640x360:r=25:d=2 -vf scale=out_primaries=bt2020:out_transfer=smpte2084:out_color_matrix=bt2020nc:out_range=tv,format=yuv420p -c:v libx265 -x265-params log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc -tag:v hvc1";
    let (made, file) = made(&platform, "hdr", pq).await;
    assert!(made["remarks"].to_string().contains("HDR"), "{made}");
    let tags = platform.probe(
        &file,
        "-select_streams v -show_entries stream=color_space,color_transfer,color_primaries -of csv=p=0",
    );
    assert_eq!(tags, ["bt709,bt709,bt709"]);
    // The bars' green and magenta are what they are called; as PQ read as SDR they would be nearly grey.
    let (green, magenta) = (colour(&platform, &file, "300", "60"), colour(&platform, &file, "390", "60"));
    assert!(green[1] > green[0].saturating_add(60) && green[1] > green[2].saturating_add(60), "{green:?}");
    assert!(
        magenta[0] > magenta[1].saturating_add(50) && magenta[2] > magenta[1].saturating_add(50),
        "{magenta:?}"
    );
    platform.end().await;
}
