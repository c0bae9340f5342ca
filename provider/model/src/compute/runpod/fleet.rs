//! A fleet of RunPod pods: where they are bought, what they run, and what decides how many there are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Duration, Schema};

use crate::compute::{
    Candidate, CloudKind, FleetDefinition, PolicySpec, QueueSpec, RangeSpec, ScheduleSpec, Tenancy, gpu,
};
use crate::platform::{Name, SpecError};

/// Pods that a controller starts and gives back.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunpodFleetSpec {
    /// The name of the `streamverse_fleet_controller` that keeps it, on the same site. Another one is another fleet.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub controller: String,
    /// The name of the `streamverse_transcoder` whose work its pods do, on the same site: they fetch its spec and the
    /// secrets of its stores by mutual TLS from the controller. Refer to it by its resource: a change of it is then handed on in the same apply. Without it a pod that runs is taken to be ready, and what it does
    /// is the image's affair.
    #[attribute(validate(regex(
        "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
        says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
    )))]
    pub transcoder: Option<String>,
    /// Where pods are bought, the preferred place first: the next one is asked when one has no capacity.
    #[attribute(validate(length = 1..=64))]
    pub candidates: Vec<FleetCandidateSpec>,
    /// The image. One of a transcoder's fleet runs `streamverse-edge worker` and has `streamverse-edge`, `streamverse` and `ffmpeg` in its PATH.
    #[attribute(validate(length = 1..))]
    pub image: Option<String>,
    /// The `id` of a template for pods, instead of `image`. What is said here beside it goes before what the template says. RunPod keeps no link
    /// from a pod to its template, and lets a template go that fleets name: one that is replaced wants `create_before_destroy`, without which there is a
    /// moment in which no pod starts.
    #[attribute(validate(length = 1..))]
    pub template_id: Option<String>,
    /// Arguments of the image's entry point, as one line.
    pub args: Option<String>,
    /// GB of a disk that is empty after each start.
    #[attribute(validate(range = 1..))]
    pub disk_gb: Option<u32>,
    /// Ports, such as `8080/http`.
    pub ports: Option<Vec<String>>,
    /// Plain environment. RunPod's API returns it: no secret belongs here. Names that begin with `STREAMVERSE_` are ours.
    pub environment: Option<BTreeMap<String, String>>,
    /// A network volume that each pod mounts: all candidates must be in its data centre.
    pub network_volume: Option<FleetVolumeSpec>,
    /// The `id` of the credential with which the image is pulled. A streamverse_runpod_registry_credential wants `create_before_destroy`
    /// here: without it there is a moment in which the fleet names one that is gone, and no pod starts.
    pub registry_credential_id: Option<String>,
    /// The lowest CUDA version of the host, `12.8`.
    pub min_cuda_version: Option<String>,
    /// How few and how many, and what they may cost. The live size is the controller's, and in no plan.
    pub range: RangeSpec,
    /// When it runs.
    pub schedule: Option<ScheduleSpec>,
    /// How it meets refusal, and how pods leave.
    pub policy: Option<FleetPolicySpec>,
    /// What decides its size; without one it is `range.min`.
    pub queue: Option<FleetQueueSpec>,
}

/// A place to buy from.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetCandidateSpec {
    /// The GPU, by any usual name: `L40S`, `NVIDIA L40S`. Only those of a built-in table are taken, which knows what encodes: another is
    /// refused with the table's date, also where RunPod rents it. `streamverse_gpu_offers` tells them apart (`model`).
    pub gpu: String,
    /// How many of them one pod has.
    #[attribute(default = 1, validate(range = 1..=16))]
    pub gpus: u32,
    /// The data centre, `EU-RO-1`; wherever RunPod has one free where none is given.
    #[attribute(validate(regex(
        "^[A-Z0-9]{2,4}(-[A-Z0-9]{1,6}){1,3}$",
        says = "must be a data centre's id such as EU-RO-1"
    )))]
    pub data_centre: Option<String>,
    /// Whose machines: `secure` (RunPod's data centres) or `community` (those of third parties).
    #[attribute(default = "secure")]
    pub tenancy: Tenancy,
}

/// A network volume.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetVolumeSpec {
    /// Its `id`.
    #[attribute(validate(length = 1..))]
    pub id: String,
    /// Where it is mounted.
    #[attribute(default = "/workspace", validate(regex("^/[^\\x00]*$", says = "must be an absolute path")))]
    pub path: String,
}

/// How a fleet meets refusal, and how its pods leave. RunPod has no spot, so there is nothing to fall back from.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetPolicySpec {
    /// How long a candidate is left alone after it had no capacity.
    #[attribute(default = "3m")]
    pub capacity_block: Duration,
    /// How long a data centre is left alone after a limit of the account was reached: more is granted by people, not by time.
    #[attribute(default = "30m")]
    pub quota_block: Duration,
    /// The most pods that are asked for within an hour, those that were refused not counted.
    #[attribute(default = 120, validate(range = 1..=3000))]
    pub launches_per_hour: u32,
    /// No candidate holds more than so many of the fleet's pods while another one could: 0 for no such limit.
    #[attribute(default = 0, validate(range = 0..=10_000))]
    pub spread: u32,
    /// Pods in addition to what is needed, against the time that replacements take.
    #[attribute(default = 0, validate(range = 0..=100))]
    pub extra: u32,
    /// How long a worker that the controller gives back (scale-in, night, budget, destroy) may work on before the controller deletes its pod:
    /// segments that are begun are finished. It is the controller's own patience, and does not hold when RunPod itself stops a pod: that
    /// gets SIGTERM and is killed 5 seconds later, whatever stands here, and the segments in hand are encoded again by other workers. A
    /// plan says so where a longer time is written, because somebody may count on it. The default is longer as well and does not warn: 5
    /// seconds would cut segments off at every scale-in, and a warning in every plan is read by nobody.
    #[attribute(default = "5m")]
    pub drain: Duration,
}

/// A queue that decides how many workers there are.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetQueueSpec {
    /// Where the brokers are: the `url` of a `streamverse_event_log` with `kafka`, one of the controller's `stores`.
    pub event_log: String,
    /// The topic whose records are jobs.
    #[attribute(default = "transcode", validate(length = 1..=249))]
    pub topic: String,
    /// The consumer group of the workers.
    #[attribute(default = "transcoders", validate(length = 1..=249))]
    pub group: String,
    /// More workers are asked for when more jobs than this wait, or when those that wait would be later than `target_p95`. How many
    /// follows from what waits, from how long a job takes, and from what the transcoder's own
    /// workers do of it in time (as long as nothing waits so long that they must be down, or too slow).
    /// Where more than this go on waiting for half of the target though each is in time, a tenth more workers are asked for.
    #[attribute(default = 100, validate(range = 1..=10_000_000))]
    pub scale_out_above: u64,
    /// Fewer are kept when fewer jobs than this have waited for `scale_in_after`. Only idle workers leave.
    #[attribute(default = 10, validate(range = 0..=10_000_000))]
    pub scale_in_below: u64,
    /// How long few jobs must have waited before workers leave.
    #[attribute(default = "20m")]
    pub scale_in_after: Duration,
    /// How long 95 of 100 jobs may take, from being queued to being done.
    #[attribute(default = "30m")]
    pub target_p95: Duration,
    /// How many jobs a worker does side by side; the transcoder's `concurrency` where none is given, and 1 without a transcoder.
    #[attribute(validate(range = 1..=256))]
    pub jobs_per_worker: Option<u32>,
    /// How long a job takes, until that was measured.
    #[attribute(default = "1m")]
    pub assumed_job_time: Duration,
}

/// What something is called in a key: small letters, digits and single hyphens.
fn slug(text: &str) -> String {
    let mut out = String::new();
    for it in text.chars() {
        if it.is_ascii_alphanumeric() {
            out.push(it.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

impl FleetCandidateSpec {
    /// Its key: `l40s-eu-ro-1`, with `-x2` for two GPUs and `-c` for the community cloud. The same place has the same key wherever it
    /// stands in the list.
    pub fn key(&self) -> String {
        let name = gpu(&self.gpu).map_or(self.gpu.as_str(), |it| it.name);
        let mut key = slug(name);
        if let Some(centre) = &self.data_centre {
            key = format!("{key}-{}", slug(centre));
        }
        if self.gpus > 1 {
            key = format!("{key}-x{}", self.gpus);
        }
        if self.tenancy == Tenancy::Community { format!("{key}-c") } else { key }
    }

    /// The place, as the controller has it.
    ///
    /// # Errors
    /// A GPU that RunPod does not rent.
    pub fn candidate(&self) -> Result<Candidate, SpecError> {
        let shape = gpu(&self.gpu).and_then(|it| it.runpod);
        let shape = shape
            .ok_or_else(|| SpecError::new(format!("RunPod rents no GPU {:?} that we know", self.gpu)))?;
        Ok(Candidate {
            key: self.key(),
            cloud: CloudKind::Runpod,
            region: self.data_centre.clone().unwrap_or_default(),
            zone: None,
            shape: shape.to_owned(),
            gpus: self.gpus,
            tenancy: self.tenancy,
        })
    }
}

impl FleetPolicySpec {
    fn policy(&self) -> PolicySpec {
        PolicySpec {
            fallback: None,
            capacity_block: self.capacity_block,
            quota_block: self.quota_block,
            launches_per_hour: self.launches_per_hour,
            spread: self.spread,
            extra: self.extra,
            drain: self.drain,
        }
    }
}

impl FleetQueueSpec {
    fn queue(&self, jobs_per_worker: u32) -> QueueSpec {
        QueueSpec {
            topic: self.topic.clone(),
            group: self.group.clone(),
            event_log: self.event_log.clone(),
            scale_out_above: self.scale_out_above,
            scale_in_below: self.scale_in_below,
            scale_in_after: self.scale_in_after,
            target_p95: self.target_p95,
            jobs_per_worker: self.jobs_per_worker.unwrap_or(jobs_per_worker),
            assumed_job_time: self.assumed_job_time,
        }
    }
}

impl RunpodFleetSpec {
    /// The fleet, as the controller has it. `jobs_per_worker` is the transcoder's.
    ///
    /// # Errors
    /// A GPU that RunPod does not rent.
    pub fn definition(&self, name: &Name, jobs_per_worker: u32) -> Result<FleetDefinition, SpecError> {
        let candidates = self.candidates.iter().map(FleetCandidateSpec::candidate);
        let volume = self.network_volume.as_ref();
        let options = [
            ("template_id", self.template_id.clone()),
            ("args", self.args.clone()),
            ("disk_gb", self.disk_gb.map(|it| it.to_string())),
            ("ports", self.ports.as_ref().filter(|it| !it.is_empty()).map(|it| it.join(","))),
            ("registry_credential_id", self.registry_credential_id.clone()),
            ("network_volume_id", volume.map(|it| it.id.clone())),
            ("network_volume_path", volume.map(|it| it.path.clone())),
            ("min_cuda_version", self.min_cuda_version.clone()),
        ];
        let options = options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(FleetDefinition {
            name: name.clone(),
            candidates: candidates.collect::<Result<_, _>>()?,
            range: self.range.clone(),
            policy: self.policy.as_ref().map(FleetPolicySpec::policy).unwrap_or_default(),
            schedule: self.schedule.clone().unwrap_or_default(),
            queue: self.queue.as_ref().map(|it| it.queue(jobs_per_worker)),
            image: self.image.clone().unwrap_or_default(),
            environment: self.environment.clone().unwrap_or_default(),
            options: options.collect(),
        })
    }
}
