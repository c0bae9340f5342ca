//! One child process: its own process group, its output in files, a deadline, and Ctrl-C when a test asks.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use regex::Regex;

use super::{
    Failure,
    diagnostics::{self, Diagnostic},
};

/// Output beyond this is not read into memory; Terraform prints nothing like it.
const READ_LIMIT: u64 = 512 << 20;
/// How long a process that passed its deadline gets to save its state after Ctrl-C, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// When a running command is interrupted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum When {
    /// So long after its start.
    After(Duration),
    /// As soon as this file is there; relative to the working directory.
    FileExists(PathBuf),
    /// As soon as its output matches this expression.
    Printed(String),
}

/// A Ctrl-C: SIGINT to the command and, as a terminal does, to its plugins (which must ignore it).
#[derive(Clone, Debug)]
pub struct Interrupt {
    pub(crate) when: When,
    pub(crate) only_cli: bool,
    pub(crate) exits_within: Option<Duration>,
}

impl Interrupt {
    /// Press it once, at that moment. It is an error when the command ends before.
    pub fn when(when: When) -> Self {
        Self { when, only_cli: false, exits_within: None }
    }

    /// Sends the signal to the command alone, as a supervisor does, not to its plugins.
    #[must_use]
    pub fn only_cli(mut self) -> Self {
        self.only_cli = true;
        self
    }

    /// The command must be gone so soon after the signal.
    #[must_use]
    pub fn exits_within(mut self, limit: Duration) -> Self {
        self.exits_within = Some(limit);
        self
    }
}

/// What to run and how.
pub(crate) struct Spec<'a> {
    pub(crate) program: &'a Path,
    pub(crate) args: Vec<OsString>,
    pub(crate) dir: &'a Path,
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) timeout: Duration,
    pub(crate) interrupt: Option<&'a Interrupt>,
    /// Output goes to this path with `.stdout` and `.stderr` added.
    pub(crate) output: PathBuf,
}

/// A command that has ended, and what it printed.
#[derive(Clone, Debug)]
pub struct Output {
    line: String,
    code: Option<i32>,
    took: Duration,
    stdout: String,
    stderr: String,
}

impl Output {
    /// Whether it ended with status 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Its exit status, if it was not killed by a signal.
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// From start to end.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Standard output without colours.
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// Standard error without colours.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// Both, standard output first.
    pub fn text(&self) -> String {
        let separator = if self.stdout.is_empty() || self.stdout.ends_with('\n') { "" } else { "\n" };
        format!("{}{separator}{}", self.stdout, self.stderr)
    }

    /// Errors and warnings, each un-wrapped into one line.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        diagnostics::parse(&self.text())
    }

    pub(crate) fn described(&self) -> String {
        let status = match self.code {
            Some(code) => format!("exit status {code}"),
            None => "killed".to_owned(),
        };
        format!("{} ({status}, {:.1} s)", self.line, self.took.as_secs_f64())
    }
}

/// Runs it to its end, or to its deadline.
pub(crate) fn run(spec: &Spec<'_>) -> Result<Output, Failure> {
    let stdout = with_suffix(&spec.output, ".stdout");
    let stderr = with_suffix(&spec.output, ".stderr");
    let create = |path: &Path| File::create(path).map_err(|error| Failure::io("create", path, &error));
    let mut command = Command::new(spec.program);
    command
        .args(&spec.args)
        .current_dir(spec.dir)
        .env_clear()
        .envs(&spec.env)
        .stdin(Stdio::null())
        .stdout(create(&stdout)?)
        .stderr(create(&stderr)?);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);

    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| Failure::io("start", spec.program, &error))?;
    let watched = watch(&mut child, spec, started, &stdout);
    // Whatever has happened, none of its children is left running. The child has not been waited for yet, so
    // its id cannot have been given to another.
    signal(&mut child, Signal::Kill, false);
    let status = child.wait().map_err(|error| Failure::io("wait for", spec.program, &error))?;
    let output = Output {
        line: command_line(spec),
        code: status.code(),
        took: started.elapsed(),
        stdout: read_plain(&stdout)?,
        stderr: read_plain(&stderr)?,
    };
    match watched {
        Ok(()) => Ok(output),
        Err(failure) => Err(failure.command(&output)),
    }
}

/// Waits for the end; presses Ctrl-C when it is time; ends the wait at the deadline.
fn watch(child: &mut Child, spec: &Spec<'_>, started: Instant, stdout: &Path) -> Result<(), Failure> {
    let printed = match spec.interrupt.map(|interrupt| &interrupt.when) {
        Some(When::Printed(expression)) => Some(compile(expression)?),
        _ => None,
    };
    let mut interrupted = None;
    let mut past_deadline: Option<Instant> = None;
    loop {
        let over = has_ended(child).map_err(|error| Failure::io("wait for", spec.program, &error))?;
        if let Some(at) = past_deadline {
            if over || at.elapsed() > GRACE {
                let limit = spec.timeout.as_secs_f64();
                return Err(Failure::new(format!("the command did not end within {limit:.1} s")));
            }
        } else if over {
            return match (spec.interrupt, interrupted) {
                (Some(interrupt), None) => Err(Failure::new(format!(
                    "the command ended before it could be interrupted ({:?})",
                    interrupt.when
                ))),
                _ => Ok(()),
            };
        } else if started.elapsed() > spec.timeout {
            past_deadline = Some(Instant::now());
            signal(child, Signal::Interrupt, false);
        }
        match (spec.interrupt, interrupted) {
            (Some(interrupt), None) if is_time(&interrupt.when, spec, started, stdout, printed.as_ref())? => {
                if !signal(child, Signal::Interrupt, interrupt.only_cli) {
                    return Err(Failure::new("Ctrl-C can only be sent on Unix"));
                }
                interrupted = Some(Instant::now());
            }
            (Some(Interrupt { exits_within: Some(limit), .. }), Some(at)) if at.elapsed() > *limit => {
                let limit = limit.as_secs_f64();
                return Err(Failure::new(format!("the command still ran {limit:.1} s after Ctrl-C")));
            }
            _ => {}
        }
        // Quick at first: most commands take a tenth of a second.
        let pause = if started.elapsed() < Duration::from_secs(1) { 3 } else { 20 };
        thread::sleep(Duration::from_millis(pause));
    }
}

fn is_time(
    when: &When,
    spec: &Spec<'_>,
    started: Instant,
    stdout: &Path,
    printed: Option<&Regex>,
) -> Result<bool, Failure> {
    Ok(match when {
        When::After(delay) => started.elapsed() >= *delay,
        When::FileExists(path) => spec.dir.join(path).exists(),
        When::Printed(_) => {
            let text = read_plain(stdout)?;
            printed.is_some_and(|expression| expression.is_match(&text))
        }
    })
}

#[derive(Clone, Copy)]
enum Signal {
    Interrupt,
    Kill,
}

/// Whether the child has ended; it keeps its id until it is waited for.
#[cfg(unix)]
fn has_ended(child: &mut Child) -> std::io::Result<bool> {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return Ok(true) };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}

#[cfg(not(unix))]
fn has_ended(child: &mut Child) -> std::io::Result<bool> {
    Ok(child.try_wait()?.is_some())
}

/// Whether it could be sent.
#[cfg(unix)]
fn signal(child: &mut Child, signal: Signal, only_child: bool) -> bool {
    use rustix::process::{self, Pid};
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return false };
    let signal = match signal {
        Signal::Interrupt => process::Signal::INT,
        Signal::Kill => process::Signal::KILL,
    };
    let sent = if only_child {
        process::kill_process(pid, signal)
    } else {
        process::kill_process_group(pid, signal)
    };
    sent.is_ok()
}

#[cfg(not(unix))]
fn signal(child: &mut Child, signal: Signal, _only_child: bool) -> bool {
    match signal {
        Signal::Interrupt => false,
        Signal::Kill => child.kill().is_ok(),
    }
}

/// A regular expression out of a test, or a failure that shows what is wrong with it.
pub(crate) fn compile(expression: &str) -> Result<Regex, Failure> {
    Regex::new(expression).map_err(|error| Failure::new(format!("not a regular expression: {error}")))
}

fn command_line(spec: &Spec<'_>) -> String {
    let mut line = spec.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for arg in &spec.args {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn read_plain(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(READ_LIMIT).read_to_end(&mut bytes))
        .map_err(|error| Failure::io("read", path, &error))?;
    if fs::metadata(path).is_ok_and(|meta| meta.len() > READ_LIMIT) {
        return Err(Failure::new(format!("{} is over {READ_LIMIT} bytes", path.display())));
    }
    Ok(diagnostics::without_colours(&String::from_utf8_lossy(&bytes)))
}
