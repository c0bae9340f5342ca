//! One service or job as a process: reads its spec, starts it, answers on its admin address, stops it when told.
//!
//! | path | answer |
//! |---|---|
//! | `/livez` | 200 while the process works |
//! | `/readyz` | 200 when it serves, 503 before and while it drains |
//! | `/metrics` | its counters (OpenMetrics text) |
//! | `/news` | what a job told so far, as [`JobNews`] |

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use futures::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tracing::{Instrument as _, debug_span, error, info, warn};

use crate::context::ServiceContext;
use crate::error::{Error, Result};
use crate::http::{self, Limits};
use crate::lifecycle::{Ready, Stop};
use crate::metrics::Metrics;
use crate::target::{JobHandle, JobNews, Start, Target, TargetTable};
use crate::telemetry::SPANS;

/// What Kubernetes keeps of a container's termination message, and what a status' result may be.
pub const LARGEST_RESULT: usize = 4 << 10;

/// Where a process answers about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// A Unix socket: nodes.
    Unix(PathBuf),
    /// A TCP address: pods.
    Tcp(SocketAddr),
}

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<AdminAddress, String> {
        match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => Ok(AdminAddress::Unix(path.into())),
            Some(("tcp", address)) => address
                .parse()
                .map(AdminAddress::Tcp)
                .map_err(|_| format!("{address:?} is no address: write tcp:0.0.0.0:9000")),
            _ => Err(format!("{text:?} must be unix:/PATH or tcp:ADDRESS:PORT")),
        }
    }
}

/// What a process is to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The row of the target table.
    pub target: String,
    /// A file with the spec as JSON.
    pub spec: PathBuf,
    /// A file with the [`ServiceContext`] as JSON.
    pub context: PathBuf,
    /// Where it answers about itself.
    pub admin: AdminAddress,
    /// Where a job writes how it ended, as [`JobEnd`].
    pub outcome: Option<PathBuf>,
}

/// How a job (or a service that ended by itself) ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEnd {
    /// What it made.
    Succeeded(Value),
    /// Why it did not.
    Failed {
        /// Stable and for programs.
        code: String,
        /// For a person.
        message: String,
        /// Whether it may succeed if run again.
        retry: bool,
    },
}

/// Keeps what this process holds in memory, keys and passwords among it, out of files and from other processes of its user,
/// such as an engine that strangers talk to. Nothing dumps its core, not even to a program that the kernel would pipe it to,
/// which no limit prevents; nobody but root reads its memory or its environment, or traces it (prctl(2), PR_SET_DUMPABLE).
pub fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Tools inherit the limit; the other one ends where they begin.
    let done = setrlimit(Resource::Core, none).and(set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = done {
        warn!(%error, "A crash may leave what is in memory in a file.");
    }
}

/// Runs a target to its end and returns how it ended. SIGTERM and SIGINT tell it to stop; `drain` is how long it may take then,
/// where whoever started it waits longer than a site does. `tied` tells it to stop at the end of its input, too.
pub async fn run(options: RunOptions, drain: Option<Duration>, tied: bool, table: TargetTable) -> JobEnd {
    let stop = drain.map_or_else(Stop::new, Stop::patient);
    let signals = tokio::spawn(stop_at_signals(stop.clone()));
    if tied {
        stop_at_end(std::io::stdin(), stop.clone());
    }
    let end = run_told(&options, table, &stop).await;
    signals.abort();
    end
}

/// Runs a target until it ends or `stop` tells it to, and writes how it ended. No signal is listened to: for a process that
/// runs several.
pub async fn run_told(options: &RunOptions, table: TargetTable, stop: &Stop) -> JobEnd {
    let end = match run_until(options, table, stop).await {
        Ok(value) => JobEnd::Succeeded(value),
        Err(failure) => {
            error!(code = failure.code, retry = failure.retry, error = %failure.chain(), "The target failed.");
            JobEnd::Failed { code: failure.code.to_owned(), message: failure.chain(), retry: failure.retry }
        }
    };
    if let Some(path) = &options.outcome
        && let Err(failure) = write_outcome(path, &end)
    {
        error!(error = %failure, path = %path.display(), "How it ended cannot be written.");
    }
    end
}

/// Runs a target until it ends or `stop` tells it to.
///
/// # Errors
/// A spec or context that cannot be read, an unknown target, whatever the target failed with; a panic is `panicked`.
pub async fn run_until(options: &RunOptions, table: TargetTable, stop: &Stop) -> Result<Value> {
    let spec: Value = read_json(&options.spec)?;
    let mut cx: ServiceContext = read_json(&options.context)?;
    cx.metrics = Metrics::new();
    let target = find(table, &options.target)?;
    let (ready, is_ready) = Ready::new();
    let handle = JobHandle::new();
    let admin = Admin { ready: is_ready, metrics: cx.metrics.clone(), news: handle.clone() };
    let admin_stop = Stop::new();
    let admin = serve_admin(&options.admin, admin, &admin_stop)?;
    let outcome = supervise(target, spec, cx, ready, handle, stop).await;
    admin_stop.stop();
    let _ = tokio::time::timeout(Duration::from_secs(5), admin).await;
    if let AdminAddress::Unix(path) = &options.admin {
        let _ = std::fs::remove_file(path);
    }
    outcome
}

/// Starts a target and sees it through, with its panics as errors.
///
/// # Errors
/// Whatever the target failed with; a panic is `panicked`.
pub async fn supervise(
    target: &Target,
    spec: Value,
    cx: ServiceContext,
    ready: Ready,
    handle: JobHandle,
    stop: &Stop,
) -> Result<Value> {
    info!(target = target.name, owner = %cx.owner, "Starting.");
    let work = async {
        match target.start {
            Start::Service(start) => {
                let service = tokio::select! {
                    started = start(spec, cx) => started?,
                    () = stop.stopped() => return Ok(Value::Null),
                };
                service.run(ready, stop.clone()).await.map(|()| Value::Null)
            }
            Start::Job(start) => {
                let span = debug_span!(target: SPANS, "job", job = target.name, owner = %cx.owner);
                let job = start(spec, cx).await?;
                ready.set(true);
                job.run(handle, stop.clone()).instrument(span).await
            }
        }
    };
    let outcome = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)));
    info!(target = target.name, "Stopped.");
    outcome
}

/// The error of a panic.
pub fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Error::passing("panicked", format!("it panicked, which is a bug of ours: {text}"))
}

/// The row of a target.
///
/// # Errors
/// `unknown-target`, naming those that there are.
pub fn find<'t>(table: &'t [Target], name: &str) -> Result<&'t Target> {
    table.iter().find(|target| target.name == name).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|target| target.name).collect();
        Error::permanent(
            "unknown-target",
            format!("this binary has no target {name:?}; it has {}", names.join(", ")),
        )
    })
}

#[derive(Clone)]
struct Admin {
    ready: watch::Receiver<bool>,
    metrics: Metrics,
    news: JobHandle,
}

fn serve_admin(address: &AdminAddress, admin: Admin, stop: &Stop) -> Result<tokio::task::JoinHandle<()>> {
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(|State(admin): State<Admin>| async move { metrics_page(&admin.metrics) }))
        .route("/news", get(|State(admin): State<Admin>| async move { Json::<JobNews>(admin.news.news()) }))
        .with_state(admin);
    let (stop, limits) = (stop.clone(), Limits { drain: Duration::from_secs(1), ..Limits::default() });
    match address {
        AdminAddress::Tcp(address) => {
            let listener = http::listen(*address)?;
            Ok(tokio::spawn(async move { http::serve_tcp(listener, router, limits, &stop).await }))
        }
        AdminAddress::Unix(path) => {
            let listener = listen_unix(path)?;
            Ok(tokio::spawn(async move { http::serve_unix(listener, router, limits, &stop).await }))
        }
    }
}

/// Listens on a Unix socket that only its owner may connect to; a stale socket at the path is replaced.
///
/// # Errors
/// When the path cannot be listened on.
pub fn listen_unix(path: &Path) -> Result<tokio::net::UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |error: std::io::Error| {
        Error::passing("listen", format!("{} cannot be listened on", path.display())).because(error)
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = tokio::net::UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if *admin.ready.borrow() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

/// The answer of `/metrics`.
pub fn metrics_page(metrics: &Metrics) -> impl axum::response::IntoResponse + use<> {
    ([("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
}

async fn stop_at_signals(stop: Stop) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    info!("Told to stop.");
    stop.stop();
}

/// Tells to stop when what is read ends: nobody holds the other end of the pipe any more, however they went.
fn stop_at_end(mut input: impl std::io::Read + Send + 'static, stop: Stop) {
    let read = move || {
        let ended = std::io::copy(&mut input, &mut std::io::sink());
        info!(error = ended.err().map(tracing::field::display), "Whoever started it is gone.");
        stop.stop();
    };
    // Not one of the runtime's, which would wait for it at the end of the process.
    if let Err(error) = std::thread::Builder::new().name("input".to_owned()).spawn(read) {
        warn!(%error, "Nobody will see when whoever started it goes.");
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let file = path.display();
    let text = std::fs::read(path)
        .map_err(|error| Error::permanent("spec-missing", format!("{file} cannot be read")).because(error))?;
    serde_json::from_slice(&text).map_err(|error| {
        Error::permanent("spec-invalid", format!("{file} is not what this version expects")).because(error)
    })
}

fn write_outcome(path: &Path, end: &JobEnd) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(end)?;
    if text.len() > LARGEST_RESULT {
        let message = format!("its result has {} bytes, more than {LARGEST_RESULT}", text.len());
        text = serde_json::to_vec(&JobEnd::Failed {
            code: "result-too-large".to_owned(),
            message,
            retry: false,
        })?;
    }
    // A pod's termination log is a file that cannot be replaced, so it is written in place.
    if path.parent().is_some_and(|folder| folder == Path::new("/dev")) {
        return std::fs::write(path, text);
    }
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text)?;
    std::fs::rename(fresh, path)
}

#[cfg(test)]
mod tests;
