//! What is asked of RunPod: fleets of pods, templates, network volumes, registry credentials, serverless endpoints.
//!
//! Rules are those of RunPod's API description of 2026-08-18 (REST v2).

mod container;
mod endpoint;
mod fleet;
mod fleet_check;
mod fleet_cost;
#[cfg(test)]
mod fleet_tests;
mod registry;
mod template;
mod volume;

pub use container::{DISK_GB, check_container};
pub use endpoint::{
    EndpointGpuSpec, EndpointGpuSpecPath, EndpointGpuSpecView, IDLE_TIMEOUT, RunpodEndpointSpec,
    RunpodEndpointSpecPath, RunpodEndpointSpecView, ScalingSpec, ScalingSpecPath, ScalingSpecView,
    WorkersSpec, WorkersSpecPath, WorkersSpecView, check_endpoint,
};
pub use fleet::{
    FleetCandidateSpec, FleetCandidateSpecPath, FleetCandidateSpecView, FleetPolicySpec, FleetPolicySpecPath,
    FleetPolicySpecView, FleetQueueSpec, FleetQueueSpecPath, FleetQueueSpecView, FleetVolumeSpec,
    FleetVolumeSpecPath, FleetVolumeSpecView, RunpodFleetSpec, RunpodFleetSpecPath, RunpodFleetSpecView,
};
pub use fleet_check::{RUNPOD_NOTICE, check_fleet, remote_log, settled};
pub use fleet_cost::{BUDGET_AT_MIN, FleetCost, table_price};
pub use registry::login_mark;
pub use template::{
    PersistentVolumeSpec, PersistentVolumeSpecPath, PersistentVolumeSpecView, RunpodTemplateSpec,
    RunpodTemplateSpecPath, RunpodTemplateSpecView, check_template,
};
pub use volume::{
    RunpodNetworkVolumeSpec, RunpodNetworkVolumeSpecPath, RunpodNetworkVolumeSpecView, check_volume_change,
};
