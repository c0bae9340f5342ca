//! `corner_thing`: an ordinary resource, to look at what is ordinary: create, read, update, drift, import.

use std::collections::BTreeMap;

use tfplugin_framework::Schema;
use tfplugin_framework::schema::Computed;

use crate::kept::kept;

/// A thing.
#[derive(Clone, Schema)]
pub(crate) struct Thing {
    /// Assigned by the provider.
    pub(super) id: Computed<String>,
    /// What it is called.
    pub(super) name: String,
    /// Its size.
    #[attribute(default = 1_u32)]
    pub(super) size: u32,
    /// Names and values.
    labels: Option<BTreeMap<String, String>>,
}

kept!("thing", Thing, ThingComputed);
