//! Channels: what plans say of them, what is asked of their schedule, and that everybody says the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says aloud what it skips"
)]

use std::process::Command;

use serde_json::{Value, json};
use streamverse_acceptance::{ADDRESS, Node, free_port, kit};
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Step, action, known, unknown};

use kit::{get, stores};

/// A channel with these arguments in place of the usual ones.
fn channel(port: u16, rest: &str) -> String {
    let mut arguments = format!(
        "  name = \"one\"\n  title = \"Eins & <Zwei>\"\n  port = {port}\n  start = \"2026-03-28T00:00:00Z\"\n  \
         time_zone = \"Europe/Berlin\"\n  object_store = streamverse_object_store.media.url\n  \
         catalogue = streamverse_catalogue.main.url\n  slate = \"slate\"\n"
    );
    for (name, usual) in [
        (
            "sources",
            "{ film = { title = \"A \\\"Film\\\" & more\", duration_ms = 5400000, category = \"Film\" }, news = { duration_ms = 1500000, description = \"<now>\" }, \
             spot = { duration_ms = 30000 }, slate = { duration_ms = 10000 } }",
        ),
        ("schedule", "{ order = { items = [\"film\", \"news\"] } }"),
    ] {
        if !rest.contains(&format!("{name} = ")) {
            arguments += &format!("  {name} = {usual}\n");
        }
    }
    format!("resource \"streamverse_fast_channel\" \"one\" {{\n{arguments}  {rest}\n}}\n")
}

#[test]
fn a_plan_shows_the_guide_of_the_first_day_and_refuses_what_cannot_play() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let port = free_port();
    let config = |rest: &str| format!("{}{}{}", node.block(), stores(), channel(port, rest));
    let at = "streamverse_fast_channel.one";
    let refused = |rest: &str, text: &str| Step::plan_only(config(rest)).expect_plan_error(text);
    let grid = "schedule = { grid = { programmes = [{ at = \"02:30\", asset = \"news\" }, { at = \"20:15\", asset = \"film\" }] } }";
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(refused(
            "schedule = { order = { items = [\"film\", \"newz\"] } }",
            "(?s)Not among the sources.*Did you mean\\s+\"news\"",
        ))
        .step(refused("horizon = \"5s\"", "(?s)Horizon of a few segments.*12s"))
        .step(refused(
            "schedule = { grid = { programmes = [{ at = \"20:15\", asset = \"film\" }, { at = \"21:00\", asset = \"news\" }] } }",
            "(?s)Programme longer than its slot.*45m",
        ))
        .step(refused(
            "ad_breaks = { every = \"5m\", duration = \"2m\", spots = [\"spot\"] }",
            "(?s)More ads in an hour than allowed",
        ))
        .step(refused("replicas = 2", "(?s)replicas"))
        .step(
            Step::plan_only(config(grid))
                .named("the clock changes on the second day")
                .expect_warning("(?s)A programme is moved when the clock changes.*2026-03-29")
                .expect_warning("Nothing scheduled for a while"),
        )
        .step(
            Step::plan_only(config(""))
                .named("the guide of the first day")
                .plan(known(at, "guide[0].start", "2026-03-28T01:00:00+01:00"))
                .plan(known(at, "guide[1].stop", "2026-03-28T02:55:00+01:00"))
                .plan(known(at, "guide[1].title", "news"))
                .plan(known(at, "hls", "/channel/one/hls.m3u8"))
                .plan(known(at, "address", format!("http://127.0.0.1:{port}").as_str())),
        )
        .step(
            Step::plan_only(format!(
                "resource \"terraform_data\" \"length\" {{ input = 5400000 }}\n{}",
                config("sources = { film = { duration_ms = terraform_data.length.output }, news = {}, slate = {} }")
            ))
            .named("a length that is not known yet")
            .plan(unknown(at, "guide"))
            .plan(known(at, "dash", "/channel/one/dash.mpd")),
        )
        .run()
        .map(|_| ())
}

/// Reads a guide with lxml: by the schema of the XMLTV project, which PyPI's py-xmltv brings, with times as XMLTV has them, programmes in order on a channel that is there.
const READER: &str = r#"
import importlib.util, os, re, sys
from datetime import datetime
from lxml import etree
file = sys.argv[1]
tree = etree.parse(file, etree.XMLParser(load_dtd=False, no_network=True, resolve_entities=False))
package = os.path.dirname(importlib.util.find_spec("xmltv").origin)
schema = etree.XMLSchema(etree.parse(os.path.join(package, "resources", "xmltv.xsd")))
assert schema.validate(tree), schema.error_log
# One that takes everything would prove nothing.
for wrong in ("title", "channel"):
    broken = etree.fromstring(etree.tostring(tree))
    for it in broken.iter("programme"):
        it.remove(it.find("title")) if wrong == "title" else it.attrib.pop("channel")
    assert not schema.validate(broken), wrong
assert tree.docinfo.encoding == "UTF-8" and tree.docinfo.doctype == '<!DOCTYPE tv SYSTEM "xmltv.dtd">', tree.docinfo.doctype
channels = [it.get("id") for it in tree.findall("channel")]
assert len(channels) == len(set(channels))
last = {}
def time(text):
    assert re.fullmatch(r"\d{14} [+-]\d{4}", text), text
    return datetime.strptime(text, "%Y%m%d%H%M%S %z")
for it in tree.findall("programme"):
    assert it.get("channel") in channels
    start, stop = time(it.get("start")), time(it.get("stop"))
    assert start < stop and last.get(it.get("channel"), start) <= start, it.attrib
    last[it.get("channel")] = stop
    print(it.get("start"), it.findtext("title"), it.findtext("desc") or "", sep="|")
print(tree.findtext("channel/display-name"))
"#;

/// What lxml reads in a guide, line by line; `None` where there is none.
fn read_xmltv(node: &Node, xml: &str) -> Option<Vec<String>> {
    let Some(site) = std::env::var_os("STREAMVERSE_PYTHON_SITE") else {
        assert!(std::env::var_os("CI").is_none(), "STREAMVERSE_PYTHON_SITE is not set");
        eprintln!("SKIPPED: STREAMVERSE_PYTHON_SITE is not set: `cargo xtask tools` prints it");
        return None;
    };
    let file = node.folder().join("guide.xml");
    std::fs::write(&file, xml).unwrap();
    let said =
        Command::new("python3").args(["-c", READER]).arg(&file).env("PYTHONPATH", site).output().unwrap();
    assert!(said.status.success(), "{}\n{xml}", String::from_utf8_lossy(&said.stderr));
    Some(String::from_utf8_lossy(&said.stdout).lines().map(str::to_owned).collect())
}

/// `streamverse simulate channel` with these arguments: how it ended, and what it printed.
fn simulate(node: &Node, arguments: &[&str]) -> (Option<i32>, String) {
    let said = Command::new(node.folder().join("streamverse"))
        .args(["simulate", "channel"])
        .args(arguments)
        .output()
        .unwrap();
    let text = [said.stdout, said.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    (said.status.code(), text.concat())
}

#[test]
fn the_data_source_the_guide_service_and_the_simulation_say_the_same() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let (port, epg) = (free_port(), free_port());
    let start = "2026-03-28T00:00:00Z";
    // What is ready can show something: there is a slate, and of the programmes, which nobody made, only their slots.
    let (file, digest) = kit::clip(&node, "slate.mp4", 3);
    let slate = kit::asset(&file, &digest).replace("name       = \"film\"", "name       = \"slate\"");
    let config = format!(
        r#"{}{}{slate}{}
resource "streamverse_epg" "main" {{
  name     = "main"
  port     = {epg}
  channels = [streamverse_fast_channel.one.definition]
}}
data "streamverse_schedule" "far" {{
  channel = streamverse_fast_channel.one.definition
  at      = "2076-02-29T12:00:00Z"
}}
data "streamverse_schedule" "day" {{
  channel = streamverse_fast_channel.one.definition
  from    = "2026-03-29T00:00:00+01:00"
  to      = "2026-03-30T00:00:00+02:00"
}}
output "far" {{ value = data.streamverse_schedule.far.on.asset }}
output "next" {{ value = data.streamverse_schedule.far.next.asset }}
output "day" {{ value = [for it in data.streamverse_schedule.day.programmes : "${{it.start}} ${{it.asset}}"] }}
"#,
        node.block(),
        stores(),
        channel(
            port,
            "ad_breaks = { every = \"20m\", duration = \"1m\", spots = [\"spot\"] }\n  depends_on = [streamverse_vod_asset.film]"
        )
    );
    let state = node.folder().join("state.json");
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config).plan(action("streamverse_fast_channel.one", Action::Create)).after(|cx| {
            let all = cx.state()?;
            std::fs::write(&state, all.json().to_string())?;
            let day = all.output("day")?.as_array().cloned().unwrap_or_default();
            // 23 hours of rounds of 90 + 4 and 25 + 1 minutes, each break a millisecond more.
            assert!(day.len() >= 20, "{day:?}");
            assert!(all.output("far")? != all.output("next")?);

            let file = state.display().to_string();
            let (code, told) = simulate(&node, &["--state", &file, "--from", start, "--hours", "48"]);
            assert_eq!(code, Some(0), "{told}");
            let firsts: Vec<String> = told
                .lines()
                .filter(|line| line.contains(" programme ") && line.contains(" segments 0.."))
                .map(|line| {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    format!("{} {}", words[0], words[2])
                })
                .filter(|it| it.starts_with("2026-03-29"))
                .collect();
            // The window has what began before it; a slot may begin a moment later than planned.
            let day: Vec<&str> = day.iter().filter_map(Value::as_str).collect();
            let day: Vec<&&str> = day.iter().filter(|it| it.starts_with("2026-03-29")).collect();
            assert_eq!(firsts.len(), day.len(), "{firsts:?} {day:?}");
            for (one, other) in firsts.iter().zip(&day) {
                assert_eq!(one.split(' ').nth(1), other.split(' ').nth(1), "{firsts:?} {day:?}");
                assert_eq!(one[..15], other[..15], "{firsts:?} {day:?}");
            }
            assert!(told.contains(" out 1 for 60.0"), "{told}");

            let (_, body) = (0..100)
                .map(|_| {
                    std::thread::sleep(std::time::Duration::from_millis(200));
                    get(&format!("http://127.0.0.1:{epg}/epg/one.xml"))
                })
                .find(|(status, _)| *status == 200)
                .expect("the guide is not answered");
            let (status, guide) = get(&format!("http://127.0.0.1:{epg}/epg/one.json"));
            assert_eq!(status, 200, "{guide}");
            let guide: Value = serde_json::from_str(&guide)?;
            let programmes = guide["programmes"].as_array().cloned().unwrap_or_default();
            assert!(programmes.len() > 7 * 20, "a week of them: {}", programmes.len());
            if let Some(lines) = read_xmltv(&node, &body) {
                let (title, lines) = lines.split_last().unwrap();
                assert_eq!(title, "Eins & <Zwei>");
                assert_eq!(lines.len(), programmes.len());
                assert!(lines.iter().any(|it| it.ends_with("|A \"Film\" & more|")), "{lines:?}");
                assert!(lines.iter().any(|it| it.ends_with("|news|<now>")), "{lines:?}");
            }
            // What the service has is what the schedule has at that time.
            let one = &programmes[3];
            let asked = Command::new(node.folder().join("streamverse"))
                .args(["simulate", "channel", "--state", &file, "--hours", "2", "--from"])
                .arg(one["start"].as_str().unwrap())
                .output()?;
            let asked = String::from_utf8_lossy(&asked.stdout).into_owned();
            // Guides have no parts of a second: a segment may come before.
            let programme = format!(" programme {} ", one["asset"].as_str().unwrap());
            let found = asked.lines().take(2).any(|line| line.contains(&programme));
            assert!(found, "{asked} {one}");
            Ok(())
        }))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn a_simulation_finds_what_is_wrong_and_fails_with_it() {
    let Some(node) = Node::start() else { return };
    let write = |name: &str, value: &Value| {
        let file = node.folder().join(name);
        std::fs::write(&file, value.to_string()).unwrap();
        file.display().to_string()
    };
    let spec = write(
        "spec.json",
        &json!({ "object_store": "file://default/media", "catalogue": "sqlite://default/main", "start": "2026-11-26T12:00:00Z",
            "sources": { "film": {}, "slate": { "duration_ms": 10_000 } }, "slate": "slate", "assumed_duration": "1m",
            "schedule": { "order": { "items": ["film"] } } }),
    );
    let index = |segments: &[u64]| {
        json!({ "version": 1, "duration_ms": 0, "segment_ms": 4000, "parts": [{ "duration_ms": 0, "tracks": [{
            "name": "v", "kind": "video", "codecs": "", "bandwidth": 0, "timescale": 1000, "init": "", "media": "",
            "first_number": 1, "segments": segments }] }] })
    };
    let (code, told) = simulate(&node, &["--spec", &spec, "--hours", "1"]);
    assert!(code == Some(0) && told.contains("programme 3600 s"), "{told}");
    let long = write("long.json", &index(&[4000, 9000, 4000]));
    let (code, told) =
        simulate(&node, &["--spec", &spec, "--hours", "1", "--index", &format!("film={long}"), "--quiet"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("VIOLATION") && told.contains("target duration: film has a segment of 9000 ms"),
        "{told}"
    );
    let empty = write("empty.json", &index(&[]));
    let both = [format!("film={empty}"), format!("slate={empty}")];
    let (code, told) = simulate(&node, &["--spec", &spec, "--index", &both[0], "--index", &both[1]]);
    assert!(code == Some(1) && told.contains("silence"), "{told}");
    for (arguments, text) in [
        (vec!["--spec", "/nowhere"], "cannot be read"),
        (vec!["--spec", &spec, "--hours", "0"], "--hours is 1 to"),
        (vec!["--spec", &spec, "--from", "yesterday"], "is no time"),
        (vec!["--spec", &long], "is no channel"),
        (vec!["--state", &long], "has no such streamverse_fast_channel"),
    ] {
        let (code, told) = simulate(&node, &arguments);
        assert!(code == Some(1) && told.contains(text), "{arguments:?}: {told}");
    }
}
