//! `corner_spelling`: an API that answers in its own spelling. What means the same is no change, and the
//! configuration's spelling stays in the state.

use std::net::IpAddr;

use tfplugin_framework::Schema;
use tfplugin_framework::schema::{Cidr, Computed, Duration, Json, Size, Timestamp};

use crate::kept::kept;

/// Values with more than one spelling. The store keeps each in a canonical one.
#[derive(Clone, Schema)]
pub(crate) struct Spelling {
    /// Assigned by the provider.
    id: Computed<String>,
    /// A JSON document.
    json: Option<Json>,
    /// A span of time.
    duration: Option<Duration>,
    /// A number of bytes.
    size: Option<Size>,
    /// A range of addresses.
    cidr: Option<Cidr>,
    /// An address.
    address: Option<IpAddr>,
    /// A point in time.
    time: Option<Timestamp>,
    /// Ranges, in order.
    ranges: Option<Vec<Cidr>>,
    /// In an object.
    inner: Option<SpellingInner>,
}

/// An object with a value of several spellings.
#[derive(Clone, Schema)]
pub(crate) struct SpellingInner {
    /// A JSON document.
    json: Json,
}

kept!("spelling", Spelling, SpellingComputed);
