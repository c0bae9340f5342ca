//! The clouds that compute is bought from, and how.

use std::fmt;

use serde::{Deserialize, Serialize};
use tfplugin_schema::Schema;

/// A cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudKind {
    /// Amazon EC2: EC2 Fleet and Auto Scaling groups.
    Aws,
    /// Google Compute Engine: managed instance groups.
    Gcp,
    /// Microsoft Azure: virtual machine scale sets.
    Azure,
    /// RunPod: single pods, without groups and without spot.
    Runpod,
}

/// How an instance is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// Cheap, and taken back whenever the cloud needs it.
    Spot,
    /// At the full price, until it is given back.
    OnDemand,
}

/// Whose machines they are.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Schema, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Tenancy {
    /// The cloud's own data centres; RunPod's "secure cloud".
    #[default]
    Secure,
    /// Machines of third parties that RunPod rents out.
    Community,
}

impl fmt::Display for CloudKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lifecycle::Spot => "spot",
            Lifecycle::OnDemand => "on-demand",
        })
    }
}
