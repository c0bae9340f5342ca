//! A service inside of the agent: a thread and a runtime of its own, so that neither its panic nor what it left behind
//! touches anybody else.
//!
//! It is started, asked and told to stop as a process is: it reads the same files, answers on the same socket and writes
//! the same outcome. What a process of its own has beyond that, it has not: it ends with the agent, its memory has no limit
//! of its own, and what aborts (a stack that overflows, memory that nobody has) takes the agent with it.

use std::cell::RefCell;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use streamverse_core::run::{RunOptions, run_told};
use streamverse_core::{Error, Result, Stop, TargetTable, telemetry};
use tracing::dispatcher::DefaultGuard;

/// Threads for what does not block: such a host has few cores, and many services.
const THREADS: usize = 2;
/// Threads for what blocks.
const BLOCKING: usize = 32;
/// How long threads that hang in a system call are waited for.
const HANGING: Duration = Duration::from_secs(2);

/// A service that runs inside of the agent.
pub(crate) struct Inside {
    pub(crate) fingerprint: String,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Inside {
    /// Starts it; how it ends is in the outcome of the options.
    pub(crate) fn start(
        options: RunOptions,
        table: TargetTable,
        log: &Path,
        fingerprint: &str,
    ) -> Result<Inside> {
        crate::process::rotate(log);
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let lines = telemetry::lines_to(file.map_err(|error| crate::files::failed(log, error))?);
        let failed = |error| Error::passing("start-failed", "there are no threads").because(error);
        let own = lines.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(BLOCKING)
            .thread_name(options.target.clone())
            .on_thread_start(move || write_to(&own))
            .enable_all()
            .build()
            .map_err(failed)?;
        let stop = Stop::new();
        let told = stop.clone();
        let work = move || {
            write_to(&lines);
            runtime.block_on(run_told(&options, table, &told));
            // Whatever it spawned ends here, with the locks and sockets that it held.
            runtime.shutdown_timeout(HANGING);
        };
        let thread = std::thread::Builder::new().spawn(work).map_err(failed)?;
        Ok(Inside { fingerprint: fingerprint.to_owned(), stop, thread: Some(thread) })
    }

    /// Whether it runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Tells it to stop and waits for it; whether it ended in time. A thread cannot be ended from outside.
    pub(crate) async fn stop(&mut self, patience: Duration) -> bool {
        self.stop.stop();
        let until = tokio::time::Instant::now() + patience + HANGING + Duration::from_secs(5);
        while self.is_alive() {
            if tokio::time::Instant::now() > until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        true
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// Has this thread write its lines there, as long as it lives.
fn write_to(lines: &tracing::Dispatch) {
    thread_local! {
        static HELD: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
    }
    let guard = tracing::dispatcher::set_default(lines);
    HELD.with(|held| held.replace(Some(guard)));
}
