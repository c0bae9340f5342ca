//! A package read by programs that are not ours: two npm parsers over HTTP, ffprobe, and the packager's own dump.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::{asset, clip, edge, get, origin, stores, subtitles};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Node.js and the page's modules, told aloud where they are missing.
pub(crate) fn node_js() -> Option<std::path::PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let program = std::env::var_os("STREAMVERSE_NODE").filter(|_| root.join("web/node_modules").is_dir());
    if program.is_none() {
        assert!(std::env::var_os("CI").is_none(), "Node.js or the page's modules are missing");
        eprintln!("SKIPPED: Node.js or the page's modules are missing: `cargo xtask test` brings them");
    }
    program.map(Into::into)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn sum(segments: &[Value]) -> f64 {
    segments.iter().map(|it| number(&it["duration"])).sum()
}

/// The highest bit rate of a segment, in bit/s (RFC 8216 section 4.3.4.2).
fn peak(segments: &[Value]) -> f64 {
    segments.iter().map(|it| number(&it["bytes"]) * 8.0 / number(&it["duration"])).fold(0.0, f64::max)
}

/// A media playlist of fMP4 segments: rules that hold for each of them.
fn media_playlist(name: &str, list_of: &Value, seconds: f64) {
    let segments = list(&list_of["segments"]);
    assert!(list_of["end"] == true && list_of["type"] == "VOD", "{name}: {list_of}");
    // EXT-X-MAP in a playlist that is not of key frames alone needs version 6 (RFC 8216 section 7).
    assert!(list_of["version"].as_u64() >= Some(6), "{name}: {list_of}");
    assert_eq!(list_of["init"]["status"], 200, "{name}");
    let target = number(&list_of["target"]);
    for segment in segments {
        // RFC 8216 section 4.3.3.1: rounded to whole seconds, none is longer.
        assert!(number(&segment["duration"]).round() <= target, "{name}: {segment}");
        assert_eq!((&segment["cors"], &segment["status"]), (&"*".into(), &200.into()), "{name}: {segment}");
        let type_of = segment["type"].as_str().unwrap();
        assert!(type_of.starts_with("video/mp4") || type_of.starts_with("audio/mp4"), "{name}: {segment}");
    }
    assert!((sum(segments) - seconds).abs() < 0.05, "{name}: {} of {seconds}", sum(segments));
    // ISO/IEC 23000-19: a segment begins where the one before it ended, exactly, and with a sample that needs no other.
    let (mut end, scale) = (0, number(&list_of["init"]["timescale"]));
    for segment in segments {
        assert_eq!(segment["time"].as_u64(), Some(end), "{name}: {segment}");
        assert_eq!(segment["sync"], true, "{name}: {segment}");
        end += segment["duration_units"].as_u64().unwrap();
        assert!(
            (number(&segment["duration_units"]) / scale - number(&segment["duration"])).abs() < 0.03,
            "{name}: {segment}"
        );
    }
    let brands: Vec<&str> = list(&list_of["init"]["brands"]).iter().filter_map(Value::as_str).collect();
    assert!(brands.contains(&"iso8") || brands.contains(&"cmfc"), "{name}: {brands:?}");
}

fn judge(found: &Value, shown: &Value, seconds: f64) {
    assert_eq!(found["refused"], Value::Array(Vec::new()), "every address that is named answers");
    let (hls, dash) = (&found["hls"], &found["dash"]);
    assert_eq!(hls["independent"], true);
    let all = list(&hls["variants"]);
    let (frames, variants): (Vec<_>, Vec<_>) = all.iter().partition(|it| it["iframes"] == true);
    assert_eq!((variants.len(), frames.len()), (3, 3), "{hls}");
    let renditions = list(&shown["renditions"]);
    let mut counts = Vec::new();
    for variant in &variants {
        let name = format!("{}p", variant["height"]);
        let codecs: Vec<&str> = variant["codecs"].as_str().unwrap().split(',').collect();
        let known = renditions.iter().find(|it| {
            it["kind"] == "video"
                && it["height"] == variant["height"]
                && codecs.contains(&it["codecs"].as_str().unwrap())
        });
        let known = known.unwrap_or_else(|| panic!("the catalogue has no {name} {codecs:?}: {shown}"));
        assert_eq!(known["width"], variant["width"], "{name}");
        assert!(
            (number(&variant["rate"]) - 25.0).abs() < 0.01 && codecs.contains(&"mp4a.40.2"),
            "{name}: {variant}"
        );
        let segments = list(&variant["playlist"]["segments"]);
        media_playlist(&name, &variant["playlist"], seconds);
        counts.push(segments.len());
        let sound = &list(&variant["audio"])[0]["playlist"];
        media_playlist("sound", sound, seconds);
        counts.push(list(&sound["segments"]).len());
        // With the loudest of the sound: the largest sum that a player may meet. Manifests round.
        let both = peak(segments) + peak(list(&sound["segments"]));
        let told = number(&variant["bandwidth"]);
        assert!(both <= told * 1.01 && told <= both * 1.1, "{name}: {both} of {told}");
        assert!(number(&variant["average"]) <= told, "{name}");
        let words = &list(&variant["subtitles"])[0];
        assert_eq!((&words["language"], &words["name"]), (&"en".into(), &"English".into()));
        let cues: String =
            list(&words["playlist"]["segments"]).iter().filter_map(|it| it["text"].as_str()).collect();
        assert!(cues.contains("Hello, world"), "{cues}");
    }
    for key in &frames {
        assert_eq!(key["playlist"]["iframes"], true, "{key}");
        counts.push(list(&key["playlist"]["segments"]).len());
    }
    counts.dedup();
    assert_eq!(counts.len(), 1, "all renditions have as many segments: {counts:?}");

    assert_eq!((&dash["type"], &dash["warnings"]), (&"static".into(), &Value::Array(Vec::new())));
    assert!((number(&dash["duration"]) - seconds).abs() < 0.05, "{}", dash["duration"]);
    assert_eq!(
        (list(&dash["video"]).len(), list(&dash["audio"]).len(), list(&dash["subtitles"]).len()),
        (3, 1, 1)
    );
    for one in list(&dash["video"]).iter().chain(list(&dash["audio"])) {
        let segments = list(&one["segments"]);
        assert_eq!(segments.len(), counts[0], "{one}");
        let mut end = 0.0;
        for segment in segments {
            assert!(
                (number(&segment["begin"]) - end).abs() < 0.001,
                "no gap and no overlap: {segment} after {end}"
            );
            end = number(&segment["begin"]) + number(&segment["duration"]);
        }
        assert!((end - seconds).abs() < 0.05, "{one}");
        assert!(peak(segments) <= number(&one["bandwidth"]) * 1.01, "{one}");
    }
    // The same segments by both.
    let urls = |it: &Value| {
        list(&it["segments"]).iter().map(|it| it["url"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let ours: Vec<_> = variants.iter().map(|it| urls(&it["playlist"])).collect();
    assert!(list(&dash["video"]).iter().all(|it| ours.contains(&urls(it))));

    // Thumbnails: 12 seconds and a picture for each two are one sheet.
    let image = &list(&dash["images"])[0];
    assert_eq!((&image["type"], &image["layout"]), (&"image/jpeg".into(), &"5x5".into()));
    assert_eq!(image["scheme"], "http://dashif.org/guidelines/thumbnail_tile");
    for segment in list(&image["segments"]).iter().chain(list(&hls["images"]["segments"])) {
        assert_eq!((&segment["type"], &segment["status"]), (&"image/jpeg".into(), &200.into()), "{segment}");
    }
    assert!((sum(list(&hls["images"]["segments"])) - seconds).abs() < 0.05);
}

/// ffprobe and the packager read what the manifests promise of each rendition.
fn probe(node: &Node, found: &Value) -> Outcome {
    for variant in list(&found["hls"]["variants"]).iter().filter(|it| it["iframes"] == false) {
        let list_of = &variant["playlist"];
        let names = std::iter::once(&list_of["init"]).chain(list(&list_of["segments"]));
        let mut command = Command::new("curl");
        command.args(["-sf", "--max-time", "20"]).args(names.filter_map(|it| it["url"].as_str()));
        let file = node.folder().join("joined.mp4");
        std::fs::write(&file, command.output()?.stdout)?;
        let said = Command::new(node.tool("ffprobe"))
            .args(["-v", "warning", "-count_packets", "-show_entries", "stream=codec_name,profile,level,width,height,r_frame_rate,nb_read_packets:format_tags=major_brand", "-of", "json"])
            .arg(&file)
            .output()?;
        assert_eq!(String::from_utf8_lossy(&said.stderr), "", "ffprobe has nothing to complain of");
        let probed: Value = serde_json::from_slice(&said.stdout)?;
        let stream = &probed["streams"][0];
        assert_eq!((&stream["width"], &stream["height"]), (&variant["width"], &variant["height"]));
        assert_eq!(stream["r_frame_rate"], "25/1");
        assert_eq!(stream["nb_read_packets"], "300", "twelve seconds, no frame lost: {stream}");
        let level = stream["level"].as_u64().unwrap();
        let codec = match stream["codec_name"].as_str() {
            Some("h264") => format!("avc1.6400{level:02x}"),
            Some("hevc") => format!("hvc1.1.6.L{level}.90"),
            other => return Err(format!("{other:?}").into()),
        };
        assert!(variant["codecs"].as_str().unwrap().contains(&codec), "{codec}: {variant}");
        let dump = Command::new(node.tool("packager"))
            .args([&format!("in={},stream=video", file.display()), "--dump_stream_info"])
            .output()?;
        let text =
            format!("{}{}", String::from_utf8_lossy(&dump.stdout), String::from_utf8_lossy(&dump.stderr));
        assert!(dump.status.success(), "{text}");
        for told in [
            format!("codec_string: {codec}"),
            format!("time_scale: {}", list_of["init"]["timescale"]),
            format!("width: {}", variant["width"]),
            "is_encrypted: false".to_owned(),
        ] {
            assert!(text.contains(&told), "{told}: {text}");
        }
    }
    Ok(())
}

#[test]
fn strangers_read_in_a_package_what_was_asked_for() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(program) = node_js() else { return Ok(()) };
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, front, _] = node.ports;
    let (file, digest) = clip(&node, "film.mp4", 12);
    let (words, words_digest) = subtitles(&node);
    let film = asset(&file, &digest)
        .replace(
            "[{ name = \"180p\", height = 180, bit_rate = 200000 }]",
            "[{ name = \"360p\", height = 360, bit_rate = 800000 }, { name = \"180p\", height = 180, bit_rate = 200000 }, { name = \"240p\", height = 240, bit_rate = 300000, codec = \"hevc\" }]",
        )
        .replace(
            "  source     =",
            &format!(
                "  thumbnails = {{ interval = \"2s\" }}\n  subtitles  = [{{ language = \"en\", label = \"English\", source = {{ url = \"file://{}\", digest = \"{words_digest}\" }} }}]\n  source     =",
                words.display()
            ),
        );
    let config = format!("{}{}{}{}{film}", node.block(), stores(), origin(port, "64MiB"), edge(front, ""));
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config).after(|_| {
            let base = format!("http://127.0.0.1:{front}/vod/film");
            let said = Command::new(&program)
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/browser/read.mjs"))
                .args([format!("{base}/hls.m3u8"), format!("{base}/dash.mpd")])
                .output()?;
            let errors = String::from_utf8_lossy(&said.stderr).into_owned();
            let found: Value = serde_json::from_slice(&said.stdout).map_err(|_| errors)?;
            let (_, catalogue) = get(&format!("http://127.0.0.1:{front}/catalogue.json"));
            let catalogue: Value = serde_json::from_str(&catalogue)?;
            let shown = find(&catalogue, "film").ok_or_else(|| format!("no film: {catalogue}"))?;
            judge(&found, shown, 12.0);
            probe(&node, &found)
        }))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

/// The asset in the catalogue, whatever shape surrounds it.
fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) if map.get("name").is_some_and(|it| it == name) => Some(value),
        Value::Object(map) => map.values().find_map(|it| find(it, name)),
        Value::Array(all) => all.iter().find_map(|it| find(it, name)),
        _ => None,
    }
}
