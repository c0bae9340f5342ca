//! Processes that outlive us: started in groups of their own with their logs in files, found again by what the kernel
//! says of them.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};
use streamverse_core::{Error, Result};

use crate::files::User;

/// A log past this is begun anew; the one before stays.
pub(crate) const LARGEST_LOG: u64 = 16 << 20;
/// Of one engine, when its memory is added up.
const MOST_CHILDREN: usize = 64;

/// How a process is started.
#[derive(Clone, Debug)]
pub(crate) struct Start<'a> {
    pub(crate) program: &'a Path,
    pub(crate) args: &'a [String],
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) dir: &'a Path,
    pub(crate) log: &'a Path,
    pub(crate) user: Option<User>,
    pub(crate) roof: Roof,
    /// Not our child from the beginning: Traffic Server's manager ends itself when its parent changes.
    pub(crate) orphan: bool,
}

/// What the kernel lets a process have at most, from its first instruction on. It never dumps core: that holds secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roof {
    /// Private memory that it may reserve, in bytes (RLIMIT_DATA, setrlimit(2)).
    pub(crate) data: u64,
    /// Open files.
    pub(crate) files: u64,
}

/// What a process reserves and never touches: the kernel counts the stacks of all its threads in full (tokio has up to
/// 512 for what blocks, of 2 MiB each), so that what is reserved says little about what is held.
const RESERVED: u64 = (1 << 30) + (512 << 20);

impl Roof {
    /// Of something that may hold so many bytes. What it really holds is watched by its keeper, which is quicker to see and
    /// slower to act; this is for what takes all memory between two looks.
    pub(crate) fn over(memory: u64, files: u64) -> Roof {
        Roof { data: memory.saturating_add(RESERVED), files }
    }

    /// The words of a shell that set it. Nobody can be given more than we have ourselves.
    fn words(self) -> (String, String) {
        use rustix::process::{Resource, getrlimit};
        let least = |wanted: u64, of: Resource| getrlimit(of).maximum.map_or(wanted, |most| wanted.min(most));
        let data = least(self.data, Resource::Data) >> 10;
        (data.to_string(), least(self.files, Resource::Nofile).to_string())
    }
}

/// Lowers the limits of what is started, then becomes it: `sh -c … sh DATA_KIB FILES PROGRAM ARGS…`. The soft limit on
/// memory alone is set, so that a changed one can be given to a running process.
const LIMITED: &str = "ulimit -c 0; ulimit -S -d \"$1\"; ulimit -n \"$2\"; shift 2; ";

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
    /// How it ended, where it was our child.
    ended: Option<ExitStatus>,
}

impl Process {
    pub(crate) fn start(start: &Start<'_>, fingerprint: &str) -> Result<Process> {
        rotate(start.log);
        let open = || OpenOptions::new().create(true).append(true).open(start.log);
        let log = open().map_err(|error| crate::files::failed(start.log, error))?;
        let missing = || {
            let text = format!("there is no {} on this host", start.program.display());
            Error::permanent("binary-missing", text)
        };
        if !exists(start.program) {
            return Err(missing());
        }
        // The shell of an orphan ends at once, and what it started is init's child; its id comes through a pipe, which
        // nobody but the two has.
        let last = if start.orphan { "setsid \"$@\" >&2 & echo $!" } else { "exec \"$@\"" };
        let (data, files) = start.roof.words();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{LIMITED}{last}"), "sh", &data, &files]).arg(start.program);
        command.args(start.args).current_dir(start.dir).stdin(Stdio::null());
        if start.orphan {
            command.stdout(Stdio::piped());
        } else {
            command.stdout(log.try_clone().map_err(|error| crate::files::failed(start.log, error))?);
        }
        command.stderr(log);
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
        let not_started =
            || Error::passing("start-failed", format!("{} cannot be started", start.program.display()));
        let mut child = command.spawn().map_err(|error| not_started().because(error))?;
        let mut pid = child.id();
        let mut child = if start.orphan {
            let said = child.wait_with_output().map_err(|error| not_started().because(error))?;
            let told = String::from_utf8_lossy(&said.stdout).trim().parse().ok();
            pid = told.ok_or_else(not_started)?;
            None
        } else {
            child.stdin = None;
            Some(child)
        };
        let Some(started) = started(pid) else {
            if let Some(child) = &mut child {
                let _ = child.wait();
            }
            return Err(Error::passing("crashed", format!("{} ended at once", start.program.display())));
        };
        let identity = Identity { pid, started, boot: boot(), fingerprint: fingerprint.to_owned() };
        Ok(Process { identity, child, ended: None })
    }

    /// The process of that identity, if it still runs.
    pub(crate) fn adopt(identity: Identity) -> Option<Process> {
        let process = Process { identity, child: None, ended: None };
        process.runs().then_some(process)
    }

    fn runs(&self) -> bool {
        self.identity.boot == boot() && started(self.identity.pid) == Some(self.identity.started)
    }

    /// Whether it runs; reaps it when it does not.
    pub(crate) fn is_alive(&mut self) -> bool {
        match &mut self.child {
            Some(child) => match child.try_wait() {
                Ok(None) => true,
                Ok(ended) => {
                    self.ended = ended;
                    false
                }
                Err(_) => false,
            },
            None => self.runs(),
        }
    }

    /// How it ended, where that can be known: `signal: 9 (SIGKILL)`.
    pub(crate) fn ended(&self) -> Option<String> {
        self.ended.map(|status| status.to_string())
    }

    /// Gives a running process another roof over its memory.
    pub(crate) fn limit(&self, roof: Roof) {
        use rustix::process::{Resource, Rlimit, prlimit};
        let (data, _) = roof.words();
        let soft = data.parse::<u64>().ok().map(|kib| kib << 10);
        // The hard limit stays: without it nobody but root may raise the soft one again.
        let hard = rustix::process::getrlimit(Resource::Data).maximum;
        let _ = prlimit(self.pid(), Resource::Data, Rlimit { current: soft, maximum: hard });
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.identity.pid).ok().and_then(Pid::from_raw)
    }

    /// Memory in bytes that only it holds, with what it started where `whole`: not what it reserved, and no files.
    pub(crate) fn holds(&self, whole: bool) -> u64 {
        let mut held = 0_u64;
        let mut todo = vec![self.identity.pid];
        let mut seen = 0;
        while let Some(pid) = todo.pop() {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            for line in status.lines() {
                let mut words = line.split_whitespace();
                if words.next().is_some_and(|name| ["RssAnon:", "RssShmem:", "VmSwap:"].contains(&name)) {
                    held += words.next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10;
                }
            }
            seen += 1;
            if whole && seen < MOST_CHILDREN {
                let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
                todo.extend(
                    children.unwrap_or_default().split_whitespace().filter_map(|it| it.parse::<u32>().ok()),
                );
            }
        }
        held
    }

    /// Whether it runs another file than the one that lies at the path now: it was started before an upgrade. Of services of
    /// ours, which keep their memory to themselves, the kernel tells it root alone.
    pub(crate) fn is_older_than(&self, program: &Path) -> bool {
        let file = |path: &Path| std::fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
        let running = file(Path::new(&format!("/proc/{}/exe", self.identity.pid)));
        running.is_some_and(|running| file(program).is_some_and(|now| now != running))
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

    /// Ends it and its group at once.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL, true);
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
    }

    fn signal(&self, signal: Signal, group: bool) {
        let pid = self.pid();
        // A process id that was given to somebody else is not ours to signal.
        if let Some(pid) = pid.filter(|_| group || self.runs()) {
            let _ = if group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
        }
    }
}

fn exists(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Where the older half of a log lies.
pub(crate) fn older_log(log: &Path) -> PathBuf {
    PathBuf::from(format!("{}.1", log.display()))
}

/// Puts a log that is too long aside, before somebody begins to write to it.
pub(crate) fn rotate(log: &Path) {
    if is_longer(log, LARGEST_LOG) {
        let _ = std::fs::rename(log, older_log(log));
    }
}

pub(crate) fn is_longer(log: &Path, than: u64) -> bool {
    std::fs::metadata(log).is_ok_and(|about| about.len() > than)
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
pub(crate) mod tests {
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
            roof: Roof::over(1 << 30, 100),
            orphan: false,
        };
        let mut process = Process::start(&start, "x").unwrap();
        let identity = process.identity.clone();
        assert!(Process::adopt(identity.clone()).is_some());
        assert!(Process::adopt(Identity { started: 1, ..identity.clone() }).is_none());
        process.stop(Duration::from_secs(5)).await;
        assert!(!process.is_alive() && Process::adopt(identity).is_none());
    }

    pub(crate) fn started_with<'a>(
        folder: &'a Path,
        program: &'a Path,
        args: &'a [String],
        log: &'a Path,
        roof: Roof,
    ) -> Process {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        let start = Start { program, args, env: &NONE, dir: folder, log, user: None, roof, orphan: false };
        Process::start(&start, "x").unwrap()
    }

    #[tokio::test]
    async fn a_process_has_its_roof_from_the_beginning_and_dumps_no_core() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let roof = Roof { data: 64 << 20, files: 77 };
        let args = ["60".to_owned()];
        let mut process = started_with(folder.path(), Path::new("sleep"), &args, &log, roof);
        let limits = || std::fs::read_to_string(format!("/proc/{}/limits", process.identity.pid)).unwrap();
        let line = |name: &str| -> Vec<String> {
            let text = limits();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
            line.trim_start_matches(name).split_whitespace().map(str::to_owned).collect()
        };
        // Until the shell has become it, its own limits are seen.
        for _ in 0..200 {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", process.identity.pid)).unwrap();
            if name.trim() == "sleep" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(line("Max core file size")[..2], ["0", "0"]);
        assert_eq!(line("Max open files")[..2], ["77", "77"]);
        assert_eq!(line("Max data size")[0], (64_u64 << 20).to_string());
        process.limit(Roof { data: 128 << 20, files: 77 });
        assert_eq!(line("Max data size")[0], (128_u64 << 20).to_string());
        assert!(
            !process
                .is_older_than(&std::fs::read_link(format!("/proc/{}/exe", process.identity.pid)).unwrap())
        );
        assert!(process.is_older_than(&log));
        process.stop(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn what_takes_all_memory_at_once_is_stopped_by_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        // tail(1) keeps what may be the last line, and this one never ends.
        let args = ["/dev/zero".to_owned()];
        let roof = Roof { data: 64 << 20, files: 77 };
        let mut process = started_with(folder.path(), Path::new("tail"), &args, &log, roof);
        for _ in 0..600 {
            if !process.is_alive() {
                assert_eq!(process.ended().unwrap(), "exit status: 1");
                assert!(std::fs::read_to_string(&log).unwrap().contains("memory exhausted"));
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        process.stop(Duration::ZERO).await;
        panic!("it has {} bytes and lives", process.holds(false));
    }
}
