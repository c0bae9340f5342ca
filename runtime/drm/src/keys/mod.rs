//! The key service (target `key-service`): content keys at rest only sealed, on the wire only sealed.
//!
//! | path | answer |
//! |---|---|
//! | `POST /v1/obtain`, `/v1/find` | keys, made where they are missing, or only those that are there |
//! | `POST /v1/list`, `/v1/backup`, `/v1/audit` | what there is, in pages: without keys, sealed as kept, who asked for which |
//! | `POST /v1/restore`, `/v1/import` | takes keys of a backup, or of a document |
//! | `POST /v1/rotate` | seals a page of data keys anew |
//! | `/livez`, `/readyz`, `/metrics` | as everywhere |
//!
//! A content key is 16 random bytes, kept as a record of the catalogue: sealed under a data key (AES-256-GCM, bound to its
//! key identifier and its asset), beside that data key, which is sealed under the key-encryption key ([`kek`]). So another
//! key-encryption key seals the data keys anew, and neither content keys nor media change.

mod admin;
mod audit;
pub mod backup;
pub mod cpix;
mod guard;
mod keeper;
pub mod kek;
mod service;
mod store;

pub use admin::Kept;
pub use audit::{AuditEntry, Outcome};
pub use keeper::{KeyKeeper, Listed, Portable};
pub use service::KEY_SERVICE;
pub use store::{KeyStore, Rotation, Sealed};

#[cfg(test)]
mod tests;
