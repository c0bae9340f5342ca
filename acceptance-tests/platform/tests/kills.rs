//! Twenty times something of the whole platform is killed at a random moment of an apply: the provider, the node's agent,
//! the worker in the middle of an encode, Traffic Server. The next apply converges, no finished segment is encoded
//! twice, and in the end nothing is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its seed"
)]

#[path = "node/kit.rs"]
#[allow(dead_code, reason = "shared with the tests of a node")]
mod kit;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use streamverse_acceptance::Node;
use streamverse_acceptance::crash::{Dice, hit, kill_providers_of};
use streamverse_core::log::open_log;
use streamverse_core::{Metrics, ServiceContext};
use streamverse_model::platform::{Name, Owner};
use streamverse_sites::Site as _;

const TIMES: u32 = 20;
/// About as long as an apply of this configuration takes.
const SPAN: Duration = Duration::from_millis(6000);
/// What is killed, in turn.
const VICTIMS: [Victim; 4] = [Victim::Provider, Victim::Worker, Victim::TrafficServer, Victim::Agent];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Provider,
    Agent,
    Worker,
    TrafficServer,
}

struct Bench {
    folder: PathBuf,
    terraform: PathBuf,
}

impl Bench {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.terraform);
        command
            .args(words)
            .current_dir(&self.folder)
            .env("TF_CLI_CONFIG_FILE", self.folder.join("cli.tfrc"))
            .env("TF_IN_AUTOMATION", "1")
            .stdin(Stdio::null());
        command
    }

    fn must(&self, words: &[&str]) {
        let said = self.command(words).output().unwrap();
        assert!(said.status.success(), "terraform {words:?}: {}", text(&said));
    }
}

fn text(said: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr))
}

/// Kills the processes that an owner has now; none while it is being started.
fn kill_processes_of(node: &Node, kind: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let owner = Owner::new("test", kind, "main").unwrap();
    let observed = runtime.block_on(node.site().observe(&owner)).unwrap();
    for pid in observed.into_iter().flat_map(|it| it.objects).flat_map(|status| status.pids) {
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
}

/// Each encode of a segment or a sound track that ended well, as workers told it to the event log, is there once.
fn nothing_was_encoded_twice(node: &Node, when: &str) -> usize {
    let at = |folder: &str| node.folder().join(folder);
    let cx = ServiceContext {
        site: Name::parse("default").unwrap(),
        owner: Owner::new("test", "transcoder", "main").unwrap(),
        object: "service/looking".to_owned(),
        data_dir: at("data/test"),
        scratch_dir: at("looking"),
        run_dir: at("run/test/s"),
        credentials_dir: at("looking"),
        specs_dir: at("looking"),
        tools: std::collections::BTreeMap::new(),
        bind: [127, 0, 0, 1].into(),
        metrics: Metrics::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let records = runtime.block_on(async {
        open_log("embedded://default/work", &cx).await.unwrap().read_all("encoded").await.unwrap()
    });
    let mut seen = BTreeSet::new();
    for record in &records {
        let told: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        let piece = (told["generation"].to_string(), told["piece"].to_string());
        assert!(seen.insert(piece), "{when}: encoded twice: {told}");
    }
    seen.len()
}

/// The whole platform; each number is another asset's source, another memory and another lifetime of manifests.
fn write(folder: &Path, node: &Node, number: u64) {
    let [port, front, _] = node.ports;
    let (file, digest) = kit::clip(node, &format!("clip-{number}.mp4"), 8);
    let config = format!(
        "{}{}{}{}{}",
        node.block(),
        kit::stores(),
        kit::origin(port, &format!("{}MiB", 32 + number)),
        kit::asset(&file, &digest),
        kit::edge(front, &format!("cache = {{ manifests = \"{}s\" }}", 1 + number)),
    );
    std::fs::write(folder.join("main.tf"), config).unwrap();
}

fn plays(node: &Node, when: &str) {
    let [_, front, _] = node.ports;
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, master) = kit::get(&format!("http://127.0.0.1:{front}/vod/film/hls.m3u8"));
        if status == 200 && master.contains("180p/index.m3u8") {
            return;
        }
        if Instant::now() > until {
            let said = Command::new(node.folder().join("streamverse"))
                .args(["node", "status", "--deployment", "test", "--socket"])
                .arg(node.socket())
                .output()
                .unwrap();
            panic!("{when}: the edge answers {status}: {master}\n{}\n{}", text(&said), node.log());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn whatever_is_killed_at_any_moment_the_next_apply_converges() {
    let Some(mut node) = Node::start() else { return };
    let Some(terraform) = std::env::var_os("TFPLUGIN_TERRAFORM").map(PathBuf::from) else { return };
    let mut dice = Dice::new("kills of the whole platform");
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench { folder: folder.path().to_owned(), terraform };
    let overrides = format!(
        "provider_installation {{\n  dev_overrides {{\n    \"streamverse/streamverse\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
        node.provider().parent().unwrap().display()
    );
    std::fs::write(folder.path().join("cli.tfrc"), overrides).unwrap();
    let mut encodes = 0;
    for time in 0..TIMES {
        let victim = VICTIMS[usize::try_from(time).unwrap() % VICTIMS.len()];
        write(folder.path(), &node, u64::from(time));
        // Now and then what is there is taken away instead, and the next apply makes it anew.
        let words: &[&str] = if time % 7 == 6 {
            &["destroy", "-auto-approve", "-input=false"]
        } else {
            &["apply", "-auto-approve", "-input=false"]
        };
        let delay = Duration::from_millis(dice.below(u64::try_from(SPAN.as_millis()).unwrap()));
        let when = format!("round {time}, {victim:?} after {} ms of {}", delay.as_millis(), words[0]);
        println!("{when}");
        hit(&mut bench.command(words), delay, |pid| match victim {
            Victim::Provider => kill_providers_of(pid),
            Victim::Worker => kill_processes_of(&node, "transcoder"),
            Victim::TrafficServer => kill_processes_of(&node, "ats-edge"),
            Victim::Agent => {
                node.kill_agent();
                node.start_agent();
            }
        });
        bench.must(&["apply", "-auto-approve", "-input=false"]);
        bench.must(&["plan", "-detailed-exitcode", "-input=false"]);
        plays(&node, &when);
        encodes = nothing_was_encoded_twice(&node, &when);
    }
    println!("{encodes} pieces were encoded since the last destroy, each once");
    bench.must(&["destroy", "-auto-approve", "-input=false"]);
    let swept = Command::new(node.folder().join("streamverse"))
        .args(["sweep", "--deployment", "test", "--dry-run", "--socket"])
        .arg(node.socket())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&swept.stdout).trim(), "0 would be removed");
    node.nothing_left().unwrap();
}
