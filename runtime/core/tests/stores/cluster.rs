//! The stores of a cluster: the suites against real servers, and what only servers do: they refuse, die and come back.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use streamverse_core::log::open_log;
use streamverse_core::stores::{Cache, open_cache, open_catalogue, open_objects};

use crate::kit::Place;
use crate::servers::{self, PASSWORD, Server, credential};
use crate::suites;

pub(crate) const WRONG: &str = "planted-wrong-password-5e0c";
const AWAY: Duration = Duration::from_millis(1500);
/// How many groups are put together anew at once: each meets a bad moment in one of two joins.
const GROUPS: usize = 8;

/// Everything that was logged, at every level, by us and by the clients.
#[derive(Clone)]
struct Logged;

static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static WATCHED: LazyLock<()> = LazyLock::new(|| {
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Logged).init();
});

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn watched() {
    LazyLock::force(&WATCHED);
}

pub(crate) fn nothing_told() {
    let logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&logged);
    assert!(!text.is_empty(), "the log was watched");
    for word in [PASSWORD, WRONG, "PRIVATE KEY"] {
        let line = text.lines().find(|line| line.contains(word));
        assert_eq!(line, None);
    }
}

pub(crate) fn untold(error: &streamverse_core::Error) {
    for text in [error.chain(), format!("{error:?}")] {
        assert!(!text.contains(PASSWORD) && !text.contains(WRONG), "{text}");
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    }
}

/// A place whose credential `store.main` has the password.
pub(crate) fn place(password: &str) -> Place {
    watched();
    let place = Place::new();
    credential(
        &place,
        "store.main",
        &[("password", password), ("access-key", "id"), ("secret-key", password)],
    );
    place
}

fn redis_url(server: &Server) -> String {
    format!("redis://127.0.0.1:{}/0?secret=store.main", server.port)
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_a_cache_and_its_absence_is_told_at_once() {
    let Some(mut server) = servers::redis(None) else { return };
    let here = place(PASSWORD);
    let cache = open_cache(&redis_url(&server), 0, &here.cx).await.unwrap();
    suites::cache(&*cache).await;

    server.kill();
    let error = cache.get("many/1").await.unwrap_err();
    assert!(error.code == "store-unreachable" && error.retry, "{}", error.chain());
    let started = Instant::now();
    for _ in 0..1000 {
        cache.get("many/1").await.unwrap_err();
    }
    assert!(started.elapsed() < Duration::from_secs(5), "what is away holds nobody up");
    server.start();
    reached(&*cache).await;
    assert_eq!(cache.get("many/1").await.unwrap(), None, "nothing was kept, and that is no error");

    let other = place(WRONG);
    let cache = open_cache(&redis_url(&server), 0, &other.cx).await.unwrap();
    let error = cache.probe().await.unwrap_err();
    assert_eq!(error.code, "store-credentials", "{}", error.chain());
    untold(&error);
    let bare = format!("redis://127.0.0.1:{}/0", server.port);
    let cache = open_cache(&bare, 0, &other.cx).await.unwrap();
    assert_eq!(cache.get("a").await.unwrap_err().code, "store-credentials");
    nothing_told();
}

async fn reached(cache: &dyn Cache) {
    let until = Instant::now() + Duration::from_secs(30);
    while let Err(error) = cache.probe().await {
        assert!(Instant::now() < until, "{}", error.chain());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn postgres_url(server: &Server) -> String {
    format!("postgres://streamverse@127.0.0.1:{}/postgres?secret=store.main", server.port)
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_a_catalogue_that_survives_its_death() {
    let Some(mut server) = servers::postgres(None) else { return };
    let here = place(PASSWORD);
    let url = postgres_url(&server);
    // They make the table at once.
    let opened = futures::future::join_all((0..6).map(|_| open_catalogue(&url, &here.cx))).await;
    let opened: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    suites::catalogue(&*opened[0], &*opened[1]).await;

    opened[0].publish(&suites::asset("kept", "1")).await.unwrap();
    server.kill();
    assert_eq!(opened[0].probe().await.unwrap_err().code, "store-unreachable");
    let again = tokio::spawn(server.restart_in(AWAY));
    let found = opened[1].asset("kept").await.unwrap();
    assert_eq!(found, Some(suites::asset("kept", "1")), "a call outlives the restart, the record the death");
    opened[0].publish(&suites::asset("kept", "2")).await.unwrap();
    let server = again.await.unwrap();

    let other = place(WRONG);
    let started = Instant::now();
    let error = open_catalogue(&postgres_url(&server), &other.cx).await.err().unwrap();
    assert_eq!(error.code, "store-credentials", "{}", error.chain());
    assert!(started.elapsed() < Duration::from_secs(10), "a refusal is not tried again");
    untold(&error);
    let bare = format!("postgres://streamverse@127.0.0.1:{}/postgres", server.port);
    let error = open_catalogue(&bare, &other.cx).await.err().unwrap();
    assert_eq!(error.code, "store-credentials", "{}", error.chain());
    let error = open_catalogue(&url.replace("/postgres?", "/none?"), &here.cx).await.err().unwrap();
    assert_eq!(error.code, "store-missing", "{}", error.chain());
    nothing_told();
}

fn s3_url(server: &Server) -> String {
    let port = server.port;
    format!("s3://media/suite?endpoint=http://127.0.0.1:{port}&path_style=true&secret=store.main")
}

/// moto takes any key for it.
async fn make_bucket(server: &Server) {
    let to = ("127.0.0.1", server.port);
    let mut line = tokio::net::TcpStream::connect(to).await.unwrap();
    let request = "PUT /media HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut line, request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut line, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_is_an_object_store_that_may_be_away_for_a_moment() {
    let Some(mut server) = servers::s3(false, None) else { return };
    make_bucket(&server).await;
    let here = place(PASSWORD);
    let store = open_objects(&s3_url(&server), &here.cx).unwrap();
    suites::objects(Arc::clone(&store)).await;

    server.kill();
    let again = tokio::spawn(async move {
        let server = server.restart_in(AWAY).await;
        make_bucket(&server).await;
        server
    });
    tokio::time::sleep(AWAY / 3).await;
    let path = Path::from("a");
    put_again(&*store, &path).await;
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "x");
    again.await.unwrap();
    nothing_told();
}

/// moto forgets its bucket when it dies, and then says so for a moment; a real one has it.
async fn put_again(store: &dyn ObjectStore, path: &Path) {
    let until = Instant::now() + Duration::from_secs(30);
    while let Err(error) = store.put(path, Bytes::from_static(b"x").into()).await {
        assert!(error.to_string().contains("NoSuchBucket") && Instant::now() < until, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_s3_refuses_are_not_told() {
    let Some(server) = servers::s3(true, None) else { return };
    make_bucket(&server).await;
    let here = place(WRONG);
    let store = open_objects(&s3_url(&server), &here.cx).unwrap();
    let error = store.get(&Path::from("a")).await.err().unwrap();
    assert!(matches!(error, object_store::Error::PermissionDenied { .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains(WRONG), "{error:?}");
    nothing_told();
}

fn kafka_url(server: &Server) -> String {
    let port = server.port;
    format!("kafka://127.0.0.1:{port}?prefix=suite-&replication=1&username=streamverse&secret=store.main")
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_is_an_event_log_that_survives_its_death() {
    let Some(mut server) = servers::kafka(None) else { return };
    let here = place(PASSWORD);
    let log = open_log(&kafka_url(&server), &here.cx).await.unwrap();
    suites::log(&*log, "transcode").await;
    let moved = async { [moving(&*log, 0).await, moving(&*log, 1).await] };
    let (waited, ()) = tokio::join!(moved, staying(&*log));
    assert!(waited.contains(&true), "neither partition moved to the second member");

    log.ensure_topic("kept", 1, None).await.unwrap();
    for number in 0..5 {
        log.append("kept", "k", Bytes::from(format!("{number}"))).await.unwrap();
    }
    let mut member = log.join("g", "kept").await.unwrap();
    for _ in 0..2 {
        let record = member.next().await.unwrap();
        member.commit(&record).await.unwrap();
    }
    server.kill();
    let again = tokio::spawn(server.restart_in(AWAY));
    let place_of_next = log.append("kept", "k", Bytes::from_static(b"5")).await.unwrap();
    assert_eq!(place_of_next.offset, 5, "what was appended before is there");
    let mut values = Vec::new();
    while values.last().is_none_or(|last| last != "5") {
        let record = tokio::time::timeout(Duration::from_secs(60), member.next()).await.unwrap().unwrap();
        // One that moved with the group's restart comes again.
        if member.commit(&record).await.is_ok() {
            values.push(String::from_utf8(record.value.to_vec()).unwrap());
        }
    }
    values.dedup();
    assert_eq!(values, ["2", "3", "4", "5"], "the group goes on where it was");
    assert_eq!(log.lag("g", "kept").await.unwrap(), 0);
    drop(again.await.unwrap());
    nothing_told();
}

/// A member works on a record of a partition while another one joins. Where that partition is to move, it does not before the first one
/// stops: nobody works on the same. Whether it was.
async fn moving(log: &dyn streamverse_core::log::EventLog, partition: u32) -> bool {
    let topic = format!("moves-{partition}");
    log.ensure_topic(&topic, 2, None).await.unwrap();
    for number in 0..16 {
        log.append(&topic, &format!("key-{number}"), Bytes::from_static(b"x")).await.unwrap();
    }
    let patience = Duration::from_secs(60);
    let mut first = log.join("movers", &topic).await.unwrap();
    let held = loop {
        let record = tokio::time::timeout(patience, first.next()).await.unwrap().unwrap();
        if record.position.partition == partition {
            break record;
        }
    };
    let mut second = log.join("movers", &topic).await.unwrap();
    let moves = tokio::select! {
        () = first.moving(&held) => true,
        record = second.next() => {
            assert_ne!(record.unwrap().position.partition, partition, "two work on the same");
            false
        }
        () = tokio::time::sleep(patience) => panic!("nothing moved"),
    };
    if moves {
        let early = tokio::time::timeout(Duration::from_secs(2), second.next()).await;
        assert!(early.is_err(), "it moved under the hands of the first");
        // It has stopped, and asks for the next.
        let (_, record) = tokio::join!(
            tokio::time::timeout(Duration::from_secs(5), first.next()),
            tokio::time::timeout(patience, second.next()),
        );
        assert_eq!(record.unwrap().unwrap().position.partition, partition);
    }
    moves
}

/// Groups are put together anew while their only member with a partition commits what it did: whichever moment that meets, it is
/// committed, or the record would wait for ever, for the partition stays. (A broker refuses a commit of the generation before.)
async fn staying(log: &dyn streamverse_core::log::EventLog) {
    log.ensure_topic("stays", 1, None).await.unwrap();
    log.append("stays", "k", Bytes::from_static(b"x")).await.unwrap();
    let groups = (0..GROUPS).map(|number| async move {
        let group = format!("stay-{number}");
        let mut first = log.join(&group, "stays").await.unwrap();
        let held = first.next().await.unwrap();
        let others = async {
            for _ in 0..2 {
                let mut second = log.join(&group, "stays").await.unwrap();
                // The group sees it within two seconds.
                let record = tokio::time::timeout(Duration::from_millis(2500), second.next()).await;
                assert!(record.is_err(), "the partition moved");
            }
        };
        let commits = async {
            loop {
                first.commit(&held).await.unwrap_or_else(|error| panic!("{group}: {}", error.chain()));
            }
        };
        tokio::select! {
            () = others => {}
            () = commits => {}
        }
        assert_eq!(log.lag(&group, "stays").await.unwrap(), 0);
    });
    futures::future::join_all(groups).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_somebody_changed_is_put_back() {
    let Some(server) = servers::kafka(None) else { return };
    let here = place(PASSWORD);
    let url = |rest: &str| format!("{}{rest}", kafka_url(&server));
    let log = open_log(&url("&partitions=2&retention_ms=7200000"), &here.cx).await.unwrap();
    log.ensure_topic("changed", 1, None).await.unwrap();
    {
        let other = open_log(&url("&partitions=2&retention_ms=1000"), &here.cx).await.unwrap();
        other.ensure_topic("changed", 1, None).await.unwrap();
    }
    let until = Instant::now() + Duration::from_secs(120);
    let told = || {
        let logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&logged);
        text.lines().any(|line| line.contains("put back") && line.contains("suite-changed"))
    };
    while !told() {
        assert!(Instant::now() < until, "nobody saw that the topic was changed");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_kafka_refuses_is_told_soon_and_without_the_password() {
    let Some(server) = servers::kafka(None) else { return };
    let other = place(WRONG);
    let log = open_log(&kafka_url(&server), &other.cx).await.unwrap();
    let started = Instant::now();
    for error in [
        log.probe().await.unwrap_err(),
        log.ensure_topic("t", 1, None).await.unwrap_err(),
        log.append("t", "k", Bytes::from_static(b"x")).await.unwrap_err(),
        log.join("g", "t").await.err().unwrap(),
    ] {
        assert_eq!(error.code, "store-credentials", "{}", error.chain());
        untold(&error);
    }
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
    let error =
        open_log(&kafka_url(&server).replace("&secret=store.main", ""), &other.cx).await.err().unwrap();
    assert_eq!(error.code, "store-url");
    nothing_told();
}
