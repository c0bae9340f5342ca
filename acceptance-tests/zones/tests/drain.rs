//! The real drain agent on instances of the stand-in: the market takes a zone back, each cloud's metadata service says so, the
//! worker finishes what it can.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it must be"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use streamverse_acceptance::binaries;
use streamverse_compute::cloud::{Candidate, Cloud as _, GroupSpec};
use streamverse_model::compute::{CloudKind, GroupName, Lifecycle, Tenancy};
use streamverse_zones_stand_in::{Config, StandIn};

const PATIENCE: Duration = Duration::from_secs(60);
/// A worker that finishes when it is told to.
const TIDY: &str =
    r#"trap 'echo finished >>"$0"; exit 0' TERM; echo began >>"$0"; while :; do sleep 0.05; done"#;

/// An agent and its worker, ended with the test.
struct Agent {
    child: Child,
    said: PathBuf,
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Its worker ends with it when it is told; killed, it would leave one behind.
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Agent {
    fn start(stand_in: &StandIn, id: &str, notices: &Value) -> Agent {
        let path = stand_in.folder().join(format!("{id}.json"));
        std::fs::write(&path, json!({ "worker": id, "notices": notices }).to_string()).unwrap();
        let said = stand_in.folder().join(format!("{id}.said"));
        let log = std::fs::File::create(stand_in.folder().join(format!("{id}.log"))).unwrap();
        let child = Command::new(binaries().join("streamverse-edge"))
            .args(["drain", "--spec"])
            .arg(path)
            .args(["--", "sh", "-c", TIDY])
            .arg(&said)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Agent { child, said }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_zone_that_is_taken_back_is_heard_through_each_clouds_metadata_and_its_workers_finish_before_it_goes()
 {
    let clouds = [(CloudKind::Aws, "z-1a"), (CloudKind::Gcp, "y-1a"), (CloudKind::Azure, "x-1a")];
    let mut config = clouds.iter().fold(Config::new(), |it, (kind, zone)| it.zone(*kind, zone, 2));
    // The agents' clocks are real ones.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    config.epoch_ms = u64::try_from(now.as_millis()).unwrap();
    config.cold_ms = 0;
    let stand_in = StandIn::start(&config);
    for (kind, zone) in clouds {
        let name = GroupName::new("test", "encode", &format!("s-{zone}")).unwrap();
        let candidate = Candidate {
            key: zone.to_owned(),
            cloud: kind,
            region: zone.trim_end_matches('a').to_owned(),
            zone: None,
            shape: "g6.xlarge".to_owned(),
            gpus: 1,
            tenancy: Tenancy::Secure,
        };
        let (environment, options) = (BTreeMap::new(), BTreeMap::new());
        let (lifecycle, image) = (Lifecycle::Spot, String::new());
        let spec =
            GroupSpec { name, candidate, lifecycle, max: 2, max_hourly: None, image, environment, options };
        let cloud = stand_in.cloud(kind);
        cloud.ensure_group(&spec).await.unwrap();
        cloud.resize(&spec.name, 2).await.unwrap();
    }
    stand_in.run(1.0);
    let machines = stand_in.machines();
    let mut agents: Vec<(String, Agent)> = Vec::new();
    for one in &machines {
        let (id, cloud) = (one["id"].as_str().unwrap(), one["cloud"].as_str().unwrap());
        let notices = json!({ cloud: { "endpoint": stand_in.metadata(id) } });
        agents.push((cloud.to_owned(), Agent::start(&stand_in, id, &notices)));
    }
    for (_, agent) in &agents {
        until("the worker begins", || agent.said() == "began\n");
    }
    // One of two may stay, and hears nothing.
    for (_, zone) in clouds {
        stand_in.market(&json!({ "zone": zone, "spot": 1 }));
    }
    let mut ended = Vec::new();
    until("one worker of each cloud finishes", || {
        for (index, (cloud, agent)) in agents.iter_mut().enumerate() {
            if let Some(status) = agent.child.try_wait().unwrap() {
                assert!(status.success(), "{cloud}");
                if !ended.contains(&index) {
                    ended.push(index);
                }
            }
        }
        ended.len() == 3
    });
    for (index, (cloud, agent)) in agents.iter().enumerate() {
        let doomed = machines[index]["id"].as_str().unwrap();
        let said = if ended.contains(&index) { "began\nfinished\n" } else { "began\n" };
        assert_eq!(agent.said(), said, "{cloud}, {doomed}");
    }
    // Azure was told that it need not wait; the others take theirs when the notice is over.
    let account = stand_in.account();
    let gone: Vec<CloudKind> =
        account.lives().iter().filter(|it| it.preempted).map(|it| it.launch.cloud).collect();
    assert_eq!(gone, [CloudKind::Azure]);
    stand_in.run(0.0);
    stand_in.advance(120_000);
    assert_eq!(stand_in.account().preemptions(), 3);
    for (index, one) in machines.iter().enumerate() {
        let alive = stand_in.machines().iter().any(|it| it["id"] == one["id"]);
        assert_eq!(alive, !ended.contains(&index), "{one}");
    }
}
