//! Twenty times something is killed at a random moment of an apply: the provider, or the node's agent. The next apply
//! converges, and in the end nothing is left.
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

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use streamverse_acceptance::Node;

const TIMES: u32 = 20;
/// About as long as an apply of this configuration takes.
const SPAN: Duration = Duration::from_millis(2500);

/// Numbers from a seed (a linear congruential generator, Knuth's MMIX constants): no more is needed to spread moments.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
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

    /// An apply that is met by a fault after `delay`; how it ends is its own affair.
    fn hit(&self, words: &[&str], delay: Duration, fault: impl FnOnce(u32)) {
        let mut child = self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + delay;
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
        fault(child.id());
        let until = Instant::now() + Duration::from_secs(120);
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "terraform {words:?} does not end after the fault");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn text(said: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr))
}

/// Kills the providers that a terraform started.
fn kill_providers_of(terraform: u32) {
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // `pid (name) state ppid …`: the name may have spaces, so from behind it.
        let Some((head, tail)) = stat.rsplit_once(')') else { continue };
        let parent = tail.split_whitespace().nth(1).and_then(|it| it.parse::<u32>().ok());
        if parent == Some(terraform) && head.contains("terraform-provi") {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

fn write(folder: &Path, node: &Node, memory: u64) {
    let [port, ..] = node.ports;
    let config = format!("{}{}{}", node.block(), kit::stores(), kit::origin(port, &format!("{memory}MiB")));
    std::fs::write(folder.join("main.tf"), config).unwrap();
}

#[test]
fn whatever_is_killed_at_any_moment_the_next_apply_converges() {
    let Some(mut node) = Node::start() else { return };
    let Some(terraform) = std::env::var_os("TFPLUGIN_TERRAFORM").map(PathBuf::from) else { return };
    let seed = std::env::var("STREAMVERSE_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("STREAMVERSE_SEED={seed}");
    let mut dice = Dice(seed);
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench { folder: folder.path().to_owned(), terraform };
    let overrides = format!(
        "provider_installation {{\n  dev_overrides {{\n    \"streamverse/streamverse\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
        node.provider().parent().unwrap().display()
    );
    std::fs::write(folder.path().join("cli.tfrc"), overrides).unwrap();
    for time in 0..TIMES {
        write(folder.path(), &node, 32 + dice.below(8) * 8);
        // Every fourth time what is there is taken away instead, and the next apply makes it anew.
        let words: &[&str] = if time % 4 == 3 {
            &["destroy", "-auto-approve", "-input=false"]
        } else {
            &["apply", "-auto-approve", "-input=false"]
        };
        let delay = Duration::from_millis(dice.below(u64::try_from(SPAN.as_millis()).unwrap()));
        if time % 3 == 2 {
            bench.hit(words, delay, |_| {
                node.kill_agent();
                node.start_agent();
            });
        } else {
            bench.hit(words, delay, kill_providers_of);
        }
        bench.must(&["apply", "-auto-approve", "-input=false"]);
        bench.must(&["plan", "-detailed-exitcode", "-input=false"]);
    }
    bench.must(&["destroy", "-auto-approve", "-input=false"]);
    let swept = Command::new(node.folder().join("streamverse"))
        .args(["sweep", "--deployment", "test", "--dry-run", "--socket"])
        .arg(node.socket())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&swept.stdout).trim(), "0 would be removed");
    node.nothing_left().unwrap();
}
