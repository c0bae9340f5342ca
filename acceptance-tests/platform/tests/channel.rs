//! A channel of real packages, served by real processes behind a real Traffic Server, and watched by strangers' readers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

type Fault = Box<dyn std::error::Error + Send + Sync>;
type Checked = Result<(), Fault>;

/// How long it is watched while replicas are killed. Outside of CI as long as told.
const KILLING: u64 = 30;

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A clip of some seconds, small, with sound, and its digest.
fn clip(node: &Node, name: &str, seconds: u32, source: &str) -> (PathBuf, String) {
    let file = node.folder().join(name);
    let done = Command::new(node.tool("ffmpeg"))
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &format!("{source}=s=320x180:r=25:d={seconds}")])
        .args(["-f", "lavfi", "-i", &format!("sine=440:d={seconds}"), "-pix_fmt", "yuv420p"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"])
        .arg(&file)
        .status();
    assert!(done.unwrap().success());
    let said = Command::new("sha256sum").arg(&file).output().unwrap();
    let digest = String::from_utf8_lossy(&said.stdout).split(' ').next().unwrap().to_owned();
    (file, format!("sha256:{digest}"))
}

struct Ports {
    channel: u16,
    guide: u16,
    twins: [u16; 2],
}

fn config(node: &Node, ports: &Ports) -> String {
    let [origin, front, _] = node.ports;
    let assets: String = [("film", 10, "testsrc2"), ("news", 7, "smptebars"), ("slate", 4, "testsrc")]
        .into_iter()
        .map(|(name, seconds, source)| {
            let (file, digest) = clip(node, &format!("{name}.mp4"), seconds, source);
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
    let Ports { channel, guide, twins: [one, two] } = ports;
    format!(
        r#"{}
resource "streamverse_object_store" "media" {{ name = "media" }}
resource "streamverse_event_log" "work" {{ name = "work" }}
resource "streamverse_catalogue" "main" {{ name = "main" }}
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
{assets}
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
    {{ path = "/channel/", url = "http://127.0.0.1:{one}", fallbacks = ["http://127.0.0.1:{two}"] }},
    {{ path = "/epg/", url = streamverse_epg.main.address }},
  ]
  health_check = {{ retry = "1s" }}
  storage = "64MiB"
  memory  = "32MiB"
}}
"#,
        node.block()
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

/// A watcher that runs.
fn watch(program: &Path, address: &str, seconds: u64, folder: &Path) -> Child {
    std::fs::create_dir_all(folder).unwrap();
    let mut command = Command::new(program);
    command.arg(root().join("acceptance-tests/platform/browser/channel.mjs")).arg(address);
    command.arg(seconds.to_string()).arg(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// What it saw, when it saw nothing wrong.
fn seen(watcher: Child) -> Result<Value, Fault> {
    let said = watcher.wait_with_output()?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into_owned().into());
    }
    let seen: Value = serde_json::from_slice(&said.stdout)?;
    for list in seen["lists"].as_array().unwrap() {
        let numbers: Vec<u64> =
            list["numbers"].as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).collect();
        if !numbers.windows(2).all(|two| two[1] == two[0] + 1) {
            return Err(format!("segments are missing: {list}").into());
        }
    }
    if seen["faults"].as_array().is_some_and(Vec::is_empty) {
        Ok(seen)
    } else {
        Err(seen["faults"].to_string().into())
    }
}

fn get(url: &str) -> (u16, String) {
    let said =
        Command::new("curl").args(["-s", "--max-time", "10", "-w", "\n%{http_code}", url]).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n').unwrap_or(("", "0"));
    (code.trim().parse().unwrap_or(0), body.to_owned())
}

fn answers(url: &str) -> Result<String, Fault> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, body) = get(url);
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

/// Replicas of one channel, beside what Terraform made: they end with the test.
struct Twins {
    program: PathBuf,
    folder: PathBuf,
    user: Option<u32>,
    running: [Option<Child>; 2],
}

impl Twins {
    /// Of the channel that the node runs, under another name.
    fn of(node: &Node, ports: &Ports) -> Twins {
        let mut todo = vec![node.folder().to_path_buf()];
        let mut found = None;
        while let Some(next) = todo.pop() {
            for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    todo.push(path);
                } else if path.ends_with("context.json")
                    && std::fs::read_to_string(&path).is_ok_and(|it| it.contains("\"service/fast-channel\""))
                {
                    found = path.parent().map(Path::to_path_buf);
                }
            }
        }
        let place = found.expect("the node runs a channel");
        let read = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(place.join(name)).unwrap()).unwrap()
        };
        let (mut spec, mut context) = (read("spec.json"), read("context.json"));
        context["owner"]["name"] = "twins".into();
        let folder = node.folder().join("twins");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("context.json"), context.to_string()).unwrap();
        for (at, port) in ports.twins.iter().enumerate() {
            spec["port"] = (*port).into();
            std::fs::write(folder.join(format!("spec-{at}.json")), spec.to_string()).unwrap();
        }
        let id = |arguments: &[&str]| {
            let said = Command::new("id").args(arguments).output().unwrap();
            String::from_utf8_lossy(&said.stdout).trim().parse::<u32>().ok()
        };
        // As the node's services: they share a database.
        let user = if id(&["-u"]) == Some(0) { id(&["-u", "trafficserver"]) } else { None };
        if let Some(user) = user {
            let _ = std::os::unix::fs::chown(&folder, Some(user), None);
        }
        Twins { program: node.folder().join("streamverse"), folder, user, running: [None, None] }
    }

    fn start(&mut self, at: usize) {
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--target", "fast-channel", "--spec"])
            .arg(self.folder.join(format!("spec-{at}.json")));
        command.arg("--context").arg(self.folder.join("context.json"));
        command.arg("--admin").arg(format!("unix:{}", self.folder.join(format!("{at}.sock")).display()));
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join(format!("{at}.log")));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.unwrap());
        if let Some(user) = self.user {
            command.uid(user);
        }
        self.running[at] = Some(command.spawn().unwrap());
    }

    fn kill(&mut self, at: usize) {
        if let Some(mut child) = self.running[at].take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Twins {
    fn drop(&mut self) {
        self.kill(0);
        self.kill(1);
    }
}

/// The same without the film, which the channel still names.
fn without_film(config: &str) -> String {
    let (before, film) = config.split_once("\nresource \"streamverse_vod_asset\" \"film\"").unwrap();
    let (_, after) = film.split_once("\n}\n").unwrap();
    format!("{before}\n{after}").replace("streamverse_vod_asset.film, ", "")
}

#[test]
fn a_channel_plays_over_boundaries_in_hls_and_dash_and_nobody_notices_that_replicas_are_killed()
-> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some((program, site)) = readers() else { return Ok(()) };
    let Some(node) = Node::start() else { return Ok(()) };
    let ports = Ports { channel: free_port(), guide: free_port(), twins: [free_port(), free_port()] };
    let front = format!("http://127.0.0.1:{}", node.ports[1]);
    let plays = || -> Checked {
        let channel = format!("{front}/channel/main");
        answers(&format!("{channel}/hls.m3u8"))?;
        // ffmpeg plays while another reader watches.
        let watcher = watch(&program, &channel, 24, &node.folder().join("seen"));
        let frames = decoded(&node, &format!("{channel}/hls.m3u8"));
        let seen = seen(watcher)?;
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
    let survives = || -> Checked {
        let mut twins = Twins::of(&node, &ports);
        twins.start(0);
        twins.start(1);
        let address = format!("{front}/channel/twins");
        answers(&format!("{address}/hls.m3u8"))?;
        let told = std::env::var("STREAMVERSE_KILLING").ok().and_then(|it| it.parse().ok());
        let seconds = told.unwrap_or(KILLING);
        let mut watcher = watch(&program, &address, seconds, &node.folder().join("killed"));
        let mut kills = 0;
        while matches!(watcher.try_wait(), Ok(None)) {
            let at = kills % 2;
            std::thread::sleep(Duration::from_millis(1500));
            twins.kill(at);
            std::thread::sleep(Duration::from_millis(1000));
            twins.start(at);
            kills += 1;
            // It has to be there again before the other one goes.
            let _ = answers(&format!("http://127.0.0.1:{}/readyz", ports.twins[at]));
        }
        let seen = seen(watcher)?;
        eprintln!("{kills} kills: {}", seen["statuses"]);
        let changes = seen["lists"][0]["changes"].as_u64().unwrap_or(0);
        // A busy machine takes its time for each; what counts is that the reader lived through some.
        if kills < 2 || changes < seconds / 4 {
            return Err(format!("{kills} kills, {changes} changes").into());
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
        let found = (get(&segment), get(&segment));
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
        .step(Step::apply(config.as_str()).after(|_| plays().and_then(|()| survives())))
        .step(
            Step::apply(without_film(&config))
                .expect_warning("A channel still plays the asset")
                .after(|_| goes_on()),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
