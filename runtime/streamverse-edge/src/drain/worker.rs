//! The worker that the agent runs: a child in a process group of its own.

use std::ffi::OsString;

use rustix::process::{Pid, Signal, kill_process_group};
use streamverse_core::{Error, Result};
use tokio::process::{Child, Command};
use tracing::warn;

/// A running worker.
pub(super) struct Worker {
    child: Child,
    group: Option<Pid>,
}

impl Worker {
    /// Starts it with our own environment and streams.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(words: &[OsString]) -> Result<Worker> {
        let failed = |text: String| Error::permanent("worker", text);
        let (program, args) = words.split_first().ok_or_else(|| failed("no worker is named".to_owned()))?;
        // A group, so that a shell around the worker does not keep signals from it.
        let child = Command::new(program).args(args).process_group(0).kill_on_drop(true).spawn();
        let child = child.map_err(|error| {
            failed(format!("the worker {} cannot be started", program.display())).because(error)
        })?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Worker { child, group })
    }

    /// Tells it to finish.
    pub(super) fn stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it, and what it started.
    pub(super) async fn kill(mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
    }

    /// The code that it ended with; 128 and the signal's number when one ended it, as shells have it.
    pub(super) async fn ended(&mut self) -> u8 {
        use std::os::unix::process::ExitStatusExt as _;
        match self.child.wait().await {
            Ok(status) => {
                let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
                code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
            }
            Err(error) => {
                warn!(%error, "The worker was lost.");
                1
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group
            && let Err(error) = kill_process_group(group, signal)
        {
            warn!(%error, "The worker cannot be told.");
        }
    }
}
