//! Keys that make no sense where they stand.
use tfplugin_schema::{Computed, Schema, Secret};

/// What every cache has.
#[derive(Clone, Schema)]
pub struct Spec {
    /// Its size.
    pub size: u64,
}

/// A cache.
#[derive(Clone, Schema)]
pub struct Cache {
    /// Protects by words.
    #[attribute(deletion_protection)]
    pub protected: String,
    /// Flattened and replaced.
    #[attribute(flatten, replace)]
    pub spec: Spec,
    /// A block with a default.
    #[attribute(block, sensitive)]
    pub block: Option<Spec>,
    /// Blocks as a set.
    #[attribute(block(set))]
    pub blocks: Vec<Spec>,
    /// A secret with a default.
    #[attribute(default = "secret")]
    pub password: Secret<String>,
    /// Kept nowhere.
    #[attribute(write_only)]
    pub nowhere: Computed<String>,
    /// Null in plan and state.
    #[attribute(write_only)]
    pub token: String,
    /// Null where it is left out.
    #[attribute(optional)]
    pub note: String,
    /// A capital.
    #[attribute(name = "apiVersion")]
    pub version: String,
    /// Twice the same.
    #[attribute(name = "version_2")]
    pub first: String,
    /// Twice the same.
    pub version_2: String,
}

fn main() {}
