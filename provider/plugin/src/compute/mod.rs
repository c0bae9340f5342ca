//! Compute that is bought from clouds, and how many of something run.

mod keda_scaler;
mod offers;
pub(crate) mod runpod;

use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    parts
        .data_source::<offers::GpuOffers>()
        .resource::<keda_scaler::KedaScaler>()
        .resource::<runpod::RunpodEndpoint>()
        .resource::<runpod::RunpodNetworkVolume>()
        .resource::<runpod::RunpodRegistryCredential>()
        .resource::<runpod::RunpodTemplate>()
}
