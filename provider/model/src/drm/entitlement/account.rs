//! What an account has: one document, so that whatever changes, changes at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An account as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// What was granted, by the id that the grantor gave it.
    #[serde(default)]
    pub grants: BTreeMap<String, Grant>,
    /// Devices that had a licence, in the order in which they came.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Streams that run, in the order in which they began.
    #[serde(default)]
    pub streams: Vec<Stream>,
}

/// Something that was granted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// What kind of right it is.
    pub kind: GrantKind,
    /// The package, the asset or the event that it is for.
    pub of: String,
    /// When it was granted, or begins; milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// When it ends; never where there is nothing.
    #[serde(default)]
    pub until_ms: Option<u64>,
    /// When a rental was first played.
    #[serde(default)]
    pub first_play_ms: Option<u64>,
}

/// Kinds of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// To the assets of a package.
    Subscription,
    /// To an asset, for good.
    Purchase,
    /// To an asset, for a time from its first play on.
    Rental,
    /// To the assets of an event while it is open.
    Event,
}

/// A stream that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The device.
    pub device: String,
    /// The session of the device; empty where tokens name none.
    pub session: String,
    /// What it had a licence for last.
    pub asset: String,
    /// When it began.
    pub since_ms: u64,
    /// When its place is free again.
    pub until_ms: u64,
    /// The assets whose licences have an `expiry`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limited: Vec<Limited>,
}

/// An asset whose licences have an `expiry`, in a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// The asset.
    pub asset: String,
    /// When the stream had its first licence for it.
    pub since_ms: u64,
    /// When the last one is over: what asks again later begins anew.
    pub until_ms: u64,
}
