//! Instances, and what a cloud announces about them.

use serde::{Deserialize, Serialize};
use streamverse_model::compute::{GroupName, InstanceName, Lifecycle, Money};

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Asked for and not running yet. It may cost already.
    Starting,
    /// It runs; whether its worker is ready the worker says.
    Running,
    /// On its way out.
    Stopping,
    /// It does not run and will not by itself, and may still cost.
    Failed,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The cloud's own id.
    pub id: String,
    /// Its group.
    pub group: GroupName,
    /// Its name, where it was launched by one.
    pub name: Option<InstanceName>,
    /// How it was bought.
    pub lifecycle: Lifecycle,
    /// How far it is.
    pub phase: Phase,
    /// The zone or data centre that it is in, where the cloud says so.
    pub zone: Option<String>,
    /// What it costs per hour, where the cloud says so.
    pub hourly: Option<Money>,
    /// When it was launched, in milliseconds since the epoch, where the cloud says so.
    pub launched_ms: Option<u64>,
}

/// What a cloud announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The cloud's own id of the instance.
    pub id: String,
    /// What.
    pub kind: NoticeKind,
    /// When it happens, in milliseconds since the epoch, where the cloud says so.
    pub at_ms: Option<u64>,
}

/// What may be announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// It will be taken away.
    Preemption,
    /// It is likelier than others to be taken away soon.
    Rebalance,
}
