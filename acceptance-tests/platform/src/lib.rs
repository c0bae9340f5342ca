//! What acceptance tests of the streaming product share: a node agent of their own, on ports of their own, and the HCL that
//! leads to it.

mod broom;
pub mod certificates;
pub mod cluster;
pub mod crash;
pub mod faults;
pub mod jobs;
pub mod kit;
mod ports;
pub mod replicas;
pub mod secrets;
pub mod servers;
pub mod stand_in;
pub mod vault;

pub use ports::free_port;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use streamverse_model::platform::{Bundle, Name, Owner};
use streamverse_sites::node::{NodeConfig, NodeSite};
use streamverse_sites::{Deletion, Site as _};
use tempfile::TempDir;

/// The provider's address.
pub const ADDRESS: &str = "registry.terraform.io/streamverse/streamverse";

/// A node agent in a temporary folder, with everything that it started.
pub struct Node {
    folder: TempDir,
    binaries: PathBuf,
    agent: Option<Child>,
    /// Arguments of the agent beyond the usual ones.
    extra: Vec<String>,
    /// Where the agent finds programs, where that is not where we do.
    path: Option<PathBuf>,
    /// Variables of the agent's environment beyond ours.
    variables: Vec<(String, String)>,
    /// Free ports.
    pub ports: [u16; 3],
}

/// What a test finds missing, told aloud; with `CI` set it is a failure.
fn missing(what: &str) -> Option<Node> {
    assert!(std::env::var_os("CI").is_none(), "{what}");
    eprintln!("SKIPPED: {what}");
    None
}

impl Node {
    /// Builds the binaries if need be and starts an agent. `None`, told aloud, where a program is missing.
    ///
    /// # Panics
    /// When the agent does not start.
    pub fn start() -> Option<Node> {
        Node::start_with(|_| Vec::new())
    }

    /// … with more arguments for the agent, made in its folder.
    ///
    /// # Panics
    /// When the agent does not start.
    pub fn start_with(extra: impl FnOnce(&Path) -> Vec<String>) -> Option<Node> {
        for (variable, _) in TOOLS {
            if std::env::var_os(variable).is_none() {
                return missing(&format!("{variable} is not set: `cargo xtask tools` prints it"));
            }
        }
        if !Path::new("/usr/bin/traffic_server").exists() {
            return missing(
                "Traffic Server is not installed: apt-get install trafficserver trafficserver-experimental-plugins",
            );
        }
        let binaries = binaries();
        let folder = tempfile::Builder::new().prefix("sv").tempdir().ok()?;
        open(folder.path());
        for (variable, name) in TOOLS {
            let from = std::env::var_os(variable).map(PathBuf::from).unwrap_or_default();
            let to = folder.path().join(name);
            assert!(std::fs::copy(from, &to).is_ok(), "{name} cannot be copied");
            open(&to);
        }
        let program = folder.path().join("streamverse");
        assert!(
            std::fs::copy(binaries.join("streamverse"), &program).is_ok(),
            "the program cannot be copied"
        );
        open(&program);
        let ports = [free_port(), free_port(), free_port()];
        let extra = extra(folder.path());
        let (path, variables) = (None, Vec::new());
        let mut node = Node { folder, binaries, agent: None, extra, path, variables, ports };
        node.start_agent();
        Some(node)
    }

    /// Starts the agent; what an earlier one started is found again.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn start_agent(&mut self) {
        let base = self.folder.path();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(base.join("agent.log"));
        let mut command = Command::new(base.join("streamverse"));
        command.args(["node", "run", "--data"]).arg(base.join("data")).arg("--run").arg(base.join("run"));
        for (_, name) in TOOLS {
            command.arg("--tool").arg(format!("{name}={}", base.join(name).display()));
        }
        if is_root() {
            command.args(["--user", "trafficserver"]);
        }
        command.args(&self.extra);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Ok(log) = log {
            command.stderr(log);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let until = Instant::now() + Duration::from_secs(60);
        // A test beside this one may have forked while the program was copied: until its child executes, that holds the
        // copy open for writing, and nobody may run it (execve(2), ETXTBSY).
        self.agent = loop {
            match command.spawn() {
                Ok(agent) => break Some(agent),
                Err(error) => {
                    let busy = error.kind() == std::io::ErrorKind::ExecutableFileBusy;
                    assert!(busy && Instant::now() < until, "the agent cannot be run: {error}");
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        };
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < until, "the agent does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// From the next start on the agent finds programs in this folder alone.
    pub fn finds_programs_in(&mut self, folder: PathBuf) {
        self.path = Some(folder);
    }

    /// From the next start on the agent's environment has this variable.
    pub fn has_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The agent's process.
    pub fn agent_pid(&self) -> Option<u32> {
        self.agent.as_ref().map(Child::id)
    }

    /// Ends the agent at once, as a crash would.
    pub fn kill_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    /// The agent's log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default()
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The agent's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("run/node.sock")
    }

    /// The provider's program.
    pub fn provider(&self) -> PathBuf {
        self.binaries.join("terraform-provider-streamverse")
    }

    /// A tool that the agent uses.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A provider block that leads here.
    pub fn block(&self) -> String {
        format!(
            "terraform {{\n  required_providers {{\n    streamverse = {{ source = \"{ADDRESS}\" }}\n  }}\n}}\nprovider \"streamverse\" {{\n  deployment = \"test\"\n  sites = {{ default = {{ node = {{ socket = \"{}\" }} }} }}\n}}\n",
            self.socket().display()
        )
    }

    /// The site's client, to look behind Terraform.
    pub fn site(&self) -> NodeSite {
        NodeSite::new(NodeConfig::socket("default", self.socket()))
    }

    /// The owners of the deployment that the agent knows.
    ///
    /// # Errors
    /// An agent that does not answer.
    pub fn owners(&self) -> Result<Vec<Owner>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let deployment = Name::parse("test").map_err(|error| error.to_string())?;
        let site = self.site();
        runtime.block_on(site.list(&deployment)).map_err(|error| error.to_string())
    }

    /// Takes what an owner has away behind Terraform's back; all of the owner, or, where it is to be `empty`, what it has.
    ///
    /// # Errors
    /// An agent that refuses or does not answer.
    pub fn behind(&self, kind: &str, name: &str, empty: bool) -> Result<(), String> {
        let told = |error: &dyn std::fmt::Display| format!("{kind}/{name}: {error}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| told(&error))?;
        let owner = Owner::new("test", kind, name).map_err(|error| told(&error))?;
        let site = self.site();
        runtime.block_on(async {
            if empty {
                let nothing = Bundle::new(owner, Vec::new());
                return site.apply(&nothing, &[]).await.map(drop).map_err(|error| told(&error));
            }
            while site.delete(&owner).await.map_err(|error| told(&error))? != Deletion::Gone {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        })
    }

    /// Processes that an owner has now; none while it is being started.
    pub fn pids(&self, kind: &str, name: &str) -> Vec<u32> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (Ok(runtime), Ok(owner)) = (runtime, Owner::new("test", kind, name)) else { return Vec::new() };
        let observed = runtime.block_on(self.site().observe(&owner)).ok().flatten();
        observed.into_iter().flat_map(|it| it.objects).flat_map(|status| status.pids).collect()
    }

    /// What the deployment has left: owners, files of its data, sockets, processes, ports.
    ///
    /// # Errors
    /// What is left.
    pub fn nothing_left(&self) -> Result<(), String> {
        let owners = self.owners()?;
        if !owners.is_empty() {
            return Err(format!("owners are left: {owners:?}"));
        }
        for folder in ["data/test", "run/test"].map(|it| self.folder.path().join(it)) {
            if folder.exists() {
                return Err(format!("{} is left", folder.display()));
            }
        }
        let base = self.folder.path().to_string_lossy().into_owned();
        let left = processes_of(&base, self.agent.as_ref().map(Child::id));
        if !left.is_empty() {
            return Err(format!("processes are left: {left:?}"));
        }
        // As a service listens: what others hold in TIME_WAIT is nobody's listener.
        let taken = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_err();
        match self.ports.iter().find(|port| taken(port)) {
            Some(port) => Err(format!("port {port} is still taken")),
            None => Ok(()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Whatever a failed test left: owners first, then the agent.
        if self.agent.is_none() {
            self.start_agent();
        }
        let _ = Command::new(self.folder.path().join("streamverse"))
            .args(["sweep", "--deployment", "test", "--socket"])
            .arg(self.socket())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        self.kill_agent();
    }
}

const TOOLS: &[(&str, &str)] = &[
    ("STREAMVERSE_FFMPEG", "ffmpeg"),
    ("STREAMVERSE_FFPROBE", "ffprobe"),
    ("STREAMVERSE_PACKAGER", "packager"),
];

/// Processes whose command line names the folder, but for the agent.
fn processes_of(base: &str, agent: Option<u32>) -> Vec<String> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid: Option<u32> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if pid.is_none() || pid == agent {
            continue;
        }
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(base) && !line.contains("/terraform") {
            left.push(line);
        }
    }
    left
}

/// Where cargo puts binaries: beside this test's own folder. Built here once, so that `cargo test -p` alone is enough;
/// `cargo xtask test` has built them before any test runs, and says so, for another build would replace the files that
/// a program beside this one is about to run.
pub fn binaries() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BUILT
        .get_or_init(|| {
            if std::env::var_os("XTASK_BUILT").is_none() {
                let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let packages = ["streamverse", "streamverse-edge", "terraform-provider-streamverse"];
                let done = Command::new(cargo)
                    .args(["build", "--quiet"])
                    .args(packages.iter().flat_map(|package| ["-p", package]))
                    .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
                    .status();
                assert!(done.is_ok_and(|status| status.success()), "the binaries cannot be built");
            }
            let test = std::env::current_exe().unwrap_or_default();
            test.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default()
        })
        .clone()
}

pub(crate) fn open(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
}

/// Whether we are root, and the agent runs services as somebody else.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0)
}

/// Seconds since the Unix epoch as RFC 3339 has them, in UTC.
pub fn rfc3339(seconds: u64) -> String {
    timestamp(seconds).to_string()
}

/// … as HTTP and mail have them.
pub fn rfc2822(seconds: u64) -> String {
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&timestamp(seconds))
        .unwrap_or_default()
}

fn timestamp(seconds: u64) -> jiff::Timestamp {
    i64::try_from(seconds).ok().and_then(|it| jiff::Timestamp::from_second(it).ok()).unwrap_or_default()
}
