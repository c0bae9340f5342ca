//! `corner_union`: one of several names; exactly one of several objects.

use tfplugin_framework::Schema;
use tfplugin_framework::schema::{Computed, Duration};

use crate::kept::kept;

/// Choices.
#[derive(Clone, Schema)]
pub(crate) struct Union {
    /// Assigned by the provider.
    id: Computed<String>,
    /// How entries leave when memory is full.
    #[attribute(default = Eviction::LeastRecent)]
    eviction: Eviction,
    /// Where things are kept.
    backend: Backend,
    /// Further backends, in order.
    fallbacks: Option<Vec<Backend>>,
}

/// How entries leave.
#[derive(Clone, Debug, PartialEq, Schema)]
pub(crate) enum Eviction {
    /// What was not used for longest.
    LeastRecent,
    /// What came first.
    FirstIn,
    /// Nothing leaves: writes fail.
    Never,
}

/// Where things are kept.
#[derive(Clone, Schema)]
pub(crate) enum Backend {
    /// In memory.
    Memory,
    /// In a file.
    File {
        /// Its path.
        path: String,
    },
    /// On a server.
    Remote(Remote),
}

/// A server.
#[derive(Clone, Schema)]
pub(crate) struct Remote {
    /// Its address.
    address: String,
    /// How long to wait for it.
    #[attribute(default = "5s")]
    timeout: Duration,
}

kept!("union", Union, UnionComputed);
