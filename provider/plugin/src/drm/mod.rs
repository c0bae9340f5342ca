//! Content protection.

mod key_service;

use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    parts.resource::<key_service::KeyService>()
}
