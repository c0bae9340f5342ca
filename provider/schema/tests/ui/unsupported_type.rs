//! A field of a type that cannot be an attribute.
use tfplugin_schema::Schema;

/// Not a schema.
#[derive(Clone)]
pub struct Handle;

/// A cache.
#[derive(Clone, Schema)]
pub struct Cache {
    /// Its name.
    pub name: String,
    /// Its handle.
    pub handle: Handle,
}

fn main() {}
