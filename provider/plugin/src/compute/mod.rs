//! Compute that is bought from clouds, and how many of something run.

mod controlled;
mod fleet_controller;
mod functions;
mod keda_scaler;
mod offers;
pub(crate) mod runpod;
mod spot_forecast;

pub(crate) use controlled::PlannedController;
use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    functions::register(parts)
        .data_source::<offers::GpuOffers>()
        .data_source::<spot_forecast::SpotForecast>()
        .resource::<keda_scaler::KedaScaler>()
        .resource::<fleet_controller::FleetController>()
        .resource::<runpod::RunpodEndpoint>()
        .resource::<runpod::RunpodFleet>()
        .resource::<runpod::RunpodNetworkVolume>()
        .resource::<runpod::RunpodRegistryCredential>()
        .resource::<runpod::RunpodTemplate>()
}
