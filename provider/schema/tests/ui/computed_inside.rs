//! What is computed inside of a field must be said, for it has no state until the plan is complete.
use tfplugin_schema::{Computed, Schema};

/// A part.
#[derive(Clone, Schema)]
pub struct Part {
    /// Its identifier.
    pub id: Computed<String>,
}

/// A whole with nothing else computed.
#[derive(Clone, Schema)]
pub struct Whole {
    /// Its part.
    pub part: Part,
}

/// A whole with something else computed.
#[derive(Clone, Schema)]
pub struct Other {
    /// Its parts.
    pub parts: Vec<Part>,
    /// Its address.
    pub address: Computed<String>,
}

/// A whole that has all of a part.
#[derive(Clone, Schema)]
pub struct Flat {
    /// Its part.
    #[attribute(flatten)]
    pub part: Part,
}

fn main() {}
