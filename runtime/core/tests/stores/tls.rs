//! The stores of a cluster over TLS, with real logins: the suites again, and what is told when one side does not trust the
//! other.

use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use streamverse_core::log::open_log;
use streamverse_core::stores::{open_cache, open_catalogue, open_objects};
use streamverse_core::{Error, Result};

use crate::authority::Authority;
use crate::cluster::{self, WRONG, nothing_told, untold};
use crate::kit::Place;
use crate::servers::{self, PASSWORD, credential};
use crate::suites;

/// Well below half a minute of tries: what is wrong now will not be right a second later.
const AT_ONCE: Duration = Duration::from_secs(10);
const SECRETS: &str = "secret=store.main&ca=tls.main.00";
const OWN: &str = "certificate=tls.main.00";

/// A place that trusts an authority, and is somebody to the other.
fn place(password: &str, trusted: &Authority, own: &Authority) -> Place {
    let place = cluster::place(password);
    let (certificate, key) = own.certificate("streamverse");
    let values = [("ca", trusted.ca.as_str()), ("certificate", &certificate), ("private-key", &key)];
    credential(&place, "tls.main", &values);
    place
}

fn refused(error: &Error, code: &str, started: Instant) {
    assert_eq!(error.code, code, "{}", error.chain());
    assert!(started.elapsed() < AT_ONCE, "{:?}: {}", started.elapsed(), error.chain());
    untold(error);
}

/// What must be refused, and with which code: a stranger's authority, another name than the certificate's, a wrong
/// password.
fn wrongs<'a>(authority: &'a Authority, stranger: &'a Authority) -> [(Place, &'static str, &'static str); 3] {
    [
        (place(PASSWORD, stranger, authority), "localhost", "store-tls"),
        (place(PASSWORD, authority, authority), "127.0.0.1", "store-tls"),
        (place(WRONG, authority, authority), "localhost", "store-credentials"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_over_tls_is_a_cache_for_those_whom_it_knows() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let Some(server) = servers::redis(Some(&authority)) else { return };
    let url = |host: &str| format!("rediss://{host}:{}/0?{SECRETS}&{OWN}", server.port);
    let here = place(PASSWORD, &authority, &authority);
    suites::cache(&*open_cache(&url("localhost"), 0, &here.cx).await.unwrap()).await;
    for (wrong, host, code) in wrongs(&authority, &stranger) {
        let started = Instant::now();
        let cache = open_cache(&url(host), 0, &wrong.cx).await.unwrap();
        refused(&cache.probe().await.unwrap_err(), code, started);
    }
    let unknown = place(PASSWORD, &authority, &stranger);
    let cache = open_cache(&url("localhost"), 0, &unknown.cx).await.unwrap();
    refused(&cache.probe().await.unwrap_err(), "store-tls", Instant::now());
    nothing_told();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_over_tls_is_a_catalogue() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let Some(server) = servers::postgres(Some(&authority)) else { return };
    let plain =
        |host: &str| format!("postgres://streamverse@{host}:{}/postgres?secret=store.main", server.port);
    let url = |host: &str| format!("{}&ca=tls.main.00&sslmode=verify-full", plain(host));
    let here = place(PASSWORD, &authority, &authority);
    let one = open_catalogue(&url("localhost"), &here.cx).await.unwrap();
    let other = open_catalogue(&url("localhost"), &here.cx).await.unwrap();
    suites::catalogue(&*one, &*other).await;
    for (wrong, host, code) in wrongs(&authority, &stranger) {
        let started = Instant::now();
        refused(&open_catalogue(&url(host), &wrong.cx).await.err().unwrap(), code, started);
    }
    let error = open_catalogue(&plain("127.0.0.1"), &here.cx).await.err().unwrap();
    assert!(error.chain().contains("no encryption"), "{}", error.chain());
    let half = url("localhost").replace("verify-full", "require");
    assert_eq!(open_catalogue(&half, &here.cx).await.err().unwrap().code, "store-url");
    nothing_told();
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_over_tls_is_an_object_store() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let Some(server) = servers::s3(false, Some(&authority)) else { return };
    let here = place(PASSWORD, &authority, &authority);
    let bucket = format!("https://localhost:{}/media", server.port);
    let ca = here.cx.credentials_dir.join("tls.main/ca");
    let made = Command::new("curl")
        .args(["-sS", "--max-time", "20", "-f", "-X", "PUT", &bucket, "--cacert"])
        .arg(ca)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let url = |host: &str| {
        format!("s3://media/suite?endpoint=https://{host}:{}&path_style=true&{SECRETS}", server.port)
    };
    suites::objects(open_objects(&url("localhost"), &here.cx).unwrap()).await;
    for (wrong, host, code) in wrongs(&authority, &stranger).into_iter().take(2) {
        let started = Instant::now();
        let store = open_objects(&url(host), &wrong.cx).unwrap();
        let error = store.get(&Path::from("a")).await.err().unwrap();
        let text = Error::passing(code, "").because(error).chain();
        assert!(text.contains("authority of its certificate"), "{text}");
        assert!(started.elapsed() < AT_ONCE, "{:?}: {text}", started.elapsed());
    }
    nothing_told();
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_over_tls_is_an_event_log_for_those_whom_it_knows() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let Some(server) = servers::kafka(Some(&authority)) else { return };
    let url = |host: &str, sasl: &str| {
        let port = server.port;
        format!(
            "kafka://{host}:{port}?prefix=suite-&replication=1&username=streamverse&sasl={sasl}&tls=true&{SECRETS}&{OWN}"
        )
    };
    let here = place(PASSWORD, &authority, &authority);
    let log = open_log(&url("localhost", "SCRAM-SHA-512"), &here.cx).await.unwrap();
    suites::log(&*log, "transcode").await;
    let log = open_log(&url("localhost", "SCRAM-SHA-256"), &here.cx).await.unwrap();
    assert_eq!(log.read_all("transcode").await.unwrap().len(), 20);

    let unknown = (place(PASSWORD, &authority, &stranger), "localhost", "store-tls");
    for (wrong, host, code) in wrongs(&authority, &stranger).into_iter().chain([unknown]) {
        let log = open_log(&url(host, "SCRAM-SHA-512"), &wrong.cx).await.unwrap();
        let calls: [Result<()>; 2] = [
            timed(log.probe(), code).await,
            timed(log.append("transcode", "k", Bytes::from_static(b"x")), code).await.map(|_| ()),
        ];
        assert!(calls.iter().all(Result::is_err), "{host} {code}");
    }
    nothing_told();
}

/// Refused as it must be, and in time.
async fn timed<T>(call: impl Future<Output = Result<T>>, code: &str) -> Result<T> {
    let started = Instant::now();
    let told = call.await;
    if let Err(error) = &told {
        refused(error, code, started);
    }
    told
}
