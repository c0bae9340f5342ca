//! What the job of an asset tells about what it made.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What was made, once it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeAsset {
    /// Which making of the asset it is.
    pub generation: String,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Bytes of everything that was made.
    pub bytes: u64,
    /// The renditions, the pictures first; as many as fit into a status.
    pub renditions: Vec<MadeTrack>,
    /// What is unusual, in words.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// A rendition that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeTrack {
    /// Its name.
    pub name: String,
    /// Codec string (RFC 6381).
    pub codecs: String,
    /// Bit/s on average.
    pub bit_rate: u64,
    /// Bytes.
    pub bytes: u64,
    /// Width in pixels; 0 for sound.
    pub width: u32,
    /// Height in pixels; 0 for sound.
    pub height: u32,
}

impl MadeAsset {
    /// Reads a job's result; `None` while it tells only what it found on the way.
    pub fn read(result: &Value) -> Option<MadeAsset> {
        serde_json::from_value(result.clone()).ok()
    }
}
