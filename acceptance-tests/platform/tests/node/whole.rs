//! The quickstart's configuration, played in a browser.

use std::path::Path;
use std::process::Command;

use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::{asset, edge, get, origin, stores};

/// A clip with the block code of `docs/quickstart/block-code.md`, drawn by the quickstart's own words.
fn coded_clip(node: &Node) -> (std::path::PathBuf, String) {
    let bit = |bit: u32| format!("mod(floor(n/{}),2)", 1_u32 << bit);
    let mut filters = vec!["drawbox=x=120:y=10:w=1040:h=60:color=black:t=fill".to_owned()];
    let mut white = |block: u32, when: Option<String>| {
        let enable = when.map(|when| format!(":enable='{when}'")).unwrap_or_default();
        filters.push(format!("drawbox=x={}:y=20:w=40:h=40:color=white:t=fill{enable}", 160 + 40 * block));
    };
    white(0, None);
    white(4, None);
    (0..16).for_each(|place| white(5 + place, Some(bit(15 - place))));
    let ones: Vec<String> = (0..16).map(bit).collect();
    white(21, Some(format!("mod(1+{},2)", ones.join("+"))));
    white(23, None);
    let file = node.folder().join("coded.mp4");
    let done = Command::new(node.tool("ffmpeg"))
        .args([
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=1280x720:r=25:d=20",
            "-f",
            "lavfi",
            "-i",
            "sine=440:d=20",
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
    let said = Command::new("sha256sum").arg(&file).output().unwrap();
    let digest = String::from_utf8_lossy(&said.stdout).split(' ').next().unwrap().to_owned();
    (file, format!("sha256:{digest}"))
}

#[test]
fn a_browser_plays_through_traffic_server_without_losing_the_order_of_frames() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let (Some(program), true) = (
        std::env::var_os("STREAMVERSE_NODE"),
        root.join("web/node_modules").is_dir() && Path::new("/usr/bin/chromium").exists(),
    ) else {
        assert!(std::env::var_os("CI").is_none(), "Node, the page's modules or Chromium are missing");
        eprintln!(
            "SKIPPED: Node, the page's modules or Chromium are missing: `cargo xtask test` brings them"
        );
        return Ok(());
    };
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, front, page] = node.ports;
    let (file, digest) = coded_clip(&node);
    let film = asset(&file, &digest).replace(
        "[{ name = \"180p\", height = 180, bit_rate = 200000 }]",
        "[{ name = \"720p\", height = 720, bit_rate = 2000000 }, { name = \"240p\", height = 240, bit_rate = 400000 }]",
    );
    let player = format!(
        "resource \"streamverse_web_player\" \"page\" {{\n  name = \"page\"\n  port = {page}\n  catalogue = streamverse_catalogue.main.url\n  delivery = streamverse_ats_edge.main.address\n}}\n\
         data \"streamverse_playback\" \"film\" {{\n  asset = streamverse_vod_asset.film.name\n  delivery = streamverse_ats_edge.main.address\n}}\n\
         output \"hls\" {{\n  value = data.streamverse_playback.film.hls\n}}\n"
    );
    let config =
        format!("{}{}{}{}{film}{player}", node.block(), stores(), origin(port, "64MiB"), edge(front, ""));
    let play = |protocol: &str| -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let said = Command::new(&program)
            .arg(root.join("acceptance-tests/platform/browser/play.mjs"))
            .args([&format!("http://127.0.0.1:{page}"), "--protocol", protocol, "--seconds", "8"])
            .output()?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let errors = String::from_utf8_lossy(&said.stderr).into_owned();
        let found: serde_json::Value =
            serde_json::from_str(text.trim()).map_err(|_| format!("{text}{errors}"))?;
        let number = |name: &str| found[name].as_u64().unwrap_or(0);
        let heights = found["heights"].as_array().map_or(0, Vec::len);
        let good = number("seen") > 20
            && number("backwards") == 0
            && found["clips"] == serde_json::json!([1])
            && number("segments") > 0
            && number("through_traffic_server") == number("segments")
            && heights == 2
            && found["failures"].as_array().is_some_and(Vec::is_empty);
        if good { Ok(()) } else { Err(format!("{protocol}: {found}").into()) }
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config).after(|_| {
            play("hls")?;
            play("dash")?;
            let (status, _) = get(&format!("http://127.0.0.1:{front}/vod/film/hls.m3u8"));
            if status == 200 { Ok(()) } else { Err(format!("the edge answers {status}").into()) }
        }))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
