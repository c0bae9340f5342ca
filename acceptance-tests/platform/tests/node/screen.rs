//! A browser, and clips whose every picture says which one it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use streamverse_acceptance::Node;

use crate::kit::digest;

/// A clip with the block code of `docs/quickstart/block-code.md`, drawn by the quickstart's own words.
pub(crate) fn coded_clip(node: &Node, name: &str, number: u32, seconds: u32) -> (PathBuf, String) {
    let bit = |bit: u32| format!("mod(floor(n/{}),2)", 1_u32 << bit);
    let mut filters = vec!["drawbox=x=120:y=10:w=1040:h=60:color=black:t=fill".to_owned()];
    let mut white = |block: u32, when: Option<String>| {
        let enable = when.map(|when| format!(":enable='{when}'")).unwrap_or_default();
        filters.push(format!("drawbox=x={}:y=20:w=40:h=40:color=white:t=fill{enable}", 160 + 40 * block));
    };
    white(0, None);
    (0..3).filter(|place| number >> (2 - place) & 1 == 1).for_each(|place| white(2 + place, None));
    (0..16).for_each(|place| white(5 + place, Some(bit(15 - place))));
    let ones: Vec<String> = (0..16).map(bit).collect();
    white(21, Some(format!("mod({}+{},2)", number.count_ones(), ones.join("+"))));
    white(23, None);
    let file = node.folder().join(name);
    let done = Command::new(node.tool("ffmpeg"))
        .args([
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            &format!("testsrc2=s=1280x720:r=25:d={seconds}"),
            "-f",
            "lavfi",
            "-i",
            &format!("sine={}:d={seconds}", 220 + 110 * number),
        ])
        .args([
            "-vf",
            &filters.join(","),
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-c:a",
            "aac",
        ])
        .arg(&file)
        .status();
    assert!(done.unwrap().success());
    let digest = digest(&file);
    (file, digest)
}

/// Node with the page's modules and Chromium; none, told aloud, where one is missing.
pub(crate) fn browser() -> Option<PathBuf> {
    let program = std::env::var_os("STREAMVERSE_NODE").map(PathBuf::from);
    let there = root().join("web/node_modules").is_dir() && Path::new("/usr/bin/chromium").exists();
    if let (Some(program), true) = (program, there) {
        return Some(program);
    }
    assert!(std::env::var_os("CI").is_none(), "Node, the page's modules or Chromium are missing");
    eprintln!("SKIPPED: Node, the page's modules or Chromium are missing: `cargo xtask test` brings them");
    None
}

pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A script of ours in the browser, for an address.
pub(crate) fn script(program: &Path, name: &str, address: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(root().join("acceptance-tests/platform/browser").join(name)).arg(address);
    command
}
