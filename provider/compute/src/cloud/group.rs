//! Groups: one for each candidate of a pool and lifecycle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streamverse_model::compute::{GroupName, Lifecycle, Money};

use super::error::ErrorClass;
use super::offer::Candidate;

/// What a group is to be. On a cloud without groups: what each instance under this name is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// Its name, which says whose it is.
    pub name: GroupName,
    /// What and where.
    pub candidate: Candidate,
    /// How.
    pub lifecycle: Lifecycle,
    /// The hard maximum, where the cloud can hold one: that of an on-demand group is the controller's limit.
    pub max: u32,
    /// No more than so much per hour and instance, where the cloud can hold it.
    pub max_hourly: Option<Money>,
    /// The image that a worker runs, or a template of the cloud that has it.
    pub image: String,
    /// Plain environment: nothing secret, clouds show it to whoever may list.
    pub environment: BTreeMap<String, String>,
    /// What only one cloud knows, as its leaf crate documents it.
    pub options: BTreeMap<String, String>,
}

/// A group as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// The size that was last set.
    pub size: u32,
    /// Why it is short of that, where the cloud says so.
    pub refused: Option<(ErrorClass, String)>,
}
