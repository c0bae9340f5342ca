//! What a cloud offers: where, of what shape, how, for how much, and whether there is any.

use serde::{Deserialize, Serialize};
use streamverse_model::compute::{CloudKind, GpuClass, Lifecycle, Money, Tenancy};

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

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferQuery {
    /// These candidates; all that the cloud lists where empty.
    pub candidates: Vec<Candidate>,
}

/// How much there is, as far as the cloud says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stock {
    /// None, it says.
    None,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// It does not say.
    Unknown,
}

/// An offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// What and where.
    pub candidate: Candidate,
    /// How.
    pub lifecycle: Lifecycle,
    /// Per hour and instance.
    pub hourly: Money,
    /// Whether there is any.
    pub stock: Stock,
}

/// What an account may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// The cloud's own name for it.
    pub name: String,
    /// Where it holds; empty: everywhere.
    pub region: String,
    /// What is used of it.
    pub used: u64,
    /// The most.
    pub limit: u64,
}
