//! Content keys, from a key service: `keys://HOST:PORT?secret=key-service.NAME`.

mod client;
pub mod wire;

pub use client::KeyServiceClient;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use streamverse_model::drm::KeyId;
use zeroize::Zeroizing;

use crate::context::ServiceContext;
use crate::error::Result;

/// A content key. It does not print, and is wiped when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentKey {
    /// Its identifier.
    pub kid: KeyId,
    /// The asset that is encrypted with it.
    pub asset: String,
    key: Zeroizing<[u8; 16]>,
}

impl ContentKey {
    /// A key.
    pub fn new(kid: KeyId, asset: impl Into<String>, key: Zeroizing<[u8; 16]>) -> ContentKey {
        ContentKey { kid, asset: asset.into(), key }
    }

    /// The key itself. Never log it, never put it into an argument, an error or an answer to somebody who is not entitled.
    pub fn secret(&self) -> &[u8; 16] {
        &self.key
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentKey {{ kid: {}, asset: {:?} }}", self.kid, self.asset)
    }
}

/// A key that a packager needs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyWanted {
    /// Its identifier.
    pub kid: KeyId,
    /// The asset that is to be encrypted with it. A key belongs to one asset for ever.
    pub asset: String,
    /// What it is for, as the granularity has it: `all`, `video`, `audio`, `video-hd` ….
    pub track: String,
}

/// Where content keys come from.
#[async_trait]
pub trait ContentKeys: Send + Sync {
    /// The keys, made and kept where they are not there yet. A key that is returned is durable. One that belongs to another
    /// asset is refused (`key-of-another-asset`).
    async fn obtain(&self, wanted: &[KeyWanted]) -> Result<Vec<ContentKey>>;
    /// Those that are there, in the order asked for.
    async fn find(&self, kids: &[KeyId]) -> Result<Vec<Option<ContentKey>>>;
    /// Whether it answers.
    async fn probe(&self) -> Result<()>;
}

/// Opens the keys of a URL (`keys:`). The service is asked when it is first used.
///
/// # Errors
/// A URL of another scheme, a missing credential.
pub fn open_keys(url: &str, cx: &ServiceContext) -> Result<Arc<dyn ContentKeys>> {
    Ok(Arc::new(KeyServiceClient::open(url, cx)?))
}
