//! A process in miniature: a service that is told to stop, jobs that end well, badly and by panic.

use async_trait::async_trait;
use serde_json::json;
use streamverse_model::platform::{Name, Owner};

use super::*;
use crate::lifecycle::Service;
use crate::target::Job;

struct Sleeper;

#[async_trait]
impl Service for Sleeper {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        ready.set(true);
        stop.stopped().await;
        ready.set(false);
        Ok(())
    }
}

struct Worker(Value);

#[async_trait]
impl Job for Worker {
    async fn run(self: Box<Self>, handle: JobHandle, _: Stop) -> Result<Value> {
        handle.progress(1, 2, "things");
        match self.0.as_str() {
            Some("panic") => panic!("as asked"),
            Some("fail") => Err(Error::permanent("asked", "as asked")),
            _ => Ok(json!({ "made": self.0 })),
        }
    }
}

const TABLE: TargetTable = &[
    Target {
        name: "sleeper",
        start: Start::Service(|_, _| Box::pin(async { Ok(Box::new(Sleeper) as Box<dyn Service>) })),
    },
    Target {
        name: "worker",
        start: Start::Job(|spec, _| Box::pin(async { Ok(Box::new(Worker(spec)) as Box<dyn Job>) })),
    },
];

fn options(folder: &Path, target: &str, spec: &Value) -> RunOptions {
    let cx = ServiceContext {
        site: Name::parse("here").unwrap(),
        owner: Owner::new("test", "thing", "one").unwrap(),
        object: "service/thing".to_owned(),
        data_dir: folder.join("data"),
        scratch_dir: folder.join("scratch"),
        run_dir: folder.join("run"),
        credentials_dir: folder.join("credentials"),
        specs_dir: folder.join("specs"),
        tools: std::collections::BTreeMap::new(),
        bind: [127, 0, 0, 1].into(),
        metrics: Metrics::new(),
    };
    std::fs::write(folder.join("spec.json"), spec.to_string()).unwrap();
    std::fs::write(folder.join("context.json"), serde_json::to_string(&cx).unwrap()).unwrap();
    RunOptions {
        target: target.to_owned(),
        spec: folder.join("spec.json"),
        context: folder.join("context.json"),
        admin: AdminAddress::Unix(folder.join("admin.sock")),
        outcome: Some(folder.join("end.json")),
    }
}

async fn ask(socket: &Path, path: &str) -> u16 {
    let client = reqwest::Client::builder().unix_socket(socket).build().unwrap();
    client.get(format!("http://admin{path}")).send().await.map_or(0, |answer| answer.status().as_u16())
}

#[tokio::test]
async fn a_service_is_ready_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), "sleeper", &json!({}));
    let stop = Stop::new();
    let socket = folder.path().join("admin.sock");
    let (told, path) = (stop.clone(), socket.clone());
    let asking = tokio::spawn(async move {
        for _ in 0..200 {
            if ask(&path, "/readyz").await == 200 {
                assert_eq!(ask(&path, "/livez").await, 200);
                assert_eq!(ask(&path, "/metrics").await, 200);
                assert_eq!(ask(&path, "/news").await, 200);
                told.stop();
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        told.stop();
        false
    });
    assert_eq!(run_until(&options, TABLE, &stop).await.unwrap(), Value::Null);
    assert!(asking.await.unwrap(), "it was never ready");
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_job_says_how_it_ended_even_by_panic() {
    let folder = tempfile::tempdir().unwrap();
    let end = run(options(folder.path(), "worker", &json!("x")), None, false, TABLE).await;
    assert_eq!(end, JobEnd::Succeeded(json!({ "made": "x" })));
    let kept: JobEnd =
        serde_json::from_slice(&std::fs::read(folder.path().join("end.json")).unwrap()).unwrap();
    assert_eq!(kept, end);
    for (word, code) in [("fail", "asked"), ("panic", "panicked")] {
        let end = run(options(folder.path(), "worker", &json!(word)), None, false, TABLE).await;
        assert!(matches!(&end, JobEnd::Failed { code: found, .. } if found == code), "{end:?}");
    }
    let end = run(options(folder.path(), "nobody", &json!({})), None, false, TABLE).await;
    assert!(
        matches!(&end, JobEnd::Failed { code, message, .. } if code == "unknown-target" && message.contains("sleeper"))
    );
}

#[tokio::test]
async fn who_is_tied_is_told_to_stop_when_the_other_end_of_its_input_is_gone() {
    let (input, mut held) = std::io::pipe().unwrap();
    let stop = Stop::new();
    stop_at_end(input, stop.clone());
    std::io::Write::write_all(&mut held, b"what is written is of no matter").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!stop.is_stopped());
    drop(held);
    tokio::time::timeout(Duration::from_secs(30), stop.stopped()).await.unwrap();
}
