//! The worker that the agent runs: a child in a process group of its own.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use streamverse_core::{Error, Result};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::Instant;
use tracing::warn;

/// How often a worker that ends by itself is started again without having run for [`SETTLED`] meanwhile.
const ATTEMPTS: u32 = 8;
/// Who ran so long has nothing wrong with its start.
const SETTLED: Duration = Duration::from_secs(600);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The code of a target that would fail again: a wrong spec, for example.
const PERMANENT: u8 = 2;

/// What is started, and how.
pub(crate) struct Launch {
    /// The program and its arguments.
    pub(crate) words: Vec<OsString>,
    /// Variables of our environment that it does not get.
    pub(crate) without: Vec<&'static str>,
    /// Whether it is started again when it ends by itself.
    pub(crate) again: bool,
    /// Whether its input is a pipe that ends with us: a worker that heeds that does not outlive an agent that is killed.
    pub(crate) tied: bool,
}

impl Launch {
    /// With our own environment, and once.
    pub(super) fn once(words: &[OsString]) -> Launch {
        Launch { words: words.to_vec(), without: Vec::new(), again: false, tied: false }
    }

    fn child(&self) -> Result<Child> {
        let failed = |text: String| Error::permanent("worker", text);
        let (program, args) =
            self.words.split_first().ok_or_else(|| failed("no worker is named".to_owned()))?;
        let mut command = Command::new(program);
        // A group, so that a shell around the worker does not keep signals from it.
        command.args(args).process_group(0).kill_on_drop(true);
        if self.tied {
            command.stdin(Stdio::piped());
        }
        for name in &self.without {
            command.env_remove(name);
        }
        command.spawn().map_err(|error| {
            failed(format!("the worker {} cannot be started", program.display())).because(error)
        })
    }
}

/// A running worker.
pub(super) struct Worker {
    launch: Launch,
    child: Child,
    /// Nothing is written to it. It is held, because whoever waits for a child closes its input.
    input: Option<ChildStdin>,
    /// Its process group, while it runs.
    group: Option<Pid>,
    since: Instant,
    attempts: u32,
    /// The code that it ended with, and when it is started again.
    rests: Option<(u8, Instant)>,
    stopping: bool,
}

impl Worker {
    /// Starts it with our own streams.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(launch: Launch) -> Result<Worker> {
        let mut child = launch.child()?;
        let (group, input) = (group_of(&child), child.stdin.take());
        let since = Instant::now();
        Ok(Worker { launch, child, input, group, since, attempts: 0, rests: None, stopping: false })
    }

    /// Tells it to finish.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.signal(Signal::TERM);
    }

    /// Ends it, and what it started.
    pub(super) async fn kill(mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
    }

    /// The code that it ended with, for good; 128 and the signal's number when one ended it, as shells have it. Whoever stops
    /// waiting may begin again.
    pub(super) async fn ended(&mut self) -> u8 {
        loop {
            if let Some((code, again)) = self.rests {
                if self.stopping {
                    return code;
                }
                tokio::time::sleep_until(again).await;
                match self.launch.child() {
                    Ok(mut child) => {
                        (self.group, self.input) = (group_of(&child), child.stdin.take());
                        self.child = child;
                        (self.since, self.rests) = (Instant::now(), None);
                    }
                    Err(error) => {
                        warn!(error = %error.chain(), "The worker is not started again.");
                        return code;
                    }
                }
            }
            let code = self.exited().await;
            self.group = None;
            if self.since.elapsed() >= SETTLED {
                self.attempts = 0;
            }
            if self.stopping || !self.launch.again || code == PERMANENT || self.attempts == ATTEMPTS {
                return code;
            }
            self.attempts += 1;
            let pause = Duration::from_secs(1 << self.attempts.min(6)).min(LONGEST_PAUSE);
            let pause = pause.mul_f64(rand::random_range(0.5..1.0));
            warn!(code, seconds = pause.as_secs(), "The worker ended by itself; it is started again.");
            self.rests = Some((code, Instant::now() + pause));
        }
    }

    async fn exited(&mut self) -> u8 {
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

fn group_of(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}
