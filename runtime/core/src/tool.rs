//! External tools (ffmpeg, ffprobe, Shaka Packager), run to their end under limits.
//!
//! A tool parses what strangers sent, so it is a child in a process group of its own, with limits on time, memory and
//! the size of what it writes, and it does not outlive us: util-linux' `setpriv` has the kernel kill it when its parent
//! dies, `prlimit` sets the limits. Where these two are missing (they are essential packages on Debian), it runs with a
//! time limit alone and the log says so.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tracing::{Instrument as _, debug_span, warn};
use zeroize::Zeroizing;

use crate::context::ServiceContext;
use crate::error::{Error, Result};
use crate::lifecycle::Stop;
use crate::telemetry::SPANS;

/// What of a tool's stderr is kept for messages.
const TAIL: usize = 4 << 10;
/// How much of stdout is kept; a probe's answer is far smaller.
const LARGEST_ANSWER: usize = 4 << 20;
/// A longer line is cut: it is no message.
const LONGEST_LINE: usize = 64 << 10;

/// What a tool may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From start to end.
    pub time: Duration,
    /// Private memory in bytes (RLIMIT_DATA).
    pub memory: u64,
    /// The largest file that it may write, in bytes (RLIMIT_FSIZE).
    pub file: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { time: Duration::from_secs(3600), memory: 4 << 30, file: 64 << 30 }
    }
}

/// A tool with its arguments.
#[derive(Debug)]
pub struct Tool {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    dir: Option<PathBuf>,
    limits: Limits,
    stop: Option<Stop>,
    user: Option<(u32, u32)>,
    input: Option<Input>,
}

/// What a tool reads. It may be secret, so it does not print.
struct Input(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What a tool that succeeded said.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Its standard output, at most 4 MiB.
    pub stdout: String,
    /// The end of its standard error.
    pub stderr: String,
}

impl Tool {
    /// A tool by its name, as the site has it.
    pub fn of(cx: &ServiceContext, name: &str) -> Tool {
        Tool::at(name, cx.tool(name))
    }

    /// A tool at a path, or by a name in PATH.
    pub fn at(name: &str, program: impl Into<PathBuf>) -> Tool {
        Tool {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            dir: None,
            limits: Limits::default(),
            stop: None,
            user: None,
            input: None,
        }
    }

    /// More arguments. No secrets: everybody on the host sees them.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Tool {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Tool {
        self.dir = Some(dir.into());
        self
    }

    /// What it may take.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Tool {
        self.limits = limits;
        self
    }

    /// Runs it as a user and group, where we are root.
    #[must_use]
    pub fn user(mut self, user: Option<(u32, u32)>) -> Tool {
        self.user = user;
        self
    }

    /// What it reads from its standard input, which is a pipe: the only way to hand a secret to a tool, for others on the
    /// host see arguments, environments and files.
    #[must_use]
    pub fn input(mut self, bytes: Zeroizing<Vec<u8>>) -> Tool {
        self.input = Some(Input(bytes));
        self
    }

    /// Ends it when told.
    #[must_use]
    pub fn until(mut self, stop: &Stop) -> Tool {
        self.stop = Some(stop.clone());
        self
    }

    /// Runs it to its end and returns what it said.
    ///
    /// # Errors
    /// `binary-missing`, `tool-timeout`, `tool-killed`, `disk-full`, `stopped`, and `tool-failed` with the end of its
    /// stderr.
    pub async fn run(self) -> Result<Said> {
        self.each_line(|_| {}).await
    }

    /// Runs it to its end, handing on each line of its standard output as it comes.
    ///
    /// # Errors
    /// As [`run`](Tool::run).
    pub async fn each_line(self, seen: impl FnMut(&str) + Send) -> Result<Said> {
        let span = debug_span!(target: SPANS, "tool", tool = self.name);
        self.follow(seen).instrument(span).await
    }

    async fn follow(self, mut seen: impl FnMut(&str) + Send) -> Result<Said> {
        let mut child = self.spawn()?;
        let group = child.id();
        let (out, err, stdin) = (child.stdout.take(), child.stderr.take(), child.stdin.take());
        let mut said = Said::default();
        let work = async {
            let (mut stdout, mut stderr) = (String::new(), String::new());
            let read_out = lines(out, |line| {
                seen(line);
                if stdout.len() + line.len() < LARGEST_ANSWER {
                    stdout.push_str(line);
                    stdout.push('\n');
                }
            });
            let read_err = lines(err, |line| {
                stderr.push_str(line);
                stderr.push('\n');
                if stderr.len() > 2 * TAIL {
                    let cut = stderr.len() - TAIL;
                    let cut = (cut..stderr.len()).find(|at| stderr.is_char_boundary(*at)).unwrap_or(0);
                    stderr.drain(..cut);
                }
            });
            let feed = async {
                // A tool that reads nothing and ends is judged by how it ends.
                if let (Some(mut stdin), Some(input)) = (stdin, &self.input) {
                    let _ = stdin.write_all(&input.0).await;
                    let _ = stdin.shutdown().await;
                }
            };
            tokio::join!(read_out, read_err, feed);
            (child.wait().await, stdout, stderr)
        };
        let stopped = async {
            match &self.stop {
                Some(stop) => stop.stopped().await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = work => Some(ended),
            () = stopped => None,
            () = tokio::time::sleep(self.limits.time) => {
                kill_group(group);
                return Err(Error::permanent(
                    "tool-timeout",
                    format!("{} was not done within {} s and was ended", self.name, self.limits.time.as_secs()),
                ));
            }
        };
        let Some((status, stdout, stderr)) = ended else {
            kill_group(group);
            return Err(Error::passing(
                "stopped",
                format!("{} was ended, because the service stops", self.name),
            ));
        };
        said.stdout = stdout;
        said.stderr = stderr;
        let status = status.map_err(|error| {
            Error::passing("tool-failed", format!("{} was lost", self.name)).because(error)
        })?;
        if status.success() {
            return Ok(said);
        }
        Err(self.failure(status, &said.stderr))
    }

    fn spawn(&self) -> Result<Child> {
        let mut words: Vec<OsString> = Vec::new();
        if contained() {
            words.extend(["setpriv", "--pdeathsig", "KILL", "--", "prlimit"].map(OsString::from));
            words.push(format!("--data={}", self.limits.memory).into());
            words.push(format!("--fsize={}", self.limits.file).into());
            words.extend(["--core=0", "--"].map(OsString::from));
            if !exists(&self.program) {
                return Err(self.missing());
            }
        }
        words.push(self.program.clone().into());
        words.extend(self.args.iter().cloned());
        let (program, args) = words.split_first().ok_or_else(|| self.missing())?;
        let mut command = Command::new(program);
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.args(args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        // Nothing of our environment is a tool's business.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => self.missing(),
            _ => Error::passing("tool-failed", format!("{} cannot be started", self.name)).because(error),
        })
    }

    fn missing(&self) -> Error {
        Error::permanent(
            "binary-missing",
            format!("{} is not installed: there is no {} on this host", self.name, self.program.display()),
        )
    }

    fn failure(&self, status: std::process::ExitStatus, stderr: &str) -> Error {
        use std::os::unix::process::ExitStatusExt as _;
        let last: Vec<&str> = stderr.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        let told = last.join("; ");
        if stderr.contains("No space left on device") {
            return Error::passing("disk-full", format!("{}: no space is left on the disk", self.name));
        }
        if stderr.contains("Cannot allocate memory") || status.signal() == Some(9) {
            return Error::permanent(
                "tool-killed",
                format!(
                    "{} was killed, most likely for memory (its limit is {} MiB)",
                    self.name,
                    self.limits.memory >> 20
                ),
            );
        }
        Error::permanent("tool-failed", format!("{} ended with {status}: {told}", self.name))
    }
}

/// Ends a whole process group at once; one that is gone is gone.
fn kill_group(leader: Option<u32>) {
    let pid = leader.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

/// Whether util-linux' two helpers are here; told once when they are not.
fn contained() -> bool {
    static CONTAINED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *CONTAINED.get_or_init(|| {
        let there = exists(Path::new("setpriv")) && exists(Path::new("prlimit"));
        if !there {
            warn!("setpriv and prlimit are missing: external tools run without limits on memory.");
        }
        there
    })
}

fn exists(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

async fn lines(stream: Option<impl AsyncRead + Unpin>, mut seen: impl FnMut(&str)) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        // ffmpeg ends lines of progress with \r in its stderr; a cut long line is as good.
        match read_line(&mut reader, &mut line).await {
            Ok(true) => seen(String::from_utf8_lossy(&line).trim_end()),
            _ => return,
        }
    }
}

async fn read_line(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> std::io::Result<bool> {
    loop {
        let buffer = reader.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n' || *byte == b'\r');
        let take = end.map_or(buffer.len(), |at| at + 1);
        let room = LONGEST_LINE.saturating_sub(line.len());
        line.extend_from_slice(buffer.get(..take.min(room)).unwrap_or_default());
        reader.consume(take);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Tool {
        Tool::at("sh", "sh").args(["-c", script])
    }

    #[tokio::test]
    async fn a_tool_says_what_it_wrote() {
        let mut seen = Vec::new();
        let said = shell("echo one; echo two; echo oops >&2")
            .each_line(|line| seen.push(line.to_owned()))
            .await
            .unwrap();
        assert_eq!(seen, ["one", "two"]);
        assert_eq!(said.stdout, "one\ntwo\n");
        assert_eq!(said.stderr, "oops\n");
    }

    #[tokio::test]
    async fn a_tool_reads_what_it_is_given_and_nobody_prints_it() {
        let secret = Zeroizing::new(b"hidden\n".to_vec());
        // As a flag file is read: by a name, not from the stream.
        let tool = shell("cat /dev/fd/0 | tr a-z A-Z").input(secret);
        assert!(!format!("{tool:?}").contains("hidden"), "{tool:?}");
        assert_eq!(tool.run().await.unwrap().stdout, "HIDDEN\n");
        // One that does not read is no failure.
        let much = Zeroizing::new(vec![0; 1 << 20]);
        shell("true").input(much).run().await.unwrap();
    }

    #[tokio::test]
    async fn a_tool_that_fails_is_quoted_and_one_that_is_missing_is_named() {
        let error = shell("echo the disk is on fire >&2; exit 3").run().await.unwrap_err();
        assert_eq!(error.code, "tool-failed");
        assert!(error.message.contains("the disk is on fire"), "{error}");
        let error = Tool::at("ffmpeg", "/nowhere/ffmpeg").run().await.unwrap_err();
        assert_eq!(error.code, "binary-missing");
    }

    #[tokio::test]
    async fn a_tool_past_its_time_is_ended_with_its_children() {
        let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
        let folder = tempfile::tempdir().unwrap();
        let script = "sleep 60 & echo $! > child; wait";
        let error = shell(script).dir(folder.path()).limits(limits).run().await.unwrap_err();
        assert_eq!(error.code, "tool-timeout");
        let child: u32 =
            std::fs::read_to_string(folder.path().join("child")).unwrap().trim().parse().unwrap();
        for _ in 0..100 {
            // A zombie counts as gone: nobody but init can reap it.
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            if stat.is_empty() || stat.contains(") Z ") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the child {child} outlived its group");
    }

    #[tokio::test]
    async fn a_tool_ends_when_the_service_stops() {
        let stop = Stop::new();
        let told = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            told.stop();
        });
        assert_eq!(shell("sleep 60").until(&stop).run().await.unwrap_err().code, "stopped");
    }

    #[tokio::test]
    async fn a_file_past_its_limit_is_not_written() {
        let limits = Limits { file: 4096, ..Limits::default() };
        let folder = tempfile::tempdir().unwrap();
        let outcome = shell("head -c 100000 /dev/zero > big").dir(folder.path()).limits(limits).run().await;
        assert!(outcome.is_err());
        assert!(std::fs::metadata(folder.path().join("big")).unwrap().len() <= 4096);
    }
}
