//! A controller of this process, with time that a test turns, the real client and the stand-in: an account without money, one that is asked too often,
//! and two pods of one name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::{Value, json};
use streamverse_compute::cloud::Cloud;
use streamverse_compute_runpod::{ApiKey, Client, Config, Runpod};
use streamverse_core::log::Progress;
use streamverse_core::stores::{Records, open_records};
use streamverse_core::{Metrics, ServiceContext};
use streamverse_fleet::workers::{NoWorkers, WorkerTold, Workers};
use streamverse_fleet::{Clock, Controller, FileLease, Lease, Parts, Queues, Roster};
use streamverse_model::compute::{CloudKind, FleetStatus, InstanceName, Phase, QueueSpec, fleet_collection};
use streamverse_model::platform::Name;
use streamverse_runpod_stand_in::{KEY, StandIn};

/// The host's time, and what was turned.
#[derive(Default)]
struct Turned(AtomicU64);

#[async_trait]
impl Clock for Turned {
    fn now_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        u64::try_from(now).unwrap() + self.0.load(Ordering::Relaxed)
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

struct NoQueues;

#[async_trait]
impl Queues for NoQueues {
    async fn progress(&self, _: &QueueSpec) -> streamverse_core::Result<Vec<Progress>> {
        Ok(Vec::new())
    }
}

/// Whoever was launched has enrolled, and works.
struct Busy {
    clock: Arc<Turned>,
    drained: AtomicUsize,
}

impl Workers for Busy {
    fn invite(&self, _: &Name, _: &InstanceName, _: u64) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn told(&self, _: &str) -> Option<WorkerTold> {
        let heard_ms = self.clock.now_ms();
        let (phase, running) = (Phase::Working, Some(1));
        Some(WorkerTold {
            phase,
            heard_ms,
            idle_since_ms: None,
            until_ms: None,
            preempted: false,
            at_risk: false,
            running,
        })
    }

    fn drain(&self, _: &str, _: u64) {
        self.drained.fetch_add(1, Ordering::Relaxed);
    }

    fn job_ms(&self, _: &Name) -> Option<u64> {
        None
    }

    fn keep_only(&self, _: &dyn Fn(&str) -> bool) {}
}

struct World {
    it: StandIn,
    clock: Arc<Turned>,
    records: Arc<dyn Records>,
    controller: Controller,
    _folder: tempfile::TempDir,
}

impl World {
    /// `call`: how long a call of RunPod's may take.
    async fn start(call: Duration) -> World {
        World::with(call, Arc::default(), Arc::new(NoWorkers)).await
    }

    async fn with(call: Duration, clock: Arc<Turned>, workers: Arc<dyn Workers>) -> World {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("data/catalogues")).unwrap();
        let cx: ServiceContext = serde_json::from_value(json!({
            "site": "here", "owner": { "deployment": "test", "kind": "fleet-controller", "name": "main" },
            "object": "service/fleet-controller", "data_dir": at("data"), "scratch_dir": at("scratch"), "run_dir": at("run"),
            "credentials_dir": at("credentials"), "specs_dir": at("specs"), "bind": "127.0.0.1",
        }))
        .unwrap();
        let records = open_records("sqlite://here/main", &cx).await.unwrap();
        let it = StandIn::start();
        let client = Client::new(Config::new(&it.endpoint, ApiKey::new(KEY).unwrap()).unwrap()).unwrap();
        let cloud: Arc<dyn Cloud> = Arc::new(Runpod::new(client, call));
        let lease: Arc<dyn Lease> = Arc::new(FileLease::new(at("lock")));
        let controller = Controller::new(Parts {
            deployment: Name::parse("test").unwrap(),
            name: "main".to_owned(),
            spec: serde_json::from_value(json!({ "tick": "15s", "retention": "30days" })).unwrap(),
            stores: None,
            clouds: [(CloudKind::Runpod, cloud)].into(),
            records: Arc::clone(&records),
            queues: Arc::new(NoQueues),
            workers,
            roster: Arc::new(Roster::new(Arc::clone(&lease))),
            lease,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            metrics: Metrics::new(),
        });
        World { it, clock, records, controller, _folder: folder }
    }

    /// A fleet of so many.
    async fn fleet(&self, count: u32) {
        self.fleet_of(count, Value::Null).await;
    }

    async fn fleet_of(&self, count: u32, work: Value) {
        let fleet: Value = json!({
            "generation": count.to_string(),
            "work": work,
            "definition": {
                "name": "one",
                "candidates": [{ "key": "l40s", "cloud": "runpod", "region": "EU-RO-1", "shape": "NVIDIA L40S", "gpus": 1 },
                    { "key": "l4", "cloud": "runpod", "region": "", "shape": "NVIDIA L4", "gpus": 1 }],
                "range": { "min": count, "max": count }, "policy": {}, "schedule": { "idle": "20m" }, "image": "worker:1",
            },
        });
        let all = fleet_collection("", "main");
        self.records.remove(&all, "one").await.unwrap();
        assert!(self.records.insert(&all, "one", &fleet).await.unwrap());
    }

    /// Some time passes, and the controller looks. What it says is wrong.
    async fn after(&mut self, seconds: u64) -> String {
        self.clock.0.fetch_add(seconds * 1000, Ordering::Relaxed);
        self.controller.tick().await.unwrap();
        let found = self.records.get(&fleet_collection("status", "main"), "one").await.unwrap().unwrap();
        let status: FleetStatus = serde_json::from_value(found.value).unwrap();
        status.trouble.unwrap_or_default()
    }

    /// How often a pod was asked for, and bought.
    fn asked_and_bought(&self) -> (usize, usize) {
        let asked = self.it.calls().iter().filter(|it| it.starts_with("POST /v2/pods")).count();
        (asked, self.it.account().created("pod"))
    }
}

#[tokio::test]
async fn without_credit_or_asked_too_often_a_fleet_says_so_waits_and_goes_on_with_one_pod_each() {
    let mut world = World::start(Duration::from_secs(5)).await;
    world.it.settings(&json!({ "balance": false }));
    world.fleet(1).await;
    let told = world.after(0).await;
    assert!(told.contains("runpod refuses") && told.contains("402") && told.contains("10 min"), "{told}");
    assert_eq!(world.asked_and_bought(), (1, 0), "the account is refused, not one place of it");
    let told = world.after(300).await;
    assert!(told.contains("402") && told.contains("5 min"), "{told}");
    assert_eq!(world.asked_and_bought(), (1, 0), "it is left alone meanwhile");
    // Somebody pays.
    world.it.settings(&json!({}));
    assert_eq!(world.after(301).await, "");
    assert_eq!(world.after(15).await, "");
    assert_eq!(world.asked_and_bought(), (2, 1));
    // One more, while there are too many calls: for as long as the answer says.
    let much = json!([{ "method": "POST", "what": { "answer": { "status": 429, "retry_after": 700 } }, "times": 1 }]);
    world.it.faults(&much);
    world.fleet(2).await;
    let told = world.after(15).await;
    assert!(told.contains("429") && told.contains("12 min"), "{told}");
    let told = world.after(690).await;
    assert!(told.contains("429") && told.contains("1 min"), "{told}");
    assert_eq!(world.asked_and_bought(), (3, 1), "it was left alone for as long as it said");
    assert_eq!(world.after(15).await, "");
    assert_eq!(world.after(15).await, "");
    assert_eq!(world.asked_and_bought(), (4, 2));
    assert_eq!(world.it.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn of_two_pods_of_one_name_the_one_that_may_work_stays_and_neither_of_two_is_ended_under_its_work() {
    let clock: Arc<Turned> = Arc::default();
    let busy = Arc::new(Busy { clock: Arc::clone(&clock), drained: AtomicUsize::new(0) });
    let mut world = World::with(Duration::from_secs(2), clock, Arc::clone(&busy) as Arc<dyn Workers>).await;
    // The answer is lost, and lists show what it made only after it was asked for again.
    world.it.settings(&json!({ "list_lag_ms": 5000, "start_ms": 600_000 }));
    world.it.faults(&json!([{ "method": "POST", "what": "lose" }]));
    let spec = json!({ "concurrency": 1, "workers": 0, "scratch": "1GiB", "memory": "1GiB", "event_log": "kafka://k:9092",
        "object_store": "s3://media", "catalogue": "sqlite://here/main" });
    world.fleet_of(1, json!({ "transcoder": "main", "spec": spec })).await;
    world.after(0).await;
    // The second is quicker than the first.
    world.it.settings(&json!({ "list_lag_ms": 5000 }));
    assert_eq!(world.after(15).await, "");
    let running = |it: &StandIn| it.things("pod").iter().filter(|it| it["status"] == "RUNNING").count();
    while running(&world.it) < 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pods = world.it.things("pod");
    assert_eq!((pods.len(), &pods[0]["name"]), (2, &pods[1]["name"]), "{pods:#?}");
    let works = pods.iter().find(|it| it["status"] == "RUNNING").unwrap()["id"].clone();
    world.it.settings(&json!({}));
    world.after(15).await;
    let left = world.it.things("pod");
    assert_eq!((left.len(), &left[0]["id"]), (1, &works), "who runs may have enrolled: {left:#?}");
    // Two that run: which of them the controller hears is not seen at RunPod.
    let twin = json!({ "name": left[0]["name"], "image": "x", "gpu": { "id": "NVIDIA L40S" } });
    let (status, twin) = world.it.api("POST", "/v2/pods", Some(&twin));
    assert_eq!(status, 201);
    while running(&world.it) < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.after(15).await;
    world.after(15).await;
    assert_eq!(running(&world.it), 2, "one was ended under its work: {:?}", world.it.calls());
    let told = busy.drained.load(Ordering::Relaxed);
    assert!(told > 0, "one too many: whoever is heard under this name finishes what it has begun");
    // The worker that enrolled second was refused.
    world.it.kill_pod(twin["id"].as_str().unwrap());
    while running(&world.it) > 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.after(15).await;
    world.after(15).await;
    let left = world.it.things("pod");
    assert_eq!((left.len(), &left[0]["id"]), (1, &works), "{left:#?}");
    assert_eq!(world.asked_and_bought().1, 3, "{:?}", world.it.calls());
    assert_eq!(world.it.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn twenty_pods_at_once_take_fewer_calls_than_a_minute_has_and_a_cloud_that_wants_to_be_left_alone_is_not_waited_for()
 {
    // As the controller has it.
    let mut world = World::start(Duration::from_secs(50)).await;
    world.it.settings(&json!({ "per_minute": 60, "list_lag_ms": 1000 }));
    world.it.stock(&json!({ "gpu": "NVIDIA L40S", "free": 40 }));
    world.fleet(20).await;
    for _ in 0..3 {
        world.after(15).await;
    }
    let names = |it: &StandIn| {
        let pods = it.things("pod");
        let names: std::collections::BTreeSet<String> =
            pods.iter().map(|it| it["name"].to_string()).collect();
        (pods.len(), names.len())
    };
    let calls = world.it.calls();
    eprintln!("{} calls for 20 pods", calls.len());
    assert_eq!(names(&world.it), (20, 20), "{calls:?}");
    assert!(!calls.iter().any(|it| it.ends_with("429")), "{} calls: {calls:?}", calls.len());
    assert_eq!(world.asked_and_bought(), (20, 20));
    // Some are asked to wait a little, and come.
    world.it.settings(&json!({}));
    let much =
        json!([{ "method": "POST", "what": { "answer": { "status": 429, "retry_after": 1 } }, "times": 3 }]);
    world.it.faults(&much);
    world.fleet(24).await;
    assert_eq!(world.after(15).await, "");
    assert_eq!((world.it.clear_faults(), names(&world.it)), (0, (24, 24)), "{:?}", world.it.calls());
    // Longer than a look may take: the look ends at once, says so, and all stays as it is.
    let much = json!([{ "method": "GET", "path": "/v2/pods", "what": { "answer": { "status": 429, "retry_after": 40 } } }]);
    world.it.faults(&much);
    let began = std::time::Instant::now();
    let told = world.after(15).await;
    assert!(began.elapsed() < Duration::from_secs(20), "the tick waited {:?}", began.elapsed());
    assert!(told.contains("429"), "{told}");
    assert_eq!(world.after(15).await, "");
    assert_eq!((world.asked_and_bought().1, names(&world.it)), (24, (24, 24)));
    assert_eq!(world.it.violations(), Vec::<String>::new());
}
