//! Defaults are values of the field.
use tfplugin_schema::{Computed, Schema};

/// A cache.
#[derive(Clone, Schema)]
pub struct Cache {
    /// A switch.
    #[attribute(default = "yes")]
    pub switch: bool,
    /// A size.
    #[attribute(default = -1)]
    pub size: u64,
    /// A ratio.
    #[attribute(default = 0.5)]
    pub count: u32,
}

/// A cache that says it twice.
#[derive(Clone, Schema)]
pub struct Twice {
    /// Never null.
    #[attribute(default = 5)]
    pub perhaps: Option<u64>,
    /// Whose is it?
    #[attribute(default = "x")]
    pub computed: Computed<String>,
}

fn main() {}
