//! `corner_big`: ten megabytes in one attribute; thousands of elements in others.

use std::collections::{BTreeMap, BTreeSet};

use tfplugin_framework::Schema;
use tfplugin_framework::schema::Computed;

use crate::kept::kept;

/// Much.
#[derive(Clone, Schema)]
pub(crate) struct Big {
    /// Assigned by the provider.
    id: Computed<String>,
    /// A long text.
    text: Option<String>,
    /// Many objects in order.
    list: Option<Vec<BigItem>>,
    /// Many objects in no order.
    set: Option<BTreeSet<BigItem>>,
    /// Many objects by name.
    map: Option<BTreeMap<String, BigItem>>,
}

/// One of many.
#[derive(Clone, Schema, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BigItem {
    /// What it is called.
    name: String,
    /// Its number.
    number: i64,
    /// Free text.
    #[attribute(default = "none")]
    note: String,
}

kept!("big", Big, BigComputed);
