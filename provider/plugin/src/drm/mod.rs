//! Content protection: content keys, and who gets which.

mod drm_config;
mod entitlement_policy;
mod key_service;
mod licence_service;

use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    parts
        .resource::<key_service::KeyService>()
        .resource::<entitlement_policy::EntitlementPolicy>()
        .resource::<licence_service::LicenceService>()
        .resource::<drm_config::DrmConfig>()
}
