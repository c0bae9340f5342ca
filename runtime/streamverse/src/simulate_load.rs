//! `streamverse simulate load`: a rehearsal. Real encode jobs go into the queue of a transcoder for a while, and then everything must be
//! as it was before: the queue, and, where the controller's metrics are given, the workers.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;
use streamverse_core::run::AdminAddress;
use streamverse_core::stores::open_records;
use streamverse_core::{Error, Result, ServiceContext, Stop};
use streamverse_fleet::journal::fleets;
use streamverse_media::{AsyncSeen, Look, Rehearsal};
use streamverse_model::compute::FleetControllerRun;
use streamverse_model::media::{Acceleration, TranscoderSpec};
use streamverse_model::platform::ADMIN_PORT;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};

/// What the controller counts workers in.
const WORKERS: &str = "streamverse_fleet_workers";
/// How long metrics may take, and how large they may be.
const METRICS_LIMIT: Duration = Duration::from_secs(5);
const LARGEST_METRICS: u64 = 16 << 20;
/// What the spec of a transcoder, or its context, may have.
const LARGEST_ORDERS: u64 = 1 << 20;

/// Which queue, what load, for how long.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// What the jobs are for: processors, or the encoders of GPUs.
    #[arg(long = "type", value_enum)]
    kind: Kind,
    /// For how many seconds jobs are put into the queue.
    #[arg(long, default_value_t = 300)]
    duration: u64,
    /// The transcoder's spec, JSON, as `streamverse run` has it. Without it the queue is the one that --fleet works for.
    #[arg(long, required_unless_present = "fleet")]
    spec: Option<PathBuf>,
    /// A file that says where it runs, JSON, as `streamverse run` has it: its stores and their credentials are used. Without --spec it is
    /// the file of the fleet's controller.
    #[arg(long)]
    context: PathBuf,
    /// So many jobs are kept waiting: more than `scale_out_above` of a fleet's queue brings workers.
    #[arg(long, default_value_t = 150)]
    waiting: u64,
    /// No more jobs than this, in all; when all of them are done it ends early.
    #[arg(long, default_value_t = 20_000)]
    most: u64,
    /// The height of the picture that is encoded: the larger, the longer a job takes.
    #[arg(long, default_value_t = 720)]
    height: u32,
    /// Which encoder of a GPU.
    #[arg(long, value_enum, default_value_t = Encoder::Nvenc)]
    encoder: Encoder,
    /// Where the controller answers about itself: unix:/PATH or tcp:ADDRESS:PORT. The number of its workers must then be as before, too.
    /// With a controller's --context on a node it is known.
    #[arg(long)]
    metrics: Option<AdminAddress>,
    /// Only the workers of this fleet; without --spec, also whose queue it is.
    #[arg(long)]
    fleet: Option<String>,
    /// How many seconds it may take until all is as it was; 600 where none is given, and 3600 with --metrics: workers stay for a while.
    #[arg(long)]
    settle: Option<u64>,
    /// Also where jobs of others wait: they are delayed.
    #[arg(long)]
    beside_work: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Cpu,
    Gpu,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Encoder {
    Nvenc,
    Qsv,
    Vaapi,
}

fn usage(text: impl Into<String>) -> Error {
    Error::permanent("usage", text)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let unread = |error| usage(format!("{} cannot be read", path.display())).because(error);
    if std::fs::metadata(path).map_err(unread)?.len() > LARGEST_ORDERS {
        return Err(usage(format!("{} is larger than 1 MiB", path.display())));
    }
    serde_json::from_slice(&std::fs::read(path).map_err(unread)?).map_err(|error| {
        usage(format!("{} is not what `streamverse run` is given", path.display())).because(error)
    })
}

/// Refuses to act as root for services that run as somebody else: what root puts into a store of files they could not read.
fn as_services(context: &Path) -> Result<()> {
    let owner = |path: &Path| std::fs::metadata(path).map(|it| it.uid());
    let unread = |error| usage(format!("{} cannot be read", context.display())).because(error);
    let (its, ours) = (owner(context).map_err(unread)?, owner(Path::new("/proc/self")).map_err(unread)?);
    if ours == 0 && its != 0 {
        return Err(usage(format!(
            "{} belongs to user {its}, as whom the services run: run this as that user, for example with `setpriv --reuid={its} --clear-groups`",
            context.display()
        )));
    }
    Ok(())
}

/// Where a service on a node answers about itself, whose orders are in that folder.
fn beside(orders: &Path) -> Result<AdminAddress> {
    let socket = orders.join("s/admin.sock");
    if !socket.exists() {
        return Err(usage(format!(
            "there is no {}: say by --metrics where the controller answers, in its pod tcp:127.0.0.1:{ADMIN_PORT}",
            socket.display()
        )));
    }
    Ok(AdminAddress::Unix(socket))
}

/// The spec of the transcoder that a fleet works for, as its controller's catalogue has it. `orders` is where the controller's own
/// orders are.
async fn of_fleet(fleet: &str, orders: &Path, cx: &ServiceContext) -> Result<TranscoderSpec> {
    if cx.owner.kind.as_str() != "fleet-controller" {
        return Err(usage(format!(
            "--context is that of {}, and without --spec it must be that of the fleet's controller",
            cx.owner
        )));
    }
    let run: FleetControllerRun = read(&orders.join("spec.json"))?;
    let records = open_records(&run.catalogue, cx).await?;
    let all = fleets(&*records, cx.owner.name.as_str()).await?;
    let Some(found) = all.iter().find(|it| it.name == fleet) else {
        let names: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(usage(format!(
            "the controller {} has no fleet {fleet:?}; it has {names}",
            cx.owner.name
        )));
    };
    let work = found.record.as_ref().and_then(|it| it.work.as_ref());
    work.map(|it| it.spec.clone()).ok_or_else(|| {
        usage(format!("the fleet {fleet:?} does no transcoder's work: it has no queue of encode jobs"))
    })
}

fn rehearsal(args: &LoadArgs, counts_workers: bool) -> Result<Rehearsal> {
    let most_settle = 4 * 3600;
    let settle = args.settle.unwrap_or(if counts_workers { 3600 } else { 600 });
    for (option, value, least, most) in [
        ("--duration", args.duration, 1, 3600),
        ("--waiting", args.waiting, 1, 10_000),
        ("--most", args.most, 1, 1_000_000),
        ("--height", args.height.into(), 16, 4320),
        ("--settle", settle, 1, most_settle),
    ] {
        if !(least..=most).contains(&value) {
            return Err(usage(format!("{option} is {least} to {most}, not {value}")));
        }
    }
    let acceleration = match (args.kind, args.encoder) {
        (Kind::Cpu, _) => Acceleration::None,
        (Kind::Gpu, Encoder::Nvenc) => Acceleration::Nvenc,
        (Kind::Gpu, Encoder::Qsv) => Acceleration::Qsv,
        (Kind::Gpu, Encoder::Vaapi) => Acceleration::Vaapi,
    };
    Ok(Rehearsal {
        acceleration,
        duration: Duration::from_secs(args.duration),
        depth: args.waiting,
        most: args.most,
        height: args.height / 2 * 2,
        settle: Duration::from_secs(settle),
        look: Duration::from_secs(if args.duration > 60 { 5 } else { 1 }),
        beside_work: args.beside_work,
    })
}

#[allow(clippy::print_stdout, reason = "what it found is its answer")]
pub(crate) async fn run(args: LoadArgs) -> Result<()> {
    let orders = args.context.parent().unwrap_or(Path::new("")).to_owned();
    let metrics = match (&args.spec, &args.fleet, &args.metrics) {
        (None, _, None) => Some(beside(&orders)?),
        (Some(_), Some(_), None) => {
            return Err(usage(
                "--fleet counts the workers that --metrics tells of: give that, or leave out --spec",
            ));
        }
        (_, _, given) => given.clone(),
    };
    let rehearsal = rehearsal(&args, metrics.is_some())?;
    as_services(&args.context)?;
    let cx: ServiceContext = read(&args.context)?;
    let spec: TranscoderSpec = match (&args.spec, &args.fleet) {
        (Some(spec), _) => read(spec)?,
        (None, fleet) => of_fleet(fleet.as_deref().unwrap_or_default(), &orders, &cx).await?,
    };
    let stop = Stop::new();
    let told = |error| Error::passing("signals", "signals cannot be waited for").because(error);
    let (mut term, mut int) =
        (signal(SignalKind::terminate()).map_err(told)?, signal(SignalKind::interrupt()).map_err(told)?);
    let asked = stop.clone();
    let waits = tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        eprintln!("ending: what was made is taken away");
        asked.stop();
    });
    let mut table = Table { metrics, fleet: args.fleet, before: None, now: None };
    if table.metrics.is_some() {
        table.before = Some(table.workers().await?);
    }
    println!(
        "{:>7} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "seconds", "phase", "waiting", "jobs", "encoded", "workers"
    );
    let done = rehearsal.run(&spec, &cx, &stop, &mut table).await;
    waits.abort();
    let done = done?;
    println!(
        "{} jobs, {} encoded, the others withdrawn; waiting: {} before, {} at most, {} now{}. Nothing of it is left in the object store.",
        done.published,
        done.encoded,
        done.before,
        done.peak,
        done.after,
        table.before.map_or_else(String::new, |before| format!(
            "; workers: {before} before, {} now",
            table.now.unwrap_or(before)
        ))
    );
    Ok(())
}

/// Prints each look.
struct Table {
    metrics: Option<AdminAddress>,
    fleet: Option<String>,
    before: Option<u64>,
    now: Option<u64>,
}

#[async_trait]
impl AsyncSeen for Table {
    #[allow(clippy::print_stdout, reason = "what it sees is its answer")]
    async fn look(&mut self, look: Look) -> Result<bool> {
        let mut back = true;
        if let Some(before) = self.before {
            self.now = self.workers().await.ok();
            back = self.now.is_some_and(|it| it <= before);
        }
        let workers = match (self.before, self.now) {
            (None, _) => "-".to_owned(),
            (_, None) => "?".to_owned(),
            (_, Some(count)) => count.to_string(),
        };
        let phase = if look.loading { "load" } else { "settle" };
        println!(
            "{:>7} {phase:>9} {:>9} {:>9} {:>9} {workers:>8}",
            look.after.as_secs(),
            look.waiting,
            look.published,
            look.encoded
        );
        Ok(back)
    }

    fn missing(&self) -> String {
        match (self.before, self.now) {
            (None, _) => String::new(),
            (Some(before), Some(now)) => format!(", {now} workers are there, {before} were"),
            (Some(before), None) => {
                format!(", the controller does not say how many workers are there, {before} were")
            }
        }
    }
}

impl Table {
    /// How many workers the controller has.
    async fn workers(&self) -> Result<u64> {
        let failed = |text: &str| {
            Error::passing("metrics", format!("the controller's metrics cannot be read: {text}"))
        };
        let text = async {
            match &self.metrics {
                None => Ok(String::new()),
                Some(AdminAddress::Tcp(address)) => ask(tokio::net::TcpStream::connect(address).await?).await,
                Some(AdminAddress::Unix(path)) => ask(tokio::net::UnixStream::connect(path).await?).await,
            }
        };
        let text =
            tokio::time::timeout(METRICS_LIMIT, text).await.map_err(|_| failed("no answer in time"))?;
        let text = text.map_err(|error: std::io::Error| failed("nobody answers").because(error))?;
        sum(&text, self.fleet.as_deref()).ok_or_else(|| {
            failed(&format!(
                "there is no {WORKERS}{}",
                self.fleet.as_ref().map_or_else(String::new, |it| format!(" of fleet {it}"))
            ))
        })
    }
}

/// Asks for metrics. HTTP/1.0: the answer ends with the connection, and has no chunks.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<String> {
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: controller\r\n\r\n").await?;
    let mut bytes = Vec::new();
    stream.take(LARGEST_METRICS).read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The sum of the gauge of workers, of one fleet or of all; none where it is not there.
fn sum(text: &str, fleet: Option<&str>) -> Option<u64> {
    let wanted = fleet.map(|it| format!("fleet=\"{it}\""));
    let values = text.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix(WORKERS)?.strip_prefix('{')?.rsplit_once("} ")?;
        let its = |it: &String| labels.split(',').any(|label| label == it);
        if wanted.as_ref().is_some_and(|it| !its(it)) {
            return None;
        }
        value.split_whitespace().next()?.parse::<f64>().ok()
    });
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>().max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::{Value, json};
    use streamverse_core::log::{EVENT_LOG, open_log};
    use streamverse_core::{Ready, Start};
    use streamverse_model::compute::{PolicySpec, ScheduleSpec, fleet_collection};

    fn context(place: &Path, kind: &str) -> ServiceContext {
        let cx = json!({
            "site": "here", "owner": { "deployment": "live", "kind": kind, "name": "main" }, "object": "service/x",
            "data_dir": place, "scratch_dir": place, "run_dir": place, "credentials_dir": place, "specs_dir": place, "bind": "127.0.0.1",
        });
        serde_json::from_value(cx).unwrap()
    }

    /// The arguments as a shell gives them.
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: LoadArgs,
    }

    #[tokio::test]
    async fn jobs_in_the_queue_ask_for_the_encoder_that_was_named() {
        let folder = tempfile::tempdir().unwrap();
        let cx = context(folder.path(), "transcoder");
        let Start::Service(start) = EVENT_LOG.start else { panic!("it is a service") };
        let ((ready, mut is_ready), ended) = (Ready::new(), Stop::new());
        let service = start(json!({ "name": "main" }), cx.clone()).await.unwrap();
        let serving = tokio::spawn(service.run(ready, ended.clone()));
        is_ready.wait_for(|it| *it).await.unwrap();
        let spec = json!({
            "concurrency": 1, "workers": 1, "scratch": "1GiB", "memory": "1GiB", "event_log": "embedded://here/main",
            "object_store": "file://here/media", "catalogue": "sqlite://here/main",
        });
        let spec: TranscoderSpec = serde_json::from_value(spec).unwrap();
        // There is no worker: what was put into the queue stays to be read, and each says what a worker would need.
        let lines = [
            ("--type cpu", "none", None),
            ("--type cpu --encoder vaapi", "none", None),
            ("--type gpu", "nvenc", Some("h264_nvenc")),
            ("--type gpu --encoder qsv", "qsv", Some("h264_qsv")),
            ("--type gpu --encoder vaapi", "vaapi", Some("h264_vaapi")),
        ];
        let common = "load --spec s --context c --duration 1 --settle 1 --waiting 100 --most 2 --beside-work";
        let told = |number: usize| 90 + 2 * number as u64;
        let runs = lines.iter().enumerate().map(|(number, (line, ..))| {
            let text = format!("{common} --height {} {line}", told(number));
            let (spec, cx) = (spec.clone(), cx.clone());
            tokio::spawn(async move {
                let args = Line::try_parse_from(text.split_whitespace()).unwrap().args;
                let rehearsal = rehearsal(&args, false).unwrap();
                let mut table = Table { metrics: None, fleet: None, before: None, now: None };
                rehearsal.run(&spec, &cx, &Stop::new(), &mut table).await.unwrap_err()
            })
        });
        let runs: Vec<_> = runs.collect();
        for (run, (line, _, encoder)) in runs.into_iter().zip(&lines) {
            let error = run.await.unwrap();
            assert_eq!(error.code, "nothing-encoded", "{line}: {}", error.message);
            let asks = encoder.map(|it| format!("asked for {it}"));
            match asks {
                Some(asks) => assert!(error.message.contains(&asks), "{line}: {}", error.message),
                None => assert!(!error.message.contains("asked for"), "{line}: {}", error.message),
            }
        }
        let log = open_log(&spec.event_log, &cx).await.unwrap();
        let all: Vec<Value> = log
            .read_all("transcode")
            .await
            .unwrap()
            .iter()
            .map(|it| serde_json::from_slice(&it.value).unwrap())
            .collect();
        for (number, (line, wanted, _)) in lines.iter().enumerate() {
            let its = all.iter().filter(|it| it["track"]["video"]["rendition"]["height"] == told(number));
            let asked: Vec<&Value> = its.map(|it| &it["acceleration"]).collect();
            assert_eq!(asked, [wanted, wanted], "{line}");
        }
        ended.stop();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_fleet_s_queue_is_the_one_that_its_controller_s_catalogue_says() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        let cx = context(place, "fleet-controller");
        let run = json!({
            "controller": { "tick": "15s", "retention": "30days" }, "port": 9300, "public_url": "https://x:9300",
            "catalogue": "sqlite://here/main", "stores": [],
        });
        std::fs::write(place.join("spec.json"), run.to_string()).unwrap();
        let (policy, schedule) = (PolicySpec::default(), ScheduleSpec::default());
        let range = json!({ "min": 0, "max": 1 });
        let definition =
            json!({ "name": "x", "candidates": [], "range": range, "policy": policy, "schedule": schedule });
        let work = json!({ "transcoder": "main", "spec": {
            "concurrency": 1, "workers": 0, "scratch": "1GiB", "memory": "1GiB", "event_log": "kafka://k:9092",
            "object_store": "s3://media", "catalogue": "postgres://u@h/d",
        }});
        let records = open_records("sqlite://here/main", &cx).await.unwrap();
        let all = fleet_collection("", "main");
        let encode = json!({ "definition": definition, "work": work, "generation": "1" });
        records.insert(&all, "encode", &encode).await.unwrap();
        let idle = json!({ "definition": definition, "generation": "1" });
        records.insert(&all, "idle", &idle).await.unwrap();

        let spec = of_fleet("encode", place, &cx).await.unwrap();
        assert_eq!((spec.event_log.as_str(), spec.object_store.as_str()), ("kafka://k:9092", "s3://media"));
        let refused =
            |cx, fleet: &'static str| async move { of_fleet(fleet, place, cx).await.unwrap_err().message };
        assert!(refused(&cx, "decode").await.contains("it has encode, idle"));
        assert!(refused(&cx, "idle").await.contains("no queue of encode jobs"));
        assert!(
            refused(&context(place, "transcoder"), "encode").await.contains("that of the fleet's controller")
        );
        assert!(beside(place).unwrap_err().message.contains("--metrics"));
    }

    #[test]
    fn workers_are_added_up_over_their_phases_and_of_one_fleet_alone() {
        let text = "# TYPE streamverse_fleet_workers gauge\nstreamverse_fleet_workers{fleet=\"a\",phase=\"ready\"} 3\n\
            streamverse_fleet_workers{phase=\"starting\",fleet=\"a\"} 1.0\nstreamverse_fleet_workers{fleet=\"ab\",phase=\"ready\"} 5 1700000000\n\
            streamverse_fleet_workers_other{fleet=\"a\"} 9\n";
        assert_eq!((sum(text, None), sum(text, Some("a")), sum(text, Some("x"))), (Some(9), Some(4), None));
    }
}
