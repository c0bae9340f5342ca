//! Secrets, and what lives only while Terraform runs.

mod lease;
mod secret;

use tfplugin_framework::Parts;

use crate::Corner;

pub(crate) fn register(parts: Parts<Corner>) -> Parts<Corner> {
    parts.resource::<secret::Account>().ephemeral::<lease::Lease>()
}
