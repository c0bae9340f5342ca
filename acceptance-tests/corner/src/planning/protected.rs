//! `corner_protected`: what cannot be destroyed by accident, and what can never change.

use tfplugin_framework::Schema;
use tfplugin_framework::schema::Computed;

use crate::kept::kept;

/// A database.
#[derive(Clone, Schema)]
pub(crate) struct Protected {
    /// Assigned by the provider.
    id: Computed<String>,
    /// While true, it can neither be destroyed nor replaced.
    #[attribute(default = false, deletion_protection)]
    deletion_protection: bool,
    /// Where it is; another place needs another database.
    #[attribute(replace)]
    region: String,
    /// How many copies there are, for good.
    #[attribute(fixed = "The number of copies is chosen once: make another database and move the data.")]
    copies: Option<u8>,
}

kept!("protected", Protected, ProtectedComputed);
