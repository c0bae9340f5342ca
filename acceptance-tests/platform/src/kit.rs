//! HCL of single resources, and clips.

use std::path::{Path, PathBuf};
use std::process::Command;

use streamverse_acceptance::Node;

/// Stores, and what stands on them.
pub(crate) fn stores() -> &'static str {
    r#"
resource "streamverse_object_store" "media" { name = "media" }
resource "streamverse_event_log" "work" { name = "work" }
resource "streamverse_catalogue" "main" { name = "main" }
"#
}

pub(crate) fn origin(port: u16, memory: &str) -> String {
    format!(
        r#"
resource "streamverse_origin" "main" {{
  name         = "main"
  port         = {port}
  memory       = "{memory}"
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
}}
"#
    )
}

pub(crate) fn edge(port: u16, rest: &str) -> String {
    format!(
        r#"
resource "streamverse_ats_edge" "main" {{
  name    = "main"
  port    = {port}
  origins = [{{ url = streamverse_origin.main.address }}]
  storage = "64MiB"
  memory  = "32MiB"
  {rest}
}}
"#
    )
}

/// A clip of some seconds, small, with sound, and its digest.
pub(crate) fn clip(node: &Node, name: &str, seconds: u32) -> (PathBuf, String) {
    let file = node.folder().join(name);
    let done = Command::new(node.tool("ffmpeg"))
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &format!("testsrc2=s=640x360:r=25:d={seconds}")])
        .args([
            "-f",
            "lavfi",
            "-i",
            &format!("sine=440:d={seconds}"),
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx264",
        ])
        .args(["-preset", "ultrafast", "-c:a", "aac", "-metadata", &format!("title={name}")])
        .arg(&file)
        .status();
    assert!(done.unwrap().success());
    (file.clone(), digest(&file))
}

pub(crate) fn digest(file: &Path) -> String {
    let said = Command::new("sha256sum").arg(file).output().unwrap();
    format!("sha256:{}", String::from_utf8_lossy(&said.stdout).split(' ').next().unwrap())
}

/// English subtitles, SubRip, and their digest.
pub(crate) fn subtitles(node: &Node) -> (PathBuf, String) {
    let file = node.folder().join("en.srt");
    std::fs::write(&file, "1\n00:00:01,000 --> 00:00:02,500\nHello, world\n").unwrap();
    (file.clone(), digest(&file))
}

pub(crate) fn asset(file: &Path, digest: &str) -> String {
    format!(
        r#"
resource "streamverse_transcode_ladder" "small" {{
  segment_duration = "2s"
  video = [{{ name = "180p", height = 180, bit_rate = 200000 }}]
  audio = [{{ name = "stereo" }}]
}}
resource "streamverse_transcoder" "main" {{
  name         = "main"
  event_log    = streamverse_event_log.work.url
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
}}
resource "streamverse_vod_asset" "film" {{
  name       = "film"
  ladder     = streamverse_transcode_ladder.small.definition
  transcoder = streamverse_transcoder.main.name
  source     = {{ url = "file://{}", digest = "{digest}" }}
}}
"#,
        file.display()
    )
}

/// What an address answers, as status and body; 0 when nobody does.
pub(crate) fn get(url: &str) -> (u16, String) {
    let said =
        Command::new("curl").args(["-sL", "--max-time", "10", "-w", "\n%{http_code}", url]).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n').unwrap_or(("", "0"));
    (code.trim().parse().unwrap_or(0), body.to_owned())
}
