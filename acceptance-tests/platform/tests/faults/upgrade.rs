//! The agent's program is replaced while somebody downloads.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use streamverse_acceptance::{ADDRESS, Node, is_root};
use streamverse_model::platform::Owner;
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit;
use crate::parts::{ask, because, ready, run, until};

/// Somebody who downloads through Traffic Server without a pause: each address is new, so each is fetched from the origin.
struct Viewer {
    end: Arc<AtomicBool>,
    good: Arc<AtomicU32>,
    thread: std::thread::JoinHandle<Vec<String>>,
}

impl Viewer {
    fn of(port: u16) -> Viewer {
        let (end, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (told, count) = (Arc::clone(&end), Arc::clone(&good));
        let thread = std::thread::spawn(move || {
            let mut failed = Vec::new();
            while !told.load(Ordering::Relaxed) {
                let number = count.load(Ordering::Relaxed);
                let (status, body) = kit::get(&format!(
                    "http://127.0.0.1:{port}/catalogue.json?try={number}-{}",
                    failed.len()
                ));
                if status == 200 {
                    count.fetch_add(1, Ordering::Relaxed);
                } else {
                    failed.push(format!("{status} {body}"));
                }
            }
            failed
        });
        Viewer { end, good, thread }
    }

    /// Waits for more downloads.
    fn goes_on(&self) {
        let before = self.good.load(Ordering::Relaxed);
        for _ in 0..600 {
            if self.good.load(Ordering::Relaxed) > before + 20 {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nobody is served any more");
    }

    fn ends(self) -> (u32, Vec<String>) {
        self.end.store(true, Ordering::Relaxed);
        let failed = self.thread.join().unwrap();
        (self.good.load(Ordering::Relaxed), failed)
    }
}

fn supervise(node: &Node) -> Child {
    let mut command = Command::new(node.folder().join("streamverse"));
    command.args(["node", "supervise", "--data"]).arg(node.folder().join("data"));
    command.arg("--run").arg(node.folder().join("run"));
    for name in ["ffmpeg", "ffprobe", "packager"] {
        command.arg("--tool").arg(format!("{name}={}", node.tool(name).display()));
    }
    if is_root() {
        command.args(["--user", "trafficserver"]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn answers(node: &Node) -> bool {
    ask(node, &[], "/livez") == "ok\n"
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what} never happened");
}

#[test]
#[allow(clippy::zombie_processes, reason = "a test that fails in between leaves it to the end of its node")]
fn an_upgrade_fails_nobody_who_downloads_and_says_which_services_are_of_the_old_program()
-> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, front, _] = node.ports;
    let node = std::cell::RefCell::new(node);
    let config = format!(
        "{}{}{}{}",
        node.borrow().block(),
        kit::stores(),
        kit::origin(port, "64MiB"),
        kit::edge(front, "")
    );
    let provider = node.borrow().provider();
    let origin = Owner::new("test", "origin", "main").unwrap();
    Case::new(&cli)
        .provider(ADDRESS, provider)
        .step(Step::apply(config))
        .step(Step::reapply().named("the agent's program is replaced, then the origin's").before(|_| {
            let mut node = node.borrow_mut();
            node.kill_agent();
            let program = node.folder().join("streamverse");
            let mut supervisor = supervise(&node);
            wait_for("the supervised agent", || answers(&node));
            wait_for("the edge", || kit::get(&format!("http://127.0.0.1:{front}/catalogue.json")).0 == 200);
            let before = run(async { until(&node.site(), &origin, "ready", ready).await });
            let viewer = Viewer::of(front);
            viewer.goes_on();
            // Another file with the same program in it stands in for a newer one.
            let newer = node.folder().join("newer");
            std::fs::copy(&program, &newer)?;
            let said = Command::new(&program)
                .args(["node", "upgrade", "--binary"])
                .arg(&newer)
                .arg("--data")
                .arg(node.folder().join("data"))
                .output()?;
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            wait_for("the agent after the upgrade", || answers(&node));
            let older =
                run(async { until(&node.site(), &origin, "known as older", because("older-program")).await });
            viewer.goes_on();
            let (good, failed) = viewer.ends();
            assert!(failed.is_empty(), "{} of {} downloads failed: {failed:?}", failed.len(), good);
            assert_eq!(older.pids, before.pids);
            let streamverse = |words: &[&str]| {
                let said = Command::new(&program)
                    .args(words)
                    .arg("--socket")
                    .arg(node.socket())
                    .args(["--deployment", "test"])
                    .output()
                    .unwrap();
                assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
                String::from_utf8_lossy(&said.stdout).into_owned()
            };
            let status = streamverse(&["node", "status"]);
            assert!(status.contains("streamverse node restart origin/main"), "{status}");
            // The command that it names does what it says.
            assert!(streamverse(&["node", "restart", "origin/main"]).contains("service/origin"));
            let after = run(async {
                let new = |it: &streamverse_model::platform::ObjectStatus| {
                    ready(it) && it.reason.is_none() && it.pids != before.pids
                };
                until(&node.site(), &origin, "of the new program", new).await
            });
            assert_eq!(after.restarts, 0);
            Command::new("kill").arg(supervisor.id().to_string()).status()?;
            supervisor.wait()?;
            node.start_agent();
            Ok(())
        }))
        .check_destroyed(|_| node.borrow().nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
