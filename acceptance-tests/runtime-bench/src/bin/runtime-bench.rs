//! Measures everything, tells how far it is on stderr and writes the rows as JSON. `cargo xtask bench runtime` builds
//! and runs it; `--only PART` measures one of origin, channel, channels, events, licences, edge, apply,
//! quickstart, play.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use streamverse_bench::children::Cores;
use streamverse_bench::figures::Row;
use streamverse_bench::platform::Platform;
use streamverse_bench::{
    Outcome, Setup, apply, ask, channel, channels, edge, events, licences, machine, origin, play, quickstart,
    tell,
};
use tokio::signal::unix::{SignalKind, signal};

const HELP: &str =
    "runtime-bench [--quick] [--only PART] --terraform PATH --xtask PATH [--node PATH] --out FILE";

#[derive(Default)]
struct Options {
    quick: bool,
    only: Option<String>,
    terraform: Option<PathBuf>,
    xtask: Option<PathBuf>,
    node: Option<PathBuf>,
    out: Option<PathBuf>,
    /// For the part `channels`: to be what is measured, a process with so many channels.
    channels: Option<u32>,
    /// … or who asks so many.
    ask: Option<u32>,
    seconds: u64,
    port: u16,
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = options().and_then(|options| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(until_told(options))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Outcome<Options> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => options.quick = true,
            "--only" => options.only = words.next(),
            "--terraform" => options.terraform = words.next().map(PathBuf::from),
            "--xtask" => options.xtask = words.next().map(PathBuf::from),
            "--node" => options.node = words.next().map(PathBuf::from),
            "--channels" => options.channels = words.next().and_then(|it| it.parse().ok()),
            "--ask" => options.ask = words.next().and_then(|it| it.parse().ok()),
            "--seconds" => options.seconds = words.next().and_then(|it| it.parse().ok()).unwrap_or(0),
            "--port" => options.port = words.next().and_then(|it| it.parse().ok()).unwrap_or(0),
            "--folder" => options.folder = words.next().map(PathBuf::from),
            "--out" => options.out = words.next().map(PathBuf::from),
            other => return Err(format!("{other:?} is no option; {HELP}").into()),
        }
    }
    Ok(options)
}

/// Whoever ends us ends all that we started: what is dropped here ends its children.
async fn until_told(options: Options) -> Outcome<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        done = run(options) => done,
        _ = term.recv() => Err("told to end; everything that was started is ended".into()),
        _ = int.recv() => Err("told to end; everything that was started is ended".into()),
    }
}

async fn run(options: Options) -> Outcome<()> {
    if let (Some(count), Some(folder)) = (options.channels, options.folder) {
        return channels::serve(count, options.port, folder).await;
    }
    if let Some(count) = options.ask {
        return ask::ask(count, options.port, Duration::from_secs(options.seconds)).await;
    }
    let out = options.out.ok_or(HELP)?;
    let driver = std::env::current_exe()?;
    let setup = Setup {
        binaries: driver.parent().ok_or("the driver lies in no directory")?.to_owned(),
        terraform: options.terraform.ok_or(HELP)?,
        xtask: options.xtask.ok_or(HELP)?,
        node: options.node,
        quick: options.quick,
        cores: Cores::here()?,
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("no checkout")?;
    let (machine, commit) = (machine::machine(), machine::commit(root));
    let wanted = |part: &str| options.only.as_deref().is_none_or(|only| only == part);
    let mut rows = Vec::new();
    if wanted("origin") {
        rows.extend(origin::measure(&setup).await?);
    }
    if wanted("channel") {
        rows.extend(channel::measure(&setup).await?);
    }
    if wanted("channels") {
        rows.extend(channels::measure(&setup).await?);
    }
    if wanted("events") {
        rows.extend(events::measure(&setup).await?);
    }
    if wanted("licences") {
        rows.extend(licences::measure(&setup).await?);
    }
    if wanted("edge") || wanted("apply") {
        tell("starting a platform for the edge");
        let platform = Platform::start(&setup).await?;
        if wanted("edge") {
            rows.extend(edge::measure(&setup, &platform).await?);
        }
        if wanted("apply") {
            rows.extend(apply::measure(&setup, &platform).await?);
        }
    }
    if wanted("quickstart") {
        rows.extend(quickstart::measure(&setup).await?);
    }
    if wanted("play") {
        rows.extend(play::measure(&setup).await?);
    }
    let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
    std::fs::write(&out, json!({ "machine": machine, "commit": commit, "rows": rows }).to_string())?;
    tell(format!("written to {}", out.display()));
    Ok(())
}
