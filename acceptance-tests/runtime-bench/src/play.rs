//! An encrypted channel in headless Chromium, through Traffic Server, by HLS and by DASH: how long it takes from the choice to
//! the first picture, and how often it stalls; beside a video of the same channel without encryption, in the same player, at the
//! same time. All of it is the quickstart's: its page, its channel with a break, its licences of two minutes.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::children;
use crate::figures::{Rounds, Row};
use crate::place::{Place, root};
use crate::{Outcome, Setup, tell};

/// What it takes to open pages and to start what is played, besides playing.
const SETTING_UP: Duration = Duration::from_secs(10 * 60);
/// A video of the channel, and its twin without encryption.
const VIDEO: &str = "colours";
const PLAIN: &str = "plain";
const CHANNEL: &str = "StreamVerse One";

/// Measures.
///
/// # Errors
/// What stopped it.
pub async fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let node = setup.node.as_ref().ok_or("--node PATH is missing: `cargo xtask bench runtime` gives it")?;
    let place = Place::of_release(setup)?;
    tell("play: bringing up a quickstart");
    place.up().await?;
    place.apply(plain).await?;
    let (starts, seconds) = if setup.quick { (3, 60) } else { (9, 600) };
    tell(format!("play: {starts} starts of each, and {seconds} s of play"));
    let mut command = Command::new(node);
    command.arg(root().join("acceptance-tests/platform/browser/quality.mjs")).arg(place.page());
    command.args(["--starts", &starts.to_string(), "--seconds", &seconds.to_string()]);
    for protocol in ["hls", "dash"] {
        command.args([format!("{protocol}:{CHANNEL}"), format!("{protocol}:{PLAIN}")]);
    }
    let limit = SETTING_UP + Duration::from_secs(seconds);
    let said = children::run("quality.mjs", &mut command, limit).await?;
    place.down().await?;
    let said: Vec<Value> = serde_json::from_str(said.stdout.trim())?;
    let mut rows = Vec::new();
    for pair in said.chunks(2) {
        let [channel, plain] = pair else { return Err("quality.mjs left something out".into()) };
        rows.extend(compared(channel, plain, seconds)?);
    }
    Ok(rows)
}

/// The same clip once more, for everybody; and as many screens of the one viewer as are opened here.
fn plain(variables: &mut Value) {
    (variables["protection"]["streams"], variables["protection"]["devices"]) = (json!(20), json!(20));
    let mut twin = variables["assets"][VIDEO].clone();
    (twin["title"], twin["protected"]) = (json!(PLAIN), json!(false));
    variables["assets"][PLAIN] = twin;
}

fn compared(channel: &Value, plain: &Value, seconds: u64) -> Outcome<Vec<Row>> {
    let protocol = channel["protocol"].as_str().unwrap_or_default().to_uppercase();
    for said in [channel, plain] {
        tell(format!("play: {said}"));
        played(said)?;
    }
    let number = |said: &Value, name: &str| said[name].as_f64().unwrap_or_default();
    let mut startup = Rounds::default();
    let starts = |said: &Value| -> Vec<f64> {
        said["startup"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    starts(channel).into_iter().zip(starts(plain)).for_each(|(ours, theirs)| startup.push(ours, theirs));
    let once = |of: &dyn Fn(&Value) -> f64| {
        let mut rounds = Rounds::default();
        rounds.push(of(channel), of(plain));
        rounds
    };
    let share =
        |said: &Value, part: &str, whole: &str| 100.0 * number(said, part) / number(said, whole).max(1.0);
    let stalls = once(&|said| number(said, "stalls"));
    let stalled = once(&|said| number(said, "stalled") / 1000.0);
    let ratio = once(&|said| share(said, "stalled", "played"));
    let lost = format!(
        "pictures lost {:.2} % / {:.2} %",
        share(channel, "lost", "pictures"),
        share(plain, "lost", "pictures")
    );
    let name = |what: &str| format!("play: encrypted channel by {protocol}, {what} / a clear video");
    let long = format!("{seconds} s, four browsers at a time");
    Ok(vec![
        startup.row(name("choice to first picture"), "ms", "in an open page; less is better"),
        stalls.row(name("stalls"), "", format!("{long}; {lost}")),
        stalled.row(name("stalled in all"), "s", long.clone()),
        ratio.row(name("rebuffer ratio"), "%", long),
    ])
}

/// What showed nothing, or came another way, was not measured.
fn played(said: &Value) -> Outcome<()> {
    let number = |name: &str| said[name].as_f64().unwrap_or_default();
    let through = number("segments") > 0.0 && number("segments") == number("through_traffic_server");
    if number("played") > 0.0 && number("pictures") > 0.0 && through && said["denial"].is_null() {
        return Ok(());
    }
    Err(format!("this was not played through Traffic Server: {said}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_play_becomes_rows_and_one_that_showed_nothing_becomes_none() -> Outcome<()> {
        let said = |startup: f64, stalls: u32| {
            json!({
                "protocol": "hls", "startup": [startup, startup, startup], "stalls": stalls, "stalled": stalls * 500,
                "played": 50_000, "lost": 5, "pictures": 1000, "segments": 9, "through_traffic_server": 9,
            })
        };
        let rows: Vec<Value> =
            compared(&said(900.0, 2), &said(300.0, 0), 60)?.iter().map(Row::to_json).collect();
        assert_eq!((&rows[0]["value"], &rows[0]["spread"]), (&json!(900.0), &json!([3.0, 3.0])));
        assert_eq!((&rows[1]["value"], &rows[1]["baseline"]), (&json!(2.0), &json!(0.0)));
        assert_eq!((&rows[2]["value"], &rows[3]["value"]), (&json!(1.0), &json!(2.0)));
        for (name, value) in
            [("through_traffic_server", json!(8)), ("pictures", json!(0)), ("denial", json!("x"))]
        {
            let mut bad = said(900.0, 0);
            bad[name] = value;
            assert!(compared(&bad, &said(300.0, 0), 60).is_err(), "{name}");
        }
        Ok(())
    }

    #[test]
    fn the_twin_is_the_same_clip_for_everybody() {
        let source = json!({ "url": "file:///clip.mp4", "digest": "sha256:0" });
        let mut variables =
            json!({ "assets": { VIDEO: { "title": "Colours", "source": source, "protected": true } } });
        plain(&mut variables);
        assert_eq!(variables["assets"][PLAIN]["source"], source);
        assert_eq!(variables["assets"][PLAIN]["protected"], json!(false));
        assert_eq!(variables["assets"][VIDEO]["protected"], json!(true));
    }
}
