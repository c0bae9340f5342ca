//! The ledger: what was launched, got ready, was announced, taken away and given back, on the virtual clock. It only grows.

use serde::{Deserialize, Serialize};
use streamverse_model::compute::{CloudKind, GpuClass, Lifecycle, Money};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It costs from now on.
    Launch,
    /// It works from now on.
    Ready,
    /// It will be taken away.
    Notice,
    /// It was taken away.
    Preempt,
    /// It was given back.
    Terminate,
    /// A group was made.
    Group,
    /// A group was deleted.
    GroupDeleted,
    /// A launch was refused; `why` has the class.
    Refused,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The virtual time, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What.
    pub event: Event,
    /// The instance; empty for groups.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The group's name.
    pub group: String,
    /// The zone, where it is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// The cloud.
    pub cloud: CloudKind,
    /// The class.
    pub class: GpuClass,
    /// How it is bought.
    pub lifecycle: Lifecycle,
    /// What it costs per hour.
    #[serde(default)]
    pub hourly: Money,
    /// Of a refusal: why. Of a notice: when. Of a launch: `kept` where the group took it by itself, to keep its size.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}
