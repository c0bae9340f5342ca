//! Content protection: content keys, the schemes and systems that use them, licences and who may have one.

mod key_id;
mod key_service;

pub use key_id::{KeyId, KeyIdError};
pub use key_service::{
    KeyEncryptionKeySpec, KeyServiceSpec, OWN_SECRET, SHARED_SECRET, VaultTransitSpec, environment, own_key,
};
