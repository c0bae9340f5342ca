//! Replicas of a channel beside what Terraform made, and a reader of it that is not ours.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::Node;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Two replicas of the channel that a node runs, under another name. They end with the test.
pub struct Twins {
    program: PathBuf,
    folder: PathBuf,
    user: Option<u32>,
    ports: [u16; 2],
    running: [Option<Child>; 2],
}

impl Twins {
    /// Of the node's only channel, at these ports; neither runs yet.
    ///
    /// # Errors
    /// A node without a channel; files that cannot be written.
    pub fn of(node: &Node, name: &str, ports: [u16; 2]) -> Result<Twins, Fault> {
        let mut todo = vec![node.folder().to_path_buf()];
        let mut found = None;
        while let Some(next) = todo.pop() {
            for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    todo.push(path);
                } else if path.ends_with("context.json")
                    && std::fs::read_to_string(&path).is_ok_and(|it| it.contains("\"service/fast-channel\""))
                {
                    found = path.parent().map(Path::to_path_buf);
                }
            }
        }
        let place = found.ok_or("the node runs no channel")?;
        let read = |name: &str| -> Result<Value, Fault> {
            Ok(serde_json::from_slice(&std::fs::read(place.join(name))?)?)
        };
        let (mut spec, mut context) = (read("spec.json")?, read("context.json")?);
        context["owner"]["name"] = name.into();
        let folder = node.folder().join(name);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("context.json"), context.to_string())?;
        for (at, port) in ports.iter().enumerate() {
            spec["port"] = (*port).into();
            std::fs::write(folder.join(format!("spec-{at}.json")), spec.to_string())?;
        }
        let id = |arguments: &[&str]| {
            let said = Command::new("id").args(arguments).output().ok()?;
            String::from_utf8_lossy(&said.stdout).trim().parse::<u32>().ok()
        };
        // As the node's services: they share a database.
        let user = if crate::is_root() { id(&["-u", "trafficserver"]) } else { None };
        if let Some(user) = user {
            std::os::unix::fs::chown(&folder, Some(user), None)?;
        }
        let program = node.folder().join("streamverse");
        Ok(Twins { program, folder, user, ports, running: [None, None] })
    }

    /// Starts the first or the second one.
    ///
    /// # Errors
    /// A program that does not start.
    pub fn start(&mut self, at: usize) -> Result<(), Fault> {
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--target", "fast-channel", "--spec"])
            .arg(self.folder.join(format!("spec-{at}.json")));
        command.arg("--context").arg(self.folder.join("context.json"));
        command.arg("--admin").arg(format!("unix:{}", self.folder.join(format!("{at}.sock")).display()));
        let log = self.folder.join(format!("{at}.log"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        if let Some(user) = self.user {
            command.uid(user);
        }
        if let Some(place) = self.running.get_mut(at) {
            *place = Some(command.spawn()?);
        }
        Ok(())
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self, at: usize) {
        if let Some(mut child) = self.running.get_mut(at).and_then(Option::take) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Where it says that it is ready.
    pub fn readiness(&self, at: usize) -> String {
        format!("http://127.0.0.1:{}/readyz", self.ports.get(at).copied().unwrap_or_default())
    }
}

impl Drop for Twins {
    fn drop(&mut self) {
        self.kill(0);
        self.kill(1);
    }
}

/// A channel's reader that runs: HLS by npm's hls-parser, DASH by mpd-parser, each segment once
/// (`acceptance-tests/platform/browser/channel.mjs`).
pub struct Reader(Option<Child>);

impl Reader {
    /// Reads for so many seconds.
    ///
    /// # Errors
    /// Node that does not start.
    pub fn start(program: &Path, address: &str, seconds: u64, folder: &Path) -> Result<Reader, Fault> {
        std::fs::create_dir_all(folder)?;
        let mut command = Command::new(program);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/browser/channel.mjs")).arg(address);
        command.arg(seconds.to_string()).arg(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Reader(Some(command.spawn()?)))
    }

    /// What it saw, when it saw nothing wrong and no segment is missing.
    ///
    /// # Errors
    /// What it saw wrong.
    pub fn seen(mut self) -> Result<Value, Fault> {
        let said = self.0.take().ok_or("it was asked before")?.wait_with_output()?;
        if !said.status.success() {
            return Err(String::from_utf8_lossy(&said.stderr).into_owned().into());
        }
        let seen: Value = serde_json::from_slice(&said.stdout)?;
        for list in seen["lists"].as_array().into_iter().flatten() {
            let numbers: Vec<u64> =
                list["numbers"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
            if numbers.is_empty() || !numbers.windows(2).all(|two| matches!(two, [a, b] if *b == a + 1)) {
                return Err(format!("segments are missing: {list}").into());
            }
        }
        if seen["faults"].as_array().is_some_and(Vec::is_empty) {
            Ok(seen)
        } else {
            Err(seen["faults"].to_string().into())
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
