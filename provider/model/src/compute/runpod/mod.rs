//! What is asked of RunPod besides fleets: templates, network volumes, registry credentials, serverless endpoints.
//!
//! Rules are those of RunPod's API description of 2026-08-18 (REST v2).

mod container;
mod endpoint;
mod registry;
mod template;
mod volume;

pub use container::{DISK_GB, check_container};
pub use endpoint::{
    EndpointGpuSpec, EndpointGpuSpecPath, EndpointGpuSpecView, IDLE_TIMEOUT, RunpodEndpointSpec,
    RunpodEndpointSpecPath, RunpodEndpointSpecView, ScalingSpec, ScalingSpecPath, ScalingSpecView,
    WorkersSpec, WorkersSpecPath, WorkersSpecView, check_endpoint,
};
pub use registry::login_mark;
pub use template::{
    PersistentVolumeSpec, PersistentVolumeSpecPath, PersistentVolumeSpecView, RunpodTemplateSpec,
    RunpodTemplateSpecPath, RunpodTemplateSpecView, check_template,
};
pub use volume::{
    RunpodNetworkVolumeSpec, RunpodNetworkVolumeSpecPath, RunpodNetworkVolumeSpecView, check_volume_change,
};
