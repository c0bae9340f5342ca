//! Compute that is bought from clouds.

mod functions;
mod spot_forecast;

use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    functions::register(parts).data_source::<spot_forecast::SpotForecast>()
}
