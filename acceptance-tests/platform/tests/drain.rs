//! The drain agent beside a worker: every way to be told that an instance goes, against metadata services that a process of
//! its own stands in for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it must be"
)]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use streamverse_acceptance::binaries;
use streamverse_acceptance::stand_in::StandIn;

const PATIENCE: Duration = Duration::from_secs(60);

/// A worker that finishes half a second after it was told, and leaves a line for each thing that happens to it.
const TIDY: &str = r#"trap 'echo told >>"$0"; sleep 0.5; echo finished >>"$0"; exit 0' TERM; echo began >>"$0"; while :; do sleep 0.05; done"#;
/// A worker that does not listen.
const DEAF: &str = r#"trap '' TERM; echo began >>"$0"; while :; do sleep 0.05; done"#;

/// The stand-in, and an agent with a worker.
struct Setting {
    folder: tempfile::TempDir,
    stand_in: StandIn,
    agent: Option<Child>,
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

fn in_seconds(seconds: u64) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + seconds
}

impl Setting {
    fn new() -> Setting {
        let stand_in = StandIn::start(env!("CARGO_BIN_EXE_metadata-stand-in"));
        Setting { folder: tempfile::tempdir().unwrap(), stand_in, agent: None }
    }

    fn url(&self) -> String {
        self.stand_in.url()
    }

    fn set(&self, fields: &Value) {
        self.stand_in.set(fields);
    }

    fn world(&self) -> Value {
        self.stand_in.world()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("worker")
    }

    /// Starts the agent with a worker, and waits until that has begun.
    fn start(&mut self, notices: &Value, more: &Value, worker: &str) {
        let mut spec =
            json!({ "worker": "sv-live-gpu-1", "notices": notices, "controller": { "url": self.url() } });
        for (name, value) in more.as_object().unwrap() {
            spec[name] = value.clone();
        }
        let path = self.folder.path().join("drain.json");
        std::fs::write(&path, spec.to_string()).unwrap();
        let log = std::fs::File::create(self.folder.path().join("agent.log")).unwrap();
        let agent = Command::new(binaries().join("streamverse-edge"))
            .args(["drain", "--spec"])
            .arg(path)
            .args(["--", "sh", "-c", worker])
            .arg(self.file())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.agent = Some(agent);
        self.until("the worker begins", |it| it.said().contains("began"));
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap_or_default()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default()
    }

    fn until(&self, what: &str, done: impl Fn(&Setting) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < until, "{what}: {}\n{}", self.world(), self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The most that the agent had in memory, in KiB.
    fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.agent.as_ref().unwrap().id());
        let status = std::fs::read_to_string(path).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        most.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The code that the agent ends with.
    fn ends(&mut self) -> i32 {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.agent.as_mut().unwrap().try_wait().unwrap() {
                self.agent = None;
                return status.code().unwrap();
            }
            assert!(Instant::now() < until, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn reports(&self) -> (Vec<String>, Value) {
        self.stand_in.reports()
    }

    fn drained(&mut self, reason: &str) -> Value {
        assert_eq!(self.ends(), 0, "{}", self.log());
        assert_eq!(self.said(), "began\ntold\nfinished\n");
        let (phases, last) = self.reports();
        assert_eq!(phases.last().map(String::as_str), Some("drained"), "{phases:?}");
        assert_eq!(last["reason"], reason, "{last}");
        assert_eq!(last["worker"], "sv-live-gpu-1");
        last
    }
}

fn action(at: u64) -> Value {
    let time = streamverse_acceptance::rfc3339(at);
    json!({ "action": "terminate", "time": time })
}

#[test]
fn on_ec2_a_worker_has_the_notice_less_fifteen_seconds_also_after_faults_and_a_token_that_ran_out() {
    let mut it = Setting::new();
    let aws = json!({ "aws": { "endpoint": it.url() } });
    it.set(&json!({ "fail": 1 }));
    it.start(&aws, &json!({}), TIDY);
    it.until("it looks for a notice", |it| it.world()["asked"]["spot/instance-action"].as_u64() >= Some(1));
    it.set(&json!({ "tokens": 2, "rebalance": { "noticeTime": "2026-01-01T00:00:00Z" } }));
    it.until("the advice is told", |it| it.reports().1["reason"] == "rebalance");
    assert_eq!(it.said(), "began\n", "an advice alone drains nothing");
    let kib = it.resident();
    assert!(kib < 64 * 1024, "an agent has {kib} KiB resident");
    let gone = in_seconds(120);
    it.set(&json!({ "action": action(gone) }));
    let last = it.drained("preempted");
    assert_eq!(last["until_ms"], (gone - 15) * 1000);
}

#[test]
fn a_worker_that_is_not_done_in_time_is_ended_and_the_controller_knows() {
    let mut it = Setting::new();
    it.set(&json!({ "action": action(in_seconds(17)) }));
    it.start(&json!({ "aws": { "endpoint": it.url() } }), &json!({}), DEAF);
    assert_eq!(it.ends(), 1, "{}", it.log());
    let (phases, last) = it.reports();
    assert_eq!(phases.last().map(String::as_str), Some("overrun"), "{phases:?}");
    assert_eq!(last["reason"], "preempted");
}

#[test]
fn a_rebalance_recommendation_drains_where_that_is_asked_for_and_has_all_the_time() {
    let mut it = Setting::new();
    it.set(&json!({ "rebalance": { "noticeTime": "2026-01-01T00:00:00Z" } }));
    let from = in_seconds(0) * 1000;
    it.start(&json!({ "aws": { "endpoint": it.url() } }), &json!({ "drain_on_rebalance": true }), TIDY);
    let last = it.drained("rebalance");
    assert!(last["until_ms"].as_u64().unwrap() >= from + 300_000, "{last}");
}

#[test]
fn on_compute_engine_the_request_that_the_server_holds_brings_the_notice() {
    let mut it = Setting::new();
    let gcp = json!({ "gcp": { "endpoint": it.url(), "notice_seconds": 120 } });
    it.start(&gcp, &json!({}), TIDY);
    it.until("a request is held", |it| it.world()["asked"]["preempted"].as_u64() >= Some(2));
    let from = in_seconds(0) * 1000;
    it.set(&json!({ "preempted": true }));
    let last = it.drained("preempted");
    let until = last["until_ms"].as_u64().unwrap();
    assert!((from + 105_000..in_seconds(106) * 1000).contains(&until), "{last}");
    let asked = it.world()["asked"]["preempted"].as_u64().unwrap();
    assert!(asked < 10, "the server does the waiting, but was asked {asked} times");
}

#[test]
fn on_azure_only_events_of_this_instance_count_and_the_event_is_released_when_all_is_finished() {
    let mut it = Setting::new();
    let event = |id: &str, kind: &str, vm: &str| {
        json!({
            "EventId": id, "EventType": kind, "ResourceType": "VirtualMachine", "Resources": [vm],
            "EventStatus": "Scheduled", "NotBefore": streamverse_acceptance::rfc2822(in_seconds(60)),
            "Description": "", "EventSource": "Platform", "DurationInSeconds": -1,
        })
    };
    it.set(&json!({ "events": [event("A", "Preempt", "vm-2"), event("B", "Freeze", "vm-1")] }));
    it.start(&json!({ "azure": { "endpoint": it.url() } }), &json!({}), TIDY);
    it.until("it looks", |it| it.world()["asked"]["events"].as_u64() >= Some(2));
    assert_eq!(it.said(), "began\n");
    it.set(&json!({ "events": [event("A", "Preempt", "vm-2"), event("B", "Freeze", "vm-1"), event("C", "Preempt", "vm-1")] }));
    it.drained("preempted");
    assert_eq!(it.world()["started"], json!([{ "EventId": "C" }]));
}

#[test]
fn the_controllers_order_and_a_signal_drain_and_a_worker_that_ends_by_itself_ends_the_agent_with_its_code() {
    let mut it = Setting::new();
    it.start(&json!("signal"), &json!({}), TIDY);
    let from = in_seconds(0) * 1000;
    it.set(&json!({ "order": { "order": "drain", "seconds": 300 } }));
    let last = it.drained("scale-in");
    assert!(last["until_ms"].as_u64().unwrap() >= from + 300_000, "{last}");

    let mut it = Setting::new();
    it.start(&json!("signal"), &json!({}), TIDY);
    let pid = it.agent.as_ref().unwrap().id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    it.drained("signalled");

    let mut it = Setting::new();
    it.start(&json!("signal"), &json!({}), r#"echo began >>"$0"; exit 7"#);
    assert_eq!(it.ends(), 7);
    assert_eq!(it.reports().1["reason"], "ended");
}

#[test]
fn a_worker_that_fails_while_it_finishes_has_not_finished() {
    let mut it = Setting::new();
    it.set(&json!({ "order": { "order": "drain", "seconds": 300 } }));
    it.start(
        &json!("signal"),
        &json!({}),
        r#"trap 'exit 3' TERM; echo began >>"$0"; while :; do sleep 0.05; done"#,
    );
    assert_eq!(it.ends(), 1, "{}", it.log());
    let (phases, last) = it.reports();
    assert_eq!(phases.last().map(String::as_str), Some("overrun"), "{last}");
}

#[test]
fn a_preemption_in_the_middle_of_a_scale_in_leaves_the_shorter_time() {
    let mut it = Setting::new();
    it.start(&json!({ "aws": { "endpoint": it.url() } }), &json!({}), DEAF);
    it.set(&json!({ "order": { "order": "drain", "seconds": 300 } }));
    it.until("it drains", |it| it.reports().1["phase"] == "draining");
    it.set(&json!({ "action": action(in_seconds(16)) }));
    assert_eq!(it.ends(), 1);
    let (_, last) = it.reports();
    assert_eq!((&last["phase"], &last["reason"]), (&json!("overrun"), &json!("preempted")));
}

#[test]
fn what_cannot_be_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let run = |spec: &Value, worker: &[&str]| {
        let path = folder.path().join("drain.json");
        std::fs::write(&path, spec.to_string()).unwrap();
        let mut command = Command::new(binaries().join("streamverse-edge"));
        let said = command.args(["drain", "--spec"]).arg(&path).args(worker).output().unwrap();
        assert!(!said.status.success());
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    let far = json!({ "worker": "a", "controller": { "url": "http://controller.example" } });
    assert!(run(&far, &["--", "true"]).contains("must begin with https://"));
    assert!(run(&json!({ "worker": "a" }), &[]).contains("there is nothing to drain"));
    assert!(run(&json!({ "worker": "a" }), &["--", "/no/such/worker"]).contains("cannot be started"));
    assert!(
        run(&json!({ "worker": "a", "token": "x" }), &["--", "true"]).contains("is no spec of a drain agent")
    );
}
