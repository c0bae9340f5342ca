//! Serverless endpoints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A serverless endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// RunPod's identifier.
    pub id: String,
    /// Its name, which says whose it is.
    pub name: String,
    /// `QUEUE` or `LOAD_BALANCER`.
    #[serde(default, rename = "type")]
    pub routing: Option<String>,
    /// How it scales.
    pub scaling: Scaling,
    /// Its GPUs; none of a CPU endpoint.
    #[serde(default)]
    pub gpu: Option<EndpointGpu>,
    /// How many workers.
    pub workers: Workers,
    /// Where they may be.
    #[serde(default)]
    pub data_center_ids: Vec<String>,
    /// Volumes that they mount.
    #[serde(default)]
    pub network_volumes: Vec<String>,
    /// How long a request may take, in milliseconds.
    pub timeout: u64,
    /// `OFF`, `FLASHBOOT` or `PRIORITY_FLASHBOOT`.
    pub flashboot: String,
    /// The image.
    #[serde(default)]
    pub image: Option<String>,
    /// Arguments of its entry point.
    #[serde(default)]
    pub args: Option<String>,
    /// GB of a disk that is empty after a restart.
    #[serde(default)]
    pub disk: Option<u32>,
    /// The environment, in the clear.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Ports.
    #[serde(default)]
    pub ports: Vec<String>,
    /// The credential of the registry.
    #[serde(default)]
    pub registry: Option<String>,
    /// When it was made, RFC 3339.
    #[serde(default)]
    pub created_at: Option<String>,
    /// Where requests go, by what they do: `run`, `runSync`, `status` …, or `base`.
    #[serde(default)]
    pub request_urls: BTreeMap<String, String>,
}

/// What makes an endpoint grow and shrink. (No enum with a tag: with numbers of any precision serde cannot read such.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// `QUEUE_DELAY` or `REQUEST_COUNT`.
    #[serde(rename = "type")]
    pub by: String,
    /// Seconds that a request may wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_delay: Option<f64>,
    /// Requests at once for each worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_count: Option<u32>,
}

/// The GPUs of an endpoint's workers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointGpu {
    /// Pools: `ADA_48_PRO`.
    #[serde(default)]
    pub pools: Vec<String>,
    /// Types of them that are not wanted.
    #[serde(default)]
    pub excluded_types: Vec<String>,
    /// For each worker.
    #[serde(default)]
    pub count: Option<u32>,
    /// The lowest CUDA version of the host.
    #[serde(default)]
    pub min_cuda_version: Option<String>,
}

/// The GPUs of an endpoint's workers as they are to be, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointGpuBody {
    /// Pools.
    pub pools: Vec<String>,
    /// Types of them that are not wanted. Left out, none are: they are part of what `pools` replaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded_types: Vec<String>,
    /// For each worker.
    pub count: u32,
    /// The lowest CUDA version of the host. An empty one takes an earlier floor away, and only a change may say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_cuda_version: Option<String>,
}

/// How many workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workers {
    /// At least.
    pub min: u32,
    /// At most.
    pub max: u32,
    /// Seconds that an idle one stays. Not with `QUEUE` and `REQUEST_COUNT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<u32>,
}

/// An endpoint as it is to be, whole: the same to make one and to change one, but for `routing`, which is for making alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointBody {
    /// Its name, which says whose it is.
    pub name: String,
    /// `QUEUE` or `LOAD_BALANCER`, for good.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub routing: Option<String>,
    /// How it scales.
    pub scaling: Scaling,
    /// Its GPUs.
    pub gpu: EndpointGpuBody,
    /// How many workers.
    pub workers: Workers,
    /// Where they may be; anywhere when empty.
    pub data_center_ids: Vec<String>,
    /// Volumes that they mount.
    pub network_volumes: Vec<String>,
    /// How long a request may take, in milliseconds.
    pub timeout: u64,
    /// `OFF`, `FLASHBOOT` or `PRIORITY_FLASHBOOT`.
    pub flashboot: String,
    /// The image; the template's where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// A template of which the endpoint takes what is not said here, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// Arguments of the entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<String>,
    /// GB of a disk that is empty after a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
    /// The environment. The API returns it: no secret belongs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<String>>,
    /// The credential of the registry; the inner null takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<Option<String>>,
}

kind!(
    Endpoint,
    "serverless endpoint",
    "/v2/serverless",
    "endpoints";
    fn created_at(&self) -> Option<&str> {
        self.created_at.as_deref()
    }
);
