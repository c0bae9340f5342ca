//! Misspelt keys: all of them are reported, each with what was probably meant.
use tfplugin_schema::Schema;

/// A cache.
#[derive(Clone, Schema)]
#[schema(no_path)]
pub struct Cache {
    /// Its name.
    #[attribute(defualt = "a", validate(lenght = 1..=3, regexp = "a"))]
    pub name: String,
    /// Its size.
    #[attribute(replace, replace, sensitve)]
    pub size: u64,
    /// A block.
    #[attribute(block(minimum = 1))]
    pub blocks: Vec<Inner>,
    /// A note.
    #[attribute(default)]
    pub note: String,
}

/// Something inside.
#[derive(Clone, Schema)]
pub struct Inner {}

fn main() {}
