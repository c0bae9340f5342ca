//! How an agent is started for good: by systemd, by a small supervisor where there is none, and with another program
//! after an upgrade.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use streamverse_core::{Error, Result};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::cli::{RunArgs, UpgradeArgs};

const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An agent that lived this long begins again with the shortest pause.
const STEADY: Duration = Duration::from_secs(60);
/// How long an agent may take to be back after an upgrade.
const BACK: Duration = Duration::from_secs(60);

/// The words of `streamverse node run` that say the same.
fn words(args: &RunArgs) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    let mut words = vec!["node".to_owned(), "run".to_owned()];
    let mut add = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            words.extend([flag.to_owned(), value]);
        }
    };
    add("--data", Some(path(&args.data)));
    add("--run", Some(path(&args.run)));
    add("--site", Some(args.site.clone()));
    add("--bind", Some(args.bind.to_string()));
    add("--user", args.user.clone());
    add("--socket", args.socket.as_deref().map(path));
    add("--listen", args.listen.map(|it| it.to_string()));
    add("--certificate", args.certificate.as_deref().map(path));
    add("--key", args.key.as_deref().map(path));
    add("--client-ca", args.client_ca.as_deref().map(path));
    for tool in &args.tools {
        add("--tool", Some(tool.clone()));
    }
    words
}

fn this_program() -> Result<PathBuf> {
    std::env::current_exe()
        .map_err(|error| Error::permanent("usage", "this program cannot be found").because(error))
}

/// A systemd unit (systemd.service(5)). `KillMode=process`: systemd would end Traffic Server with the agent otherwise.
pub(crate) fn unit(args: &RunArgs) -> Result<String> {
    let program = this_program()?;
    // What has a space or a `%` in it means something else to systemd (systemd.syntax(7)).
    let quote = |word: &String| {
        let word = word.replace('%', "%%");
        if word.contains([' ', '"', '\\']) { format!("{word:?}") } else { word }
    };
    let command: Vec<String> =
        std::iter::once(program.display().to_string()).chain(words(args)).map(|word| quote(&word)).collect();
    Ok(format!(
        "[Unit]\nDescription=StreamVerse node agent\nAfter=network-online.target\nWants=network-online.target\n\n\
         [Service]\nType=exec\nExecStart={}\nRestart=always\nRestartSec=1\nKillMode=process\nLimitNOFILE=65536\nLimitCORE=0\n\n\
         [Install]\nWantedBy=multi-user.target\n",
        command.join(" ")
    ))
}

/// Runs the agent as a child, and again when it ends, until told to stop.
pub(crate) async fn supervise(args: &RunArgs) -> Result<()> {
    let program = this_program()?;
    // After an upgrade the name leads to another file, and a deleted one must not be run.
    let program = PathBuf::from(program.to_string_lossy().trim_end_matches(" (deleted)"));
    let failed = |error| Error::permanent("supervise", "no signals can be had").because(error);
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut pause = SHORTEST_PAUSE;
    loop {
        let since = Instant::now();
        let child = Command::new(&program).args(words(args)).stdin(Stdio::null()).spawn();
        let mut child = child.map_err(|error| {
            Error::permanent("supervise", format!("{} cannot be run", program.display())).because(error)
        })?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        tokio::select! {
            ended = child.wait() => {
                let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                warn!(how, "The agent ended; it is started again.");
            }
            _ = async { tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} } } => {
                info!("Told to stop.");
                if let Some(pid) = pid {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                }
                let _ = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
                return Ok(());
            }
        }
        if since.elapsed() > STEADY {
            pause = SHORTEST_PAUSE;
        }
        tokio::select! {
            () = tokio::time::sleep(pause.mul_f64(rand::random_range(0.75..1.25))) => {}
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The agent of a data folder, by the file that it holds locked.
fn agent_of(data: &Path) -> Option<i32> {
    let pid: i32 = std::fs::read_to_string(data.join("agent.lock")).ok()?.trim().parse().ok()?;
    let pid = Some(pid).filter(|pid| *pid > 0)?;
    rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid)?).ok()?;
    Some(pid)
}

/// Checks the new program, puts it in the place of the old one at once, and tells the agent to end: systemd or the
/// supervisor starts it again. Services, jobs and engines are processes of their own, and go on.
pub(crate) async fn upgrade(args: &UpgradeArgs) -> Result<String> {
    let usage = |text: String| Error::permanent("upgrade", text);
    let said = Command::new(&args.binary).arg("--version").stdin(Stdio::null()).output().await;
    let said =
        said.map_err(|error| usage(format!("{} cannot be run", args.binary.display())).because(error))?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if !said.status.success() || !version.starts_with("streamverse ") {
        return Err(usage(format!("{} is no streamverse: it says {version:?}", args.binary.display())));
    }
    let pid = agent_of(&args.data).ok_or_else(|| {
        usage(format!("no agent keeps {}: give the --data of one that runs", args.data.display()))
    })?;
    let program = std::fs::read_link(format!("/proc/{pid}/exe"))
        .map_err(|error| usage(format!("the program of process {pid} cannot be seen")).because(error))?;
    let program = PathBuf::from(program.to_string_lossy().trim_end_matches(" (deleted)"));
    let fresh = program.with_extension(format!("{}.new", std::process::id()));
    let replaced = std::fs::copy(&args.binary, &fresh).and_then(|_| {
        std::fs::File::open(&fresh)?.sync_all()?;
        std::fs::rename(&fresh, &program)
    });
    replaced.map_err(|error| {
        let _ = std::fs::remove_file(&fresh);
        usage(format!("{} cannot be replaced", program.display())).because(error)
    })?;
    if let Some(agent) = rustix::process::Pid::from_raw(pid) {
        rustix::process::kill_process(agent, rustix::process::Signal::TERM).map_err(|error| {
            usage(format!("the agent, process {pid}, cannot be told to end")).because(error)
        })?;
    }
    let until = Instant::now() + BACK;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Some(now) = agent_of(&args.data).filter(|now| *now != pid) {
            return Ok(format!("{} is now {version}; the agent is process {now}\n", program.display()));
        }
    }
    Err(usage(format!(
        "{} is now {version}, but no agent came back within {} s: start it, and see its log",
        program.display(),
        BACK.as_secs()
    )))
}
