//! Key-encryption keys: what data keys are sealed under. Where it is, is configuration; the key itself never is.

mod local;
mod vault;

use std::sync::Arc;

use async_trait::async_trait;
use streamverse_core::{Error, Result, ServiceContext};
use streamverse_model::drm::KeyEncryptionKeySpec;
use streamverse_model::platform::CredentialUse;
use zeroize::Zeroizing;

pub use local::LocalKey;

/// A key that seals content keys. It does not print.
pub type DataKey = Zeroizing<[u8; 32]>;

/// What seals data keys, and opens them again.
#[async_trait]
pub trait KeyEncryptionKey: Send + Sync {
    /// Which key it is, for the records that are sealed under it. It tells nothing of the key.
    fn id(&self) -> &str;
    /// Seals a data key.
    ///
    /// # Errors
    /// What holds the key is away or refuses.
    async fn wrap(&self, data_key: &DataKey) -> Result<String>;
    /// Opens sealed data keys, in their order.
    ///
    /// # Errors
    /// As `wrap`; `key-damaged` for what was never sealed under it, or was changed since.
    async fn unwrap(&self, wrapped: &[String]) -> Result<Vec<DataKey>>;
    /// Seals anew what was sealed under an older version of this very key; `None` where there is none, or all is new.
    ///
    /// # Errors
    /// As `unwrap`.
    async fn renew(&self, wrapped: &[String]) -> Result<Vec<Option<String>>> {
        Ok(vec![None; wrapped.len()])
    }
    /// Whether it can be used now.
    ///
    /// # Errors
    /// Why not.
    async fn probe(&self) -> Result<()>;
}

/// Opens a key-encryption key.
///
/// # Errors
/// One that is missing, is none, or that others may read.
pub fn open(spec: &KeyEncryptionKeySpec, cx: &ServiceContext) -> Result<Arc<dyn KeyEncryptionKey>> {
    match spec {
        KeyEncryptionKeySpec::File(path) => Ok(Arc::new(LocalKey::of_file(path.as_ref())?)),
        KeyEncryptionKeySpec::Environment(name) => {
            let text = std::env::var(name).map_err(|_| {
                Error::permanent(
                    "key-encryption-key",
                    format!("the environment has no variable {name}: start the node agent with it"),
                )
            })?;
            Ok(Arc::new(LocalKey::parse(&Zeroizing::new(text), &format!("the variable {name}"))?))
        }
        KeyEncryptionKeySpec::Secret(key) => {
            let text = Zeroizing::new(cx.credential(&own_secret(cx), key.as_str())?);
            Ok(Arc::new(LocalKey::parse(&text, "the secret of the key service")?))
        }
        KeyEncryptionKeySpec::VaultTransit(it) => {
            Ok(Arc::new(vault::VaultKey::open(it, own_secret(cx), cx)?))
        }
    }
}

/// The secret that the service's own site gives it.
fn own_secret(cx: &ServiceContext) -> CredentialUse {
    CredentialUse { kind: cx.owner.kind.clone(), name: cx.owner.name.clone() }
}
