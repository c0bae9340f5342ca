//! A fleet is handed over and taken away, with a controller that answers, one that does not, and others who write too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use streamverse_core::log::{EventLog, Member, Position, Progress, Record};
use streamverse_core::stores::{Records, open_records};
use streamverse_core::{Job, JobHandle, Metrics, ServiceContext, Stop};
use streamverse_model::compute::runpod::RunpodFleetSpec;
use streamverse_model::compute::{
    FleetControllerRun, FleetJobSpec, FleetRecord, FleetSeen, FleetSource, FleetStatus, FleetWork,
};
use streamverse_model::platform::{Name, Owner};

use super::hand_over::{HandOver, check, record};
use super::remove::Removal;
use super::{Fleets, owner_of};

struct Place {
    records: Arc<dyn Records>,
    cx: ServiceContext,
    _dir: tempfile::TempDir,
}

impl Place {
    async fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let cx = ServiceContext {
            site: Name::parse("default").unwrap(),
            owner: Owner::new("demo", "runpod-fleet", "encode").unwrap(),
            object: "job/fleet".to_owned(),
            data_dir: folder("data"),
            scratch_dir: folder("scratch"),
            run_dir: folder("run"),
            credentials_dir: folder("credentials"),
            specs_dir: folder("specs"),
            tools: Default::default(),
            bind: [127, 0, 0, 1].into(),
            metrics: Metrics::new(),
        };
        folder("data/catalogues");
        let records = open_records("sqlite://default/main", &cx).await.unwrap();
        Place { records, cx, _dir: dir }
    }

    fn fleets(&self) -> Fleets {
        Fleets::of(Arc::clone(&self.records), "main")
    }

    fn hand_over(&self, max: u32) -> Box<HandOver> {
        let (record, controller) = (made(max, owner_of(&self.cx)), controller(|_| {}));
        Box::new(HandOver { record, controller, fleets: self.fleets(), log: None })
    }

    fn removal(&self) -> Box<Removal> {
        Box::new(Removal { name: "encode".to_owned(), owner: owner_of(&self.cx), fleets: self.fleets() })
    }

    async fn found(&self) -> Option<FleetRecord> {
        let found = self.records.get("fleet.main", "encode").await.unwrap()?;
        Some(serde_json::from_value(found.value).unwrap())
    }

    /// A controller that takes what it finds: running fleets, and ends of them after one more look.
    fn controller(&self) -> tokio::task::JoinHandle<()> {
        let records = Arc::clone(&self.records);
        tokio::spawn(async move {
            let mut left = 3;
            loop {
                if let Some(found) = records.get("fleet.main", "encode").await.unwrap() {
                    let fleet = FleetSeen::of(&found.value);
                    left -= u32::from(fleet.fenced && left > 0);
                    let status = FleetStatus {
                        generation: fleet.generation,
                        instances: left,
                        deleted: fleet.fenced && left == 0,
                        ..FleetStatus::default()
                    };
                    write(&*records, "fleet-status.main", &serde_json::to_value(status).unwrap()).await;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    }
}

/// A log that knows how many partitions its topic has, and is asked for nothing else.
#[derive(Default)]
struct Log(AtomicU32);

#[async_trait::async_trait]
impl EventLog for Log {
    async fn ensure_topic(&self, _: &str, _: u32, _: Option<Duration>) -> streamverse_core::Result<()> {
        Ok(())
    }
    async fn append(&self, _: &str, _: &str, _: Bytes) -> streamverse_core::Result<Position> {
        unreachable!("nothing is appended")
    }
    async fn join(&self, _: &str, _: &str) -> streamverse_core::Result<Box<dyn Member>> {
        unreachable!("nobody joins")
    }
    async fn read_all(&self, _: &str) -> streamverse_core::Result<Vec<Record>> {
        unreachable!("nothing is read")
    }
    async fn progress(&self, _: &str, _: &str) -> streamverse_core::Result<Vec<Progress>> {
        unreachable!("progress is the controller's")
    }
    async fn partitions(&self, _: &str) -> streamverse_core::Result<Option<u32>> {
        Ok(Some(self.0.load(Ordering::SeqCst)))
    }
    async fn probe(&self) -> streamverse_core::Result<()> {
        Ok(())
    }
}

async fn write(records: &dyn Records, collection: &str, value: &Value) {
    match records.get(collection, "encode").await.unwrap() {
        Some(found) => drop(records.replace(collection, "encode", found.version, value).await.unwrap()),
        None => drop(records.insert(collection, "encode", value).await.unwrap()),
    }
}

fn fleet(max: u32) -> FleetJobSpec {
    let spec: RunpodFleetSpec = serde_json::from_value(json!({
        "controller": "main", "image": "registry.example/worker:1",
        "candidates": [{ "gpu": "L40S", "gpus": 1, "tenancy": "secure" }], "range": { "min": 0, "max": max },
        "queue": { "event_log": "kafka://k:9092", "topic": "transcode", "group": "transcoders", "scale_out_above": 100,
            "scale_in_below": 10, "scale_in_after": "20m", "target_p95": "30m", "assumed_job_time": "60s" },
    }))
    .unwrap();
    FleetJobSpec { name: Name::parse("encode").unwrap(), fleet: FleetSource::Runpod(Box::new(spec)) }
}

fn made(max: u32, owner: String) -> FleetRecord {
    record(fleet(max).definition(1).unwrap(), None, owner)
}

fn controller(change: impl FnOnce(&mut Value)) -> FleetControllerRun {
    let mut run = json!({
        "controller": { "tick": "200ms", "retention": "30days" }, "port": 9190, "public_url": "https://h:9190",
        "catalogue": "sqlite://default/main", "stores": ["kafka://k:9092", "s3://media"],
        "runpod": { "endpoint": "https://api.example" },
    });
    change(&mut run);
    serde_json::from_value(run).unwrap()
}

async fn run(job: Box<impl Job + 'static>) -> streamverse_core::Result<Value> {
    let done = tokio::time::timeout(Duration::from_secs(60), job.run(JobHandle::new(), Stop::new()));
    done.await.expect("the job does not end")
}

#[tokio::test]
async fn a_fleet_is_taken_and_a_change_of_it_is_another_generation() {
    let place = Place::new().await;
    let controller = place.controller();
    let first = run(place.hand_over(4)).await.unwrap();
    assert_eq!(first["taken"], true, "{first}");
    let again = run(place.hand_over(4)).await.unwrap();
    assert_eq!(again, first, "the same again changes nothing");
    let changed = run(place.hand_over(5)).await.unwrap();
    assert_ne!(changed["generation"], first["generation"]);
    assert_eq!(place.found().await.unwrap().definition.range.max, 5);
    controller.abort();
}

#[tokio::test]
async fn a_controller_that_does_not_answer_has_a_fleet_all_the_same() {
    let place = Place::new().await;
    let told = run(place.hand_over(4)).await.unwrap();
    assert_eq!(told["taken"], false);
    assert!(place.found().await.is_some());
}

#[tokio::test]
async fn a_topic_with_fewer_partitions_than_workers_is_refused_and_nothing_is_written() {
    let place = Place::new().await;
    let log = Arc::new(Log::default());
    let with = |max| {
        let mut job = place.hand_over(max);
        job.log = Some(Arc::clone(&log) as Arc<dyn EventLog>);
        run(job)
    };
    let none = with(4).await.unwrap_err();
    assert_eq!((none.code, none.retry), ("no-topic", true), "{}", none.message);
    log.0.store(4, Ordering::SeqCst);
    let few = with(6).await.unwrap_err();
    assert_eq!((few.code, few.retry), ("too-few-partitions", false), "{}", few.message);
    assert!(few.message.contains("has 4 partitions") && few.message.contains("2 of 6"), "{}", few.message);
    assert!(place.found().await.is_none(), "nothing is handed over");
    with(4).await.unwrap();
    assert!(place.found().await.is_some());
    // The transcoder's own workers are members of the same group.
    let beside = |max| {
        let mut job = place.hand_over(max);
        job.log = Some(Arc::clone(&log) as Arc<dyn EventLog>);
        job.record.work = Some(FleetWork {
            transcoder: Name::parse("main").unwrap(),
            spec: serde_json::from_value(json!({
                "concurrency": 3, "workers": 1, "scratch": "1GiB", "memory": "1GiB",
                "event_log": "kafka://k:9092", "object_store": "s3://media", "catalogue": "postgres://db/c",
            }))
            .unwrap(),
        });
        run(job)
    };
    let few = beside(2).await.unwrap_err();
    assert!(few.code == "too-few-partitions" && few.message.contains("1 of 2 workers"), "{}", few.message);
    assert!(few.message.contains("3 are for what the transcoder's own workers do"), "{}", few.message);
    beside(1).await.unwrap();
}

#[tokio::test]
async fn a_fleet_of_another_resource_is_neither_changed_nor_fenced() {
    let place = Place::new().await;
    let theirs = made(9, "runpod-fleet/encode of the deployment other on site default".to_owned());
    let value = serde_json::to_value(&theirs).unwrap();
    assert!(place.records.insert("fleet.main", "encode", &value).await.unwrap());
    for refused in [run(place.hand_over(4)).await.unwrap_err(), run(place.removal()).await.unwrap_err()] {
        assert!(!refused.retry && refused.code == "fleet-owned", "{refused:?}");
        assert!(refused.message.contains("deployment other"), "{refused}");
    }
    assert_eq!(place.found().await, Some(theirs));
}

#[tokio::test]
async fn a_fleet_is_fenced_first_and_gone_when_nothing_is_left() {
    let place = Place::new().await;
    let controller = place.controller();
    run(place.hand_over(4)).await.unwrap();
    let handle = JobHandle::new();
    let removed = place.removal().run(handle.clone(), Stop::new());
    let removed = tokio::time::timeout(Duration::from_secs(60), removed).await.unwrap().unwrap();
    controller.abort();
    let _ = controller.await;
    assert_eq!(removed, json!({ "removed": "encode" }), "its end was told, and nothing is left");
    assert_eq!(handle.news().progress.map(|it| it.unit).as_deref(), Some("instances"));
    assert_eq!(place.found().await, None);
}

#[tokio::test]
async fn a_removal_that_finds_no_record_says_that_nothing_was_fenced() {
    // As where the catalogue is gone, too: it is no error, for no record will ever come back.
    let place = Place::new().await;
    let unrecorded = json!({ "removed": "encode", "unrecorded": true });
    assert_eq!(run(place.removal()).await.unwrap(), unrecorded);
    // What a controller said of a fleet that runs is no end.
    let running = FleetStatus { generation: "1f".to_owned(), instances: 2, ..FleetStatus::default() };
    write(&*place.records, "fleet-status.main", &serde_json::to_value(running).unwrap()).await;
    assert_eq!(run(place.removal()).await.unwrap(), unrecorded);
    // Killed between the two that it takes away, it has its controller's word for the end.
    let ended = FleetStatus { generation: "end-3".to_owned(), deleted: true, ..FleetStatus::default() };
    write(&*place.records, "fleet-status.main", &serde_json::to_value(ended).unwrap()).await;
    assert_eq!(run(place.removal()).await.unwrap(), json!({ "removed": "encode" }));
    // Taken away by another hand while it waits for the end.
    run(place.hand_over(4)).await.unwrap();
    let (handle, waiting) = (JobHandle::new(), place.removal());
    let waiting = tokio::spawn(waiting.run(handle.clone(), Stop::new()));
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    while handle.news().result.is_none() && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    place.records.remove("fleet.main", "encode").await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
    assert_eq!(told.unwrap().unwrap(), unrecorded);
}

#[tokio::test]
async fn a_removal_waits_for_its_own_end_and_says_what_for() {
    let place = Place::new().await;
    run(place.hand_over(4)).await.unwrap();
    // What was said of an earlier fleet of this name.
    let old = FleetStatus { generation: "end-1".to_owned(), deleted: true, ..FleetStatus::default() };
    write(&*place.records, "fleet-status.main", &serde_json::to_value(old).unwrap()).await;
    let (handle, stop) = (JobHandle::new(), Stop::new());
    let waiting = tokio::spawn(place.removal().run(handle.clone(), stop.clone()));
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    while handle.news().result.is_none() && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = handle.news().result.unwrap_or_default().to_string();
    assert!(told.contains("has not answered yet"), "{told}");
    assert!(place.found().await.unwrap().tombstone, "it is fenced first");
    stop.stop();
    assert!(waiting.await.unwrap().unwrap_err().retry);
    // Applied again before it was gone: it begins anew when the controller has ended the old one.
    let controller = place.controller();
    assert_eq!(run(place.hand_over(6)).await.unwrap()["taken"], true);
    controller.abort();
    let found = place.found().await.unwrap();
    assert!(!found.tombstone && found.definition.range.max == 6, "{found:?}");
}

#[tokio::test]
async fn a_record_of_another_version_is_written_over_by_its_resource_and_taken_away_by_it() {
    let place = Place::new().await;
    let controller = place.controller();
    let of = |owner: &str| {
        let definition = json!({ "name": "encode", "not": ["of", "this", "version"] });
        json!({ "definition": definition, "generation": "newer", "shards": 3, "owner": owner })
    };
    let ours = of(&owner_of(&place.cx));
    for value in [ours, json!("nonsense"), json!({ "owner": 7 })] {
        assert!(place.records.insert("fleet.main", "encode", &value).await.unwrap());
        assert_eq!(run(place.hand_over(4)).await.unwrap()["taken"], true, "over {value}");
        assert_eq!(place.found().await.unwrap().definition.range.max, 4);
        // And of such a one nothing stays. It is fenced first, as any.
        write(&*place.records, "fleet.main", &value).await;
        assert_eq!(run(place.removal()).await.unwrap()["removed"], "encode", "{value}");
        assert_eq!(place.records.get("fleet.main", "encode").await.unwrap(), None);
    }
    // Somebody else's is somebody else's, whatever wrote it.
    let theirs = of("runpod-fleet/encode of the deployment other on site default");
    assert!(place.records.insert("fleet.main", "encode", &theirs).await.unwrap());
    for refused in [run(place.hand_over(4)).await.unwrap_err(), run(place.removal()).await.unwrap_err()] {
        assert!(!refused.retry && refused.code == "fleet-owned", "{refused:?}");
    }
    controller.abort();
}

#[test]
fn what_the_controller_could_not_do_is_refused_before_anything_is_bought() {
    let definition = fleet(4).definition(1).unwrap();
    let work = |event_log: &str, object_store: &str| FleetWork {
        transcoder: Name::parse("main").unwrap(),
        spec: serde_json::from_value(json!({
            "concurrency": 1, "workers": 1, "scratch": "1GiB", "memory": "1GiB",
            "event_log": event_log, "object_store": object_store, "catalogue": "sqlite://default/main",
        }))
        .unwrap(),
    };
    let usual = controller(|_| {});
    let asked = |work: Option<&FleetWork>, controller: &FleetControllerRun| {
        check(&definition, work, controller, "main").map_err(|error| (error.code, error.message))
    };
    assert_eq!(asked(Some(&work("kafka://k:9092", "s3://media")), &usual), Ok(()));
    let (code, text) = asked(Some(&work("kafka://k:9092", "file://default/media")), &usual).unwrap_err();
    assert!(
        code == "store-out-of-reach" && text.contains("object store of the transcoder \"main\""),
        "{text}"
    );
    let (code, _) = asked(Some(&work("embedded://default/work", "s3://media")), &usual).unwrap_err();
    assert_eq!(code, "store-out-of-reach");
    let (code, text) = asked(Some(&work("kafka://k:9092", "s3://other")), &usual).unwrap_err();
    assert!(code == "store-not-given" && text.contains("add s3://other to its `stores`"), "{text}");
    // Given, and of no use to who is elsewhere; a stand-in's workers are on this host.
    let near = "s3://media?endpoint=http://127.0.0.1:9000";
    let gives = |endpoint: &str| {
        controller(|it| {
            it["stores"] = json!(["kafka://k:9092", near]);
            it["runpod"]["endpoint"] = json!(endpoint);
        })
    };
    let (code, text) = asked(Some(&work("kafka://k:9092", near)), &gives("https://api.example")).unwrap_err();
    assert!(code == "store-out-of-reach" && text.contains("127.0.0.1 is each worker itself"), "{text}");
    assert_eq!(asked(Some(&work("kafka://k:9092", near)), &gives("http://127.0.0.1:8080")), Ok(()));
    let without = controller(|it| it["runpod"] = Value::Null);
    assert_eq!(asked(None, &without).unwrap_err().0, "no-account");
    let elsewhere = controller(|it| it["stores"] = json!(["s3://media"]));
    assert_eq!(asked(None, &elsewhere).unwrap_err().0, "store-not-given");
}
