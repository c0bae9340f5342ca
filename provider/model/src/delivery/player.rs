//! The page that plays.

use serde::{Deserialize, Serialize};
use tfplugin_schema::Schema;

/// A page that plays what the catalogue lists, and shows how well it plays.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayerSpec {
    /// The TCP port.
    #[attribute(default = 8000, validate(range = 1..))]
    pub port: u16,
    /// What the page is called.
    #[attribute(default = "StreamVerse")]
    pub title: String,
    /// The catalogue: the `url` of a `streamverse_catalogue`.
    pub catalogue: String,
    /// Where browsers fetch from: the `address` of a `streamverse_ats_edge` (or of an origin).
    pub delivery: String,
    /// Services whose health the page shows, by the name that it shows: each an `address`.
    #[serde(default)]
    pub services: Option<std::collections::BTreeMap<String, String>>,
}
