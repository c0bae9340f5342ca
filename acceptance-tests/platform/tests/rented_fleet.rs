//! The quickstart's transcoder, on Kafka and S3, has no worker of its own: a fleet of pods does all its work. The stand-in starts a
//! real worker for each pod. A rehearsal, then films, are its work, and plans are made all the time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/encoded.rs"]
mod encoded;
#[path = "common/watched.rs"]
mod watched;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use streamverse_acceptance::servers::{PASSWORD, Servers};
use streamverse_acceptance::{ADDRESS, Node, binaries, free_port, kit, secrets};
use streamverse_runpod_stand_in::{KEY, StandIn};
use tfplugin_testing::cli::{Case, Cli, Context, Failure, Step};

/// What moto takes for a key, and what nobody may find.
const S3_SECRET: &str = "planted-s3-key-51bd";
/// 32 bytes.
const IDENTITY: &str = "cGxhbnRlZC1pZGVudGl0eS1vZi1hLWNvbnRyb2xsZXI=";
const SECRETS: [&str; 4] = [S3_SECRET, PASSWORD, IDENTITY, KEY];
/// How long each film is; a segment has two seconds, and a task has eight segments.
const SECONDS: u32 = 48;
const FILMS: [&str; 3] = ["one", "two", "three"];

/// Everything but the films.
fn platform(node: &Node, servers: &Servers, runpod: &StandIn, port: u16) -> String {
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
"#,
        block = node.block(),
        s3 = servers.s3,
        kafka = servers.kafka,
        runpod = runpod.endpoint,
    )
}

const LADDER: &str = r#"
resource "streamverse_transcode_ladder" "small" {
  segment_duration = "2s"
  video            = [{ name = "180p", height = 180, bit_rate = 200000 }]
  audio            = [{ name = "stereo", bit_rate = 64000 }]
}
"#;

/// One asset for each film, in a configuration of its own: that of the platform is planned meanwhile.
fn films(node: &Node) -> String {
    let one = |name: &&str| {
        let (file, digest) = kit::clip(node, &format!("{name}.mp4"), SECONDS);
        format!(
            r#"
resource "streamverse_vod_asset" "{name}" {{
  name       = "{name}"
  source     = {{ url = "file://{}", digest = "{digest}" }}
  ladder     = streamverse_transcode_ladder.small.definition
  transcoder = "main"
}}
"#,
            file.display()
        )
    };
    let all: String = FILMS.iter().map(one).collect();
    format!("{}{LADDER}{all}", node.block())
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
    let said = Command::new("curl")
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
        assert!(there, "{name} is asked for, and the controller tells {told:?}\n{}", log(node));
    }
}

fn until(what: &str, limit: u64, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(limit);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within {limit} s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Kills the host of a pod while segments of films are made.
fn kill_one(runpod: &StandIn, servers: &Servers) -> bool {
    let of_films = |it: &&String| it.contains("/work/") && !it.contains("/rehearsal-") && it.ends_with(".ts");
    let end = Instant::now() + Duration::from_secs(240);
    while Instant::now() < end {
        if servers.objects().iter().filter(of_films).count() >= 3
            && let Some(pod) = pods(runpod).first()
        {
            runpod.kill_pod(pod);
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// The controller's orders on the node, with the user that it runs as.
fn controller(node: &Node) -> PathBuf {
    let run = node.folder().join("run/test");
    let context = |entry: std::fs::DirEntry| entry.path().join("context.json");
    let its = |it: &PathBuf| {
        std::fs::read_to_string(it).is_ok_and(|it| it.contains("\"service/fleet-controller\""))
    };
    std::fs::read_dir(run).unwrap().flatten().map(context).find(its).unwrap()
}

/// `streamverse simulate load` against the fleet: what it said, where all was as before.
fn rehearse(node: &Node) -> Result<String, String> {
    let context = controller(node);
    let mut command = Command::new(binaries().join("streamverse"));
    command.args(["simulate", "load", "--type", "cpu", "--fleet", "encode", "--context"]).arg(&context);
    command.args(["--duration", "240", "--waiting", "4", "--most", "6", "--height", "90"]);
    command.args(["--settle", "300"]);
    if streamverse_acceptance::is_root() {
        let owner = std::fs::metadata(&context).unwrap();
        command.uid(owner.uid()).gid(owner.gid());
    }
    let said = command.output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let most = told.lines().filter_map(|it| it.split_whitespace().nth(5)?.parse::<u32>().ok()).max();
    let back = told.contains("workers: 0 before, 0 now") && told.contains("6 jobs, 6 encoded");
    if said.status.success() && back && most.is_some_and(|it| it > 0) { Ok(told) } else { Err(told) }
}

/// What people are told of the fleet is what the controller decided and logged.
fn is_told(node: &Node) {
    let asked = |words: &[&str]| {
        let mut command = Command::new(binaries().join("streamverse"));
        command.arg("fleet").args(words).arg("--run-dir").arg(node.folder().join("run"));
        let said = command.output().unwrap();
        assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    let list = asked(&["list"]);
    let row: Vec<&str> =
        list.lines().find(|it| it.starts_with("encode ")).unwrap().split_whitespace().collect();
    assert!(row[5].starts_with('$') && row[5] != "$0", "pods were paid for: {list}");
    let (why, log) = (asked(&["why", "encode"]), log(node));
    assert!(why.contains("launch"), "{why}");
    for line in why.lines() {
        let (_, line) = line.split_once(' ').unwrap();
        let line = line.split("; it was refused").next().unwrap();
        assert!(log.contains(line), "{line} is not in the log:\n{log}");
    }
}

fn log(node: &Node) -> String {
    let log = node.folder().join("data/test/log/fleet-controller.main.service.fleet-controller.log");
    std::fs::read_to_string(log).unwrap_or_default()
}

/// The environments of what runs in pods have no secret: they find their programs in the node's folder.
fn pods_know_no_secret(node: &Node) {
    let folder = node.folder().display().to_string();
    let mut searched = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| {
            String::from_utf8_lossy(&std::fs::read(entry.path().join(name)).unwrap_or_default()).into_owned()
        };
        let environment = read("environ");
        if environment.contains(&folder) && environment.contains("STREAMVERSE_WORKER=") {
            searched += 1;
            let found = SECRETS.iter().find(|it| environment.contains(**it));
            assert_eq!(found, None, "the environment of {}", read("cmdline"));
        }
    }
    assert!(searched > 0, "no pod's process was found");
}

fn case<'a>(cli: &'a Cli, node: &'a Node) -> Case<'a> {
    Case::new(cli)
        .provider(ADDRESS, node.provider())
        .env("PLANTED_S3", S3_SECRET)
        .env("PLANTED_PASSWORD", PASSWORD)
        .env("PLANTED_IDENTITY", IDENTITY)
        .env("RUNPOD_API_KEY", KEY)
        .var("s3_secret", "env:PLANTED_S3")
        .var("password", "env:PLANTED_PASSWORD")
        .secrets_absent(&SECRETS)
}

/// Plans until the work is done: each is empty, whatever the pods are doing. What they were doing then.
fn plans(cx: &Context<'_>, runpod: &StandIn, done: impl Fn() -> bool) -> Result<BTreeSet<String>, Failure> {
    let mut met = BTreeSet::new();
    while !done() {
        let now: Vec<String> =
            runpod.things("pod").iter().filter_map(|it| Some(it["status"].as_str()?.to_owned())).collect();
        let plan = cx.run(["plan", "-detailed-exitcode", "-input=false", "-no-color"])?;
        if plan.code() != Some(0) {
            return Err(Failure::new(format!("a plan with pods {now:?}: {}", plan.text())));
        }
        met.insert(now.join(" "));
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(met)
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
    let private = runpod.folder().join("private");
    for folder in [&logs, &private] {
        std::fs::create_dir_all(folder).unwrap();
    }
    runpod.settings(&json!({
        "command": [binaries().join("streamverse-edge"), "worker"],
        // Pods of a real cloud have a file system each: what a killed one leaves is not found by the next run.
        "command_env": { "PATH": path, "STREAMVERSE_PRIVATE": private, "STREAMVERSE_SCRATCH": private },
        "command_logs": logs, "grace_ms": 30_000, "provision_ms": 500, "start_ms": 500,
    }));
    let (platform, films) = (platform(&node, &servers, &runpod, free_port()), films(&node));
    let told = || {
        let read = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path()).unwrap_or_default();
        std::fs::read_dir(&logs).unwrap().flatten().map(read).collect::<Vec<_>>().join("\n---\n")
    };
    let made = || {
        let step = Step::apply(films.clone()).named("films wait").timeout(Duration::from_secs(400));
        let killed = std::thread::scope(|scope| {
            let killed = scope.spawn(|| kill_one(&runpod, &servers));
            case(&cli, &node)
                .named("films")
                .step(step.after(|_| {
                    let made = encoded::once(&servers);
                    let video = made.keys().filter(|it| it.contains("180p/")).count();
                    assert_eq!(video, FILMS.len() * SECONDS as usize / 2, "{made:?}\n{}", told());
                    assert!(runpod.account().created("pod") >= 2, "its work went elsewhere: {}", told());
                    pods_know_no_secret(&node);
                    is_watched(&node);
                    secrets::planted_nowhere(&node, &SECRETS).map_err(Into::into)
                }))
                .run()
                .map(|_| killed.join().unwrap())
        })?;
        assert!(killed, "no pod was killed while segments were made: {}", told());
        Ok::<_, Failure>(())
    };
    let done = case(&cli, &node)
        .check_destroyed(|_| {
            runpod.clean()?;
            node.nothing_left().map_err(Into::into)
        })
        .step(Step::apply(platform).named("nothing waits").after(|_| {
            assert_eq!(runpod.account().created("pod"), 0, "nobody asked for a pod");
            Ok(())
        }))
        .step(Step::replan().named("jobs wait, pods start, encode, die and leave").before(|cx| {
            let met = std::thread::scope(|scope| {
                let work = scope.spawn(|| {
                    eprintln!("{}", rehearse(&node).map_err(Failure::new)?);
                    until("no pod is left of the rehearsal", 60, || runpod.account().open().is_empty());
                    is_told(&node);
                    made()?;
                    until("no pod is left", 120, || runpod.account().open().is_empty());
                    Ok::<_, Failure>(())
                });
                let met = plans(cx, &runpod, || work.is_finished());
                work.join().unwrap()?;
                met
            })?;
            assert!(met.iter().any(|it| it.contains("RUNNING")), "{met:?}");
            eprintln!("plans were empty while pods were {met:?}");
            Ok(())
        }))
        .run();
    if done.is_err() {
        eprintln!("workers said:\n{}\nthe controller said:\n{}", told(), log(&node));
    }
    done.map(|_| ())
}
