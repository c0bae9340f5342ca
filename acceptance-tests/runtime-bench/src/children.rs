//! Children: each in a process group of its own, on the processor that it is given, and ended with whatever it started
//! when its guard goes, however that comes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;

/// `USER_HZ`, the unit of times in `/proc`: 100 on every architecture that Linux knows today.
const TICKS_PER_SECOND: f64 = 100.0;
/// Between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(10);
/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(30);

/// The processor of the server and that of who asks it. Where there is one only, it is both.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// Of the server.
    pub server: u32,
    /// Of the load.
    pub load: u32,
}

impl Cores {
    /// The first two that this process may use.
    ///
    /// # Errors
    /// When `/proc` does not tell.
    pub fn here() -> Outcome<Cores> {
        let status = fs::read_to_string("/proc/self/status")?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let allowed = allowed(list.unwrap_or_default());
        let server = *allowed.first().ok_or("/proc/self/status names no processor")?;
        Ok(Cores { server, load: allowed.get(1).copied().unwrap_or(server) })
    }
}

/// `0-2,5` in full.
fn allowed(list: &str) -> Vec<u32> {
    let parts = list.trim().split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
    });
    parts.flatten().collect()
}

/// A child that serves until its guard is dropped.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
}

impl Server {
    /// Starts it. What it says goes into a file.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Outcome<Server> {
        use std::os::unix::process::CommandExt as _;
        let log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().map_err(|error| format!("{name} cannot be started: {error}"))?;
        Ok(Server { name: name.to_owned(), child })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until something is true of it.
    ///
    /// # Errors
    /// When it ended, or takes too long.
    pub async fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) -> Outcome<()> {
        let until = Instant::now() + START;
        while !is_so() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{} ended before it {what}: {status}", self.name).into());
            }
            if Instant::now() > until {
                return Err(format!("{}: not after {} s: {what}", self.name, START.as_secs()).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until it takes connections.
    ///
    /// # Errors
    /// When it does not.
    pub async fn listens(&mut self, port: u16) -> Outcome<()> {
        self.until("listened", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await
    }

    /// Processor seconds so far, of it and of all that it started and that lives.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&tree(self.pid()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// On that processor alone.
pub fn pinned(core: u32, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(core.to_string()).arg(program);
    command
}

/// Moves every thread of running processes to a processor: some engines choose for themselves when they start.
///
/// # Errors
/// When `taskset` refuses.
pub fn pin(pids: &[u32], core: u32) -> Outcome<()> {
    for pid in pids {
        let said = Command::new("taskset")
            .args(["--all-tasks", "--cpu-list", "--pid", &core.to_string(), &pid.to_string()])
            .stdin(Stdio::null())
            .output()?;
        if !said.status.success() {
            return Err(format!("taskset: {}", String::from_utf8_lossy(&said.stderr).trim()).into());
        }
    }
    Ok(())
}

/// What a command that ends by itself said.
#[derive(Debug)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its stdout.
    pub stdout: String,
    /// How long it took.
    pub took: Duration,
}

/// Runs a command to its end, under a limit, and fails when it does. Dropped before, it is ended with all it started.
///
/// # Errors
/// What it wrote to stderr, when it fails; that it did not end.
pub async fn run(name: &str, command: &mut Command, limit: Duration) -> Outcome<Said> {
    use std::os::unix::process::CommandExt as _;
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?).process_group(0);
    let started = Instant::now();
    let child = command.spawn().map_err(|error| format!("{name} cannot be started: {error}"))?;
    let mut guard = Server { name: name.to_owned(), child };
    let status = loop {
        if let Some(status) = guard.child.try_wait()? {
            break status;
        }
        if started.elapsed() > limit {
            return Err(format!("{name} did not end within {} s", limit.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let took = started.elapsed();
    let stdout = text(&mut out)?;
    if !status.success() {
        let stderr = text(&mut err)?;
        let lines: Vec<&str> = stdout.lines().chain(stderr.lines()).collect();
        let tail = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n  ");
        return Err(format!("{name}: {status}\n  {tail}").into());
    }
    Ok(Said { status, stdout, took })
}

fn text(file: &mut fs::File) -> Outcome<String> {
    use std::io::{Read as _, Seek as _};
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// First asks, then insists; children of the child too, whatever group they are in.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    let tree = tree(child.id());
    signal(&tree, Signal::TERM);
    let until = Instant::now() + GRACE;
    while Instant::now() < until {
        let gone = matches!(child.try_wait(), Ok(Some(_)));
        if gone && tree.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&tree, Signal::KILL);
    let _ = child.kill();
    let _ = child.wait();
}

fn signal(pids: &[u32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
        let _ = kill_process(pid, signal);
    }
}

/// A process and all its descendants that live now.
pub fn tree(root: u32) -> Vec<u32> {
    let mut parents: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let parent = stat(pid).and_then(|fields| fields.get(1)?.parse().ok());
        parents.entry(parent.unwrap_or_default()).or_default().push(pid);
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(parent) = tree.get(next) {
        let children = parents.remove(parent).unwrap_or_default();
        tree.extend(children);
        next += 1;
    }
    tree
}

/// Processes, but for this one, whose command line or environment names a folder: also those that somebody else
/// adopted.
pub fn naming(folder: &Path) -> Vec<u32> {
    use std::os::unix::ffi::OsStrExt as _;
    let name = folder.as_os_str().as_bytes();
    let names = |path: std::path::PathBuf| {
        fs::read(path).is_ok_and(|text| text.windows(name.len()).any(|part| part == name))
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let found = processes.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let named = names(entry.path().join("cmdline")) || names(entry.path().join("environ"));
        (named && pid != std::process::id()).then_some(pid)
    });
    found.collect()
}

/// Ends processes at once.
pub fn kill(pids: &[u32]) {
    signal(pids, Signal::KILL);
}

/// Processor seconds of living processes.
pub fn cpu_seconds(pids: &[u32]) -> f64 {
    // User and system time are fields 14 and 15 of the whole line.
    let ticks = |fields: Vec<String>| -> Option<f64> {
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    };
    pids.iter().filter_map(|pid| ticks(stat(*pid)?)).sum::<f64>() / TICKS_PER_SECOND
}

/// `/proc/PID/stat` behind the name, which may hold spaces: state, parent …
fn stat(pid: u32) -> Option<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(line.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// What a process is called, 15 bytes at most.
pub fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_as_the_kernel_lists_them() {
        assert_eq!(allowed("\t0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(allowed(""), [0; 0]);
    }

    #[tokio::test]
    async fn what_a_server_started_ends_with_it_also_when_nobody_waits() -> Outcome<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("child");
        let script = format!("setsid sleep 300 & echo $! > {}; wait", file.display());
        let mut command = Command::new("sh");
        let mut server = Server::start("script", command.args(["-c", &script]), &folder.path().join("log"))?;
        server.until("wrote", || fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'))).await?;
        let child: u32 = fs::read_to_string(&file)?.trim().parse()?;
        assert!(tree(server.pid()).contains(&child));
        drop(server);
        let state = stat(child).and_then(|fields| fields.first().cloned());
        // Gone, or dead and not yet collected by whoever adopted it.
        assert!(state.as_deref().is_none_or(|state| state == "Z"), "{child} lives: {state:?}");
        Ok(())
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_and_one_that_fails_is_quoted() {
        let hangs = run("sleep", Command::new("sleep").arg("300"), Duration::from_millis(100)).await;
        assert!(hangs.is_err_and(|error| error.to_string().contains("did not end within")));
        let fails = run("sh", Command::new("sh").args(["-c", "echo why >&2; exit 3"]), GRACE).await;
        assert!(fails.is_err_and(|error| error.to_string().contains("why")));
    }

    #[tokio::test]
    async fn a_process_that_names_a_folder_is_found_and_killed_whoever_adopted_it() -> Outcome<()> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("sh");
        // A shell that starts it and ends leaves it to somebody else.
        command.args(["-c", "sleep 300 & exit 0"]).env("PLACE", folder.path());
        run("sh", &mut command, GRACE).await?;
        // Until it is executed, the child is a copy of its shell.
        let until = Instant::now() + GRACE;
        let named = |found: &[u32]| found.iter().map(|pid| name(*pid)).collect::<Vec<_>>();
        while named(&naming(folder.path())) != ["sleep"] && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let found = naming(folder.path());
        assert_eq!(named(&found), ["sleep"]);
        kill(&found);
        let until = Instant::now() + GRACE;
        while !naming(folder.path()).is_empty() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(naming(folder.path()), [0; 0]);
        Ok(())
    }

    #[test]
    fn a_process_that_works_is_seen_working() {
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(200) {
            std::hint::black_box(started.elapsed());
        }
        assert!(cpu_seconds(&[std::process::id()]) > 0.0);
    }
}
