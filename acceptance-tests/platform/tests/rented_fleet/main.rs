//! The quickstart's transcoder, on Kafka and S3, has no worker of its own: a fleet of pods does all its work. The stand-in starts a
//! real worker for each pod. Films, then a rehearsal, are its work, and plans are made all the time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../common/encoded.rs"]
mod encoded;
mod inside;
mod killed;
mod told;
#[path = "../common/watched.rs"]
mod watched;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use streamverse_acceptance::servers::{PASSWORD, Servers};
use streamverse_acceptance::{ADDRESS, Node, binaries, free_port, kit, secrets};
use streamverse_runpod_stand_in::{KEY, StandIn};
use tfplugin_testing::cli::{Case, Cli, Context, Failure, Step};

use crate::inside::Searched;
use crate::killed::Killed;

/// What moto takes for a key, and what nobody may find.
const S3_SECRET: &str = "planted-s3-key-51bd";
/// 32 bytes.
const IDENTITY: &str = "cGxhbnRlZC1pZGVudGl0eS1vZi1hLWNvbnRyb2xsZXI=";
const IDENTITY_BYTES: &[u8] = b"planted-identity-of-a-controller";
const SECRETS: [&str; 4] = [S3_SECRET, PASSWORD, IDENTITY, KEY];
/// How long each film is; a segment has two seconds, and a task has eight segments.
const SECONDS: u32 = 48;
const FILMS: [&str; 3] = ["one", "two", "three"];
const SEGMENTS: u32 = SECONDS / 2;
/// Runs of segments, and the sound of each film.
const TASKS: u64 = FILMS.len() as u64 * (SEGMENTS as u64 / 8 + 1);
/// Above it more than one pod is needed, however many wait: before a job's time is known it takes 30 s, and what waits is to be
/// begun within half of two minutes.
const THRESHOLD: u64 = 2;

/// Everything but the fleet and the films.
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
"#,
        block = node.block(),
        s3 = servers.s3,
        kafka = servers.kafka,
        runpod = runpod.endpoint,
    )
}

/// The pods that may be rented.
fn fleet() -> String {
    format!(
        r#"
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
    scale_out_above = {THRESHOLD}, scale_in_below = 1, scale_in_after = "10s", target_p95 = "2m", assumed_job_time = "30s"
  }}
}}
"#
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

fn until(what: &str, limit: u64, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(limit);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within {limit} s");
        std::thread::sleep(Duration::from_millis(100));
    }
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

/// What plans met.
#[derive(Debug, Default)]
struct Met {
    plans: usize,
    /// Plans that were made while pods came, or right after.
    coming: usize,
    /// … while pods went.
    going: usize,
    /// … while pods ran.
    running: usize,
}

/// Plans until the work is done: each is empty, whatever the pods are doing.
fn plans(cx: &Context<'_>, runpod: &StandIn, done: impl Fn() -> bool) -> Result<Met, Failure> {
    let mut met = Met::default();
    let count = || {
        let account = runpod.account();
        let created = account.created("pod");
        (created, created - account.open().len())
    };
    let mut before = count();
    while !done() {
        let running = pods(runpod).len();
        let plan = cx.run(["plan", "-detailed-exitcode", "-input=false", "-no-color"])?;
        let after = count();
        if plan.code() != Some(0) {
            let text = format!("a plan with {running} pods, created and gone {before:?} to {after:?}");
            return Err(Failure::new(format!("{text}: {}", plan.text())));
        }
        met.plans += 1;
        met.running += usize::from(running > 0);
        met.coming += usize::from(after.0 > before.0);
        met.going += usize::from(after.1 > before.1);
        before = after;
        std::thread::sleep(Duration::from_millis(300));
    }
    Ok(met)
}

/// Every piece of the films was made once; who was killed in the middle did not make what came after.
fn is_made_once(servers: &Servers, killed: &Killed, logs: &Path) {
    let times = encoded::once(servers);
    let records = encoded::records(servers);
    let text = |it: &serde_json::Value| it.as_str().unwrap_or_default().to_owned();
    let told: BTreeSet<_> = records.iter().map(|it| (text(&it["asset"]), text(&it["piece"]))).collect();
    let pieces = |film: &&str| {
        let video = (0..SEGMENTS).map(|k| format!("180p/{k}"));
        let film = (*film).to_owned();
        video.chain(["audio-stereo-0".to_owned()]).map(move |piece| (film.clone(), piece))
    };
    let all: BTreeSet<_> = FILMS.iter().flat_map(pieces).collect();
    assert_eq!(told.len(), times.len(), "of one generation each: {times:?}");
    assert_eq!(told.difference(&all).next(), None, "of nothing else");
    // A host that fails between keeping a piece and telling of it tells nothing; the piece is kept.
    let untold: Vec<_> = all.difference(&told).collect();
    let kept = untold.iter().all(|(film, piece)| killed.may_be_untold(film, piece));
    assert!(kept, "nobody made {untold:?}");
    killed.is_resumed_elsewhere(logs, &records);
}

/// Sets it when it is dropped, so that no thread of a test that fails goes on for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn jobs_bring_pods_an_empty_queue_sends_them_away_and_a_lost_one_costs_no_segment() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    // The node ends first: what a test that fails left is swept while its stores and its cloud still answer.
    let Some(servers) = Servers::start() else { return Ok(()) };
    let runpod = StandIn::start();
    let Some(node) = Node::start() else { return Ok(()) };
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
        // As long as RunPod waits: what is given back has left before, and what is not finishes nothing any more.
        "command_logs": logs, "grace_ms": 5_000, "provision_ms": 500, "start_ms": 500,
    }));
    let films = films(&node);
    let alone = platform(&node, &servers, &runpod, free_port());
    let whole = format!("{alone}{}", fleet());
    let said = || {
        let read = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path()).unwrap_or_default();
        std::fs::read_dir(&logs).unwrap().flatten().map(read).collect::<Vec<_>>().join("\n---\n")
    };
    let made = || {
        let step = Step::apply(films.clone()).named("films wait").timeout(Duration::from_secs(400));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let end = Over(&over);
            let killing = scope.spawn(|| killed::kill_one(&runpod, &servers, &logs, &over));
            let done = case(&cli, &node)
                .named("films")
                .step(step.after(|_| {
                    drop(end);
                    let killed = killing.join().unwrap();
                    let Some(killed) = killed else {
                        return Err(format!("no pod was killed in the middle of a film: {}", said()).into());
                    };
                    is_made_once(&servers, &killed, &logs);
                    told::is_watched(&node);
                    secrets::planted_nowhere(&node, &SECRETS).map_err(Into::into)
                }))
                .run();
            done.map(|_| ())
        })
    };
    let over = AtomicBool::new(false);
    let search = || {
        let mut searched = Searched::default();
        while !over.load(Ordering::Relaxed) {
            searched.again(&runpod)?;
            std::thread::sleep(Duration::from_millis(250));
        }
        Ok::<_, Failure>(searched)
    };
    let done = std::thread::scope(|scope| {
        let end = Over(&over);
        let (made, search, begun) = (&made, &search, RefCell::new(None));
        case(&cli, &node)
            .check_destroyed(|_| {
                runpod.clean()?;
                node.nothing_left().map_err(Into::into)
            })
            .step(
                // What no plan knows: how many encodes each worker does side by side, each on a partition of its own.
                Step::apply(whole.replace("workers      = 0", "workers      = 0\n  concurrency  = 5"))
                    .named("fewer partitions than workers")
                    .expect_apply_error(
                        r"(?s)range += \{ min = 0, max = 2 .*has 8\W+partitions.*1\W+of\W+2\W+workers.*to\W+10\W+at\W+least,\W+or\W+lower\W+range\.max",
                    )
                    .after(|cx| {
                        let fleets = |it: &str| it.contains("runpod_fleet");
                        assert!(!cx.state()?.addresses().into_iter().any(fleets), "a refused fleet is in the state");
                        let owners = node.owners()?;
                        assert!(!owners.iter().any(|it| it.kind.as_str() == "runpod-fleet"), "{owners:?}");
                        told::has_no_fleet(&node);
                        assert_eq!(runpod.account().created("pod"), 0);
                        Ok(())
                    }),
            )
            .step(Step::apply(alone).named("films wait, and nobody is there for them").after(|_| {
                begun.replace(Some((scope.spawn(made), scope.spawn(search))));
                until("all tasks wait", 120, || encoded::undone(&servers) == TASKS);
                Ok(())
            }))
            .step(Step::apply(whole).named("pods start").before(|_| {
                assert_eq!(encoded::undone(&servers), TASKS, "nobody does anything");
                assert_eq!(runpod.account().created("pod"), 0, "nobody asked for a pod");
                Ok(())
            }))
            .step(Step::replan().named("pods encode, die and leave").before(|cx| {
                let (films, searching) = begun.take().unwrap();
                let work = scope.spawn(|| {
                    films.join().unwrap()?;
                    until("no pod is left", 120, || runpod.account().open().is_empty());
                    assert_eq!(encoded::undone(&servers), 0, "all is done");
                    told::is_at_zero(&node);
                    eprintln!("{}", rehearse(&node).map_err(Failure::new)?);
                    until("no pod is left of the rehearsal", 60, || runpod.account().open().is_empty());
                    Ok::<_, Failure>(())
                });
                let met = plans(cx, &runpod, || work.is_finished());
                let worked = work.join();
                drop(end);
                let searched = searching.join().unwrap()?;
                worked.unwrap()?;
                let met = met?;
                told::is_told(&node, &runpod.account(), TASKS);
                assert!(met.coming > 0 && met.running > 0 && met.going > 0, "{met:?}");
                for program in ["streamverse-edge", "streamverse", "ffmpeg"] {
                    let programs = &searched.programs;
                    assert!(
                        programs.contains(program),
                        "{program} was not searched in a pod, but {programs:?}"
                    );
                }
                let (tokens, pods) = (searched.tokens.len(), runpod.account().created("pod"));
                assert_eq!(tokens, pods, "each pod has a token of its own, and was searched");
                for record in encoded::records(&servers) {
                    let by = record["worker"].as_str().unwrap_or_default();
                    assert!(searched.transcoders.contains(by), "made outside of pods: {record}");
                }
                eprintln!("{met:?} of {pods} pods");
                Ok(())
            }))
            .run()
    });
    if done.is_err() {
        eprintln!("workers said:\n{}\nthe controller said:\n{}", said(), told::log(&node));
    }
    done.map(|_| ())
}
