//! The provider of a fleet and its controller is killed (SIGKILL) before and after each request to the site's agent that changes something,
//! and terraform with it in half of the cases; each of their answers is lost: the next apply converges, no pod is bought twice, and
//! neither destroy nor `sweep` leaves anything.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use streamverse_acceptance::crash::{hit, kill_providers_of};
use streamverse_runpod_stand_in::KEY;
use tfplugin_testing::cli::Cli;

use crate::gate::{Gate, What};
use crate::kit::{IDENTITY, Place, fleet};

const APPLY: &[&str] = &["apply", "-auto-approve", "-input=false"];
const DESTROY: &[&str] = &["destroy", "-auto-approve", "-input=false"];

struct Bench<'a> {
    cli: Cli,
    place: &'a Place,
    gate: Gate,
    folder: &'a Path,
}

impl Bench<'_> {
    fn terraform(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.cli.path().unwrap());
        command
            .args(words)
            .current_dir(self.folder)
            .env("TF_CLI_CONFIG_FILE", self.folder.join("cli.tfrc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("RUNPOD_API_KEY", KEY)
            .stdin(Stdio::null());
        command
    }

    fn must(&self, words: &[&str]) {
        let said = self.terraform(words).output().unwrap();
        let text =
            String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
        let (calls, logs) = (self.place.it.calls(), self.place.logs());
        assert!(said.status.success(), "terraform {words:?}: {text}\n{calls:#?}\n{logs}");
        assert!(!text.contains(KEY) && !text.contains(IDENTITY));
    }

    /// What is configured: a fleet of so many pods, and of the controller what may change in place.
    fn configure(&self, pods: usize) {
        let direct = self.place.node.socket().display().to_string();
        let block = self.place.block().replace(&direct, &self.gate.socket.display().to_string());
        let controller = self.place.controller(&format!("monthly_budget = {}", 5000 + pods));
        let whole =
            format!("{block}{controller}{}", fleet("one", &format!("min = {pods}, max = {pods}"), ""));
        std::fs::write(self.folder.join("main.tf"), whole).unwrap();
    }

    /// A run in which the first answer of each request is lost; those of the fleet and of its controller.
    fn lost(&self, words: &[&str]) -> Vec<String> {
        self.gate.losing(true);
        self.must(words);
        let mut calls = self.gate.losing(false);
        calls.retain(|it| it.contains("fleet"));
        assert!(calls.len() > 1, "{calls:?}");
        calls
    }

    /// The same run again and again, each time killed at another request, until it may end.
    fn killed(&self, words: &[&str], calls: &[String]) {
        let mut both = false;
        for call in calls {
            for what in [What::HoldBefore, What::HoldAfter] {
                let why = format!("{words:?}: {call}: {what:?}");
                self.gate.meets(call, what);
                let mut command = self.terraform(words);
                if both {
                    // Terraform writes its state in place: killed in the middle of that, it has none.
                    command.arg("-parallelism=1");
                }
                hit(&mut command, Duration::ZERO, |pid| {
                    self.gate.until_held(&why);
                    if both {
                        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
                    }
                    kill_providers_of(pid);
                });
                self.gate.until_gone();
            }
            both = !both;
        }
        self.must(words);
    }
}

#[test]
fn killed_at_any_request_to_the_agent_the_next_apply_converges_and_destroy_leaves_nothing() {
    let cli = Cli::terraform().unwrap();
    let Some(place) = Place::start() else { return };
    let place = &place;
    let folder = tempfile::tempdir().unwrap();
    let overrides = format!(
        "provider_installation {{\n  dev_overrides {{\n    \"streamverse/streamverse\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
        place.node.provider().parent().unwrap().display()
    );
    std::fs::write(folder.path().join("cli.tfrc"), overrides).unwrap();
    let gate = Gate::start(&place.node.socket(), folder.path());
    let bench = Bench { cli, place, gate, folder: folder.path() };
    let is_whole = |pods: usize, bought: usize| {
        place.wait_for_pods("one", pods);
        assert_eq!(place.it.account().created("pod"), bought, "{:?}", place.it.calls());
        bench.must(&["plan", "-detailed-exitcode", "-input=false"]);
    };
    let gone = || {
        place.it.clean().unwrap();
        place.node.nothing_left().unwrap();
    };
    // What there is to be killed at, while every first answer is lost.
    bench.configure(1);
    let creates = bench.lost(APPLY);
    is_whole(1, 1);
    bench.configure(2);
    let updates = bench.lost(APPLY);
    is_whole(2, 2);
    let destroys = bench.lost(DESTROY);
    gone();
    let count = 2 * (creates.len() + updates.len() + destroys.len());
    eprintln!("killed {count} times: {creates:?}, {updates:?}, {destroys:?}");
    bench.configure(1);
    bench.killed(APPLY, &creates);
    is_whole(1, 3);
    bench.configure(2);
    bench.killed(APPLY, &updates);
    is_whole(2, 4);
    bench.killed(DESTROY, &destroys);
    gone();
    // What no destroy takes away, sweep does: the fleet is fenced while its controller is there, and gives its pods back.
    bench.must(APPLY);
    place.wait_for_pods("one", 2);
    let mut sweep = Command::new(place.node.folder().join("streamverse"));
    sweep.args(["sweep", "--deployment", "test", "--socket"]).arg(place.node.socket());
    sweep.args(["--runpod", "--runpod-endpoint", &place.it.endpoint]).env("RUNPOD_API_KEY", KEY);
    let said = sweep.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && !text.contains(KEY) && !text.contains(IDENTITY), "{text}");
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} was not swept: {text}"));
    assert!(at("runpod-fleet/one") < at("fleet-controller/main"), "{text}");
    assert!(!text.contains("may be left"), "{text}");
    gone();
}
