//! A platform of its own, as a user has it: a node agent, the provider, and Terraform that applies to it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::children::{self, Said, Server};
use crate::{Outcome, Setup, folder, free_port, open};

const ADDRESS: &str = "registry.terraform.io/streamverse/streamverse";
const APPLY_LIMIT: Duration = Duration::from_secs(300);
/// Who engines run as where we are root: Traffic Server refuses root.
const USER: &str = "trafficserver";

/// An agent in a temporary folder with an origin and an edge, until it is dropped.
#[derive(Debug)]
pub struct Platform {
    program: PathBuf,
    terraform: PathBuf,
    _agent: Server,
    /// The origin's port.
    pub origin: u16,
    /// The edge's port.
    pub edge: u16,
    // Last: it is removed when nothing runs in it any more.
    folder: tempfile::TempDir,
}

impl Platform {
    /// Starts the agent and applies.
    ///
    /// # Errors
    /// What Terraform or the agent said.
    pub async fn start(setup: &Setup) -> Outcome<Platform> {
        let folder = folder()?;
        let base = folder.path();
        let program = base.join("streamverse");
        std::fs::copy(setup.binary("streamverse")?, &program)?;
        open(&program)?;
        setup.binary("terraform-provider-streamverse")?;
        let mut command = Command::new(&program);
        command.args(["node", "run", "--data"]).arg(base.join("data")).arg("--run").arg(base.join("run"));
        if user().is_some() {
            command.args(["--user", USER]);
        }
        let mut agent = Server::start("node agent", &mut command, &base.join("agent.log"))?;
        let socket = base.join("run/node.sock");
        agent.until("listened", || std::os::unix::net::UnixStream::connect(&socket).is_ok()).await?;
        let overrides = format!(
            "provider_installation {{\n  dev_overrides {{ \"{ADDRESS}\" = \"{}\" }}\n  direct {{}}\n}}\n",
            setup.binaries.display()
        );
        std::fs::write(base.join("terraform.rc"), overrides)?;
        std::fs::create_dir_all(base.join("hcl"))?;
        let platform = Platform {
            program,
            terraform: setup.terraform.clone(),
            _agent: agent,
            origin: free_port()?,
            edge: free_port()?,
            folder,
        };
        platform.configure("streamverse_origin.main.address")?;
        platform.apply().await?;
        Ok(platform)
    }

    /// Everything lies below it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the origin's store keeps its objects.
    pub fn store(&self) -> PathBuf {
        self.folder().join("data/bench/stores/media")
    }

    /// Writes the configuration, with an edge that fetches from there (an expression of HCL).
    ///
    /// # Errors
    /// A full disk.
    pub fn configure(&self, from: &str) -> Outcome<()> {
        let (socket, origin, edge) = (self.folder().join("run/node.sock"), self.origin, self.edge);
        let text = format!(
            r#"terraform {{
  required_providers {{
    streamverse = {{ source = "{ADDRESS}" }}
  }}
}}
provider "streamverse" {{
  deployment = "bench"
  sites      = {{ default = {{ node = {{ socket = "{}" }} }} }}
}}
resource "streamverse_object_store" "media" {{ name = "media" }}
resource "streamverse_catalogue" "main" {{ name = "main" }}
resource "streamverse_origin" "main" {{
  name         = "main"
  port         = {origin}
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
}}
resource "streamverse_ats_edge" "main" {{
  name    = "main"
  port    = {edge}
  origins = [{{ url = {from} }}]
  storage = "512MiB"
  memory  = "128MiB"
}}
"#,
            socket.display()
        );
        Ok(std::fs::write(self.folder().join("hcl/main.tf"), text)?)
    }

    /// `terraform apply`.
    ///
    /// # Errors
    /// What it said.
    pub async fn apply(&self) -> Outcome<Said> {
        let mut command = Command::new(&self.terraform);
        command
            .current_dir(self.folder().join("hcl"))
            .args(["apply", "-auto-approve", "-input=false", "-no-color"])
            .env("TF_CLI_CONFIG_FILE", self.folder().join("terraform.rc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_LOG");
        let said = children::run("terraform apply", &mut command, APPLY_LIMIT).await;
        let log = || std::fs::read_to_string(self.folder().join("agent.log")).unwrap_or_default();
        said.map_err(|error| format!("{error}\nthe agent's log:\n{}", log()).into())
    }

    /// The processes of the edge's Traffic Server.
    pub fn traffic_server(&self) -> Vec<u32> {
        engine(self.folder())
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // Engines outlive an agent that ends; so what is declared goes first.
        let _ = Command::new("timeout")
            .arg("60")
            .arg(&self.program)
            .args(["sweep", "--deployment", "bench", "--socket"])
            .arg(self.folder().join("run/node.sock"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        // What the sweep could not end, the agent among it, which would start it again.
        children::kill(&children::naming(self.folder()));
    }
}

/// The Traffic Servers of a folder, whose command line names it.
pub fn engine(folder: &Path) -> Vec<u32> {
    let is_engine = |pid: &u32| children::name(*pid).starts_with("[TS_");
    children::naming(folder).into_iter().filter(is_engine).collect()
}

/// Where we are root: the ids that engines run under.
pub fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line =
        users.lines().find_map(|line| line.strip_prefix(USER)?.strip_prefix(':').map(str::to_owned))?;
    let mut fields = line.split(':').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
