//! Content protection: content keys, the schemes and systems that use them, licences and who may have one.

mod key_id;

pub use key_id::{KeyId, KeyIdError};
