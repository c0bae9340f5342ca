//! Processes that outlive us: started in groups of their own with their logs in files, found again by what the kernel
//! says of them.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};
use streamverse_core::{Error, Result};

use crate::files::User;

/// A log past this is begun anew; the one before stays.
const LARGEST_LOG: u64 = 16 << 20;

/// How a process is started.
#[derive(Clone, Debug)]
pub(crate) struct Start<'a> {
    pub(crate) program: &'a Path,
    pub(crate) args: &'a [String],
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) dir: &'a Path,
    pub(crate) log: &'a Path,
    pub(crate) user: Option<User>,
    /// Not our child from the beginning: Traffic Server's manager ends itself when its parent changes.
    pub(crate) orphan: bool,
}

/// A process as it is remembered on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// Ticks since boot, field 22 of /proc/PID/stat.
    started: u64,
    boot: String,
    /// Of what it was started with.
    pub(crate) fingerprint: String,
}

/// A process that we keep: a child, or one that an earlier agent started.
pub(crate) struct Process {
    pub(crate) identity: Identity,
    child: Option<Child>,
}

impl Process {
    pub(crate) fn start(start: &Start<'_>, fingerprint: &str) -> Result<Process> {
        rotate(start.log);
        let open = || OpenOptions::new().create(true).append(true).open(start.log);
        let log = open().map_err(|error| crate::files::failed(start.log, error))?;
        let errors = log.try_clone().map_err(|error| crate::files::failed(start.log, error))?;
        let pid_file = start.dir.join("pid");
        let mut command = if start.orphan {
            // The shell ends at once, and what it started is init's child.
            let mut shell = Command::new("sh");
            shell.args(["-c", "setsid \"$@\" & echo $! > pid", "sh"]).arg(start.program);
            let _ = std::fs::remove_file(&pid_file);
            shell
        } else {
            Command::new(start.program)
        };
        command.args(start.args).current_dir(start.dir).stdin(Stdio::null()).stdout(log).stderr(errors);
        command.process_group(0).env_clear().envs(start.env);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for name in [
            "STREAMVERSE_LOG",
            "STREAMVERSE_LOG_FORMAT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "LANG",
            "RUST_BACKTRACE",
        ] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(user) = start.user {
            command.uid(user.uid).gid(user.gid);
        }
        if start.orphan && !start.program.is_absolute() && !on_path(start.program) {
            return Err(Error::permanent(
                "binary-missing",
                format!("there is no {} on this host", start.program.display()),
            ));
        }
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::permanent(
                "binary-missing",
                format!("there is no {} on this host", start.program.display()),
            ),
            _ => Error::passing("start-failed", format!("{} cannot be started", start.program.display()))
                .because(error),
        })?;
        let mut pid = child.id();
        let mut child = if start.orphan {
            let _ = child.wait();
            let told = std::fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse().ok());
            pid = told.ok_or_else(|| {
                Error::passing("start-failed", format!("{} was not started", start.program.display()))
            })?;
            None
        } else {
            Some(child)
        };
        let Some(started) = started(pid) else {
            if let Some(child) = &mut child {
                let _ = child.wait();
            }
            return Err(Error::passing("crashed", format!("{} ended at once", start.program.display())));
        };
        let identity = Identity { pid, started, boot: boot(), fingerprint: fingerprint.to_owned() };
        Ok(Process { identity, child })
    }

    /// The process of that identity, if it still runs.
    pub(crate) fn adopt(identity: Identity) -> Option<Process> {
        let process = Process { identity, child: None };
        process.runs().then_some(process)
    }

    fn runs(&self) -> bool {
        self.identity.boot == boot() && started(self.identity.pid) == Some(self.identity.started)
    }

    /// Whether it runs; reaps it when it does not.
    pub(crate) fn is_alive(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => self.runs(),
        }
    }

    /// Asks it to end, and ends it and its group when it has not within `patience`.
    pub(crate) async fn stop(&mut self, patience: Duration) {
        self.signal(Signal::TERM, false);
        let until = tokio::time::Instant::now() + patience;
        while self.is_alive() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // What it left in its group goes too.
        self.signal(Signal::KILL, true);
        for _ in 0..100 {
            if !self.is_alive() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn signal(&self, signal: Signal, group: bool) {
        let pid = i32::try_from(self.identity.pid).ok().and_then(Pid::from_raw);
        // A process id that was given to somebody else is not ours to signal.
        if let Some(pid) = pid.filter(|_| group || self.runs()) {
            let _ = if group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
        }
    }
}

fn on_path(program: &Path) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

fn rotate(log: &Path) {
    if std::fs::metadata(log).is_ok_and(|about| about.len() > LARGEST_LOG) {
        let _ = std::fs::rename(log, PathBuf::from(format!("{}.1", log.display())));
    }
}

fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let mut rest = stat.get(stat.rfind(')')? + 2..)?.split(' ');
    if rest.next()? == "Z" {
        return None;
    }
    rest.nth(18)?.parse().ok()
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_found_again_and_a_reused_id_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (args, env) = (["60".to_owned()], BTreeMap::new());
        let log = folder.path().join("log");
        let start = Start {
            program: Path::new("sleep"),
            args: &args,
            env: &env,
            dir: folder.path(),
            log: &log,
            user: None,
            orphan: false,
        };
        let mut process = Process::start(&start, "x").unwrap();
        let identity = process.identity.clone();
        assert!(Process::adopt(identity.clone()).is_some());
        assert!(Process::adopt(Identity { started: 1, ..identity.clone() }).is_none());
        process.stop(Duration::from_secs(5)).await;
        assert!(!process.is_alive() && Process::adopt(identity).is_none());
    }
}
