//! What viewers and others get: purge, collapsing, several origins, ranges, metrics.

use std::cell::RefCell;
use std::path::Path;

use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::{Checked, ask, edge, serves};
use crate::upstream::Upstream;

/// This host by an address that is not the loopback's.
fn outside() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

/// The token of PURGE: it is where only root and the engine's user can read.
fn token(folder: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut todo = vec![folder.join("run")];
    while let Some(next) = todo.pop() {
        for entry in std::fs::read_dir(next).ok()?.flatten() {
            if entry.path().is_dir() {
                todo.push(entry.path());
            } else if entry.file_name() == "guard.config" {
                assert_eq!(entry.metadata().ok()?.permissions().mode() & 0o777, 0o600);
                let text = std::fs::read_to_string(entry.path()).ok()?;
                return text.split('"').nth(1).map(str::to_owned);
            }
        }
    }
    None
}

fn expect(what: &str, found: &(u16, String, String), status: u16) -> Checked {
    if found.0 == status { Ok(()) } else { Err(format!("{what}: {found:?}").into()) }
}

#[test]
fn only_the_agent_purges_and_reads_metrics() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let everywhere = |_: &std::path::Path| vec!["--bind".to_owned(), "0.0.0.0".to_owned()];
    let Some(node) = Node::start_with(everywhere) else { return Ok(()) };
    let [_, front, _] = node.ports;
    let origin = Upstream::start("one");
    let url = format!("http://127.0.0.1:{front}");
    let check = || -> Checked {
        serves(&format!("{url}/a.m4s"))?;
        let before = origin.asked("/a.m4s");
        let purge = |more: &[&str], base: &str| {
            let args: Vec<&str> = ["-X", "PURGE"].iter().chain(more).copied().collect();
            ask(&args, &format!("{base}/a.m4s"))
        };
        let token = token(node.folder()).ok_or("there is no token")?;
        let known = format!("X-Streamverse-Purge: {token}");
        expect("a user of the host", &purge(&[], &url), 403)?;
        expect("a forged address", &purge(&["-H", "X-Forwarded-For: 127.0.0.1"], &url), 403)?;
        expect("another token", &purge(&["-H", "X-Streamverse-Purge: x"], &url), 403)?;
        if let Some(outside) = outside() {
            let base = format!("http://{outside}:{front}");
            expect("from elsewhere", &purge(&["-H", &known], &base), 403)?;
            expect("metrics from elsewhere", &ask(&[], &format!("{base}/a.m4s")), 200)?;
            let page = ask(&[], &format!("{base}/_edge/metrics"));
            if page.2.contains("proxy.process") {
                return Err("anybody reads the metrics".into());
            }
        }
        for method in ["PUSH", "DELETE", "POST", "TRACE", "CONNECT"] {
            let (status, ..) = ask(&["-X", method], &format!("{url}/a.m4s"));
            if !(400..500).contains(&status) {
                return Err(format!("{method} is answered {status}").into());
            }
        }
        let (_, head, _) = ask(&[], &format!("{url}/a.m4s"));
        if origin.asked("/a.m4s") != before || !head.contains("age:") || !head.contains("via:") {
            return Err(format!("it was purged by somebody else: {head}").into());
        }
        expect("the agent", &purge(&["-H", &known], &url), 200)?;
        expect("after it", &ask(&[], &format!("{url}/a.m4s")), 200)?;
        if origin.asked("/a.m4s") != before + 1 {
            return Err("the object was not gone".into());
        }
        let page = ask(&[], &format!("{url}/_edge/metrics"));
        if page.2.contains("proxy.process.http.current_client_transactions") {
            Ok(())
        } else {
            Err("no metrics".into())
        }
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(edge(&node, front, &[origin.url()], "")).after(|_| check()))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn many_who_ask_for_one_object_become_one_request_and_parts_come_from_the_cache() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [_, front, _] = node.ports;
    let origin = Upstream::start("one");
    let url = format!("http://127.0.0.1:{front}");
    let check = || -> Checked {
        let late = format!("{url}/late.m4s");
        let answers: Vec<u16> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..30).map(|_| scope.spawn(|| ask(&[], &late).0)).collect();
            all.into_iter().map(|one| one.join().unwrap_or(0)).collect()
        });
        let asked = origin.asked("/late.m4s");
        if asked != 1 || answers.iter().any(|status| *status != 200) {
            return Err(format!("{asked} requests at the origin; {answers:?}").into());
        }
        let part = ask(&["-H", "Range: bytes=2-4"], &late);
        if part.0 != 206 || part.2.len() != 3 || !part.1.contains("access-control-allow-origin: *") {
            return Err(format!("a part: {part:?}").into());
        }
        // Another query is another object.
        let other = ask(&[], &format!("{late}?a=1"));
        if other.0 != 200 || origin.asked("/late.m4s?a=1") != 1 || origin.asked("/late.m4s") != 1 {
            return Err(format!("a query: {other:?}").into());
        }
        Ok(())
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(edge(&node, front, &[origin.url()], "")).after(|_| check()))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn an_origin_that_ends_is_stepped_over_and_comes_back() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [_, front, _] = node.ports;
    let (one, two) = (RefCell::new(Upstream::start("one")), Upstream::start("two"));
    let origins = [one.borrow().url(), two.url()];
    let config = |policy: &str| {
        let rest = format!(
            "policy = \"{policy}\"\n  health_check = {{ path = \"/readyz\", retry = \"2s\", failures = 1 }}"
        );
        edge(&node, front, &origins, &rest)
    };
    let from = |prefix: &str| -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
        let mut names = Vec::new();
        for number in 0..12 {
            let found = ask(&[], &format!("http://127.0.0.1:{front}/{prefix}{number}"));
            expect(prefix, &found, 200)?;
            names.push(found.2.split(' ').next().unwrap_or_default().to_owned());
        }
        names.sort();
        names.dedup();
        Ok(names)
    };
    let check = |policy: &'static str, alone: &'static [&'static str]| {
        let (from, one) = (&from, &one);
        move |_: &tfplugin_testing::cli::Context<'_>| -> Checked {
            let before = from(&format!("{policy}-a"))?;
            one.borrow().go_away();
            let without = from(&format!("{policy}-b"))?;
            one.borrow_mut().come_back();
            std::thread::sleep(std::time::Duration::from_secs(4));
            let after = from(&format!("{policy}-c"))?;
            if before == alone && without == ["two"] && after == alone {
                return Ok(());
            }
            Err(format!("{policy}: {before:?}, {without:?}, {after:?}").into())
        }
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config("first_live")).after(check("first_live", &["one"])))
        .step(Step::apply(config("round_robin")).after(check("round_robin", &["one", "two"])))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
