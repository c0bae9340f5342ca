//! Child processes: each has a deadline, none outlives it, and what it printed is kept or shown.
//!
//! Children stay in our process group, so Ctrl-C at the terminal ends them with us. A missed deadline ends
//! the child *and* its descendants: killing `cargo test` alone would leave the test binaries running.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};

/// How long a child may take when nobody said otherwise.
const USUAL_LIMIT: Duration = Duration::from_secs(120);
/// How often a long silent child is reported on.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);
/// How long we wait for output after the child's end: a stray grandchild may hold the pipe open.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// How long a child has between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(5);

/// One child process, to be configured and then run in one of three ways.
pub(crate) struct Run {
    label: String,
    command: Command,
    limit: Duration,
}

/// A line that a child printed.
enum Line {
    Out(String),
    Err(String),
}

impl Run {
    pub(crate) fn new(label: impl Into<String>, program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { label: label.into(), command, limit: USUAL_LIMIT }
    }

    /// Like `new`, but lets others go first where the system knows `nice`.
    pub(crate) fn polite(label: impl Into<String>, program: impl AsRef<OsStr>) -> Self {
        if !cfg!(unix) {
            return Self::new(label, program);
        }
        let mut run = Self::new(label, "nice");
        run.command.arg("-n").arg("10").arg(program);
        run
    }

    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it and returns what it wrote to stdout. Its stderr appears in the failure only.
    pub(crate) fn output(self) -> Outcome<String> {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.each_line(None, |line| {
            let (text, line) = match &line {
                Line::Out(line) => (&mut stdout, line),
                Line::Err(line) => (&mut stderr, line),
            };
            text.push_str(line);
            text.push('\n');
        })
        .map_err(|failure| Failure::new(format!("{failure}\n{}", last_lines(&stderr, 20))))?;
        Ok(stdout)
    }

    /// Runs it with its output on our terminal, and hands every line to `seen` as well.
    pub(crate) fn show(self, mut seen: impl FnMut(&str)) -> Outcome {
        self.sift(|line| {
            seen(line);
            true
        })
    }

    /// … and shows those lines alone that `shown` wants to be.
    pub(crate) fn sift(self, mut shown: impl FnMut(&str) -> bool) -> Outcome {
        self.each_line(None, |line| match line {
            Line::Out(line) if shown(&line) => println!("{line}"),
            Line::Err(line) if shown(&line) => eprintln!("{line}"),
            _ => {}
        })
    }

    /// Runs it and hands every line to `seen`, telling every 30 s that it still runs. Nothing else is shown.
    pub(crate) fn collect(self, mut seen: impl FnMut(String)) -> Outcome {
        self.each_line(Some(PROGRESS_EVERY), |line| {
            let (Line::Out(line) | Line::Err(line)) = line;
            seen(line);
        })
    }

    /// Runs it with its output in `log`, telling every 30 s that it still runs. A failure quotes the end.
    pub(crate) fn log_to(self, log: &Path) -> Outcome {
        let mut file = File::create(log).map_err(|error| Failure::io("write", log, &error))?;
        let outcome = self.each_line(Some(PROGRESS_EVERY), |line| {
            let (Line::Out(line) | Line::Err(line)) = line;
            // A full disk shows in the child too, and its exit status is what counts.
            let _ = writeln!(file, "{line}");
        });
        outcome.map_err(|failure| {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            Failure::new(format!("{failure}\n{}", last_lines(&text, 30)))
        })
    }

    fn each_line(mut self, progress: Option<Duration>, mut seen: impl FnMut(Line)) -> Outcome {
        let started = Instant::now();
        let mut child =
            self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| {
                Failure::new(format!(
                    "{}: cannot start {:?}: {error}",
                    self.label,
                    self.command.get_program()
                ))
            })?;
        let lines = read_both(&mut child);
        let mut told = started;
        let status = loop {
            // Waiting on the channel, not sleeping: output is shown as it comes.
            match lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => {
                    seen(line);
                    if started.elapsed() < self.limit {
                        continue;
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(10)),
            }
            if let Some(status) =
                child.try_wait().map_err(|error| Failure::new(format!("{}: {error}", self.label)))?
            {
                break status;
            }
            if started.elapsed() >= self.limit {
                end_tree(&mut child);
                return Err(Failure::new(format!(
                    "{}: did not end within {}",
                    self.label,
                    clock(self.limit)
                ))
                .next("it and its children were ended; run it alone to see where it hangs"));
            }
            if let Some(every) = progress
                && told.elapsed() >= every
            {
                told = Instant::now();
                println!("  … {}: {}", self.label, clock(started.elapsed()));
            }
        };
        let drained = Instant::now();
        while let Some(left) = DRAIN_LIMIT.checked_sub(drained.elapsed()) {
            match lines.recv_timeout(left) {
                Ok(line) => seen(line),
                Err(_) => break,
            }
        }
        judge(&self.label, status)
    }
}

fn judge(label: &str, status: ExitStatus) -> Outcome {
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{label}: {status}"))) }
}

fn read_both(child: &mut Child) -> Receiver<Line> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        read_lines(stdout, sender.clone(), Line::Out);
    }
    if let Some(stderr) = child.stderr.take() {
        read_lines(stderr, sender, Line::Err);
    }
    receiver
}

fn read_lines(stream: impl Read + Send + 'static, lines: Sender<Line>, wrap: fn(String) -> Line) {
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut bytes = Vec::new();
        while stream.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let line = String::from_utf8_lossy(&bytes);
            if lines.send(wrap(line.trim_end_matches(['\n', '\r']).to_owned())).is_err() {
                return;
            }
            bytes.clear();
        }
    });
}

/// Ends a child and everything that it started: first asks, then insists.
fn end_tree(child: &mut Child) {
    let tree = descendants(child.id());
    signal("TERM", &tree);
    let asked = Instant::now();
    while asked.elapsed() < GRACE {
        // Once the child is gone its own children may still be saving something: they get the grace too.
        if matches!(child.try_wait(), Ok(Some(_))) && tree.iter().skip(1).all(|pid| !alive(*pid)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    signal("KILL", &tree);
    let _ = child.kill();
    let _ = child.wait();
}

/// `root` first, then its children, theirs, and so on, as the system lists them now.
fn descendants(root: u32) -> Vec<u32> {
    let listing = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).stdin(Stdio::null()).output();
    let listing = match listing {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(_) => proc_listing(),
    };
    let pairs: Vec<(u32, u32)> = listing
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::parse);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        })
        .collect();
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        tree.extend(pairs.iter().filter(|(_, ppid)| *ppid == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    tree
}

/// The same listing where `ps` is not installed (slim containers), from `/proc`.
fn proc_listing() -> String {
    let mut listing = String::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // `pid (name) state ppid …`: the name may hold spaces and parentheses.
        if let Some(parent) = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) {
            listing.push_str(&format!("{} {parent}\n", name.to_string_lossy()));
        }
    }
    listing
}

fn alive(pid: u32) -> bool {
    shell_kill("0", &[pid])
}

fn signal(name: &str, pids: &[u32]) {
    shell_kill(name, pids);
}

fn shell_kill(signal: &str, pids: &[u32]) -> bool {
    // The shell's own `kill`: always there on Unix, and no unsafe code here.
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{signal} {}", pids.join(" ")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// `m:ss`, as every duration of this tool is printed.
pub(crate) fn clock(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    if tenths < 600 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let seconds = time.as_secs();
    format!("{}:{:02} min", seconds / 60, seconds % 60)
}

/// The last `count` lines, indented, for quoting in a failure.
fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(count)..).unwrap_or_default();
    tail.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Whether `program` is on PATH.
pub(crate) fn on_path(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path).map(|dir| dir.join(&file)).find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Run {
        Run::new("script", "sh").args(["-c", script])
    }

    #[test]
    fn a_child_that_hangs_is_ended_with_its_own_children_at_the_deadline() {
        let started = Instant::now();
        let dir = tempfile::tempdir().unwrap();
        let script = "sleep 300 & echo $! > child; sleep 300";
        let failure = shell(script).dir(dir.path()).limit(Duration::from_millis(400)).output().unwrap_err();
        assert!(failure.to_string().contains("did not end within 0.4 s"), "{failure}");
        assert!(started.elapsed() < Duration::from_secs(20));
        let child: u32 = std::fs::read_to_string(dir.path().join("child")).unwrap().trim().parse().unwrap();
        let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        // Gone, or dead and not yet collected by whoever adopted it.
        assert!(!alive(child) || state.contains(") Z"), "{child} survived: {state}");
    }

    #[test]
    fn a_failed_child_is_quoted() {
        let failure = shell("echo told; echo why >&2; exit 3").output().unwrap_err().to_string();
        assert!(failure.contains("exit status: 3") && failure.contains("    why"), "{failure}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = Run::new("probe", "no-such-program-here").output().unwrap_err().to_string();
        assert!(failure.contains("no-such-program-here"), "{failure}");
    }

    #[test]
    fn output_that_is_no_text_is_read_all_the_same() {
        assert_eq!(shell("printf '\\377ok\\n'").output().unwrap(), "\u{fffd}ok\n");
    }

    #[test]
    fn durations_are_printed_for_people() {
        assert_eq!(clock(Duration::from_millis(1_234)), "1.2 s");
        assert_eq!(clock(Duration::from_secs(225)), "3:45 min");
    }
}
