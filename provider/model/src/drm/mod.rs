//! Content protection: content keys, the schemes and systems that use them, licences and who may have one.

mod config;
pub mod config_check;
pub mod entitlement;
mod key_id;
mod key_service;
mod licence_service;
pub mod pssh;
pub mod signal;
mod system;

pub use config::{
    DrmConfigSpec, DrmConfigSpecPath, DrmConfigSpecView, DrmDefinition, KeyGranularity, RentalSpec,
    RentalSpecPath, RentalSpecView, TrackUsageSpec, TrackUsageSpecPath, TrackUsageSpecView, UsageSpec,
    UsageSpecPath, UsageSpecView,
};
pub use key_id::{KeyId, KeyIdError};
pub use key_service::{
    KeyEncryptionKeySpec, KeyServiceSpec, OWN_SECRET, SHARED_SECRET, VaultTransitSpec, environment, own_key,
};
pub use licence_service::{
    LicenceRun, LicenceServiceSpec, LicenceServiceSpecView, TokenKey, TokenSpec, TokenSpecView,
    check_licence_service, es256_point,
};
pub use system::{DrmSystem, Scheme};
