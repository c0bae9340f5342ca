//! HCL of single resources, clips, and what addresses answer.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::Node;

/// Stores, and what stands on them.
pub fn stores() -> &'static str {
    r#"
resource "streamverse_object_store" "media" { name = "media" }
resource "streamverse_event_log" "work" { name = "work" }
resource "streamverse_catalogue" "main" { name = "main" }
"#
}

/// An origin at a port, with so much memory for its cache.
pub fn origin(port: u16, memory: &str) -> String {
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

/// An edge before that origin, with this in its block.
pub fn edge(port: u16, rest: &str) -> String {
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
///
/// # Panics
/// When ffmpeg cannot make it.
pub fn clip(node: &Node, name: &str, seconds: u32) -> (PathBuf, String) {
    clip_of(node, name, seconds, "testsrc2=s=640x360")
}

/// … of this picture: a video source of ffmpeg's with its size, such as `smptebars=s=320x180`.
///
/// # Panics
/// When ffmpeg cannot make it.
pub fn clip_of(node: &Node, name: &str, seconds: u32, picture: &str) -> (PathBuf, String) {
    let file = node.folder().join(name);
    let done = Command::new(node.tool("ffmpeg"))
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &format!("{picture}:r=25:d={seconds}")])
        .args(["-f", "lavfi", "-i", &format!("sine=440:d={seconds}"), "-pix_fmt", "yuv420p"])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-c:a",
            "aac",
            "-metadata",
            &format!("title={name}"),
        ])
        .arg(&file)
        .status();
    assert!(done.as_ref().is_ok_and(ExitStatus::success), "{name} cannot be made: {done:?}");
    (file.clone(), digest(&file))
}

/// The digest of a file, as sources have it.
///
/// # Panics
/// When it cannot be read.
pub fn digest(file: &Path) -> String {
    let said = Command::new("sha256sum").arg(file).output();
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    let digest = text.split(' ').next().unwrap_or_default();
    assert!(digest.len() == 64, "{} has no digest", file.display());
    format!("sha256:{digest}")
}

/// English subtitles, SubRip, and their digest.
///
/// # Panics
/// When they cannot be written.
pub fn subtitles(node: &Node) -> (PathBuf, String) {
    let file = node.folder().join("en.srt");
    let written = std::fs::write(&file, "1\n00:00:01,000 --> 00:00:02,500\nHello, world\n");
    assert!(written.is_ok(), "{written:?}");
    (file.clone(), digest(&file))
}

/// A small ladder, and the workers.
pub fn workers() -> &'static str {
    r#"
resource "streamverse_transcode_ladder" "small" {
  segment_duration = "2s"
  video = [{ name = "180p", height = 180, bit_rate = 200000 }]
  audio = [{ name = "stereo" }]
}
resource "streamverse_transcoder" "main" {
  name         = "main"
  event_log    = streamverse_event_log.work.url
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
}
"#
}

/// The asset `film` of a file, its ladder and its transcoder.
pub fn asset(file: &Path, digest: &str) -> String {
    format!(
        r#"{}resource "streamverse_vod_asset" "film" {{
  name       = "film"
  ladder     = streamverse_transcode_ladder.small.definition
  transcoder = streamverse_transcoder.main.name
  source     = {{ url = "file://{}", digest = "{digest}" }}
}}
"#,
        workers(),
        file.display()
    )
}

/// What an address answers, as status and body; 0 when nobody does.
pub fn get(url: &str) -> (u16, String) {
    let said = Command::new("curl").args(["-sL", "--max-time", "10", "-w", "\n%{http_code}", url]).output();
    let said = said.map(|said| said.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&said).into_owned();
    let (body, code) = text.rsplit_once('\n').unwrap_or(("", "0"));
    (code.trim().parse().unwrap_or(0), body.to_owned())
}
