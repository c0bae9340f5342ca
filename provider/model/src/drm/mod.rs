//! Content protection: content keys, the schemes and systems that use them, licences and who may have one.

pub mod entitlement;
mod key_id;
mod key_service;
mod licence_service;

pub use key_id::{KeyId, KeyIdError};
pub use key_service::{
    KeyEncryptionKeySpec, KeyServiceSpec, OWN_SECRET, SHARED_SECRET, VaultTransitSpec, environment, own_key,
};
pub use licence_service::{
    LicenceRun, LicenceServiceSpec, LicenceServiceSpecView, TokenKey, TokenSpec, TokenSpecView, es256_point,
};
