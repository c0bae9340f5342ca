//! Services inside of the agent: one that panics, and one beside it that must not notice.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use streamverse_core::{Ready, Service, Start, Stop, Target};
use streamverse_model::platform::{Isolation, Resources, ServiceObject};
use tokio::time::Instant;
use tracing::info;

use super::*;

/// How often the fragile one panics before it stays.
const PANICS: u32 = 3;

static BEATS: AtomicU32 = AtomicU32::new(0);
static DRAINED: AtomicBool = AtomicBool::new(false);
static RUNS: Mutex<Vec<Instant>> = Mutex::new(Vec::new());
/// Counted by what the fragile one spawned, and nobody tells to stop.
static LEFT: AtomicU32 = AtomicU32::new(0);

struct Steady;

#[async_trait]
impl Service for Steady {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        ready.set(true);
        while !stop.is_stopped() {
            BEATS.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ready.set(false);
        DRAINED.store(true, Ordering::Relaxed);
        Ok(())
    }
}

struct Fragile;

#[async_trait]
impl Service for Fragile {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        let run = {
            let mut runs = RUNS.lock().unwrap();
            runs.push(Instant::now());
            runs.len()
        };
        tokio::spawn(async {
            loop {
                LEFT.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        info!(run, "It is fragile.");
        ready.set(true);
        if run <= PANICS as usize {
            tokio::time::sleep(Duration::from_millis(100)).await;
            panic!("the glass fell");
        }
        stop.stopped().await;
        Ok(())
    }
}

const TABLE: TargetTable = &[
    Target {
        name: "steady",
        start: Start::Service(|_, _| Box::pin(async { Ok(Box::new(Steady) as Box<dyn Service>) })),
    },
    Target {
        name: "fragile",
        start: Start::Service(|_, _| Box::pin(async { Ok(Box::new(Fragile) as Box<dyn Service>) })),
    },
];

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn bundle(target: &str) -> Bundle {
    let service = ServiceObject {
        name: name(target),
        target: target.to_owned(),
        spec: json!({}),
        replicas: 1,
        ports: Vec::new(),
        credentials: Vec::new(),
        reach: Vec::new(),
        resources: Resources::default(),
        isolation: Isolation::InProcess,
        drain_seconds: 5,
    };
    Bundle::new(Owner::new("test", "thing", target).unwrap(), vec![Object::Service(service)])
}

fn agent(folder: &Path, user: Option<&str>) -> Agent {
    Agent::open(Config {
        bind: [127, 0, 0, 1].into(),
        site: name("default"),
        data: folder.join("data"),
        run: folder.join("run"),
        program: "/nothing/is/run/as/a/process".into(),
        user: user.map(str::to_owned),
        tools: BTreeMap::new(),
        targets: TABLE,
        engines: Vec::new(),
    })
    .unwrap()
}

fn status(agent: &Agent, target: &str) -> ObjectStatus {
    agent.observe(&bundle(target).owner).unwrap().objects.remove(0)
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what} never happened");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_panics_inside_of_the_agent_touches_nobody_and_is_started_again_more_and_more_slowly()
{
    let folder = tempfile::tempdir().unwrap();
    let agent = agent(folder.path(), None);
    for target in ["steady", "fragile"] {
        agent.judge(&bundle(target)).unwrap();
        agent.apply(bundle(target), &BTreeMap::new()).unwrap();
    }
    until("the first panic", || {
        let reason = status(&agent, "fragile").reason;
        reason.is_some_and(|it| it.code == "panicked" && it.text.contains("the glass fell"))
    })
    .await;
    until("the last run", || RUNS.lock().unwrap().len() > PANICS as usize).await;
    until("readiness", || status(&agent, "fragile").phase == Phase::Ready).await;
    let fragile = status(&agent, "fragile");
    assert_eq!((fragile.restarts, fragile.pids), (PANICS, vec![std::process::id()]));
    // Ready again, it still says why it was not.
    assert!(fragile.reason.unwrap().text.contains("started 3 times anew"));
    let runs = RUNS.lock().unwrap().clone();
    let pauses: Vec<Duration> = runs.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(pauses[2] > pauses[0], "no back-off: {pauses:?}");
    // The other one was never ended, and goes on.
    let (beats, steady) = (BEATS.load(Ordering::Relaxed), status(&agent, "steady"));
    assert_eq!((steady.phase, steady.restarts), (Phase::Ready, 0));
    until("another beat", || BEATS.load(Ordering::Relaxed) > beats).await;
    // Each writes its own log.
    let log = |target: &str| {
        let key = format!("service/{target}");
        std::fs::read_to_string(Keeper::log_of(&agent.shared, &bundle(target).owner, &key)).unwrap()
    };
    assert!(log("fragile").contains("It is fragile.") && log("fragile").contains("the glass fell"));
    assert!(!log("steady").contains("fragile") && log("steady").contains("Starting."), "{}", log("steady"));
    // Removed, nothing of it is left: not even what it spawned and forgot.
    until("the removal", || agent.delete(&bundle("fragile").owner).unwrap().is_none()).await;
    let left = LEFT.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(LEFT.load(Ordering::Relaxed), left, "what it spawned goes on");
    assert!(!DRAINED.load(Ordering::Relaxed));
    // It ends with the agent, but not before it has drained.
    agent.leave().await;
    assert!(DRAINED.load(Ordering::Relaxed));
}

#[tokio::test]
async fn nothing_runs_inside_of_an_agent_that_is_another_user_than_services_are() {
    if rustix::process::geteuid().as_raw() != 0 {
        eprintln!("SKIPPED: only root can run services as somebody else");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let agent = agent(folder.path(), Some("nobody"));
    let refusal = agent.judge(&bundle("steady")).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("/objects/0/isolation"));
    assert!(refusal.message.contains("not the user of services"), "{}", refusal.message);
}

#[tokio::test]
async fn no_deployment_is_called_as_a_folder_of_the_agent_is() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent(folder.path(), None);
    agent.judge(&bundle("steady")).unwrap();
    for entry in std::fs::read_dir(folder.path().join("data")).unwrap() {
        let entry = entry.unwrap().file_name().to_string_lossy().into_owned();
        let Ok(deployment) = Name::parse(&entry) else { continue };
        let mut taken = bundle("steady");
        taken.owner.deployment = deployment;
        assert!(agent.judge(&taken).is_err(), "{entry} would be removed with its last owner");
    }
}
