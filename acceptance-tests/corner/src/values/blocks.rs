//! `corner_blocks`: nested blocks, for configurations that predate nested attributes.

use tfplugin_framework::Schema;
use tfplugin_framework::schema::Computed;

use crate::kept::kept;

/// Blocks in blocks.
#[derive(Clone, Schema)]
pub(crate) struct Blocks {
    /// Assigned by the provider.
    id: Computed<String>,
    /// At most one.
    #[attribute(block)]
    single: Option<BlockInner>,
    /// Any number, in order.
    #[attribute(block)]
    listener: Vec<Listener>,
}

/// A block.
#[derive(Clone, Schema)]
pub(crate) struct BlockInner {
    /// Anything.
    text: Option<String>,
}

/// A block with blocks in it.
#[derive(Clone, Schema)]
pub(crate) struct Listener {
    /// Where it listens.
    port: u16,
    /// What it speaks.
    #[attribute(default = "http")]
    protocol: String,
    /// What goes where.
    #[attribute(block)]
    route: Vec<Route>,
}

/// A block in a block.
#[derive(Clone, Schema)]
pub(crate) struct Route {
    /// The beginning of the path.
    prefix: String,
}

kept!("blocks", Blocks, BlocksComputed);
