//! Doc comments are the documentation of the provider, so nothing goes without.
use tfplugin_schema::Schema;

#[derive(Clone, Schema)]
pub struct Cache {
    pub name: String,
    ///
    pub size: u64,
}

/// What goes first.
#[derive(Clone, Schema)]
pub enum Eviction {
    /// The oldest.
    Oldest,
    Rarest,
}

fn main() {}
