//! Around each call that changes something the provider is killed (SIGKILL), and terraform with it in half of the cases; and each of
//! their answers is lost: the next apply converges, nothing is there twice, and destroy leaves nothing.
//!
//! Which calls there are is taken from runs that nothing happens to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use streamverse_acceptance::crash::{hit, kill_providers_of};
use streamverse_runpod_stand_in::{KEY, StandIn};
use tempfile::TempDir;
use tfplugin_testing::cli::Cli;

use crate::kit::{PASSWORD, block, built, provider, text};

const APPLY: &[&str] = &["apply", "-auto-approve", "-input=false"];
const DESTROY: &[&str] = &["destroy", "-auto-approve", "-input=false"];
const PLAN: &[&str] = &["plan", "-detailed-exitcode", "-input=false"];

const KINDS: [&str; 4] = ["endpoint", "registry", "template", "volume"];

/// What is configured: one of each kind.
#[derive(Clone, Copy)]
struct Shape {
    /// What can be changed in place.
    version: u32,
    /// What of the volume, the credential and the template cannot be, and whether what is replaced is made before it is destroyed.
    other: bool,
    /// What of the endpoint cannot be.
    balanced: bool,
}

impl Shape {
    fn config(self, it: &StandIn) -> String {
        let Shape { version, other, balanced } = self;
        let either = |one, two| if other { two } else { one };
        let (centre, user) = (either("EU-RO-1", "EU-CZ-1"), either("robot", "other"));
        let mount = either("persistent_volume = { size_gb = 20, path = \"/work\" }", "");
        let early = either("", "lifecycle { create_before_destroy = true }");
        let routing = if balanced { "LOAD_BALANCER" } else { "QUEUE" };
        let size = 20 + version;
        [
            block(it),
            format!("resource \"streamverse_runpod_network_volume\" \"v\" {{\n  name = \"v\"\n  size_gb = {size}\n  data_center = \"{centre}\"\n  {early}\n}}\n"),
            format!("resource \"streamverse_runpod_registry_credential\" \"r\" {{\n  name = \"r\"\n  username = \"{user}\"\n  password_ref = \"env:REGISTRY_PASSWORD\"\n  {early}\n}}\n"),
            format!("resource \"streamverse_runpod_template\" \"t\" {{\n  name = \"t\"\n  image = \"registry.example/worker:{version}\"\n  serverless = true\n  registry_credential_id = streamverse_runpod_registry_credential.r.id\n  {mount}\n  {early}\n}}\n"),
            format!("resource \"streamverse_runpod_endpoint\" \"e\" {{\n  name = \"e\"\n  routing = \"{routing}\"\n  template_id = streamverse_runpod_template.t.id\n  scaling = {{ request_count = 2 }}\n  gpu = {{ pools = [\"ADA_48_PRO\"] }}\n  workers = {{ max = {version} }}\n  network_volume_ids = [streamverse_runpod_network_volume.v.id]\n  {early}\n}}\n"),
        ]
        .concat()
    }
}

/// What is run: each changes all that it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Run {
    /// All is made.
    Create,
    /// All that can be is changed in place.
    Update,
    /// All is replaced, and the new is made before the old is destroyed.
    Replace,
    /// Volume and credential are destroyed and then made again, under a template and an endpoint that stay.
    Back,
    /// All is destroyed.
    Destroy,
}

const RUNS: [Run; 5] = [Run::Create, Run::Update, Run::Replace, Run::Back, Run::Destroy];

/// A call that changes something: its method, its collection, and how many like it come before it.
type Call = (String, String, usize);

struct Place {
    cli: Cli,
    it: StandIn,
    folder: TempDir,
    shape: Shape,
}

impl Place {
    /// `None`, told aloud, where terraform is missing.
    fn start() -> Option<Place> {
        let cli = Cli::terraform().unwrap();
        if cli.path().is_err() {
            assert!(std::env::var_os("CI").is_none(), "terraform is missing");
            eprintln!("SKIPPED: terraform is missing");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let overrides = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"streamverse/streamverse\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
            provider().parent().unwrap().display()
        );
        std::fs::write(folder.path().join("cli.tfrc"), overrides).unwrap();
        let it = StandIn::start();
        // Lists lag behind, as they do there.
        it.settings(&json!({ "list_lag_ms": 200, "page_size": 2 }));
        Some(Place { cli, it, folder, shape: Shape { version: 1, other: false, balanced: false } })
    }

    fn terraform(&self, words: &[&str]) -> Command {
        let folder: &Path = self.folder.path();
        let mut command = Command::new(self.cli.path().unwrap());
        command
            .args(words)
            .current_dir(folder)
            .env("TF_CLI_CONFIG_FILE", folder.join("cli.tfrc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("RUNPOD_API_KEY", KEY)
            .env("REGISTRY_PASSWORD", PASSWORD)
            .stdin(Stdio::null());
        command
    }

    fn must(&self, words: &[&str], why: &str) {
        let said = self.terraform(words).output().unwrap();
        let text =
            String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{why}: terraform {words:?}: {text}\n{:#?}", self.it.calls());
        assert!(!text.contains(KEY) && !text.contains(PASSWORD), "{why}: a secret was told");
    }

    /// Configures what a run makes of what is there, and says how it is run.
    fn configure(&mut self, run: Run) -> &'static [&'static str] {
        match run {
            Run::Create | Run::Destroy => {}
            Run::Update => self.shape.version += 1,
            Run::Replace => {
                self.shape.other = true;
                self.shape.balanced = !self.shape.balanced;
            }
            Run::Back => self.shape.other = false,
        }
        std::fs::write(self.folder.path().join("main.tf"), self.shape.config(&self.it)).unwrap();
        match run {
            Run::Destroy => DESTROY,
            _ => APPLY,
        }
    }

    /// Calls that changed something, from the so manieth on.
    fn calls(&self, from: usize) -> Vec<Call> {
        let mut before = BTreeMap::new();
        let calls = self.it.calls();
        let calls = calls[from..].iter().filter_map(|call| {
            let mut words = call.split(' ');
            let (method, path) = (words.next()?, words.next()?);
            let collection = path.split('/').take(3).collect::<Vec<_>>().join("/");
            let call = (method.to_owned(), collection);
            (method != "GET").then_some(call)
        });
        let mut like = |call: &(String, String)| {
            let count = before.entry(call.clone()).or_insert(0);
            *count += 1;
            *count - 1
        };
        calls.map(|call| (like(&call), call)).map(|(like, (method, path))| (method, path, like)).collect()
    }

    fn made(&self) -> [usize; 4] {
        let account = self.it.account();
        KINDS.map(|kind| account.created(kind))
    }

    /// One of each is there, and it is what the state has, with nothing beside it.
    fn is_whole(&self, why: &str) {
        let mut open = self.it.account().open();
        open.sort();
        let names: Vec<&str> = open.iter().map(|name| name.split('_').next().unwrap()).collect();
        let each = KINDS.map(|kind| format!("{kind} streamverse.test.{}", &kind[..1]));
        assert_eq!(names, each, "{why}: {:#?}", self.it.calls());
        let state = std::fs::read(self.folder.path().join("terraform.tfstate")).unwrap();
        let state: Value = serde_json::from_slice(&state).unwrap();
        let all = state["resources"].as_array().unwrap().iter();
        let mut known: Vec<String> = all
            .flat_map(|it| it["instances"].as_array().unwrap())
            .map(|it| text(&it["attributes"], "id"))
            .collect();
        known.sort();
        let mut there = KINDS.map(|kind| text(&self.it.things(kind)[0], "id"));
        there.sort();
        assert_eq!(known, there, "{why}: the state has others");
    }

    /// A run that nothing happens to; the calls that change something, and how much it made of each kind.
    fn clean(&mut self, run: Run) -> (Vec<Call>, [usize; 4]) {
        let (from, before) = (self.it.calls().len(), self.made());
        let words = self.configure(run);
        self.must(words, "unharmed");
        (self.calls(from), less(self.made(), before))
    }

    /// A run in which each answer is lost.
    fn lost(&mut self, run: Run, calls: &[Call], made: [usize; 4]) {
        let lose = |(method, path, _): &Call| json!({ "method": method, "path": path, "what": "lose" });
        self.it.faults(&calls.iter().map(lose).collect());
        let before = self.made();
        let words = self.configure(run);
        let why = format!("{run:?} with all answers lost");
        self.must(words, &why);
        assert_eq!(self.it.clear_faults(), 0, "{why}: a call did not come: {:#?}", self.it.calls());
        assert_eq!(less(self.made(), before), made, "{why}: {:#?}", self.it.calls());
        match run {
            Run::Destroy => self.it.clean().unwrap(),
            _ => self.is_whole(&why),
        }
    }

    /// A run that is killed under a call, and the next one.
    fn killed(&mut self, run: Run, call: &Call, what: &str, both: bool, made: [usize; 4]) {
        let (method, path, after) = call;
        let mut why = format!("{run:?}, {what} at {method} {path}");
        let _ = write!(why, ", {}", if both { "terraform too" } else { "the provider alone" });
        let before = self.made();
        let words = self.configure(run);
        self.it.faults(&json!([{ "method": method, "path": path, "after": after, "what": what }]));
        let mut command = self.terraform(words);
        if both {
            // Terraform writes its state in place: killed in the middle of that, as when another resource has just been done, it has
            // none at all. Then what it had is nobody's, and `sweep` is the way out.
            command.arg("-parallelism=1");
        }
        hit(&mut command, Duration::ZERO, |pid| {
            self.it.until_held();
            if both {
                let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            }
            kill_providers_of(pid);
        });
        while self.it.held() > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(self.it.clear_faults(), 0, "{why}");
        // What a late list does not show yet is made twice, and one of the two is given back: that is counted elsewhere, not here.
        std::thread::sleep(Duration::from_millis(600));
        if both && run == Run::Destroy {
            // It may also be wanted again.
            self.must(APPLY, &why);
            self.is_whole(&why);
            self.must(DESTROY, &why);
            return self.it.clean().unwrap();
        }
        self.must(words, &why);
        // Nothing is made a second time; only a credential that no state knows is, since nobody can read back whose login it is.
        let [endpoint, registry, template, volume] = less(self.made(), before);
        let again = registry - made[1];
        assert_eq!([endpoint, registry - again, template, volume], made, "{why}: {:#?}", self.it.calls());
        assert!(again <= 1, "{why}: {:#?}", self.it.calls());
        match run {
            Run::Destroy => self.it.clean().unwrap(),
            _ => self.is_whole(&why),
        }
        if both && run != Run::Destroy {
            // What was taken over is as it is to be.
            self.must(PLAN, &why);
        }
    }
}

fn less(now: [usize; 4], before: [usize; 4]) -> [usize; 4] {
    [0, 1, 2, 3].map(|kind| now[kind] - before[kind])
}

/// All runs again and again, each time killed under the next of its calls.
fn around_each_call(what: &str, first: usize, end: impl FnOnce(&mut Place)) {
    let Some(mut place) = Place::start() else { return };
    let known = RUNS.map(|run| (run, place.clean(run)));
    let calls = |run: Run| known.iter().find(|it| it.0 == run).map(|it| &it.1).unwrap();
    let most = known.iter().map(|(_, (calls, _))| calls.len()).max().unwrap();
    let count: usize = known.iter().map(|(_, (calls, _))| calls.len()).sum();
    eprintln!("{what}: {count} calls that change something");
    assert!(known.iter().all(|(_, (calls, _))| !calls.is_empty()));
    for (run, (calls, made)) in &known {
        place.lost(*run, calls, *made);
    }
    for lap in 0..most {
        let empty = place.it.account().open().is_empty();
        for run in RUNS {
            let (calls, made) = calls(run);
            // What there is no call left of is run where the next one needs it.
            let needed = match run {
                Run::Create => empty,
                Run::Back => true,
                Run::Update | Run::Replace | Run::Destroy => false,
            };
            match calls.get(lap) {
                Some(call) if run != Run::Create || empty => {
                    place.killed(run, call, what, (lap + first).is_multiple_of(2), *made);
                }
                _ if needed => drop(place.clean(run)),
                _ => {}
            }
        }
    }
    end(&mut place);
    place.it.clean().unwrap();
}

#[test]
fn killed_before_any_call_takes_effect_the_next_apply_converges_without_a_duplicate() {
    around_each_call("hold_before", 0, |place| drop(place.clean(Run::Destroy)));
}

#[test]
fn killed_after_any_call_took_effect_the_next_apply_converges_without_a_duplicate() {
    around_each_call("hold_after", 1, |place| {
        // And where the state is lost altogether.
        let mut sweep = Command::new(built("streamverse"));
        sweep.args(["sweep", "--deployment", "test", "--runpod", "--runpod-endpoint", &place.it.endpoint]);
        let said = sweep.env("RUNPOD_API_KEY", KEY).stdin(Stdio::null()).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    });
}
