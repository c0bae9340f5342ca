//! A thousand channels in one process, idle and asked, beside a process with one: memory, processor time, and what an answer
//! costs when all of them are asked in turn.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use streamverse_core::{Metrics, Ready, ServiceContext, Start, Stop};
use streamverse_model::platform::Owner;

use crate::channel::{assets, spec};
use crate::children::{self, Server, pinned};
use crate::figures::{Rounds, Row};
use crate::load::{self, Load};
use crate::origin::context;
use crate::{Outcome, Setup, folder, free_port, tell};

/// Channels in one process.
const MANY: u32 = 1_000;
/// How long they may take to announce their first hours, each with what is durable.
const BEGIN: Duration = Duration::from_secs(240);

/// Measures.
///
/// # Errors
/// What stopped it.
pub async fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let mut one = Process::start(setup, 1).await?;
    let mut many = Process::start(setup, MANY).await?;
    let (mut first, mut memory, mut idle) = (Rounds::default(), Rounds::default(), Rounds::default());
    let (mut quiet, mut loaded) = (Rounds::default(), Rounds::default());
    let (mut busy, mut late) = (Rounds::default(), Rounds::default());
    first.push(many.ready.as_secs_f64(), one.ready.as_secs_f64());
    for round in 1..=setup.rounds(3) {
        let (before, since) = ((many.server.cpu_seconds(), one.server.cpu_seconds()), Instant::now());
        tokio::time::sleep(Duration::from_secs(if setup.quick { 20 } else { 60 })).await;
        let percent = |now: f64, before: f64| (now - before) / since.elapsed().as_secs_f64() * 100.0;
        idle.push(percent(many.server.cpu_seconds(), before.0), percent(one.server.cpu_seconds(), before.1));
        quiet.push(resident(many.server.pid())?, resident(one.server.pid())?);
        let (before, since) = (many.server.cpu_seconds(), Instant::now());
        let all = many.asked(setup, MANY).await?;
        let spent = (many.server.cpu_seconds() - before) / since.elapsed().as_secs_f64() * 100.0;
        loaded.push_alone(spent);
        let alone = many.asked(setup, 1).await?;
        busy.push(all.requests_per_core(), alone.requests_per_core());
        late.push(all.p99, alone.p99);
        one.asked(setup, 1).await?;
        memory.push(resident(many.server.pid())?, resident(one.server.pid())?);
        tell(format!(
            "{MANY} channels, round {round}: {:.0} requests per CPU second of all, {:.0} of one of them",
            all.requests_per_core(),
            alone.requests_per_core()
        ));
    }
    let name = |what: &str| format!("{MANY} channels in one process: {what}");
    let turns = "HLS and DASH in turns; 32 at a time";
    Ok(vec![
        first.row(name("until all are ready / one"), "s", "less is better"),
        quiet.row(name("resident memory before load / one"), "MB", "less is better"),
        memory.row(name("resident memory after load / one"), "MB", "less is better"),
        idle.row(name("idle / one"), "% of a core", "less is better"),
        loaded.row(name("while all are asked"), "% of a core", "as much as the load asks for"),
        busy.row(name("playlists of all, per core / of one of them"), "1/CPU-s", turns),
        late.row(name("playlists of all, 99th percentile / of one of them"), "ms", "less is better"),
    ])
}

/// A process with so many channels.
struct Process {
    server: Server,
    port: u16,
    ready: Duration,
    folder: tempfile::TempDir,
}

impl Process {
    async fn start(setup: &Setup, count: u32) -> Outcome<Process> {
        let folder = folder()?;
        assets(&context(folder.path(), "fast-channel")?).await?;
        let port = free_port()?;
        let mut command = this(setup.cores.server)?;
        command.args(["--channels", &count.to_string(), "--port", &port.to_string(), "--folder"]);
        let started = Instant::now();
        let log = folder.path().join("log");
        let server = Server::start("channels", command.arg(folder.path()), &log)?;
        let mut process = Process { server, port, ready: Duration::ZERO, folder };
        process.begun(started).await?;
        process.ready = started.elapsed();
        tell(format!("{count} channels are ready after {:.1} s", process.ready.as_secs_f64()));
        Ok(process)
    }

    async fn begun(&mut self, started: Instant) -> Outcome<()> {
        let base = self.folder.path();
        while !base.join("ready").is_file() {
            if started.elapsed() > BEGIN {
                let log = std::fs::read_to_string(base.join("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                return Err(format!("the channels are not ready: {tail:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Playlists of the first `count` of them, in turn.
    async fn asked(&mut self, setup: &Setup, count: u32) -> Outcome<Load> {
        let ask = async |seconds: u32| {
            let mut command = this(setup.cores.load)?;
            command.args(["--ask", &count.to_string(), "--port", &self.port.to_string()]);
            command.args(["--seconds", &seconds.to_string()]);
            let limit = Duration::from_secs(u64::from(seconds) + 60);
            children::run("who asks", &mut command, limit).await
        };
        ask(1).await?;
        let before = self.server.cpu_seconds();
        let said = ask(setup.seconds()).await?;
        load::read(&said.stdout, self.server.cpu_seconds() - before)
    }
}

/// This program on a processor, with as many open files as it may have.
fn this(core: u32) -> Outcome<std::process::Command> {
    let mut command = pinned(core, "sh");
    command.args(["-c", "ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" \"$@\""]).arg(std::env::current_exe()?);
    Ok(command)
}

/// Where a channel listens: all at one port, each at an address of its own, where no connection takes it away.
pub(crate) fn place(number: u32, port: u16) -> SocketAddr {
    let [_, _, high, low] = (number + 1).to_be_bytes();
    (Ipv4Addr::new(127, 2, high, low), port).into()
}

/// Resident memory in megabytes.
fn resident(pid: u32) -> Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0 / 1e6)
}

/// Runs many channels in this process until it is ended.
///
/// # Errors
/// A channel that cannot be started.
pub async fn serve(count: u32, port: u16, folder: PathBuf) -> Outcome<()> {
    start(count, port, &folder).await?;
    std::fs::write(folder.join("ready"), "")?;
    std::future::pending::<()>().await;
    Ok(())
}

/// Returns when all of them play.
pub(crate) async fn start(count: u32, port: u16, folder: &Path) -> Outcome<Stop> {
    let base = context(folder, "fast-channel")?;
    let Start::Service(start) = streamverse_delivery::FAST_CHANNEL.start else {
        return Err("a channel is no service".into());
    };
    let stop = Stop::new();
    let mut all = Vec::new();
    for number in 0..count {
        let owner = Owner::new("bench", "fast-channel", &format!("c{number}"))?;
        let bind = place(number, port).ip();
        let cx = ServiceContext { owner, bind, metrics: Metrics::new(), ..base.clone() };
        let service = start(spec(port), cx).await?;
        let (ready, is_ready) = Ready::new();
        tokio::spawn(service.run(ready, stop.clone()));
        all.push(is_ready);
    }
    for ready in &mut all {
        ready.wait_for(|ready| *ready).await?;
    }
    Ok(stop)
}
