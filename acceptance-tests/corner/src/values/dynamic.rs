//! `corner_dynamic`: an attribute whose type the configuration chooses.

use tfplugin_framework::Schema;
use tfplugin_framework::schema::{Computed, Dynamic as Any};

use crate::kept::kept;

/// Any value.
#[derive(Clone, Schema)]
pub(crate) struct Dynamic {
    /// Assigned by the provider.
    id: Computed<String>,
    /// Any value of any type.
    value: Option<Any>,
}

kept!("dynamic", Dynamic, DynamicComputed);
