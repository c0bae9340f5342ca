//! How many of something run, and where.

mod keda_scaler;

use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    parts.resource::<keda_scaler::KedaScaler>()
}
