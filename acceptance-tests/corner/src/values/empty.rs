//! `corner_empty`: null, empty and absent are three things.

use std::collections::BTreeMap;

use tfplugin_framework::Schema;
use tfplugin_framework::schema::Computed;

use crate::kept::kept;

/// Nothing, in several ways.
#[derive(Clone, Schema)]
pub(crate) struct Empty {
    /// Assigned by the provider.
    id: Computed<String>,
    /// Null or a string, perhaps an empty one.
    text: Option<String>,
    /// Null or a list, perhaps an empty one.
    list: Option<Vec<String>>,
    /// Null or a map, perhaps an empty one.
    map: Option<BTreeMap<String, String>>,
    /// Null or an object without anything set.
    object: Option<Hollow>,
    /// Null or objects, perhaps none.
    objects: Option<Vec<Hollow>>,
    /// A list of strings, some of them null.
    gaps: Option<Vec<Option<String>>>,
}

/// An object in which all may be null.
#[derive(Clone, Schema)]
pub(crate) struct Hollow {
    /// Anything.
    text: Option<String>,
}

kept!("empty", Empty, EmptyComputed);
