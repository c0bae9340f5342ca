//! The whole platform with stores of a cluster (Kafka, PostgreSQL, Redis, S3) instead of those of the host, over TLS and
//! with logins: only their addresses change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/encoded.rs"]
mod encoded;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use streamverse_acceptance::servers::{PASSWORD, Servers};
use streamverse_acceptance::{ADDRESS, Node, kit, secrets};
use tfplugin_testing::cli::{Case, Cli, Failure, StateCheck, Step};

const S3_SECRET: &str = "planted-s3-key-77aa";

type Shared = Arc<Mutex<Servers>>;

fn held(servers: &Shared) -> MutexGuard<'_, Servers> {
    servers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The module of the quickstart, with stores elsewhere.
fn platform(node: &Node, servers: &Servers, assets: &str) -> String {
    let [origin, edge, page] = node.ports;
    let modules = std::fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../../modules")).unwrap();
    let file = |name: &str| servers.file(name).display().to_string();
    let (ca, certificate, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    format!(
        r#"{}
variable "s3_secret" {{}}
variable "password" {{}}
locals {{ ca = file("{ca}") }}
module "platform" {{
  source           = "{}/platform"
  ports            = {{ origin = {origin}, edge = {edge}, page = {page} }}
  segment_duration = "2s"
  edge_storage     = "64MiB"
  concurrency      = 1
  video            = [{{ name = "180p", height = 180, bit_rate = 200000 }}]
  object_store = {{
    bucket                = "media"
    endpoint              = "https://localhost:{}"
    access_key_id         = "streamverse"
    secret_access_key_ref = var.s3_secret
    tls                   = {{ ca = local.ca }}
  }}
  event_log = {{
    brokers = ["localhost:{}"], partitions = 4, replication = 1
    username = "streamverse", password_ref = var.password, sasl = "SCRAM-SHA-512", tls = {{ ca = local.ca }}
  }}
  catalogue = {{
    host = "localhost", port = {}, user = "streamverse", database = "streamverse", password_ref = var.password
    tls = {{ ca = local.ca }}
  }}
  cache = {{
    host = "localhost", port = {}, password_ref = var.password
    tls = {{ ca = local.ca, certificate = file("{certificate}"), private_key_ref = "file:{key}" }}
  }}
  assets = {{ {assets} }}
}}
"#,
        node.block(),
        modules.display(),
        servers.s3,
        servers.kafka,
        servers.postgres,
        servers.redis,
    )
}

fn film(node: &Node, seconds: u32) -> String {
    let (file, digest) = kit::clip(node, "film.mp4", seconds);
    format!("film = {{ source = {{ url = \"file://{}\", digest = \"{digest}\" }} }}", file.display())
}

fn case<'a>(cli: &'a Cli, node: &'a Node, key: &str) -> Case<'a> {
    Case::new(cli)
        .provider(ADDRESS, node.provider())
        .env("PLANTED_S3", S3_SECRET)
        .env("PLANTED_PASSWORD", PASSWORD)
        .var("s3_secret", "env:PLANTED_S3")
        .var("password", "env:PLANTED_PASSWORD")
        .secrets_absent(&[S3_SECRET, PASSWORD, key])
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
}

fn plays(node: &Node, servers: &Servers) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let [_, edge, _] = node.ports;
    let (status, master) = kit::get(&format!("http://127.0.0.1:{edge}/vod/film/hls.m3u8"));
    if status != 200 || !master.contains("180p/index.m3u8") {
        return Err(format!("{status}: {master}").into());
    }
    // Where nothing is said, the deployment's name keeps its things apart.
    let objects = servers.objects();
    assert!(objects.iter().any(|key| key.starts_with("test/vod/film/")), "{objects:?}");
    let rows = servers.sql("streamverse", "select deployment, name from streamverse_assets").unwrap();
    assert_eq!(rows.trim(), "test|film");
    Ok(())
}

fn url_has(of: &'static str, parts: &'static [&'static str]) -> StateCheck<'static> {
    StateCheck::new(move |state| {
        let url = state.get(&format!("module.platform.{of}"), "url")?.as_str().unwrap_or_default();
        let missing = parts.iter().find(|part| !url.contains(**part));
        missing.map_or(Ok(()), |part| Err(format!("{url} has no {part}").into()))
    })
}

#[test]
fn the_platform_plays_from_stores_elsewhere_by_their_addresses_alone() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let Some(servers) = Servers::start() else { return Ok(()) };
    let (asset, key) = (film(&node, 5), servers.planted_key());
    // Files, logs, arguments, environments, answers; the credentials of running services lie below `run`.
    let nothing_told = || secrets::planted_nowhere(&node, &[S3_SECRET, PASSWORD, &key]);
    case(&cli, &node, &key)
        .step(
            Step::apply(platform(&node, &servers, &asset))
                .expect_no_warnings()
                .state(url_has(
                    "streamverse_cache.cache[0]",
                    &["rediss://localhost:", "?ca=cache.main-cache."],
                ))
                .state(url_has("streamverse_cache.cache[0]", &["certificate=cache.main-cache."]))
                .state(url_has(
                    "streamverse_event_log.work",
                    &["prefix=test-", "sasl=SCRAM-SHA-512", "tls=true"],
                ))
                .state(url_has("streamverse_catalogue.catalogue", &["sslmode=verify-full"]))
                .after(|_| {
                    plays(&node, &servers)?;
                    nothing_told().map_err(Into::into)
                }),
        )
        .step(Step::apply(platform(&node, &servers, "")).named("the asset goes").after(|_| {
            let objects = servers.objects();
            assert!(!objects.iter().any(|key| key.starts_with("test/vod/film/")), "{objects:?}");
            let rows = servers.sql("streamverse", "select name from streamverse_assets").unwrap();
            assert_eq!(rows.trim(), "");
            nothing_told().map_err(Into::into)
        }))
        .run()
        .map(|_| ())
}

/// How long the film is; a segment has two seconds.
const SECONDS: u32 = 60;

#[test]
fn stores_that_die_in_the_middle_cost_no_segment() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let Some(servers) = Servers::start() else { return Ok(()) };
    let (asset, key) = (film(&node, SECONDS), servers.planted_key());
    let config = platform(&node, &servers, &asset);
    let servers: Shared = Arc::new(Mutex::new(servers));
    let storm = Mutex::new(None);
    case(&cli, &node, &key)
        .step(
            Step::apply(config)
                .before(|_| {
                    let servers = Arc::clone(&servers);
                    let thread = std::thread::spawn(move || kill_while_encoding(&servers));
                    *storm.lock().unwrap() = Some(thread);
                    Ok(())
                })
                .after(|_| {
                    let done = storm.lock().unwrap().take().unwrap().join().unwrap();
                    eprintln!("{done} of {} segments were there when the last store came back", SECONDS / 2);
                    finishes(&node, &held(&servers))
                }),
        )
        .run()
        .map(|_| ())
}

/// Kills each store but the objects' (moto keeps nothing) while segments are encoded; says how many there were at the end.
fn kill_while_encoding(servers: &Shared) -> usize {
    let segments = || {
        let objects = held(servers).objects();
        objects.iter().filter(|key| key.starts_with("test/work/film/") && key.contains("180p/")).count()
    };
    let until = Instant::now() + Duration::from_secs(120);
    while segments() < 2 {
        assert!(Instant::now() < until, "nothing is encoded: {:?}", held(servers).objects());
        std::thread::sleep(Duration::from_millis(100));
    }
    for name in ["kafka", "postgres", "redis"] {
        held(servers).kill(name);
        std::thread::sleep(Duration::from_millis(500));
        held(servers).start_again(name);
    }
    segments()
}

/// What was late at the apply is whole in the end, and no segment was encoded twice.
fn finishes(node: &Node, servers: &Servers) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let until = Instant::now() + Duration::from_secs(180);
    while let Err(error) = plays(node, servers) {
        if Instant::now() > until {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    let [_, edge, _] = node.ports;
    let (_, list) = kit::get(&format!("http://127.0.0.1:{edge}/vod/film/hls.m3u8"));
    assert!(list.contains("180p/index.m3u8"), "{list}");
    let times = encoded::once(servers);
    let video = times.keys().filter(|piece| piece.contains("180p/")).count();
    assert_eq!(video, usize::try_from(SECONDS / 2).unwrap(), "{times:?}");
    Ok(())
}
