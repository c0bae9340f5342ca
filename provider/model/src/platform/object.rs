//! What a resource puts on a site: typed objects, the same for a host and for Kubernetes.
//!
//! Nothing here holds a secret: objects name secrets, [`SecretValue`] travels beside them once and is never kept with them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::owner::{Name, Owner};

/// Where a pod answers about itself, for probes and metrics: nothing else in it may listen there.
pub const ADMIN_PORT: u16 = 9900;

/// All that one owner has on a site. Applying it again changes nothing; what it no longer names is removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Whose it is.
    pub owner: Owner,
    /// Labels of the provider block and the resource.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The objects; names are unique per type.
    pub objects: Vec<Object>,
}

impl Bundle {
    /// A bundle of objects.
    pub fn new(owner: Owner, objects: Vec<Object>) -> Bundle {
        Bundle { owner, labels: BTreeMap::new(), objects }
    }

    /// What the bundle is, in 16 hexadecimal digits: equal bundles, equal revisions. Resources plan it as `revision`,
    /// and a site answers with the revision of what it holds, so that drift shows as a change of it.
    pub fn revision(&self) -> String {
        // Through `Value`, whose objects are sorted, so that the order of insertion does not count.
        let text = serde_json::to_value(self).map(|value| value.to_string()).unwrap_or_default();
        hex::encode(&Sha256::digest(text.as_bytes())[..8])
    }
}

/// Kinds whose services only those may reach who read their secret: whoever else asks them has no business there.
const GUARDED: &[&str] = &["key-service"];

/// Kinds of whose service one process acts at a time: it holds a lease.
const LEASED: &[&str] = &["fleet-controller"];

/// Whether one process of the service of such an owner acts at a time, by a lease that it holds.
pub fn is_leased(kind: &str) -> bool {
    LEASED.contains(&kind)
}

/// The name of the Lease (`coordination.k8s.io`) of an owner's service.
pub fn lease_name(owner: &Owner) -> String {
    format!("{}-{}-{}", owner.deployment, owner.kind, owner.name)
}

impl Bundle {
    /// Whether only those may reach it who read its secret, where the site can deny.
    pub fn is_guarded(&self) -> bool {
        GUARDED.contains(&self.owner.kind.as_str())
    }

    /// Its secrets: the first is what a [`CredentialUse`] of others means, the rest are for itself alone.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretObject> {
        self.objects.iter().filter_map(|object| match object {
            Object::Secret(it) => Some(it),
            _ => None,
        })
    }
}

/// One thing on a site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Object {
    /// A long-running service of ours.
    Service(ServiceObject),
    /// A third party's system that we configure and run.
    Engine(EngineObject),
    /// Work of ours that ends.
    Job(JobObject),
    /// A secret, by name and version; its values travel beside the bundle.
    Secret(SecretObject),
    /// A stable address of a service or an engine.
    Endpoint(EndpointObject),
    /// Files that others mount.
    Files(FilesObject),
    /// A Kubernetes object as such. Only Kubernetes holds it.
    Manifest(ManifestObject),
    /// What decides how many of another owner's service run. Only Kubernetes holds it.
    Scaler(ScalerObject),
}

impl Object {
    /// The name within its type and owner.
    pub fn name(&self) -> &str {
        match self {
            Object::Service(it) => it.name.as_str(),
            Object::Engine(it) => it.name.as_str(),
            Object::Job(it) => it.name.as_str(),
            Object::Secret(it) => it.name.as_str(),
            Object::Endpoint(it) => it.name.as_str(),
            Object::Files(it) => it.name.as_str(),
            Object::Manifest(it) => it.name.as_str(),
            Object::Scaler(it) => it.name.as_str(),
        }
    }

    /// `service`, `engine`, `job` … as in `type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Object::Service(_) => "service",
            Object::Engine(_) => "engine",
            Object::Job(_) => "job",
            Object::Secret(_) => "secret",
            Object::Endpoint(_) => "endpoint",
            Object::Files(_) => "files",
            Object::Manifest(_) => "manifest",
            Object::Scaler(_) => "scaler",
        }
    }

    /// `service/origin`: how messages and statuses name it.
    pub fn key(&self) -> String {
        format!("{}/{}", self.type_name(), self.name())
    }
}

/// A long-running service of ours: `streamverse run --target TARGET`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceObject {
    /// Unique among the owner's services.
    pub name: Name,
    /// The row of the target table.
    pub target: String,
    /// The target's spec; the service refuses fields that it does not know.
    pub spec: Value,
    /// How many run side by side. A node runs one process for each.
    #[serde(default = "one")]
    pub replicas: u32,
    /// What it listens on.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Secrets that it may read, as files in its credentials directory.
    #[serde(default)]
    pub credentials: Vec<CredentialUse>,
    /// What it needs to reach; everything else is denied where the site can deny.
    #[serde(default)]
    pub reach: Vec<Reach>,
    /// What it may take.
    #[serde(default)]
    pub resources: Resources,
    /// How far apart it runs from others on a node.
    #[serde(default)]
    pub isolation: Isolation,
    /// How long it may finish what it has begun, in seconds.
    #[serde(default = "thirty")]
    pub drain_seconds: u32,
}

/// A third party's system: the site renders its configuration from the spec, checks it with the engine's own binary,
/// and switches to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineObject {
    /// Unique among the owner's engines.
    pub name: Name,
    /// Which system.
    pub engine: EngineKind,
    /// The engine's spec, as `streamverse-model` has it.
    pub spec: Value,
    /// What it listens on.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Secrets that it may read.
    #[serde(default)]
    pub credentials: Vec<CredentialUse>,
    /// What it needs to reach.
    #[serde(default)]
    pub reach: Vec<Reach>,
    /// What it may take.
    #[serde(default)]
    pub resources: Resources,
    /// How long connections may finish, in seconds, before a restart or stop.
    #[serde(default = "thirty")]
    pub drain_seconds: u32,
}

/// The systems that a site can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// Apache Traffic Server.
    TrafficServer,
}

impl EngineKind {
    /// As in JSON, in `images` and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            EngineKind::TrafficServer => "traffic_server",
        }
    }
}

/// Work of ours that ends, runs once to success, and is continued after a crash: `streamverse run --target TARGET`.
/// A changed spec is a new run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobObject {
    /// Unique among the owner's jobs.
    pub name: Name,
    /// The row of the target table.
    pub target: String,
    /// The target's spec.
    pub spec: Value,
    /// Specs of other owners' services that it reads, as files: where a transcoder's stores are, for example.
    #[serde(default)]
    pub uses: Vec<SpecUse>,
    /// Secrets that it may read.
    #[serde(default)]
    pub credentials: Vec<CredentialUse>,
    /// What it needs to reach.
    #[serde(default)]
    pub reach: Vec<Reach>,
    /// What it may take.
    #[serde(default)]
    pub resources: Resources,
    /// How often a failed run is tried again, with back-off.
    #[serde(default = "six")]
    pub retries: u32,
    /// How long all runs together may take, in seconds.
    pub deadline_seconds: u64,
}

/// The spec of another owner's service, in the job's specs directory as `KIND.NAME.json`, and the credentials of that service but for
/// its own secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecUse {
    /// The owner's kind, in the same deployment.
    pub kind: Name,
    /// The owner's name.
    pub name: Name,
    /// The service's name.
    pub service: Name,
}

/// A secret of the same deployment, in the credentials directory as `KIND.NAME/KEY`, one file per key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialUse {
    /// The kind of the secret's owner: `object-store`.
    pub kind: Name,
    /// The name of the secret's owner.
    pub name: Name,
}

/// A secret's name and version. Its values come beside the bundle, and only when they are new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretObject {
    /// Unique among the owner's secrets; the first is what a [`CredentialUse`] of others means. The owner's own services and
    /// jobs find the values of all of them in one folder, so that keys are unique too.
    pub name: Name,
    /// The names of its values.
    pub keys: Vec<Name>,
    /// Changes when the values do: a number that the configuration raises, never a digest of the value.
    pub version: u64,
}

/// The values of a secret. Not printable, not serialisable by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue {
    /// The secret object's name.
    pub name: Name,
    /// Value by key.
    pub values: BTreeMap<Name, String>,
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.values.keys().map(Name::as_str).collect();
        write!(f, "SecretValue {{ name: {:?}, keys: {keys:?} }}", self.name.as_str())
    }
}

/// A stable address of one port of one of the owner's services or engines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointObject {
    /// Unique among the owner's endpoints; on Kubernetes part of the Service's name.
    pub name: Name,
    /// The service or engine, as `service/NAME` or `engine/NAME`.
    pub of: String,
    /// The port's name.
    pub port: Name,
    /// Whether viewers outside the site reach it.
    #[serde(default)]
    pub public: bool,
}

/// Files that services of the same owner find in a folder of the endpoint's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesObject {
    /// Unique among the owner's file sets.
    pub name: Name,
    /// Content by file name (no `/`, not `.` or `..`), UTF-8, 900 KiB in all.
    pub files: BTreeMap<String, String>,
}

/// A Kubernetes object as such, for operators' kinds: Kafka, ScyllaCluster …
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestObject {
    /// Unique among the owner's manifests.
    pub name: Name,
    /// `apiVersion`, `kind`, `metadata.name` and the rest; namespace and labels are the site's.
    pub body: Value,
    /// The plural of its kind as in the API's path (`kafkas`): it cannot be guessed.
    pub plural: String,
}

/// What decides how many of a service run. While it is there the service leaves the number to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalerObject {
    /// Unique among the owner's scalers.
    pub name: Name,
    /// Whose service.
    pub of: SpecUse,
    /// The scaler's spec, as `streamverse-model` has it.
    pub spec: Value,
}

/// A port that something listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Unique in the object: `http`.
    pub name: Name,
    /// Its number.
    pub number: u16,
    /// TCP unless said otherwise.
    #[serde(default)]
    pub protocol: Protocol,
    /// Whether others than this host (this cluster) may reach it.
    #[serde(default)]
    pub public: bool,
}

/// The transport of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// One thing that must be reachable: the egress rules of a NetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// Who.
    pub peer: Peer,
    /// On which port.
    pub port: u16,
}

/// Somebody on the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// A Service of a cluster, as in the host `NAME.NAMESPACE.svc`. Where it is one of ours, its pods are told to a
    /// NetworkPolicy.
    Service {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// Any other address; names cannot be told to a NetworkPolicy, so this opens the port to all.
    Anywhere,
}

/// What an object may take. On Kubernetes: requests and limits. On a node memory is a limit: what holds more is ended and
/// started again with the reason `memory-limit`; an engine counts as a whole, and the tools of a service count for
/// themselves. CPU is nothing to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// CPU, in thousandths of a core: asked for, not a limit.
    pub cpu_millis: u32,
    /// Memory in bytes: asked for and a limit.
    pub memory_bytes: u64,
    /// Scratch space on local disk in bytes: a limit.
    pub scratch_bytes: u64,
}

impl Default for Resources {
    fn default() -> Self {
        Resources { cpu_millis: 100, memory_bytes: 256 << 20, scratch_bytes: 64 << 20 }
    }
}

/// How far apart a service runs from others on a node. Kubernetes always gives it a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// In a process of its own: it outlives the agent, and an upgrade of the agent does not touch it.
    #[default]
    Process,
    /// In the agent's process, behind a panic guard: the least memory. It ends with the agent, its memory has no limit of its
    /// own, and a node refuses it where the agent is not the user that services run as.
    InProcess,
}

fn one() -> u32 {
    1
}

fn six() -> u32 {
    6
}

fn thirty() -> u32 {
    30
}
