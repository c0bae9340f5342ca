//! The drain agent: whoever says that this worker must leave is heard, the worker finishes what it can in the time that is
//! left, and the controller is told.
//!
//! Notices come from the cloud's metadata service ([`notices`]), from SIGTERM and from the controller ([`controller`]).
//! What leaves is the worker that the agent started ([`worker`]), and the Kubernetes node under it ([`node`]).

pub(crate) mod controller;
mod metadata;
mod metrics;
mod node;
mod notices;
mod work;
pub(crate) mod worker;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use streamverse_core::http::{self, Limits};
use streamverse_core::run::{AdminAddress, listen_unix};
use streamverse_core::{Error, Metrics, Result, Stop};
use streamverse_model::compute::{DrainSpec, DrainState, Notices, Phase, Reason};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use controller::Controller;
use metrics::Counted;
use notices::Notice;
use worker::{Launch, Worker};

/// How long the last report may take when nobody hurries.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The code that its process ends with: the worker's own, when that ended by itself.
    pub(crate) code: u8,
    /// Whether this worker leaves for good.
    pub(crate) left: bool,
}

/// Runs the agent of a spec's file to its end, and says with which code its process ends.
///
/// # Errors
/// A spec that cannot be read, an address that cannot be listened on, a worker that cannot be started.
pub(crate) async fn run(spec: &Path, admin: Option<AdminAddress>, words: &[OsString]) -> Result<u8> {
    let spec = read(spec)?;
    if words.is_empty() && spec.node.is_none() {
        let text = "there is nothing to drain: name a worker after `--`, or a `node` in the spec";
        return Err(Error::permanent("nothing-to-drain", text));
    }
    let controller = spec.controller.as_ref().map(|it| Controller::new(it, &spec.worker)).transpose()?;
    let launch = if words.is_empty() { None } else { Some(Launch::once(words)) };
    Ok(supervise(spec, admin, launch, None, controller).await?.code)
}

/// Runs the agent with what it was given to its end. `socket` is where the worker answers about its work.
///
/// # Errors
/// An address that cannot be listened on, a worker that cannot be started.
pub(crate) async fn supervise(
    spec: DrainSpec,
    admin: Option<AdminAddress>,
    launch: Option<Launch>,
    socket: Option<PathBuf>,
    controller: Option<Controller>,
) -> Result<Ended> {
    let metrics = Metrics::new();
    let counted = Counted::new(&metrics);
    let stop = Stop::new();
    let admin = admin.map(|address| serve(&address, metrics, &stop)).transpose()?;

    let (sender, heard) = mpsc::channel(16);
    let mut listeners = vec![tokio::spawn(notices::watch(spec.notices.clone(), sender.clone()))];
    let works = socket.map(|socket| {
        let (tell, works) = watch::channel(None);
        listeners.push(tokio::spawn(work::watch(socket, tell)));
        works
    });
    let reports = controller.map(|controller| {
        let (tell, told) = watch::channel(DrainState::default().report(Phase::Working, Vec::new(), now_ms()));
        listeners.push(tokio::spawn(controller.clone().orders(sender.clone())));
        (tell, tokio::spawn(controller.reports(told, works)))
    });
    // Before there is a worker: a signal must find somebody who passes it on.
    let waits = match spec.notices {
        Notices::Runpod { notice_seconds } => Some(notice_seconds),
        _ => None,
    };
    listeners.push(tokio::spawn(notices::signals(waits, sender)?));

    let worker = launch.map(Worker::start).transpose()?;
    let alone = worker.is_none();
    let mut agent = Agent { spec, alone, state: DrainState::default(), counted, reports, last: None };
    let code = agent.run(heard, worker).await;
    for listener in listeners {
        listener.abort();
    }
    stop.stop();
    if let Some(admin) = admin {
        let _ = tokio::time::timeout(Duration::from_secs(2), admin).await;
    }
    let left = agent.state.reason().is_some_and(|it| it != Reason::Ended);
    code.map(|code| Ended { code, left })
}

fn read(path: &Path) -> Result<DrainSpec> {
    let file = path.display();
    let text = std::fs::read(path)
        .map_err(|error| Error::permanent("spec-missing", format!("{file} cannot be read")).because(error))?;
    let mut spec: DrainSpec = serde_json::from_slice(&text).map_err(|error| {
        Error::permanent("spec-invalid", format!("{file} is no spec of a drain agent")).because(error)
    })?;
    spec.complete(|name| std::env::var(name).ok())
        .map_err(|what| Error::permanent("spec-invalid", format!("{file}: {what}")))?;
    Ok(spec)
}

fn serve(address: &AdminAddress, metrics: Metrics, stop: &Stop) -> Result<JoinHandle<()>> {
    let router = axum::Router::new().route("/livez", axum::routing::get(|| async { "ok\n" })).route(
        "/metrics",
        axum::routing::get(|| async move { streamverse_core::run::metrics_page(&metrics) }),
    );
    let (stop, limits) = (stop.clone(), Limits { drain: Duration::from_secs(1), ..Limits::default() });
    Ok(match address {
        AdminAddress::Tcp(address) => {
            let listener = http::listen(*address)?;
            tokio::spawn(async move { http::serve_tcp(listener, router, limits, &stop).await })
        }
        AdminAddress::Unix(path) => {
            let listener = listen_unix(path)?;
            tokio::spawn(async move { http::serve_unix(listener, router, limits, &stop).await })
        }
    })
}

/// What follows from a notice.
#[derive(PartialEq)]
enum Then {
    GoOn,
    End,
}

struct Agent {
    spec: DrainSpec,
    /// Whether there is a node to drain and no worker of our own.
    alone: bool,
    state: DrainState,
    counted: Counted,
    reports: Option<(watch::Sender<streamverse_model::compute::Report>, JoinHandle<()>)>,
    /// How the cloud is told that we are done, and it may take the instance at once.
    last: Option<notices::Release>,
}

impl Agent {
    async fn run(&mut self, mut heard: mpsc::Receiver<Notice>, mut worker: Option<Worker>) -> Result<u8> {
        let mut draining: Option<node::Draining> = None;
        let mut left: Vec<String> = Vec::new();
        let (mut closed, mut overrun, mut failed) = (false, false, None);
        while !(self.state.is_leaving() && worker.is_none() && draining.is_none()) {
            // A node's drain knows its own end.
            let limit = self.state.until_ms().filter(|_| worker.is_some());
            tokio::select! {
                notice = heard.recv(), if !closed => match notice {
                    None => closed = true,
                    Some(notice) => {
                        if self.hear(&notice, worker.as_mut(), &mut draining) == Then::End {
                            return Ok(0);
                        }
                    }
                },
                code = ended(worker.as_mut()) => {
                    worker = None;
                    if self.state.is_leaving() {
                        // 143 is a worker that SIGTERM ends, which has nothing to finish.
                        if !matches!(code, 0 | 143) {
                            warn!(code, "The worker failed while it finished.");
                            overrun = true;
                        }
                    } else {
                        self.counted.left(Reason::Ended);
                        self.state.leave(Reason::Ended, Some(now_ms()), 0, now_ms());
                        info!(code, "The worker ended by itself.");
                        failed = Some(code);
                    }
                }
                pods = node::done(draining.as_mut()) => {
                    draining = None;
                    left = pods;
                }
                () = until(limit) => {
                    if let Some(worker) = worker.take() {
                        worker.kill().await;
                        overrun = true;
                    }
                }
            }
        }
        let phase = if overrun || !left.is_empty() { Phase::Overrun } else { Phase::Drained };
        self.end(phase, left).await;
        if let Some(code) = failed {
            return Ok(code);
        }
        // Without a worker this is a pod of a DaemonSet: one that ends is started again, so it waits for its node.
        if self.alone && !closed {
            while let Some(notice) = heard.recv().await {
                if notice.reason == Reason::Signalled {
                    break;
                }
            }
        }
        Ok(u8::from(phase == Phase::Overrun))
    }

    /// A notice, and what it asks for.
    fn hear(
        &mut self,
        notice: &Notice,
        worker: Option<&mut Worker>,
        draining: &mut Option<node::Draining>,
    ) -> Then {
        self.counted.noticed(notice.reason);
        let advice = notice.reason == Reason::Rebalance && !self.spec.drain_on_rebalance;
        if advice {
            info!("The cloud recommends to rebalance: an interruption is likelier than usual.");
            let phase = if self.state.is_leaving() { Phase::Draining } else { Phase::Working };
            let mut told = self.state.report(phase, Vec::new(), now_ms());
            told.reason.get_or_insert(Reason::Rebalance);
            self.say(told);
            return Then::GoOn;
        }
        if notice.reason == Reason::Signalled && self.alone {
            // The agent itself is replaced; its node stays.
            return Then::End;
        }
        if notice.release.is_some() {
            self.last.clone_from(&notice.release);
        }
        let first = !self.state.is_leaving();
        // Who says it twice does not want to wait.
        let insists = notice.reason == Reason::Signalled && self.state.reason() == Some(Reason::Signalled);
        let gone_ms = if insists { Some(now_ms()) } else { notice.gone_ms };
        let drain_seconds = notice.seconds.unwrap_or(self.spec.drain_seconds);
        if !self.state.leave(notice.reason, gone_ms, drain_seconds, now_ms()) {
            return Then::GoOn;
        }
        let until_ms = self.state.until_ms().unwrap_or_default();
        let seconds = until_ms.saturating_sub(now_ms()) / 1000;
        info!(reason = notice.reason.as_str(), seconds, "This worker leaves.");
        if first {
            self.counted.left(notice.reason);
            if let Some(worker) = worker {
                worker.stop();
            }
        }
        if let Some(node) = self.spec.node.as_ref().filter(|_| notice.reason != Reason::Signalled) {
            match draining {
                Some(draining) => draining.hurry(until_ms),
                None => *draining = Some(node::Draining::begin(node.clone(), notice.reason, until_ms)),
            }
        }
        self.say(self.state.report(Phase::Draining, Vec::new(), now_ms()));
        Then::GoOn
    }

    fn say(&self, report: streamverse_model::compute::Report) {
        if let Some((tell, _)) = &self.reports {
            let _ = tell.send(report);
        }
    }

    /// The last words, to whoever waits for them.
    async fn end(&mut self, phase: Phase, left: Vec<String>) {
        if phase == Phase::Overrun {
            self.counted.overrun();
            warn!(?left, "The time is over: what was not finished was ended.");
        } else {
            info!("Everything is finished.");
        }
        let report = self.state.report(phase, left, now_ms());
        self.counted.drained(report.drained_ms);
        self.say(report);
        if let Some(release) = self.last.take() {
            release.release().await;
        }
        if let Some((tell, sending)) = self.reports.take() {
            drop(tell);
            let _ = tokio::time::timeout(LAST_WORDS, sending).await;
        }
    }
}

async fn ended(worker: Option<&mut Worker>) -> u8 {
    match worker {
        Some(worker) => worker.ended().await,
        None => std::future::pending().await,
    }
}

async fn until(instant_ms: Option<u64>) {
    match instant_ms {
        Some(ms) => tokio::time::sleep(Duration::from_millis(ms.saturating_sub(now_ms()))).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it must be")]

    use super::*;

    #[tokio::test]
    async fn advice_to_rebalance_in_the_middle_of_a_drain_does_not_have_the_worker_say_that_it_works() {
        let state = DrainState::default();
        let (tell, told) = watch::channel(state.report(Phase::Working, Vec::new(), now_ms()));
        let mut agent = Agent {
            spec: serde_json::from_str(r#"{"worker":"sv-live-gpu-1"}"#).unwrap(),
            alone: false,
            state,
            counted: Counted::new(&Metrics::new()),
            reports: Some((tell, tokio::spawn(async {}))),
            last: None,
        };
        let says = |agent: &mut Agent, reason| {
            let notice = Notice { reason, gone_ms: None, seconds: None, release: None };
            assert!(agent.hear(&notice, None, &mut None) == Then::GoOn);
            let told = told.borrow().clone();
            (told.phase, told.reason, told.until_ms.is_some())
        };
        let advised = says(&mut agent, Reason::Rebalance);
        assert_eq!(advised, (Phase::Working, Some(Reason::Rebalance), false));
        let leaves = (Phase::Draining, Some(Reason::ScaleIn), true);
        assert_eq!(says(&mut agent, Reason::ScaleIn), leaves);
        assert_eq!(says(&mut agent, Reason::Rebalance), leaves);
    }
}
