//! The quickstart's module with an encrypted channel, watched in a browser through Traffic Server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use streamverse_acceptance::{ADDRESS, Node, free_port, is_root, secrets};
use streamverse_core::stores::{ContentKeys as _, KeyServiceClient, key_wire::AccessKey};
use streamverse_model::media::PackageIndex;
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::get;
use crate::screen::{browser, coded_clip, root, script};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Frames of a second, and of a group of pictures: a segment of the ladder below.
const RATE: i64 = 25;
const GROUP: i64 = 2 * RATE;
/// Clips by the number in their block code, with their seconds.
const FEATURE: (u32, u32) = (1, 12);
const SHORT: (u32, u32) = (2, 4);
const SPOT: (u32, u32) = (3, 4);
const SLATE: (u32, u32) = (4, 2);
/// Where the break in the feature is, in seconds. A key is used for four seconds, so that it is exchanged at the fourth, too.
const BREAK_AT: i64 = 8;

/// Secrets in files of their own, as the quickstart makes them.
struct Vault {
    folder: tempfile::TempDir,
    values: Vec<(&'static str, String)>,
}

impl Vault {
    fn new() -> Vault {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let random = std::fs::read("/proc/sys/kernel/random/uuid").unwrap();
        let mut values = Vec::new();
        for name in ["key-encryption-key", "access-key", "token-key", "admin-token"] {
            let mut bytes = [0_u8; 32];
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = random[at % 36] ^ name.as_bytes()[at % name.len()].wrapping_mul(31);
            }
            let value = STANDARD.encode(bytes);
            let file = folder.path().join(name);
            std::fs::write(&file, &value).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            values.push((name, value));
        }
        if is_root() {
            // As whom the agent of these tests runs services.
            let key = folder.path().join("key-encryption-key");
            assert!(Command::new("chown").arg("trafficserver").arg(key).status().unwrap().success());
        }
        Vault { folder, values }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reference(&self, name: &str) -> String {
        format!("file:{}", self.file(name).display())
    }
}

/// `modules/platform` as a root module: what a module of its own would need `init` for.
fn config(node: &Node) -> String {
    let module = root().join("modules/platform");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(module).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "tf"));
    files.sort();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    // The providers are named by the block of the node.
    let (before, rest) = text.split_once("terraform {").unwrap();
    let (_, after) = rest.split_once("\n}\n").unwrap();
    format!("{}{before}{after}", node.block())
}

/// Variables of the module by name, as JSON.
fn variables(node: &Node, vault: &Vault) -> Vec<(&'static str, Value)> {
    let clip = |(number, seconds): (u32, u32)| {
        let (file, digest) = coded_clip(node, &format!("clip{number}.mp4"), number, seconds);
        json!({
            "title": format!("Clip {number}"), "protected": true, "listed": number < 3,
            "source": { "url": format!("file://{}", file.display()), "digest": digest },
        })
    };
    let [origin, edge, page] = node.ports;
    vec![
        (
            "assets",
            json!({ "feature": clip(FEATURE), "short": clip(SHORT), "spot": clip(SPOT), "slate": clip(SLATE) }),
        ),
        (
            "protection",
            json!({
                "key_encryption_key": { "file": vault.file("key-encryption-key") },
                "access_key_ref": vault.reference("access-key"),
                "admin_token_ref": vault.reference("admin-token"),
                "token_key_ref": vault.reference("token-key"),
                "crypto_period_segments": 2,
                "streams": 1,
                "viewers": [{ "id": "anna" }, { "id": "ben" }, { "id": "cleo" }, { "id": "guest" }],
            }),
        ),
        (
            "channels",
            json!({ "one": {
                "title": "One", "port": free_port(), "items": ["feature", "short"], "slate": "slate", "spots": ["spot"],
                // Longer than the spot, and too short for two: slate fills the rest.
                "ad_break": "6s", "ad_positions": [format!("{BREAK_AT}s")],
            }}),
        ),
        (
            "ports",
            json!({
                "origin": origin, "edge": edge, "page": page, "keys": free_port(), "licence": free_port(),
                "admin": free_port(), "guide": free_port(),
            }),
        ),
        ("segment_duration", json!("2s")),
        (
            "video",
            json!([
                { "name": "360p", "height": 360, "bit_rate": 700_000 },
                { "name": "180p", "height": 180, "bit_rate": 300_000 },
            ]),
        ),
        ("edge_storage", json!("64MiB")),
    ]
}

/// What a script of ours prints.
fn told(mut command: Command) -> Result<Value, Fault> {
    let said = command.output()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    serde_json::from_str(text.trim()).map_err(|_| format!("{text}{errors}").into())
}

fn watch(program: &Path, page: &str, words: &[&str]) -> Result<Value, Fault> {
    let mut command = script(program, "watched.mjs", page);
    command.args(words);
    told(command)
}

/// Where a picture is in what the channel plays over and over, in frames: the feature up to its break, the spot, the rest of
/// the feature, the short one. Slate is not counted: it stands where nothing else is.
fn place(clip: i64, frame: i64) -> Option<i64> {
    let (feature, spot) = (i64::from(FEATURE.1) * RATE, i64::from(SPOT.1) * RATE);
    let of = |clip: (u32, u32)| i64::from(clip.0);
    match clip {
        _ if clip == of(FEATURE) && frame < BREAK_AT * RATE => Some(frame),
        _ if clip == of(FEATURE) => Some(frame + spot),
        _ if clip == of(SPOT) => Some(BREAK_AT * RATE + frame),
        _ if clip == of(SHORT) => Some(feature + spot + frame),
        _ => None,
    }
}

const ROUND: i64 = (FEATURE.1 + SPOT.1 + SHORT.1) as i64 * RATE;

/// Judges what was seen on the screen: pictures in order, none skipped or repeated beyond one group of pictures.
fn in_order(seen: &[Value]) -> Result<(), String> {
    let mut before: Option<(i64, i64)> = None;
    for one in seen {
        let number = |at: usize| one[at].as_i64().unwrap_or(-1);
        let (clip, frame, at) = (number(0), number(1), number(2));
        let Some(now) = place(clip, frame) else { continue };
        if let Some((last, then)) = before {
            let step = (now - last).rem_euclid(ROUND);
            // Half a round ahead is half a round back.
            let step = if step > ROUND / 2 { step - ROUND } else { step };
            let passed = (at - then) * RATE / 1000;
            if step < -GROUP {
                return Err(format!("after place {last} comes {now}: {} pictures again", -step));
            }
            if step > passed + GROUP {
                return Err(format!("after place {last} comes {now}, {passed} later: pictures are missing"));
            }
        }
        before = Some((now, at));
    }
    Ok(())
}

fn plays(program: &Path, page: &str, protocol: &str, account: &str) -> Result<(), Fault> {
    let mut words = vec!["--protocol", protocol, "--account", account, "--changes", "6", "--seconds", "60"];
    let file = std::env::var("STREAMVERSE_SCREENSHOT_CHANNEL").ok();
    if let Some(file) = &file {
        words.extend(["--screenshot", file]);
    }
    let found = watch(program, page, &words)?;
    let seen = found["seen"].as_array().cloned().unwrap_or_default();
    let wrong = |why: String| -> Fault { format!("{protocol}: {why}: {found}").into() };
    in_order(&seen).map_err(&wrong)?;
    let clips: Vec<i64> = seen.iter().filter_map(|one| one[0].as_i64()).collect();
    let mut runs = clips.clone();
    runs.dedup();
    let of = |clip: (u32, u32)| i64::from(clip.0);
    let follows = |a: (u32, u32), b: (u32, u32)| runs.windows(2).filter(|it| **it == [of(a), of(b)]).count();
    let boundaries = follows(FEATURE, SHORT) + follows(SHORT, FEATURE);
    if boundaries < 2 {
        return Err(wrong(format!("{boundaries} boundaries of assets were seen")));
    }
    if !(clips.contains(&of(SPOT)) && clips.contains(&of(SLATE))) {
        return Err(wrong("no break with spot and slate was seen".to_owned()));
    }
    // At its fourth second the feature goes on with another key.
    let exchanged = seen.windows(2).any(|it| {
        let frame = |at: usize| (it[at][0].as_i64() == Some(of(FEATURE))).then(|| it[at][1].as_i64()).flatten();
        matches!((frame(0), frame(1)), (Some(before), Some(after)) if before < 4 * RATE && (4 * RATE..5 * RATE).contains(&after))
    });
    let keys = found["facts"]["keys"].as_object().map_or(0, serde_json::Map::len);
    if !exchanged || keys < 4 {
        return Err(wrong(format!("no exchange of keys was seen; the browser has {keys}")));
    }
    if found["heights"].as_array().map_or(0, Vec::len) < 2 {
        return Err(wrong("one rendition alone was seen".to_owned()));
    }
    let number = |name: &str| found[name].as_u64().unwrap_or(0);
    if number("segments") == 0 || number("through_traffic_server") != number("segments") {
        return Err(wrong("segments came another way than through Traffic Server".to_owned()));
    }
    if !found["failures"].as_array().is_some_and(Vec::is_empty) {
        return Err(wrong("the page has failures".to_owned()));
    }
    eprintln!(
        "{protocol}: {} pictures, runs {runs:?}, {keys} keys, heights {}, facts {}",
        seen.len(),
        found["heights"],
        found["facts"]
    );
    Ok(())
}

/// A video on demand: encrypted, it is played by DASH whatever was chosen, for its HLS is for systems of vendors.
fn plays_on_demand(program: &Path, page: &str) -> Result<(), Fault> {
    let words = ["--asset", "Clip 1", "--protocol", "hls", "--account", "cleo", "--seconds", "7"];
    let found = watch(program, page, &words)?;
    let wrong = |why: &str| -> Fault { format!("on demand: {why}: {found}").into() };
    let fetched = |name: &str| {
        let all = found["manifests"].as_array().into_iter().flatten();
        all.filter_map(Value::as_str).any(|path| path.starts_with("/vod/feature/") && path.ends_with(name))
    };
    if !fetched("/dash.mpd") || fetched(".m3u8") {
        return Err(wrong("not played by DASH alone"));
    }
    // What is on the screen first may still be of the channel.
    let number = |one: &Value, at: usize| one[at].as_i64().unwrap_or(-1);
    let later: Vec<&Value> =
        found["seen"].as_array().into_iter().flatten().filter(|one| number(one, 2) > 2000).collect();
    let frames: Vec<i64> = later.iter().map(|one| number(one, 1)).collect();
    let all = later.iter().all(|one| number(one, 0) == i64::from(FEATURE.0));
    if frames.len() < 10 || !all || !frames.is_sorted() {
        return Err(wrong("its pictures were not seen in order"));
    }
    let keys = found["facts"]["keys"].as_object().map_or(0, serde_json::Map::len);
    if keys == 0 || !found["failures"].as_array().is_some_and(Vec::is_empty) {
        return Err(wrong("it had no key, or the page failed"));
    }
    Ok(())
}

/// Every content key that a package of the node is encrypted with, in every form in which it could be written down.
fn content_keys(node: &Node, port: u16, vault: &Vault) -> Result<Vec<Vec<u8>>, Fault> {
    let mut kids = Vec::new();
    let packages = node.folder().join("data/test/stores/main-media/vod");
    for asset in std::fs::read_dir(packages)?.flatten() {
        for generation in std::fs::read_dir(asset.path())?.flatten() {
            let index: PackageIndex =
                serde_json::from_slice(&std::fs::read(generation.path().join("index.json"))?)?;
            kids.extend(index.parts.iter().flat_map(|part| &part.tracks).filter_map(|track| track.kid));
        }
    }
    kids.sort_unstable();
    kids.dedup();
    let access = AccessKey::parse(&std::fs::read_to_string(vault.file("access-key"))?)?;
    let client = KeyServiceClient::new(&format!("127.0.0.1:{port}"), "test/search", access)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let keys: Vec<_> = runtime.block_on(client.find(&kids))?.into_iter().flatten().collect();
    if keys.len() < 8 || keys.len() != kids.len() {
        return Err(format!("{} of {} keys were found", keys.len(), kids.len()).into());
    }
    Ok(keys.iter().flat_map(|key| secrets::forms(key.secret())).collect())
}

/// Those who are refused, and those who have the manifests and no licence service: no picture for any of them.
fn refused(program: &Path, page: &str) -> Result<(), Fault> {
    let look = |words: &'static [&'static str]| move || watch(program, page, words);
    let [second, guest, hls, dash] = std::thread::scope(|scope| {
        // Her first screen still counts, and this browser is another one.
        let second = scope.spawn(look(&["--account", "anna", "--seconds", "6"]));
        let guest = scope.spawn(look(&["--account", "guest", "--seconds", "6"]));
        let hls = scope.spawn(look(&["--stolen", "--seconds", "6"]));
        let dash = scope.spawn(look(&["--stolen", "--protocol", "dash", "--seconds", "6"]));
        [second, guest, hls, dash].map(|it| it.join().unwrap_or_else(|_| Err("a look ended badly".into())))
    });
    let (second, guest, hls, dash) = (second?, guest?, hls?, dash?);
    says(&second, "too-many-streams", "as many of your screens play as may")?;
    says(&guest, "account-unknown", "No licence for One: this account has no subscription")?;
    [&second, &guest, &hls].into_iter().try_for_each(fetched)?;
    // A manifest of DASH says at once that it is encrypted: nothing more is fetched.
    let told = |it: &Value| it["message"].as_str().is_some_and(|it| it.contains("It is encrypted"));
    if !told(&hls) || !told(&dash) {
        return Err(format!("nobody was told that it is encrypted: {hls} {dash}").into());
    }
    [&second, &guest, &hls, &dash].into_iter().try_for_each(dark)
}

fn fetched(found: &Value) -> Result<(), Fault> {
    let tried = found["segments"].as_u64().unwrap_or(0) > 0;
    if tried { Ok(()) } else { Err(format!("nothing was tried: {found}").into()) }
}

/// No picture, whatever was fetched.
fn dark(found: &Value) -> Result<(), Fault> {
    let none = found["seen"].as_array().is_some_and(Vec::is_empty)
        && found["frames"].as_u64() == Some(0)
        && found["facts"]["keys"].as_object().is_some_and(serde_json::Map::is_empty);
    if none { Ok(()) } else { Err(format!("something was shown: {found}").into()) }
}

fn says(found: &Value, code: &str, words: &str) -> Result<(), Fault> {
    let message = found["message"].as_str().unwrap_or_default();
    let denied = found["denials"].as_array().is_some_and(|all| all.contains(&json!(code)));
    if denied && message.contains(words) {
        Ok(())
    } else {
        Err(format!("not {code}, {words:?}: {found}").into())
    }
}

/// Subscriptions of those who have one, written as an operator writes them.
fn grant(admin: &str, vault: &Vault) -> Result<(), Fault> {
    for account in ["anna", "ben", "cleo", "crowd"] {
        // The token comes on stdin: arguments are read by everybody.
        let token = std::fs::read_to_string(vault.file("admin-token"))?;
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "10", "--retry", "5", "--retry-connrefused", "-X", "PUT", "-K", "-"]);
        curl.args(["-w", "\n%{http_code}", "-d", r#"{"kind":"subscription","package":"all"}"#]);
        curl.arg(format!("{admin}/admin/v1/accounts/{account}/grants/test"));
        curl.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = curl.spawn()?;
        let line = format!("header = \"Authorization: Bearer {token}\"\n");
        std::io::Write::write_all(&mut child.stdin.take().ok_or("no stdin")?, line.as_bytes())?;
        let said = String::from_utf8_lossy(&child.wait_with_output()?.stdout).into_owned();
        if !said.trim_end().ends_with("200") {
            return Err(format!("the grant for {account}: {said}").into());
        }
    }
    Ok(())
}

/// Licences as players and thieves ask for them.
fn licences(program: &Path, edge: &str, vault: &Vault) -> Result<(), Fault> {
    let (_, now) = get(&format!("{edge}/channel/one/now.json"));
    let now: Value = serde_json::from_str(&now)?;
    let kid = now["now"]["kids"][0].as_str().ok_or_else(|| format!("what is on has no key: {now}"))?;
    let mut command = script(program, "licences.mjs", &format!("{edge}/licence/clearkey"));
    command.arg(kid).arg(vault.file("token-key"));
    let found = told(command)?;
    for (what, status, code) in [
        ("entitled", 200, ""),
        ("replayed", 401, "token-replayed"),
        ("not_entitled", 403, "account-unknown"),
        ("expired", 401, "token-expired"),
        ("unsigned", 401, "token-algorithm"),
        ("for_somebody_else", 401, "token-audience"),
        ("without_token", 401, "token-missing"),
        ("second_stream", 429, "too-many-streams"),
        ("first_stream_again", 200, ""),
        ("unknown_key", 404, "key-unknown"),
    ] {
        let one = &found[what];
        let keys = one["keys"].as_u64().unwrap_or(99);
        let right = one["status"] == status && one["code"] == code && (keys == 1) == (status == 200);
        if !right || (status != 200 && keys != 0) {
            return Err(format!("{what}: not {status} {code:?}: {found}").into());
        }
    }
    Ok(())
}

#[test]
fn an_encrypted_channel_plays_for_the_entitled_and_shows_nobody_else_a_picture() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(program) = browser() else { return Ok(()) };
    let Some(node) = Node::start() else { return Ok(()) };
    let vault = Vault::new();
    let variables = variables(&node, &vault);
    let port = |of: &str| {
        let ports = variables.iter().find(|(name, _)| *name == "ports").map(|(_, ports)| ports[of].as_u64());
        ports.flatten().and_then(|port| u16::try_from(port).ok()).unwrap_or_default()
    };
    let (admin, keys) = (format!("http://127.0.0.1:{}", port("admin")), port("keys"));
    let [_, edge, page] = node.ports;
    let (edge, page) = (format!("http://127.0.0.1:{edge}"), format!("http://127.0.0.1:{page}"));
    let planted: Vec<&str> = vault.values.iter().map(|(_, value)| value.as_str()).collect();
    let mut case = Case::new(&cli).provider(ADDRESS, node.provider()).secrets_absent(&planted);
    for (name, value) in &variables {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        case = case.var(name, text);
    }
    case.step(Step::apply(config(&node)).after(|_| {
        grant(&admin, &vault)?;
        plays(&program, &page, "hls", "anna")?;
        plays(&program, &page, "dash", "ben")?;
        plays_on_demand(&program, &page)?;
        refused(&program, &page)?;
        licences(&program, &edge, &vault)?;
        let mut all = content_keys(&node, keys, &vault)?;
        // What lies in credentials, so that the search knows that it sees something.
        all.extend(planted.iter().map(|it| it.as_bytes().to_vec()));
        secrets::planted_nowhere(&node, &all)?;
        Ok(())
    }))
    .check_destroyed(|_| node.nothing_left().map_err(Into::into))
    .run()
    .map(|_| ())
}

#[test]
fn pictures_out_of_order_are_told_apart_from_those_in_order() {
    let frame = |clip: u32, frame: i64, at: i64| json!([clip, frame, at]);
    let feature = FEATURE.0;
    assert!(in_order(&[frame(feature, 0, 0), frame(feature, 25, 1000), frame(feature, 26, 1040)]).is_ok());
    // Over the break, with slate in it, and from the last to the first.
    assert!(
        in_order(&[
            frame(feature, 199, 0),
            frame(SPOT.0, 0, 40),
            frame(SLATE.0, 9, 3000),
            frame(feature, 200, 4040)
        ])
        .is_ok()
    );
    assert!(in_order(&[frame(SHORT.0, 99, 0), frame(feature, 0, 40)]).is_ok());
    assert!(in_order(&[frame(feature, 100, 0), frame(feature, 160, 40)]).is_err());
    assert!(in_order(&[frame(feature, 100, 0), frame(feature, 40, 40)]).is_err());
    assert!(in_order(&[frame(feature, 199, 0), frame(feature, 260, 40)]).is_err());
}
