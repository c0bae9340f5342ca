//! `corner_set`: elements that are not known yet stay apart, however alike; elements that are objects keep
//! what was computed for them.

use std::collections::BTreeSet;

use tfplugin_framework::Schema;
use tfplugin_framework::schema::Computed;

use crate::kept::kept;

/// Sets.
#[derive(Clone, Schema)]
pub(crate) struct Sets {
    /// Assigned by the provider.
    id: Computed<String>,
    /// Strings, perhaps not known yet.
    names: Option<BTreeSet<String>>,
    /// Numbers.
    ports: Option<BTreeSet<u16>>,
    /// Objects with a default inside.
    members: Option<BTreeSet<SetMember>>,
}

/// An element.
#[derive(Clone, Schema, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SetMember {
    /// What it is called.
    name: String,
    /// How much it counts.
    #[attribute(default = 1_u32)]
    weight: u32,
}

kept!("set", Sets, SetsComputed);
