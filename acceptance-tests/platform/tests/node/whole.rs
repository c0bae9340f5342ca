//! The quickstart's configuration, played in a browser.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::{asset, edge, get, origin, stores};
use crate::screen::{browser, coded_clip, root, script};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A platform with a page and a coded clip in two renditions.
fn config(node: &Node) -> String {
    let [port, front, page] = node.ports;
    let (file, digest) = coded_clip(node, "coded.mp4", 1, 20);
    let film = asset(&file, &digest).replace(
        "[{ name = \"180p\", height = 180, bit_rate = 200000 }]",
        "[{ name = \"720p\", height = 720, bit_rate = 2000000 }, { name = \"240p\", height = 240, bit_rate = 400000 }]",
    );
    let player = format!(
        "resource \"streamverse_web_player\" \"page\" {{\n  name = \"page\"\n  port = {page}\n  catalogue = streamverse_catalogue.main.url\n  delivery = streamverse_ats_edge.main.address\n}}\n\
         data \"streamverse_playback\" \"film\" {{\n  asset = streamverse_vod_asset.film.name\n  delivery = streamverse_ats_edge.main.address\n}}\n\
         output \"hls\" {{\n  value = data.streamverse_playback.film.hls\n}}\n"
    );
    format!("{}{}{}{}{film}{player}", node.block(), stores(), origin(port, "64MiB"), edge(front, ""))
}

fn plays(program: &Path, page: &str, protocol: &str) -> Result<serde_json::Value, Fault> {
    let mut command = script(program, "play.mjs", page);
    command.args(["--protocol", protocol, "--seconds", "8"]);
    // What the README shows is made here: STREAMVERSE_SCREENSHOT=docs/quickstart/screenshot.png.
    if let Some(file) = std::env::var_os("STREAMVERSE_SCREENSHOT") {
        command.arg("--screenshot").arg(root().join(file));
    }
    let said = command.output()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    let found: serde_json::Value =
        serde_json::from_str(text.trim()).map_err(|_| format!("{text}{errors}"))?;
    let number = |name: &str| found[name].as_u64().unwrap_or(0);
    let heights = found["heights"].as_array().map_or(0, Vec::len);
    // A picture is drawn at its time, or, when the browser is busy, up to two later; never at another place.
    let place = |at: usize| found["places"][at].as_i64().unwrap_or(i64::MAX);
    let good = number("seen") > 20
        && number("backwards") == 0
        && place(1).saturating_sub(place(0)) <= 2
        && found["clips"] == serde_json::json!([1])
        && number("segments") > 0
        && number("through_traffic_server") == number("segments")
        && heights == 2
        && found["failures"].as_array().is_some_and(Vec::is_empty);
    if good { Ok(found) } else { Err(format!("{protocol}: {found}").into()) }
}

/// The screencast, by which encrypted pictures are judged, shows what the page itself reads.
fn cast(program: &Path, page: &str) -> Result<(), Fault> {
    let said = script(program, "cast.mjs", page).output()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    let found: serde_json::Value =
        serde_json::from_str(text.trim()).map_err(|_| format!("{text}{errors}"))?;
    let number = |name: &str| found[name].as_u64().unwrap_or(0);
    // The screen is cast after the page is told; a busy browser shows a picture or two later.
    let apart = |at: usize| found["apart"][at].as_i64().unwrap_or(i64::MAX);
    let good = number("seen") > 10
        && number("backwards") == 0
        && apart(0) >= -12
        && apart(1) <= 12
        && found["clips"] == serde_json::json!([1])
        && found["failures"].as_array().is_some_and(Vec::is_empty);
    if good { Ok(()) } else { Err(format!("the screencast: {found}").into()) }
}

#[test]
fn a_browser_plays_through_traffic_server_without_losing_the_order_of_frames() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(program) = browser() else { return Ok(()) };
    let Some(node) = Node::start() else { return Ok(()) };
    let [_, front, page] = node.ports;
    let page = format!("http://127.0.0.1:{page}");
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config(&node)).after(|_| {
            plays(&program, &page, "hls")?;
            // HLS and DASH share their segments: by now they have lain in Traffic Server for seconds.
            let dash = plays(&program, &page, "dash")?;
            if dash["aged"].as_u64().unwrap_or(0) == 0 {
                return Err(format!("no segment has an Age: {dash}").into());
            }
            cast(&program, &page)?;
            let (status, _) = get(&format!("http://127.0.0.1:{front}/vod/film/hls.m3u8"));
            if status == 200 { Ok(()) } else { Err(format!("the edge answers {status}").into()) }
        }))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

fn wait_for(file: &Path, browser: &mut Child) -> Result<(), Fault> {
    let until = Instant::now() + Duration::from_secs(180);
    while !file.exists() {
        if let Some(status) = browser.try_wait()? {
            return Err(format!("the browser ended with {status} before {}", file.display()).into());
        }
        if Instant::now() > until {
            return Err(format!("{} did not come", file.display()).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn playback_ends_with_traffic_server_and_goes_on_with_it() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(program) = browser() else { return Ok(()) };
    let Some(node) = Node::start() else { return Ok(()) };
    let node = std::cell::RefCell::new(node);
    let page = format!("http://127.0.0.1:{}", node.borrow().ports[2]);
    let (provider, config) = (node.borrow().provider(), config(&node.borrow()));
    Case::new(&cli)
        .provider(ADDRESS, provider)
        .step(Step::apply(config).after(|_| {
            let folder = tempfile::tempdir()?;
            let mut command = script(&program, "cut.mjs", &page);
            command.arg(folder.path()).stdout(Stdio::piped());
            let mut browser = command.spawn()?;
            let cut = (|| {
                wait_for(&folder.path().join("playing"), &mut browser)?;
                // First the agent, which would start Traffic Server again.
                let edge = node.borrow().pids("ats-edge", "main");
                node.borrow_mut().kill_agent();
                crate::crash::kill(&edge);
                let stalled = wait_for(&folder.path().join("stalled"), &mut browser);
                node.borrow_mut().start_agent();
                stalled
            })();
            if cut.is_err() {
                let _ = browser.kill();
            }
            let said = browser.wait_with_output()?;
            cut?;
            let text = String::from_utf8_lossy(&said.stdout).into_owned();
            let found: serde_json::Value = serde_json::from_str(text.trim())?;
            let words = found["said"].as_str().unwrap_or_default().to_owned();
            if !words.contains("The edge does not answer") && !words.contains("Waiting for the network") {
                return Err(format!("the page says {words:?}").into());
            }
            Ok(())
        }))
        .check_destroyed(|_| node.borrow().nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
