//! The quickstart's transcoder, on Kafka and S3, has no worker of its own: a fleet of pods does all its work. The stand-in starts a
//! real worker for each pod.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/encoded.rs"]
mod encoded;
#[path = "common/watched.rs"]
mod watched;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use streamverse_acceptance::servers::{PASSWORD, Servers};
use streamverse_acceptance::{ADDRESS, Node, binaries, free_port, kit};
use streamverse_runpod_stand_in::{KEY, StandIn};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

/// What moto takes for a key, and what nobody may find.
const S3_SECRET: &str = "planted-s3-key-51bd";
/// 32 bytes.
const IDENTITY: &str = "cGxhbnRlZC1pZGVudGl0eS1vZi1hLWNvbnRyb2xsZXI=";
/// How long each film is; a segment has two seconds, and a task has eight segments.
const SECONDS: u32 = 48;
const FILMS: [&str; 3] = ["one", "two", "three"];

/// Everything but the films.
fn platform(node: &Node, servers: &Servers, runpod: &StandIn, port: u16, films: &str) -> String {
    let ca = servers.file("ca.pem").display().to_string();
    format!(
        r#"{block}
variable "s3_secret" {{}}
variable "password" {{}}
locals {{ ca = file("{ca}") }}
resource "streamverse_object_store" "media" {{
  name = "media"
  s3 = {{
    bucket = "media", endpoint = "https://localhost:{s3}", access_key_id = "streamverse"
    secret_access_key_ref = var.s3_secret, tls = {{ ca = local.ca }}
  }}
}}
resource "streamverse_event_log" "work" {{
  name = "work"
  kafka = {{
    brokers = ["localhost:{kafka}"], partitions = 8, replication = 1, username = "streamverse"
    password_ref = var.password, sasl = "SCRAM-SHA-512", tls = {{ ca = local.ca }}
  }}
}}
resource "streamverse_catalogue" "main" {{
  name = "main"
}}
resource "streamverse_transcoder" "main" {{
  name         = "main"
  workers      = 0
  event_log    = streamverse_event_log.work.url
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
}}
resource "streamverse_fleet_controller" "main" {{
  name       = "main"
  port       = {port}
  public_url = "https://127.0.0.1:{port}"
  catalogue  = streamverse_catalogue.main.url
  stores     = [streamverse_event_log.work.url, streamverse_object_store.media.url]
  identity_ref = "env:PLANTED_IDENTITY"
  runpod     = {{ endpoint = "{runpod}", api_key_ref = "env:RUNPOD_API_KEY" }}
  tick       = "5s"
}}
resource "streamverse_runpod_fleet" "encode" {{
  name       = "encode"
  controller = streamverse_fleet_controller.main.name
  transcoder = streamverse_transcoder.main.name
  image      = "registry.example/worker:1"
  candidates = [{{ gpu = "L40S", data_centre = "EU-RO-1" }}, {{ gpu = "L4" }}]
  range      = {{ min = 0, max = 2 }}
  schedule   = {{ idle = "10s" }}
  policy     = {{ drain = "60s" }}
  queue = {{
    event_log       = streamverse_event_log.work.url
    scale_out_above = 2, scale_in_below = 1, scale_in_after = "10s", target_p95 = "2m", assumed_job_time = "30s"
  }}
}}
resource "streamverse_transcode_ladder" "small" {{
  segment_duration = "2s"
  video            = [{{ name = "180p", height = 180, bit_rate = 200000 }}]
  audio            = [{{ name = "stereo", bit_rate = 64000 }}]
}}
{films}
"#,
        block = node.block(),
        s3 = servers.s3,
        kafka = servers.kafka,
        runpod = runpod.endpoint,
    )
}

/// One asset for each film.
fn films(node: &Node) -> String {
    let one = |name: &&str| {
        let (file, digest) = kit::clip(node, &format!("{name}.mp4"), SECONDS);
        format!(
            r#"
resource "streamverse_vod_asset" "{name}" {{
  name       = "{name}"
  source     = {{ url = "file://{}", digest = "{digest}" }}
  ladder     = streamverse_transcode_ladder.small.definition
  transcoder = streamverse_transcoder.main.name
  stores     = streamverse_transcoder.main.stores
  depends_on = [streamverse_runpod_fleet.encode]
}}
"#,
            file.display()
        )
    };
    FILMS.iter().map(one).collect()
}

/// The pods that run now, by id.
fn pods(runpod: &StandIn) -> Vec<String> {
    let running = |it: &serde_json::Value| it["status"] == "RUNNING";
    let all = runpod.things("pod");
    all.iter().filter(|it| running(it)).filter_map(|it| Some(it["id"].as_str()?.to_owned())).collect()
}

/// Metrics of what did not happen here: nobody preempted, refused or overran anything, and RunPod has no spot.
const DID_NOT_HAPPEN: [&str; 7] = [
    "streamverse_fleet_preemptions_total",
    "streamverse_fleet_fallback_seconds_total",
    "streamverse_fleet_drain_overruns_total",
    "streamverse_fleet_refusals_total",
    "streamverse_fleet_on_demand",
    "streamverse_fleet_on_demand_limit",
    "streamverse_fleet_budget_dollars",
];

/// What the controller tells is what the dashboard and the alerts ask for, and nothing else.
fn is_watched(node: &Node) {
    let said = std::process::Command::new("curl")
        .args(["-sf", "--max-time", "10", "--unix-socket"])
        .arg(node.socket())
        .arg("http://n/v1/deployments/test/owners/fleet-controller/main/metrics")
        .output()
        .unwrap();
    let page = String::from_utf8_lossy(&said.stdout).into_owned();
    let told: Vec<String> = page
        .lines()
        .filter_map(|it| it.strip_prefix("# TYPE streamverse_fleet_")?.split_once(' '))
        .map(|(name, kind)| {
            let total = if kind == "counter" { "_total" } else { "" };
            format!("streamverse_fleet_{name}{total}")
        })
        .collect();
    let asked = watched::asked();
    assert!(told.len() > 10, "{page}");
    for name in &told {
        assert!(asked.contains(name), "{name} is told, and nobody looks at it");
    }
    for name in asked {
        let there = told.contains(&name) || DID_NOT_HAPPEN.contains(&name.as_str());
        assert!(there, "{name} is asked for, and the controller tells {told:?}");
    }
}

fn until(what: &str, limit: u64, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(limit);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within {limit} s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Kills the host of a pod while segments are made.
fn kill_one(runpod: &StandIn, servers: &Servers, over: &AtomicBool) -> Option<String> {
    let segments =
        || servers.objects().iter().filter(|it| it.contains("/work/") && it.ends_with(".ts")).count();
    let end = Instant::now() + Duration::from_secs(240);
    while Instant::now() < end && !over.load(Ordering::Relaxed) {
        if segments() >= 3
            && let Some(pod) = pods(runpod).first()
        {
            runpod.kill_pod(pod);
            return Some(pod.clone());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

#[test]
fn jobs_bring_pods_an_empty_queue_sends_them_away_and_a_lost_one_costs_no_segment() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let Some(servers) = Servers::start() else { return Ok(()) };
    let runpod = StandIn::start();
    let logs = runpod.folder().join("pods");
    // What an image has: our programs and ffmpeg.
    let path = format!("{}:{}", node.folder().display(), std::env::var("PATH").unwrap_or_default());
    // Memory and disk of a host go with it.
    let private = runpod.folder().join("private");
    for folder in [&logs, &private] {
        std::fs::create_dir_all(folder).unwrap();
    }
    runpod.settings(&json!({
        "command": [binaries().join("streamverse-edge"), "worker"],
        "command_env": { "PATH": path, "STREAMVERSE_PRIVATE": private, "STREAMVERSE_SCRATCH": private },
        "command_logs": logs, "grace_ms": 30_000, "provision_ms": 500, "start_ms": 500,
    }));
    let port = free_port();
    let (bare, films) = (platform(&node, &servers, &runpod, port, ""), films(&node));
    let whole = platform(&node, &servers, &runpod, port, &films);
    let told = || {
        let read = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path()).unwrap_or_default();
        std::fs::read_dir(&logs).unwrap().flatten().map(read).collect::<Vec<_>>().join("\n---\n")
    };
    let over = AtomicBool::new(false);
    let killed = Mutex::new(None);
    std::thread::scope(|scope| {
        let done = Case::new(&cli)
            .provider(ADDRESS, node.provider())
            .env("PLANTED_S3", S3_SECRET)
            .env("PLANTED_PASSWORD", PASSWORD)
            .env("PLANTED_IDENTITY", IDENTITY)
            .env("RUNPOD_API_KEY", KEY)
            .var("s3_secret", "env:PLANTED_S3")
            .var("password", "env:PLANTED_PASSWORD")
            .secrets_absent(&[S3_SECRET, PASSWORD, IDENTITY, KEY])
            .check_destroyed(|_| {
                runpod.clean()?;
                node.nothing_left().map_err(Into::into)
            })
            .step(Step::apply(bare.clone()).named("nothing waits").after(|_| {
                assert_eq!(runpod.account().created("pod"), 0, "nobody asked for a pod");
                Ok(())
            }))
            .step(
                Step::apply(whole.clone())
                    .named("jobs wait")
                    .timeout(Duration::from_secs(400))
                    .before(|_| {
                        scope.spawn(|| *killed.lock().unwrap() = kill_one(&runpod, &servers, &over));
                        Ok(())
                    })
                    .after(|_| {
                        over.store(true, Ordering::Relaxed);
                        let made = encoded::once(&servers);
                        let video = made.keys().filter(|it| it.contains("180p/")).count();
                        let all = FILMS.len() * SECONDS as usize / 2;
                        // A host that fails between keeping a piece and telling of it tells nothing; the piece is kept.
                        assert!((all - 1..=all).contains(&video), "{video} of {all}: {made:?}\n{}", told());
                        let lost = killed.lock().unwrap().clone();
                        assert!(lost.is_some(), "no pod was killed while segments were made: {}", told());
                        assert!(runpod.account().created("pod") >= 2, "its work went elsewhere: {}", told());
                        Ok(())
                    }),
            )
            .step(Step::replan().named("whatever the controller does, nothing is to be changed"))
            .step(Step::replan().named("the finished queue has brought zero").before(|_| {
                is_watched(&node);
                until("no pod is left", 120, || runpod.account().open().is_empty());
                Ok(())
            }))
            .run();
        over.store(true, Ordering::Relaxed);
        if done.is_err() {
            let log = node.folder().join("data/test/log/fleet-controller.main.service.fleet-controller.log");
            let log = std::fs::read_to_string(log).unwrap_or_default();
            eprintln!("workers said:\n{}\nthe controller said:\n{log}", told());
        }
        done.map(|_| ())
    })
}
