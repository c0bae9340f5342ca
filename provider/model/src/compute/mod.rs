//! Compute: how many of something run, and where.

mod keda;
mod keda_check;

pub use keda::{
    KafkaTrigger, KedaScalerSpec, KedaScalerSpecPath, KedaScalerSpecView, SCALED_KINDS, ScaleNames,
    ScaleQueueSpec, ScaleQueueSpecPath, ScaleQueueSpecView, ScaleTargetSpec, ScaleTargetSpecPath,
    ScaleTargetSpecView,
};
pub use keda_check::{check_scaled, check_scaler, check_scaler_spec};
