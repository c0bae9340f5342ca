//! Stores by URL: one trait per need, an embedded and a cluster implementation of each, a conformance suite that both
//! pass, and no third implementation.
//!
//! | need | trait | one machine | cluster |
//! |---|---|---|---|
//! | objects | `object_store::ObjectStore` | files | S3 |
//! | event log | [`crate::log::EventLog`] | one process, durable | Kafka |
//! | catalogue | [`Catalogue`] | SQLite | PostgreSQL |
//! | small documents | [`Records`] | the catalogue's SQLite | the catalogue's PostgreSQL |
//! | cache | [`Cache`] | moka | what speaks Redis's protocol |
//! | content keys | [`ContentKeys`] | a key service | a key service |

mod cache;
mod catalogue;
mod keys;
mod objects;
mod records;
#[cfg(any(feature = "kafka", feature = "postgres", feature = "redis", feature = "s3"))]
pub(crate) mod tls;

pub use keys::{ContentKey, ContentKeys, KeyServiceClient, KeyWanted, open_keys, wire as key_wire};
pub use records::{Record, Records};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use streamverse_model::drm::{KeyId, UsageSpec};
use streamverse_model::platform::StoreUrl;

use crate::context::ServiceContext;
use crate::error::{Error, Result};

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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// The scheme that it is encrypted with, `cenc` or `cbcs`; none where it is clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The identifiers of its content keys, of the first crypto period first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kids: Vec<KeyId>,
    /// What licences of it allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageSpec>,
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
    /// Bytes of all its segments; 0 in records of versions that did not count them.
    #[serde(default)]
    pub bytes: u64,
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
    /// Keeps it for so long at most if nothing is kept under the key, in one step: of all who do it at once, one is told
    /// `true`. A call that failed may have kept it.
    async fn insert(&self, key: &str, value: Bytes, lifetime: Duration) -> Result<bool>;
    /// Forgets it.
    async fn remove(&self, key: &str) -> Result<()>;
    /// Whether it answers.
    async fn probe(&self) -> Result<()>;
}

/// Opens the object store of a URL (`file:`, `s3:`). Paths in it are relative to the URL.
///
/// # Errors
/// A URL of another site or scheme, a missing credential, a folder that cannot be made.
pub fn open_objects(url: &str, cx: &ServiceContext) -> Result<Arc<dyn object_store::ObjectStore>> {
    match read_url(url, cx)? {
        StoreUrl::Local { scheme, name, .. } if scheme == "file" => {
            objects::folder(&cx.data_dir.join("stores").join(name.as_str()))
        }
        StoreUrl::Folder(path) => objects::folder(std::path::Path::new(&path)),
        #[cfg(feature = "s3")]
        StoreUrl::Remote { url, secret, certificates } if url.scheme() == "s3" => {
            objects::s3(&url, secret.as_ref(), &certificates, cx)
        }
        _ => Err(wrong_scheme(url, "file:// or s3://")),
    }
}

/// Opens the catalogue of a URL (`sqlite:`, `postgres:`), making its tables where they are missing.
///
/// # Errors
/// A URL of another site or scheme, a missing credential, a server that does not answer.
pub async fn open_catalogue(url: &str, cx: &ServiceContext) -> Result<Arc<dyn Catalogue>> {
    Ok(open_database(url, cx).await?)
}

/// Opens the records of a catalogue's URL (`sqlite:`, `postgres:`), making its tables where they are missing.
///
/// # Errors
/// As [`open_catalogue`].
pub async fn open_records(url: &str, cx: &ServiceContext) -> Result<Arc<dyn Records>> {
    Ok(open_database(url, cx).await?)
}

/// Opens a catalogue and its records, which share what leads to their database.
///
/// # Errors
/// As [`open_catalogue`].
pub async fn open_catalogue_and_records(
    url: &str,
    cx: &ServiceContext,
) -> Result<(Arc<dyn Catalogue>, Arc<dyn Records>)> {
    let opened = open_database(url, cx).await?;
    Ok((Arc::<dyn Database>::clone(&opened), opened))
}

/// What a catalogue's database holds.
trait Database: Catalogue + Records {}
impl<T: Catalogue + Records> Database for T {}

async fn open_database(url: &str, cx: &ServiceContext) -> Result<Arc<dyn Database>> {
    match read_url(url, cx)? {
        StoreUrl::Local { scheme, name, .. } if scheme == "sqlite" => {
            let file = cx.data_dir.join("catalogues").join(format!("{name}.sqlite"));
            Ok(Arc::new(catalogue::sqlite::Sqlite::open(file).await?))
        }
        #[cfg(feature = "postgres")]
        StoreUrl::Remote { url, secret, certificates } if url.scheme() == "postgres" => {
            let opened = catalogue::postgres::Postgres::open(&url, secret.as_ref(), &certificates, cx);
            Ok(Arc::new(opened.await?))
        }
        _ => Err(wrong_scheme(url, "sqlite:// or postgres://")),
    }
}

/// Opens the cache of a URL (`memory:`, `redis:`, `rediss:`), which keeps `max_bytes` at most where it is in memory. A server is
/// reached when it is first used.
///
/// # Errors
/// A URL of another site or scheme, a missing credential.
pub async fn open_cache(url: &str, max_bytes: u64, cx: &ServiceContext) -> Result<Arc<dyn Cache>> {
    match read_url(url, cx)? {
        StoreUrl::Local { scheme, .. } if scheme == "memory" => {
            Ok(Arc::new(cache::memory::Memory::new(max_bytes)))
        }
        #[cfg(feature = "redis")]
        StoreUrl::Remote { url, secret, certificates } if ["redis", "rediss"].contains(&url.scheme()) => {
            Ok(Arc::new(cache::redis::Redis::open(&url, secret.as_ref(), &certificates, cx)?))
        }
        _ => Err(wrong_scheme(url, "memory://, redis:// or rediss://")),
    }
}

/// Reads a store's URL, and refuses one that lies on another site.
pub(crate) fn read_url(url: &str, cx: &ServiceContext) -> Result<StoreUrl> {
    let read = StoreUrl::parse(url).map_err(|error| Error::permanent("store-url", error.to_string()))?;
    if read.site().is_some_and(|site| *site != cx.site) {
        let text =
            format!("the store {url} lies on another site than this one ({}): give it a store here", cx.site);
        return Err(Error::permanent("store-elsewhere", text));
    }
    Ok(read)
}

pub(crate) fn wrong_scheme(url: &str, wanted: &str) -> Error {
    let scheme = url.split("://").next().unwrap_or_default();
    Error::permanent(
        "store-url",
        format!("a store with the scheme {scheme:?} is of no use here: it must be {wanted}"),
    )
}

fn encode(asset: &AssetRecord) -> Result<String> {
    serde_json::to_string(asset)
        .map_err(|error| Error::permanent("catalogue", "the asset's record cannot be written").because(error))
}

fn decode(text: &str) -> Result<AssetRecord> {
    serde_json::from_str(text).map_err(|error| {
        Error::permanent("catalogue", "the catalogue has a record of another version").because(error)
    })
}
