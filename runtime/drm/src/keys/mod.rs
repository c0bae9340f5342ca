//! The key service (target `key-service`): content keys at rest only sealed, on the wire only sealed.
//!
//! | path | answer |
//! |---|---|
//! | `POST /v1/obtain`, `/v1/find` | keys, made where they are missing, or only those that are there |
//! | `/livez`, `/readyz`, `/metrics` | as everywhere |
//!
//! A content key is 16 random bytes, kept as a record of the catalogue: sealed under a data key (AES-256-GCM, bound to its
//! key identifier and its asset), beside that data key, which is sealed under the key-encryption key ([`kek`]). So another
//! key-encryption key seals the data keys anew, and neither content keys nor media change.

mod audit;
mod guard;
pub mod kek;
mod service;
mod store;

pub use audit::{AuditEntry, Outcome};
pub use service::KEY_SERVICE;
pub use store::{KeyStore, Rotation, Sealed};

#[cfg(test)]
mod tests;
