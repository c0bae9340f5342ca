//! Stores by URL: one trait per need, an embedded and a cluster implementation of each, a conformance suite that both
//! pass, and no third implementation.
//!
//! | need | trait | one machine | cluster |
//! |---|---|---|---|
//! | objects | `object_store::ObjectStore` | files | S3 |
//! | event log | [`crate::log::EventLog`] | one process, durable | Kafka |
//! | catalogue | [`Catalogue`] | SQLite | PostgreSQL |
//! | cache | [`Cache`] | moka | Redis protocol |

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::context::ServiceContext;
use crate::error::Result;

/// What lists finished assets.
#[async_trait]
pub trait Catalogue: Send + Sync {
    /// Makes this generation the one that is shown. Atomic; repeating it changes nothing.
    async fn publish(&self, asset: &AssetRecord) -> Result<()>;
    /// The asset as it is shown now.
    async fn asset(&self, name: &str) -> Result<Option<AssetRecord>>;
    /// All assets that are shown, by name.
    async fn assets(&self) -> Result<Vec<AssetRecord>>;
    /// No longer shows the asset. One that is not shown is a success.
    async fn withdraw(&self, name: &str) -> Result<()>;
    /// Whether it answers.
    async fn probe(&self) -> Result<()>;
}

/// A finished asset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssetRecord {
    /// Its name, the first part of its addresses below `/vod/`.
    pub name: String,
    /// The generation that is shown, the second part.
    pub generation: String,
    /// What viewers see.
    pub title: String,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Renditions, as the page shows them.
    pub renditions: Vec<RenditionRecord>,
    /// Languages of subtitles.
    pub subtitles: Vec<String>,
    /// Bytes of all packages of this generation.
    pub bytes: u64,
    /// Paths below `/vod/NAME/GENERATION/`, of the HLS and the DASH manifest and, if there are any, the thumbnails.
    pub hls: String,
    /// See `hls`.
    pub dash: String,
    /// See `hls`.
    pub thumbnails: Option<String>,
}

/// One rendition of an asset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RenditionRecord {
    /// As in the ladder.
    pub name: String,
    /// `video` or `audio`.
    pub kind: String,
    /// RFC 6381.
    pub codecs: String,
    /// Average bit/s, as measured.
    pub bit_rate: u64,
    /// Pixels; 0 for audio.
    pub width: u32,
    /// Pixels; 0 for audio.
    pub height: u32,
}

/// What may be forgotten at any time.
#[async_trait]
pub trait Cache: Send + Sync {
    /// What is kept under the key.
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;
    /// Keeps it for so long at most.
    async fn put(&self, key: &str, value: Bytes, lifetime: Duration) -> Result<()>;
    /// Forgets it.
    async fn remove(&self, key: &str) -> Result<()>;
    /// Whether it answers.
    async fn probe(&self) -> Result<()>;
}

/// Opens the object store of a URL (`file:`, `s3:`). Paths in it are relative to the URL.
///
/// # Errors
/// A URL of another site or scheme, a missing credential.
pub fn open_objects(url: &str, cx: &ServiceContext) -> Result<Arc<dyn object_store::ObjectStore>> {
    let _ = (url, cx);
    Err(crate::Error::permanent("unfinished", "this store is not there yet"))
}

/// Opens the catalogue of a URL (`sqlite:`, `postgres:`), making its tables where they are missing.
///
/// # Errors
/// A URL of another site or scheme, a missing credential, a server that does not answer.
pub async fn open_catalogue(url: &str, cx: &ServiceContext) -> Result<Arc<dyn Catalogue>> {
    let _ = (url, cx);
    Err(crate::Error::permanent("unfinished", "this store is not there yet"))
}

/// Opens the cache of a URL (`memory:`, `redis:`).
///
/// # Errors
/// As [`open_catalogue`].
pub async fn open_cache(url: &str, max_bytes: u64, cx: &ServiceContext) -> Result<Arc<dyn Cache>> {
    let _ = (url, max_bytes, cx);
    Err(crate::Error::permanent("unfinished", "this store is not there yet"))
}
