//! Where instances are bought.

use serde::{Deserialize, Serialize};

use super::{CloudKind, GpuClass, Tenancy};

/// Where to buy what: one entry of a pool's ordered list. A place is a failure domain: it has capacity for all or none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Short and unique in its pool, valid in names: `us-east-1a-g6`, `l40s-us-tx-3`.
    pub key: String,
    /// The cloud.
    pub cloud: CloudKind,
    /// Region, or RunPod's data centre; empty: anywhere.
    pub region: String,
    /// Zone, where the cloud has them and the candidate is one of them.
    #[serde(default)]
    pub zone: Option<String>,
    /// Instance type, machine type, size, or RunPod's GPU id.
    pub shape: String,
    /// GPUs of each instance; 0 for none.
    pub gpus: u32,
    /// Whose machines.
    #[serde(default)]
    pub tenancy: Tenancy,
}

impl Candidate {
    /// The class whose limits it counts against.
    pub fn class(&self) -> GpuClass {
        if self.gpus == 0 { GpuClass::Cpu } else { GpuClass::Gpu }
    }
}
