//! The quickstart's module with an encrypted channel, watched in a browser through Traffic Server.

use std::path::Path;

use serde_json::{Value, json};
use streamverse_acceptance::replicas::Twins;
use streamverse_acceptance::{ADDRESS, Node, free_port, secrets};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::killed;
use crate::pictures::{FEATURE, RATE, SHORT, SLATE, SPOT, in_order};
use crate::screen::{browser, script};
use crate::stage::{self, REPLICAS, Vault};

type Fault = Box<dyn std::error::Error + Send + Sync>;

fn watch(program: &Path, page: &str, words: &[&str]) -> Result<Value, Fault> {
    let mut command = script(program, "watched.mjs", page);
    command.args(words);
    stage::told(command)
}

/// For a minute, while whatever serves it is killed: that nobody notices is judged as well.
fn plays(program: &Path, page: &str, protocol: &str, account: &str) -> Result<(), Fault> {
    let mut words = vec!["--protocol", protocol, "--account", account, "--seconds", "60"];
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
    // A licence that nobody answered is asked for again, and the browser tells its console; nothing else may fail.
    let failures = found["failures"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let surfaced: Vec<&str> = failures.filter(|it| !it.contains("/licence/clearkey")).collect();
    if !surfaced.is_empty() || found["denials"] != json!([]) {
        return Err(wrong(format!("the page has failures: {surfaced:?}")));
    }
    let facts = &found["facts"];
    if facts["stalls"] != 0 || facts["faults"] != 0 {
        return Err(wrong("it stood still".to_owned()));
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

/// Those who are refused, and those who have the manifests and no licence service: no picture for any of them.
fn refused(program: &Path, page: &str, vault: &Vault) -> Result<(), Fault> {
    let key = vault.file("token-key").to_string_lossy().into_owned();
    let expired = ["--account", "cleo", "--token", "expired", "--token-key", &key];
    let same = ["--account", "fay", "--token", "same", "--token-key", &key];
    let [hls, dash] = at_once(program, page, [&["--stolen"], &["--stolen", "--protocol", "dash"]], "6")?;
    // Ben's first screen still counts, and this browser is another one.
    let denied: [&[&str]; 3] = [&["--account", "ben"], &["--account", "guest"], &["--account", "dora"]];
    let [second, guest, dora] = at_once(program, page, denied, "20")?;
    let [erik, expired, same] = at_once(program, page, [&["--account", "erik"], &expired, &same], "30")?;
    says(&second, "too-many-streams", "as many of your screens play as may")?;
    says(&guest, "account-unknown", "No licence for One: this account has no subscription")?;
    for ended in [&dora, &erik] {
        says(ended, "not-entitled", "No licence for One: your subscription does not include this programme")?;
    }
    says(&expired, "token-expired", "No licence for One: the sign-in has expired")?;
    // Its first request was answered, with one key; the others were not.
    says(&same, "token-replayed", "No licence for One: this sign-in was used already")?;
    [&second, &guest, &dora, &erik, &expired, &hls].into_iter().try_for_each(fetched)?;
    // A manifest of DASH says at once that it is encrypted: nothing more is fetched.
    let told = |it: &Value| it["message"].as_str().is_some_and(|it| it.contains("It is encrypted"));
    if !told(&hls) || !told(&dash) {
        return Err(format!("nobody was told that it is encrypted: {hls} {dash}").into());
    }
    [&second, &guest, &dora, &erik, &expired, &hls, &dash].into_iter().try_for_each(dark)
}

/// Several browsers beside each other, until a licence is denied or so many seconds long.
fn at_once<const N: usize>(
    program: &Path,
    page: &str,
    all: [&[&str]; N],
    seconds: &str,
) -> Result<[Value; N], Fault> {
    let found = std::thread::scope(|scope| {
        all.map(|words| {
            scope.spawn(move || watch(program, page, &[words, &["--denied", "--seconds", seconds]].concat()))
        })
        .map(|it| it.join().unwrap_or_else(|_| Err("a look ended badly".into())))
    });
    let found: Vec<Value> = found.into_iter().collect::<Result<_, _>>()?;
    found.try_into().map_err(|_| "another number of looks".into())
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

#[test]
fn an_encrypted_channel_plays_for_the_entitled_whatever_is_killed_and_shows_nobody_else_a_picture()
-> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(program) = browser() else { return Ok(()) };
    let Some(node) = Node::start() else { return Ok(()) };
    let vault = Vault::new();
    let variables = stage::variables(&node, &vault);
    let port = |of: &str| {
        let ports = variables.iter().find(|(name, _)| *name == "ports").map(|(_, ports)| ports[of].as_u64());
        ports.flatten().and_then(|port| u16::try_from(port).ok()).unwrap_or_default()
    };
    let (admin, keys) = (format!("http://127.0.0.1:{}", port("admin")), port("keys"));
    let replicas = [free_port(), free_port()];
    let [_, edge, page] = node.ports;
    let (edge, page) = (format!("http://127.0.0.1:{edge}"), format!("http://127.0.0.1:{page}"));
    let planted: Vec<&str> = vault.values.iter().map(|(_, value)| value.as_str()).collect();
    let mut case = Case::new(&cli).provider(ADDRESS, node.provider()).secrets_absent(&planted);
    for (name, value) in &variables {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        case = case.var(name, text);
    }
    case.step(Step::apply(stage::config(&node, replicas)).after(|_| {
        stage::grant(&admin, &vault)?;
        let mut twins = Twins::of(&node, REPLICAS, replicas)?;
        for at in [0, 1] {
            twins.start(at)?;
            killed::ready(&twins.readiness(at))?;
        }
        killed::plays_on(&node, &program, &edge, &mut twins, || {
            plays(&program, &page, "hls", "anna")?;
            plays(&program, &page, "dash", "ben")
        })?;
        refused(&program, &page, &vault)?;
        plays_on_demand(&program, &page)?;
        stage::licences(&program, &edge, &vault)?;
        let mut all = stage::content_keys(&node, keys, &vault)?;
        // What lies in credentials, so that the search knows that it sees something.
        all.extend(planted.iter().map(|it| it.as_bytes().to_vec()));
        secrets::planted_nowhere(&node, &all)?;
        Ok(())
    }))
    .check_destroyed(|_| node.nothing_left().map_err(Into::into))
    .run()
    .map(|_| ())
}
