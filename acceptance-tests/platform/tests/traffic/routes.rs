//! Paths that others than the origins answer: a channel, licences.

use std::time::{Duration, Instant};

use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::{Checked, ask, edge, serves};
use crate::upstream::Upstream;

/// What is answered.
fn says(url: &str, args: &[&str], wanted: &str) -> Checked {
    let (status, head, body) = ask(args, url);
    if status == 200 && body.trim() == wanted {
        Ok(())
    } else {
        Err(format!("{url} {args:?}: {status} {body:?} where {wanted:?} was wanted\n{head}").into())
    }
}

#[test]
fn a_route_wins_over_the_origins_posts_pass_to_one_that_is_not_cached_and_a_query_is_part_of_the_address()
-> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [_, front, _] = node.ports;
    let (mut one, mut two) = (Upstream::start("one"), Upstream::start("two"));
    let (channel, other) = (Upstream::start("channel"), Upstream::start("other"));
    let licence = Upstream::start("licence");
    let url = format!("http://127.0.0.1:{front}");
    let routes = format!(
        r#"routes = [
    {{ path = "/channel/", url = "{}", fallbacks = ["{}"], stale = "4s" }},
    {{ path = "/licence/", url = "{}", cache = false }},
    {{ path = "/channel/own/", url = "{}" }},
  ]"#,
        channel.url(),
        other.url(),
        licence.url(),
        licence.url(),
    );
    let origins = [one.url(), two.url()];
    let mut check = || -> Checked {
        serves(&format!("{url}/a.m4s"))?;
        says(&format!("{url}/a.m4s"), &[], "one /a.m4s")?;
        says(&format!("{url}/channels.m4s"), &[], "one /channels.m4s")?;
        says(&format!("{url}/channel/a"), &[], "channel /channel/a")?;
        says(&format!("{url}/channel/own/a"), &[], "licence /channel/own/a")?;
        // Cached, each query by itself.
        says(&format!("{url}/channel/a?from=1"), &[], "channel /channel/a?from=1")?;
        says(&format!("{url}/channel/a?from=2"), &[], "channel /channel/a?from=2")?;
        says(&format!("{url}/channel/a"), &[], "channel /channel/a")?;
        if channel.asked("/channel/a") != 1 {
            return Err(format!("asked {} times", channel.asked("/channel/a")).into());
        }
        // A part of what is out of date comes too, as the whole.
        for _ in 0..2 {
            says(&format!("{url}/channel/brief"), &["-H", "Range: bytes=0-"], "channel /channel/brief")?;
            std::thread::sleep(std::time::Duration::from_millis(2100));
        }
        // Not cached; the body and the header that says who asks arrive.
        let token = ["-H", "Authorization: Bearer abc", "-d", "{\"kids\":[]}"];
        let host = licence.url().replace("http://", "");
        let wanted = format!("licence /licence/clearkey POST {host} Bearer abc {{\"kids\":[]}}");
        for _ in 0..2 {
            says(&format!("{url}/licence/clearkey"), &token, &wanted)?;
            ask(&[], &format!("{url}/licence/x"));
        }
        if (licence.asked("/licence/clearkey"), licence.asked("/licence/x")) != (2, 2) {
            return Err("an answer of /licence/ was cached".into());
        }
        // POST goes nowhere else, and nobody purges a route.
        for path in ["/a.m4s", "/channel/a", "/channel/own/a"] {
            let (status, ..) = ask(&["-d", "x"], &format!("{url}{path}"));
            if status != 405 {
                return Err(format!("POST {path} is answered {status}").into());
            }
            let (status, ..) = ask(&["-X", "PURGE"], &format!("{url}{path}"));
            if status != 403 {
                return Err(format!("PURGE {path} is answered {status}").into());
            }
        }
        // The next one answers when the first is away.
        channel.go_away();
        says(&format!("{url}/channel/b"), &[], "other /channel/b")?;
        says(&format!("{url}/b.m4s"), &[], "one /b.m4s")?;
        // When nobody answers, what is known is told for a moment, and then nothing: a playlist that stands still helps no
        // player. What the origins' cache keeps may be an hour old.
        let (live, still) = (format!("{url}/channel/brief?last"), format!("{url}/brief"));
        says(&live, &[], "other /channel/brief?last")?;
        says(&still, &[], "one /brief")?;
        let known = Instant::now();
        other.go_away();
        one.go_away();
        two.go_away();
        std::thread::sleep(Duration::from_millis(1500));
        let (status, ..) = ask(&[], &live);
        // Unless a busy machine took its time.
        if status != 200 && known.elapsed() < Duration::from_secs(3) {
            return Err(format!("{live} is answered {status} at once").into());
        }
        std::thread::sleep(Duration::from_secs(6).saturating_sub(known.elapsed()));
        let (status, ..) = ask(&[], &live);
        if status < 500 {
            return Err(format!("{live} is answered {status} after {:?}", known.elapsed()).into());
        }
        says(&still, &[], "one /brief")?;
        one.come_back();
        two.come_back();
        Ok(())
    };
    let without = |_: &tfplugin_testing::cli::Context<'_>| -> Checked {
        says(&format!("{url}/channel/c"), &[], "one /channel/c")?;
        let (status, ..) = ask(&["-d", "x"], &format!("{url}/licence/clearkey"));
        if (400..500).contains(&status) { Ok(()) } else { Err(format!("POST is answered {status}").into()) }
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(edge(&node, front, &origins, &routes)).after(|_| check()))
        .step(Step::apply(edge(&node, front, &origins, "")).named("no routes").after(without))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
