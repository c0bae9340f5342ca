//! Pods: machines by the hour.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::catalogue::Cloud;
use crate::client::{Client, Limit, Repeat, path_of};
use crate::error::Error;

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PodStatus {
    /// A machine is looked for.
    Provisioning,
    /// The container starts.
    Starting,
    /// The container runs.
    Running,
    /// The container ended, or was stopped. Its disk still costs.
    Exited,
    /// The container cannot go on.
    Error,
    /// Gone for good.
    Terminated,
    /// What a later API says.
    #[serde(other)]
    Unknown,
}

/// What may be done with a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Boots it again.
    Start,
    /// Ends its container and keeps its disk.
    Stop,
    /// Starts its container anew.
    Restart,
    /// Ends it for good.
    Terminate,
    /// What a later API allows.
    #[serde(other)]
    Unknown,
}

/// A pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// RunPod's identifier.
    pub id: String,
    /// Its name, which says whose it is.
    pub name: String,
    /// Where it is in its life.
    pub status: PodStatus,
    /// What may be done with it now.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// Dollars per hour, now.
    #[serde(default)]
    pub cost: f64,
    /// Its data centre, once it has one.
    #[serde(default)]
    pub data_center_id: Option<String>,
    /// Secure or community.
    #[serde(default)]
    pub cloud: Option<Cloud>,
    /// Its GPUs; none of a CPU pod.
    #[serde(default)]
    pub gpu: Option<GpuRequest>,
    /// Its image.
    #[serde(default)]
    pub image: Option<String>,
    /// Its environment: the API returns it in the clear.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// When it was created, RFC 3339.
    #[serde(default)]
    pub created_at: Option<String>,
    /// When its container started, RFC 3339.
    #[serde(default)]
    pub started_at: Option<String>,
    /// What is measured of it while it runs.
    #[serde(default)]
    pub runtime: Option<Runtime>,
}

kind!(
    Pod,
    "pod",
    "/v2/pods",
    "pods";
    fn created_at(&self) -> Option<&str> {
        self.created_at.as_deref()
    }
    fn is_at_work(&self) -> bool {
        self.status == PodStatus::Running
    }
    fn is_over(&self) -> bool {
        self.status == PodStatus::Terminated
    }
);

/// What is measured of a pod while it runs.
#[derive(Clone, Debug, Deserialize)]
pub struct Runtime {
    /// Seconds since the container started.
    #[serde(default)]
    pub uptime: u64,
    /// Its ports, as the world reaches them.
    #[serde(default)]
    pub ports: Vec<Port>,
}

/// A port of a running pod.
#[derive(Clone, Debug, Deserialize)]
pub struct Port {
    /// The container's.
    #[serde(default)]
    pub private: Option<u16>,
    /// The world's.
    #[serde(default)]
    pub public: Option<u16>,
    /// The address that has it.
    #[serde(default)]
    pub ip: Option<String>,
}

/// The GPUs of a pod: of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GpuRequest {
    /// The type: `NVIDIA L40S`.
    pub id: String,
    /// How many; one where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The lowest CUDA version of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_cuda_version: Option<String>,
}

/// A new pod.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodBody {
    /// Its name, which says whose it is.
    pub name: String,
    /// Its image; that of the template where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// A template that gives what is not said here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// Its GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuRequest>,
    /// Secure or community.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Cloud>,
    /// Where it may be; anywhere when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data_center_ids: Vec<String>,
    /// Arguments of the image's entry point, as one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<String>,
    /// GB of a disk that is empty after a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
    /// Its environment. The API returns it: no secret belongs here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Ports, `8080/http` or `22/tcp`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// The credential of its registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// What is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Mounts>,
}

/// What is mounted in a pod: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounts {
    /// A disk of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent: Option<PersistentMount>,
    /// A network volume.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<NetworkMount>,
}

/// A disk of the host: lost with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistentMount {
    /// GB, 10 at least.
    pub size: u32,
    /// Where it is mounted.
    pub path: String,
}

/// A network volume of the same data centre.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkMount {
    /// The volume's id.
    pub volume_id: String,
    /// Where it is mounted.
    pub path: String,
}

#[derive(Serialize)]
struct ActionBody {
    action: Action,
}

impl Client {
    /// Does something with a pod. That it does not allow it now is of the class conflict.
    ///
    /// # Errors
    /// Calls that fail.
    pub async fn act(&self, id: &str, action: Action, limit: Limit) -> Result<(), Error> {
        let path = format!("{}/action", path_of::<Pod>(id));
        // All but a restart say how it is to be.
        let repeat = if action == Action::Restart { Repeat::Unsafe } else { Repeat::Safe };
        self.call(Method::POST, &path, &[], Some(&ActionBody { action }), repeat, limit).await.map(|_| ())
    }
}
