//! Content protection: who gets which key.

mod entitlement_policy;
mod licence_service;

use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    parts.resource::<entitlement_policy::EntitlementPolicy>().resource::<licence_service::LicenceService>()
}
