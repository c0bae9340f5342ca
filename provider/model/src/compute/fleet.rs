//! What a fleet's resource tells its controller, and what the controller tells back: documents in the controller's catalogue.
//!
//! The resource's job on the site writes [`FleetRecord`]s, the controller alone writes the rest. Nothing here is secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Candidate, FleetControllerSpec, PolicySpec, QueueSpec, RangeSpec, ScheduleSpec};
use crate::media::{TRANSCODE_GROUP, TRANSCODE_TOPIC, TranscoderSpec};
use crate::platform::Name;

/// Documents of one controller: a catalogue may serve several.
///
/// | collection | id | document | written by |
/// |---|---|---|---|
/// | `fleet.CONTROLLER` | the fleet's name | [`FleetRecord`] | the fleet's job |
/// | `fleet-status.CONTROLLER` | the fleet's name | [`FleetStatus`] | the controller |
/// | `fleet-state.CONTROLLER` | `state` | what the policy remembers | the controller, before it acts |
/// | `fleet-why.CONTROLLER` | time and a count, ordered | [`FleetDecision`] | the controller |
/// | `fleet-enrolled.CONTROLLER` | the instance's name | when it enrolled | the controller |
pub fn fleet_collection(kind: &str, controller: &str) -> String {
    if kind.is_empty() { format!("fleet.{controller}") } else { format!("fleet-{kind}.{controller}") }
}

/// What the service `fleet-controller` is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetControllerRun {
    /// Limits, budget, tick, retention.
    pub controller: FleetControllerSpec,
    /// The TCP port of the API that workers ask, TLS alone.
    pub port: u16,
    /// Where workers reach that API: `https://HOST:PORT`.
    pub public_url: String,
    /// The catalogue that keeps fleets, state and decisions.
    pub catalogue: String,
    /// The event logs and object stores that its workers are given, with their credentials: no others.
    pub stores: Vec<String>,
    /// The RunPod account; the key to it is the value `runpod-api-key` of the service's own secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runpod: Option<RunpodAccess>,
}

/// Where RunPod is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunpodAccess {
    /// The API.
    pub endpoint: String,
}

/// A fleet, as its resource describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetDefinition {
    /// Unique in the deployment.
    pub name: Name,
    /// Where to buy, the preferred place first.
    pub candidates: Vec<Candidate>,
    /// How few and how many, and what they may cost.
    pub range: RangeSpec,
    /// How it meets refusal and preemption.
    pub policy: PolicySpec,
    /// When it runs.
    pub schedule: ScheduleSpec,
    /// What decides its size; without one it is `min`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueSpec>,
    /// The image that a worker runs; empty where `options` name a template.
    #[serde(default)]
    pub image: String,
    /// Plain environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What only its cloud knows: the options of its adapter.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// A fleet in the controller's catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetRecord {
    /// As described.
    pub definition: FleetDefinition,
    /// What its workers do. Without it an instance that runs is ready, and nobody enrols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<FleetWork>,
    /// Another one with every change.
    pub generation: String,
    /// It is being destroyed: nothing is started any more, what runs leaves, then its groups go. Nothing lifts it but a new
    /// record after the old one was removed.
    #[serde(default)]
    pub tombstone: bool,
    /// The resource that wrote it, in words; nobody else changes it. Empty where no resource did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
}

/// What a fleet's workers do: they transcode, and nothing else. Packaging and content keys stay on the site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetWork {
    /// The transcoder's name.
    pub transcoder: Name,
    /// Its spec, as rented workers run it.
    pub spec: TranscoderSpec,
}

impl FleetWork {
    /// How many jobs the workers that the transcoder has on its site do side by side, where they take from this queue: as many
    /// members of the group they are.
    pub fn own_members(&self, queue: &QueueSpec) -> u32 {
        let same = (&*queue.topic, &*queue.group) == (TRANSCODE_TOPIC, TRANSCODE_GROUP)
            && queue.event_log == self.spec.event_log;
        if same { self.spec.workers.saturating_mul(self.spec.concurrency) } else { 0 }
    }
}

/// How a fleet is, for jobs and people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetStatus {
    /// The generation that the controller has acted on.
    pub generation: String,
    /// When it last looked, in milliseconds since the epoch. It is written when something else changed, and each minute.
    pub looked_ms: u64,
    /// So many workers are aimed at.
    pub target: u32,
    /// So many instances cost money or will.
    pub instances: u32,
    /// So many workers are ready.
    pub ready: u32,
    /// Jobs that nobody works on, where that could be asked.
    pub waiting: Option<u64>,
    /// What was spent in this calendar month, in millionths of a dollar.
    pub spent_micros: u64,
    /// The tombstone was obeyed: nothing is left at any cloud.
    pub deleted: bool,
    /// Why it is not served, or not as described; empty where all is well.
    pub trouble: Option<String>,
}

/// A decision that was made, for `streamverse fleet why`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetDecision {
    /// When, in milliseconds since the epoch.
    pub at_ms: u64,
    /// The fleet's name.
    pub fleet: String,
    /// One line: what, and why.
    pub line: String,
    /// The word for why, as in the metric.
    pub why: String,
    /// What came of it, where it was not simply done: that it was refused, failed, or was not answered, and the cloud's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}
