//! What a cloud offers: where, of what shape, how, for how much, and whether there is any.

use serde::{Deserialize, Serialize};
pub use streamverse_model::compute::Candidate;
use streamverse_model::compute::{Lifecycle, Money};

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
