//! What the node agent needs to know of an engine: whether it is installed, how a spec becomes a checked configuration,
//! how it is started, what a change costs. The agent owns processes, switching and rolling back; a driver owns the trade.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use streamverse_model::platform::EngineKind;
use streamverse_model::platform::node::EngineInfo;

use crate::context::ServiceContext;
use crate::error::Result;

/// The driver of one kind of engine.
#[async_trait]
pub trait EngineDriver: Send + Sync {
    /// Which engine.
    fn kind(&self) -> EngineKind;

    /// Version and plugins of what is installed; `None` when nothing is.
    async fn detect(&self) -> Result<Option<EngineInfo>>;

    /// What the spec asks for and this host cannot give, known without rendering anything: told when a bundle is planned
    /// or applied, before anything of it is kept. `scratch` is where the engine's folders are or will be.
    ///
    /// # Errors
    /// The engine could not be asked.
    async fn refuses(&self, spec: &Value, scratch: &std::path::Path) -> Result<Option<Refused>>;

    /// Renders the spec for the installed version into `folder` (empty, a new one for every configuration), and lets
    /// the engine's own binary check it. Nothing that runs is touched.
    ///
    /// # Errors
    /// What the spec asks for and the installed version lacks, or what the check found: the switch does not happen.
    async fn prepare(&self, spec: &Value, folder: &std::path::Path, cx: &ServiceContext) -> Result<Prepared>;

    /// What must be done between preparing and starting, such as switching a link.
    async fn before_start(&self, prepared: &Prepared, cx: &ServiceContext) -> Result<()>;

    /// What it takes to get from one configuration to another.
    fn change(&self, from: &Prepared, to: &Prepared) -> Change;

    /// Makes the running engine use the configuration, without dropping a connection. Called for [`Change::Reload`].
    async fn reload(&self, from: &Prepared, to: &Prepared, cx: &ServiceContext) -> Result<()>;

    /// Asks the engine to finish what is in flight, before a restart or stop, and waits for that `within` so long.
    async fn drain(&self, running: &Prepared, cx: &ServiceContext, within: Duration) -> Result<()>;

    /// Whether the engine serves with this configuration: after a start, after a reload, and every few seconds.
    async fn health(&self, running: &Prepared, cx: &ServiceContext) -> Result<()>;
}

/// A checked configuration on disk. The agent keeps it as JSON beside the process it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Prepared {
    /// Digest of everything that was rendered: equal digests, equal configurations.
    pub digest: String,
    /// The folder that it was rendered into.
    pub folder: PathBuf,
    /// The program to start. It stays in the foreground; its whole process group is the engine.
    pub program: PathBuf,
    /// Its arguments; no secrets.
    pub args: Vec<String>,
    /// Its environment, nothing else is inherited but PATH; no secrets.
    pub env: BTreeMap<String, String>,
    /// Digests of the parts that only a restart applies.
    pub restart: BTreeMap<String, String>,
    /// Digests of the parts that a reload applies.
    pub reload: BTreeMap<String, String>,
    /// What a person should know: what the installed version does differently.
    pub warnings: Vec<String>,
}

/// Why a spec cannot be held by this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// A word for programs.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub next: String,
    /// The field of the spec.
    pub field: &'static str,
}

/// What it takes to get from one configuration to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// A reload: connections stay.
    Reload,
    /// A drained restart.
    Restart,
}
