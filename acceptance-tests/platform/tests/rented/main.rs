//! A rented worker as a process: `streamverse-edge worker` at the API of a controller, with a script for a worker, and with the
//! real one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops at the first thing that is not as it must be"
)]

#[path = "../../../../runtime/fleet/tests/workers/kit.rs"]
#[allow(dead_code, reason = "the tests of the API need more of it")]
mod kit;
mod life;
mod whole;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use streamverse_acceptance::binaries;
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(90);

/// The folders of one container, and what its agent says.
struct Container {
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    program: PathBuf,
    agent: Option<Child>,
}

impl Container {
    /// One that runs `program`, in a folder of its own below `folder`.
    fn new(folder: &Path, name: &str, environment: BTreeMap<String, String>, program: PathBuf) -> Container {
        let folder = folder.join(name);
        for part in ["private", "scratch"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        Container { folder, environment, program, agent: None }
    }

    fn start(&mut self, path: &str) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut command = Command::new(binaries().join("streamverse-edge"));
        command.args(["worker", "--patience", "2", "--program"]).arg(&self.program);
        command.arg("--private").arg(self.folder.join("private"));
        command.arg("--scratch").arg(self.folder.join("scratch"));
        command.env_clear().env("PATH", path).env("RUST_LOG", "debug").env("OUT", self.folder.join("out"));
        command.envs(&self.environment).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.agent = Some(command.kill_on_drop(true).spawn().unwrap());
    }

    fn pid(&self) -> u32 {
        self.agent.as_ref().unwrap().id().unwrap()
    }

    /// What the agent started.
    fn worker(&self) -> u32 {
        let agent = self.pid();
        let child = |entry: std::fs::DirEntry| {
            // The name in brackets may have anything in it.
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            (parent == agent).then(|| entry.file_name().to_str()?.parse().ok())?
        };
        std::fs::read_dir("/proc").unwrap().flatten().find_map(child).unwrap()
    }

    /// What the script wrote.
    fn out(&self) -> String {
        std::fs::read_to_string(self.folder.join("out")).unwrap_or_default()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The code that the agent ends with.
    async fn ends(&mut self) -> i32 {
        let mut agent = self.agent.take().unwrap();
        match tokio::time::timeout(PATIENCE, agent.wait()).await {
            Ok(status) => status.unwrap().code().unwrap_or(-1),
            Err(_) => panic!("it does not end: {}", self.log()),
        }
    }

    async fn until(&self, what: &str, done: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < until, "{what}: {}\n{}", self.out(), self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Files below the container's folder.
    fn files(&self) -> Vec<PathBuf> {
        let (mut files, mut folders) = (Vec::new(), vec![self.folder.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(it) if it.is_dir() => folders.push(entry.path()),
                    Ok(it) if it.is_file() => files.push(entry.path()),
                    _ => {}
                }
            }
        }
        files
    }

    /// Where a text stands: files but those that `meant` allows, arguments of processes, and environments of those that the
    /// agent started.
    fn finds(&self, text: &str, meant: impl Fn(&Path) -> bool) -> Vec<String> {
        let has = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        let mut found = Vec::new();
        for file in self.files().into_iter().filter(|it| !meant(it)) {
            if has(&std::fs::read(&file).unwrap_or_default()) {
                found.push(file.display().to_string());
            }
        }
        let agent = self.agent.as_ref().and_then(Child::id).map(|it| it.to_string());
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
            let arguments = read("cmdline");
            let ours = String::from_utf8_lossy(&arguments).contains(&*self.folder.to_string_lossy());
            let itself = entry.file_name().to_str() == agent.as_deref();
            if ours && (has(&arguments) || !itself && has(&read("environ"))) {
                found.push(String::from_utf8_lossy(&arguments).replace('\0', " "));
            }
        }
        found
    }

    /// Nothing of the worker is left but what the test itself looks at.
    fn nothing_left(&self) {
        for part in ["private", "scratch"] {
            let left: Vec<_> = std::fs::read_dir(self.folder.join(part)).unwrap().flatten().collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

/// A script as a program.
fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("worker.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}
