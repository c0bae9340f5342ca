//! Whether a variant's value is there at all depends on the variant, so nothing in it can be computed.
use tfplugin_schema::{Computed, Schema};

/// A part.
#[derive(Clone, Schema)]
pub struct Part {
    /// Its identifier.
    pub id: Computed<String>,
}

/// A choice.
#[derive(Clone, Schema)]
pub enum Choice {
    /// A part.
    Part(Part),
    /// Nothing.
    Nothing,
}

/// A choice with fields.
#[derive(Clone, Schema)]
pub enum Direct {
    /// A part.
    Part {
        /// Its identifier.
        id: Computed<String>,
    },
}

fn main() {}
