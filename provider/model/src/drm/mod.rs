//! Content protection: content keys, the schemes and systems that use them, licences and who may have one.

mod config;
pub mod config_check;
mod key_id;
pub mod pssh;
pub mod signal;
mod system;

pub use config::{
    DrmConfigSpec, DrmConfigSpecPath, DrmConfigSpecView, DrmDefinition, KeyGranularity, RentalSpec,
    RentalSpecPath, RentalSpecView, TrackUsageSpec, TrackUsageSpecPath, TrackUsageSpecView, UsageSpec,
    UsageSpecPath, UsageSpecView,
};
pub use key_id::{KeyId, KeyIdError};
pub use system::{DrmSystem, Scheme};
