//! Whoever asks for a look may hang up in the middle of it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use streamverse_core::{Error, Start, Target, TargetTable};
use streamverse_model::platform::{Bundle, Resources};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::agent::{Agent, Config};

const LIMIT: Duration = Duration::from_secs(30);

/// Jobs run as processes: of these the names alone are asked for.
const TABLE: TargetTable = &[
    Target {
        name: "thing",
        start: Start::Job(|_, _| Box::pin(async { Err(Error::permanent("none", "none")) })),
    },
    Target {
        name: "thing-look",
        start: Start::Job(|_, _| Box::pin(async { Err(Error::permanent("none", "none")) })),
    },
];

/// An agent whose jobs end well at once, but looks when the file `go` is there; they make `began`.
fn agent(folder: &Path) -> Agent {
    let program = folder.join("program");
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\nif [ \"$3\" = thing-look ]; then\n  touch {0}/began\n  until [ -e {0}/go ]; do sleep 0.05; done\nfi\n\
         echo '{{\"succeeded\":{{}}}}' >\"$last\"\n",
        folder.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let name = Name::parse("default").unwrap();
    let (data, run) = (folder.join("data"), folder.join("run"));
    Agent::open(Config {
        bind: [127, 0, 0, 1].into(),
        site: name,
        data,
        run,
        program,
        user: None,
        tools: BTreeMap::new(),
        targets: TABLE,
        engines: Vec::new(),
    })
    .unwrap()
}

fn owner() -> Owner {
    Owner::new("test", "thing", "one").unwrap()
}

fn job() -> JobObject {
    JobObject {
        name: Name::parse("thing").unwrap(),
        target: "thing".to_owned(),
        spec: json!({}),
        uses: Vec::new(),
        credentials: Vec::new(),
        reach: Vec::new(),
        resources: Resources::default(),
        retries: 0,
        deadline_seconds: 60,
    }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < end, "{what} never happened");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What is there of a look.
fn traces(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.join("data")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(".job.look") {
                found.push(entry.path());
            } else if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_in_the_middle_of_a_look_leaves_nothing_of_it_and_keeps_nobody_from_looking() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let agent = Arc::new(agent(place));
    agent.apply(Bundle::new(owner(), vec![Object::Job(job())]), &BTreeMap::new()).unwrap();
    let phase = || agent.observe(&owner()).unwrap().objects.first().map(|it| it.phase);
    until("the job's end", || phase() == Some(Phase::Succeeded)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, crate::api::router(Arc::clone(&agent))).into_future());
    let ask = || async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let question = "POST /v1/deployments/test/owners/thing/one/look HTTP/1.1\r\nhost: n\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(question.as_bytes()).await.unwrap();
        stream
    };

    let stream = ask().await;
    until("the look", || place.join("began").exists()).await;
    assert!(!traces(place).is_empty(), "a look that runs has folders");
    drop(stream);
    // Long enough to be noticed.
    tokio::time::sleep(Duration::from_millis(500)).await;
    std::fs::write(place.join("go"), "").unwrap();
    until("the end of what was begun", || traces(place).is_empty()).await;

    let mut answer = String::new();
    ask().await.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(traces(place), Vec::<PathBuf>::new());
    server.abort();
}

#[test]
fn a_keeper_ends_when_nobody_can_order_anything_any_more_in_the_middle_of_a_job() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let agent = agent(folder.path());
        let board: Board = Arc::default();
        let job = JobObject { target: "thing-look".to_owned(), ..job() };
        let (orders, order) = watch::channel(Order::Keep(Box::new(Object::Job(job)), Turn::default()));
        let key = "job/thing".to_owned();
        let keeper = Keeper::new(Arc::clone(&agent.shared), owner(), key.clone(), Arc::clone(&board), order);
        let task = tokio::spawn(keeper.run());
        until("the job's work", || folder.path().join("began").exists()).await;
        drop(orders);
        let ended = tokio::time::timeout(LIMIT, task).await.is_ok();
        // What runs is not the keeper's to end then, but ours.
        std::fs::write(folder.path().join("go"), "").unwrap();
        let end = Keeper::scratch_of(&agent.shared, &owner(), &key).join("end.json");
        until("the job's end", || end.exists()).await;
        ended
    });
    // One that goes round and round would not let the runtime end.
    runtime.shutdown_background();
    assert!(ended, "it goes on, and nobody can tell it to end");
}
