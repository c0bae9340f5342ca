//! A channel of real packages, served by real processes behind a real Traffic Server, and watched by strangers' readers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use streamverse_acceptance::replicas::Reader;
use streamverse_acceptance::{ADDRESS, Node, free_port, kit};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

type Fault = Box<dyn std::error::Error + Send + Sync>;
type Checked = Result<(), Fault>;

struct Ports {
    channel: u16,
    guide: u16,
}

fn config(node: &Node, ports: &Ports) -> String {
    let [origin, front, _] = node.ports;
    let assets: String = [("film", 10, "testsrc2"), ("news", 7, "smptebars"), ("slate", 4, "testsrc")]
        .into_iter()
        .map(|(name, seconds, source)| {
            let (file, digest) =
                kit::clip_of(node, &format!("{name}.mp4"), seconds, &format!("{source}=s=320x180"));
            format!(
                r#"
resource "streamverse_vod_asset" "{name}" {{
  name       = "{name}"
  ladder     = streamverse_transcode_ladder.small.definition
  transcoder = streamverse_transcoder.main.name
  source     = {{ url = "file://{}", digest = "{digest}" }}
}}
"#,
                file.display()
            )
        })
        .collect();
    let Ports { channel, guide } = ports;
    format!(
        r#"{}{}{}{assets}
resource "streamverse_origin" "main" {{
  name         = "main"
  port         = {origin}
  memory       = "32MiB"
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
}}
resource "streamverse_fast_channel" "main" {{
  name         = "main"
  title        = "Channel One"
  port         = {channel}
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
  start        = "2026-11-26T00:00:00Z"
  sources = {{
    film  = {{ title = "A Film", duration_ms = 10000 }}
    news  = {{ title = "The News", duration_ms = 7000, ad_positions = [] }}
    slate = {{ duration_ms = 4000 }}
  }}
  schedule        = {{ order = {{ items = ["film", "news"] }} }}
  slate           = "slate"
  ad_breaks       = {{ positions = ["4s"], duration = "4s" }}
  playlist_window = "40s"
  catch_up        = "10m"
  horizon         = "1m"
  steering        = {{ server_url = "https://steering.example/live?of=1&at=2", pathway = "edge-a" }}
  depends_on      = [streamverse_vod_asset.film, streamverse_vod_asset.news, streamverse_vod_asset.slate]
}}
resource "streamverse_epg" "main" {{
  name     = "main"
  port     = {guide}
  channels = [streamverse_fast_channel.main.definition]
}}
resource "streamverse_ats_edge" "main" {{
  name    = "main"
  port    = {front}
  origins = [{{ url = streamverse_origin.main.address }}]
  routes = [
    {{ path = "/channel/main/", url = streamverse_fast_channel.main.address }},
    {{ path = "/epg/", url = streamverse_epg.main.address }},
  ]
  health_check = {{ retry = "1s" }}
  storage = "64MiB"
  memory  = "32MiB"
}}
"#,
        node.block(),
        kit::stores(),
        kit::workers(),
    )
}

/// Node with the page's modules, and Python's; none, told aloud, where they are missing.
fn readers() -> Option<(PathBuf, PathBuf)> {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let modules = root().join("web/node_modules/mpd-parser").is_dir();
    match (of("STREAMVERSE_NODE"), of("STREAMVERSE_PYTHON_SITE"), modules) {
        (Some(node), Some(site), true) => Some((node, site)),
        _ => {
            assert!(std::env::var_os("CI").is_none(), "Node, the page's modules or Python's are missing");
            eprintln!(
                "SKIPPED: Node, the page's modules or Python's are missing: `cargo xtask test` brings them"
            );
            None
        }
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn answers(url: &str) -> Result<String, Fault> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, body) = kit::get(url);
        if status == 200 {
            return Ok(body);
        }
        if Instant::now() > until {
            return Err(format!("{url} answers {status}").into());
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// How many pictures ffmpeg decodes of an address or file, and that it says nothing else.
fn decoded(node: &Node, input: &str) -> Result<u64, Fault> {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "60"]).arg(node.tool("ffmpeg"));
    command.args(["-v", "error", "-nostdin", "-progress", "pipe:1"]);
    let said =
        command.args(["-i", input, "-frames:v", "350", "-map", "0:v:0", "-f", "null", "-"]).output()?;
    let text = String::from_utf8_lossy(&said.stdout);
    let frames = text.lines().rev().find_map(|line| line.strip_prefix("frame=")?.trim().parse().ok());
    frames.filter(|_| said.status.success()).ok_or_else(|| {
        format!("{input} is not decoded: {} {text}", String::from_utf8_lossy(&said.stderr)).into()
    })
}

/// What PyPI's threefive reads of splice messages: those of HLS as hexadecimal digits, those of DASH as base64.
fn splices(site: &Path, messages: &Value) -> Checked {
    let script = "import sys, json, threefive\nfor line in sys.stdin:\n    cue = threefive.Cue(line.split()[1]); cue.decode(); c = cue.command.get()\n    print(json.dumps([line.split()[0], cue.info_section.crc, c]))\n";
    let mut python = Command::new("python3")
        .args(["-c", script])
        .env("PYTHONPATH", site)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let line =
        |it: &Value| format!("{} {}\n", it["which"].as_str().unwrap(), it["message"].as_str().unwrap());
    let messages = messages.as_array().unwrap();
    let lines: String = messages.iter().map(line).collect();
    std::io::Write::write_all(&mut python.stdin.take().unwrap(), lines.as_bytes())?;
    let said = python.wait_with_output()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let (mut out, mut back) = (0_usize, 0_usize);
    for (line, message) in text.lines().zip(messages) {
        let read: Value = serde_json::from_str(line)?;
        let command = &read[2];
        let leaves = command["out_of_network_indicator"] == true;
        if command["command_type"] != 5
            || leaves != (read[0] == "OUT")
            || !command["splice_event_id"].is_number()
        {
            return Err(format!("threefive reads {line}").into());
        }
        // A channel that begins within a break has what is left of it.
        if leaves && !command["break_duration"].as_f64().is_some_and(|it| it > 0.0 && it <= 4.1) {
            return Err(format!("a break of another length: {line}").into());
        }
        // In DASH the event says the same as the message.
        let said = message["ms"].as_f64().filter(|_| leaves).map(|ms| ms / 1000.0);
        if said.is_some_and(|it| (command["break_duration"].as_f64().unwrap_or(0.0) - it).abs() > 0.002) {
            return Err(format!("the event {message} has the message {line}").into());
        }
        if leaves { out += 1 } else { back += 1 }
    }
    if out > 0 && back > 0 && out + back == messages.len() {
        Ok(())
    } else {
        Err(format!("{out} out, {back} in: {lines} {}", String::from_utf8_lossy(&said.stderr)).into())
    }
}

/// Both parsers read who steers.
fn steered(seen: &Value) -> Checked {
    let server = "https://steering.example/live?of=1&at=2";
    let dash = serde_json::json!({ "serverURL": server, "defaultServiceLocation": "edge-a", "queryBeforeStart": false });
    let wanted =
        serde_json::json!({ "hls": server, "pathway": "edge-a", "variants": ["video-180p"], "dash": dash });
    if seen["steering"] == wanted {
        Ok(())
    } else {
        Err(format!("content steering is {}", seen["steering"]).into())
    }
}

/// The same without the film, which the channel still names.
fn without_film(config: &str) -> String {
    let (before, film) = config.split_once("\nresource \"streamverse_vod_asset\" \"film\"").unwrap();
    let (_, after) = film.split_once("\n}\n").unwrap();
    format!("{before}\n{after}").replace("streamverse_vod_asset.film, ", "")
}

#[test]
fn a_channel_plays_over_boundaries_in_hls_and_dash() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some((program, site)) = readers() else { return Ok(()) };
    let Some(node) = Node::start() else { return Ok(()) };
    let ports = Ports { channel: free_port(), guide: free_port() };
    let front = format!("http://127.0.0.1:{}", node.ports[1]);
    let plays = || -> Checked {
        let channel = format!("{front}/channel/main");
        answers(&format!("{channel}/hls.m3u8"))?;
        // ffmpeg plays while another reader watches.
        let reader = Reader::start(&program, &channel, 24, &node.folder().join("seen"))?;
        let frames = decoded(&node, &format!("{channel}/hls.m3u8"));
        let seen = reader.seen()?;
        eprintln!("{} {:?}", seen["statuses"], seen["assets"]);
        // Fourteen seconds of 25 pictures each: over two boundaries at least.
        let frames = frames?;
        if frames < 320 {
            return Err(format!("ffmpeg decoded {frames} pictures of 350").into());
        }
        let mut assets: Vec<&str> =
            seen["assets"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assets.sort_unstable();
        if assets != ["film", "news", "slate"] {
            return Err(format!("what played was {assets:?}").into());
        }
        let files = seen["files"].as_array().unwrap();
        for file in files {
            let path = file["file"].as_str().unwrap();
            if decoded(&node, path)? == 0 {
                return Err(format!("{file} has no pictures").into());
            }
        }
        if files.len() < 4 {
            return Err(format!("DASH had {} periods", files.len()).into());
        }
        splices(&site, &seen["splices"])?;
        splices(&site, &seen["events"])?;
        steered(&seen)?;
        let now: Value = serde_json::from_str(&answers(&format!("{channel}/now.json"))?)?;
        if now["title"] != "Channel One" || now["now"]["title"].as_str().is_none() {
            return Err(format!("now.json says {now}").into());
        }
        let guide = answers(&format!("{front}/epg/main.xml"))?;
        if !guide.contains("<title>A Film</title>") {
            return Err(guide.into());
        }
        Ok(())
    };
    // An asset goes while the channel has it on: what was announced stays as it was, and its segments have one stable answer.
    let goes_on = || -> Checked {
        let channel = format!("http://127.0.0.1:{}/channel/main", ports.channel);
        let list = answers(&format!("{channel}/video/180p.m3u8"))?;
        let gone = list.lines().find(|it| it.contains("/vod/film/") && !it.starts_with('#'));
        let gone = gone.ok_or("what was announced of the film is not listed any more")?;
        let segment = format!("http://127.0.0.1:{}/{}", node.ports[0], gone.trim_start_matches("../"));
        let found = (kit::get(&segment), kit::get(&segment));
        if found.0.0 != 404 || found.0 != found.1 {
            return Err(format!("{segment} answers {found:?}").into());
        }
        for path in ["hls.m3u8", "dash.mpd", "now.json"] {
            answers(&format!("{channel}/{path}"))?;
        }
        answers(&format!("http://127.0.0.1:{}/readyz", ports.channel)).map(|_| ())
    };
    let config = config(&node, &ports);
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config.as_str()).after(|_| plays()))
        .step(
            Step::apply(without_film(&config))
                .expect_warning("A channel still plays the asset")
                .after(|_| goes_on()),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
