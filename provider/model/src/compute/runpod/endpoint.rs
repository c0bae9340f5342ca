//! A serverless endpoint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tfplugin_schema::validate::nearest;
use tfplugin_schema::{Diagnostics, Duration, Maybe, Path, Schema};

use super::container::{check_container, is_cuda};
use crate::compute::{Gpu, gpu, nearest_gpu};

/// How long an idle worker stays where nothing is said, in seconds.
pub const IDLE_TIMEOUT: u32 = 10;

/// Pools as RunPod's catalogue had them in 2026. A later one is let through with a warning.
const POOLS: &[&str] = &[
    "AMPERE_16",
    "AMPERE_24",
    "ADA_24",
    "ADA_32_PRO",
    "AMPERE_48",
    "ADA_48_PRO",
    "AMPERE_80",
    "ADA_80_PRO",
    "HOPPER_141",
];

/// Workers that RunPod starts when there are requests, and ends when there are none.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunpodEndpointSpec {
    /// How requests reach workers: `QUEUE` (jobs, one after the other) or `LOAD_BALANCER` (HTTP, as the worker answers it).
    /// Another one is another endpoint.
    #[attribute(replace, default = "QUEUE", validate(one_of = ["QUEUE", "LOAD_BALANCER"]))]
    pub routing: String,
    /// What makes it grow and shrink.
    pub scaling: ScalingSpec,
    /// What its workers run on.
    pub gpu: EndpointGpuSpec,
    /// How many workers.
    pub workers: WorkersSpec,
    /// The image. Needed unless `template_id` is given.
    pub image: Option<String>,
    /// The `id` of a serverless template that gives what is not said here. RunPod copies it when the endpoint is made or this
    /// attribute changes: later changes of the template do not reach the endpoint. What the configuration stops saying gets what the
    /// template says then.
    pub template_id: Option<String>,
    /// Arguments of the image's entry point, as one line.
    pub args: Option<String>,
    /// GB of a disk that is empty after each start.
    #[attribute(validate(range = 1..))]
    pub disk_gb: Option<u32>,
    /// Plain environment, besides the template's. RunPod's API returns it: no secret belongs here.
    pub env: Option<BTreeMap<String, String>>,
    /// Ports, such as `8080/http`.
    pub ports: Option<Vec<String>>,
    /// The `id` of the credential with which the image is pulled.
    pub registry_credential_id: Option<String>,
    /// Data centres that workers may be in; all where none is given.
    pub data_centers: Option<Vec<String>>,
    /// Network volumes that workers mount, by `id`: one for each data centre.
    pub network_volume_ids: Option<Vec<String>>,
    /// How long one request may take.
    #[attribute(default = "5m")]
    pub execution_timeout: Duration,
    /// How cold starts are made shorter.
    #[attribute(default = "OFF", validate(one_of = ["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"]))]
    pub flashboot: String,
}

/// What makes an endpoint grow and shrink: one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScalingSpec {
    /// How long a request may wait in the queue, half a second at least. With `routing` `QUEUE` alone.
    pub queue_delay: Option<Duration>,
    /// Requests at once for each worker.
    #[attribute(validate(range = 1..))]
    pub request_count: Option<u32>,
}

/// What workers run on. RunPod takes whichever of the pools has capacity.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointGpuSpec {
    /// Pools of GPU types, `ADA_48_PRO` (`pool` of `streamverse_gpu_offers`).
    #[attribute(validate(length = 1..))]
    pub pools: Vec<String>,
    /// GPU types of these pools that are not wanted, by RunPod's own names: `NVIDIA L40`. Only those of a built-in table are taken: another is
    /// refused with the table's date, also where RunPod has it (`model` of `streamverse_gpu_offers` is null).
    pub excluded: Option<Vec<String>>,
    /// GPUs of each worker.
    #[attribute(default = 1, validate(range = 1..))]
    pub count: u32,
    /// The lowest CUDA version of the host, `12.8`.
    pub min_cuda_version: Option<String>,
}

/// How many workers.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkersSpec {
    /// Workers that are always there, and paid for.
    #[attribute(default = 0)]
    pub min: u32,
    /// The most at once.
    #[attribute(default = 3)]
    pub max: u32,
    /// How long an idle worker stays: whole seconds, one hour at most; `10s` where none is given. Not with `routing` `QUEUE` and
    /// `request_count`.
    pub idle_timeout: Option<Duration>,
}

/// Refuses what RunPod would refuse at apply, and more clearly. What is not known yet is not judged.
///
/// Sources: RunPod's API description of 2026-08-18: `CreateEndpointRequest` (an image unless there is a template), `QueueDelayScaling` (0.5 s
/// at least, of queues alone), `RequestCountScaling`, `EndpointWorkers` (`idleTimeout` of 1 to 3600 s, not of queues that scale on
/// `requestCount`), `CreateEndpointGpuConfig` (exclusions are GPU types by their `id`, CUDA versions are `MAJOR.MINOR`). Of `min` above `max` it says
/// nothing: no number of workers is both. Pools are those of its catalogue in 2026.
pub fn check_endpoint(view: &RunpodEndpointSpecView, out: &mut Diagnostics) {
    check_container("env", &view.env, &view.ports, out);
    if view.image.is_null() && view.template_id.is_null() {
        out.error_at(
            Path::attribute("image"),
            "Nothing to run",
            "Give `image`, or `template_id` of a serverless template.",
        );
    }
    let queue = match &view.routing {
        Maybe::Known(routing) => Some(routing == "QUEUE"),
        Maybe::Null => Some(true),
        Maybe::Unknown => None,
    };
    if let Some(scaling) = view.scaling.known() {
        check_scaling(scaling, queue, &view.workers, out);
    }
    if let Some(workers) = view.workers.known() {
        check_workers(workers, out);
    }
    if let Some(gpu) = view.gpu.known() {
        check_gpu(gpu, out);
    }
}

fn check_scaling(
    scaling: &ScalingSpecView,
    queue: Option<bool>,
    workers: &Maybe<WorkersSpecView>,
    out: &mut Diagnostics,
) {
    let at = Path::attribute("scaling");
    match (&scaling.queue_delay, &scaling.request_count) {
        (Maybe::Null, Maybe::Null) => {
            out.error_at(at.clone(), "Nothing to scale on", "Give `scaling.queue_delay` or `scaling.request_count`.");
        }
        (Maybe::Known(_), Maybe::Known(_)) => out.error_at(
            at.clone(),
            "Two signals",
            "An endpoint scales on `scaling.queue_delay` or on `scaling.request_count`: remove one of the two.",
        ),
        _ => {}
    }
    if let Some(delay) = scaling.queue_delay.known() {
        if queue == Some(false) {
            out.error_at(
                at.clone().attr("queue_delay"),
                "No queue",
                "An endpoint with `routing` LOAD_BALANCER has no queue: instead of `scaling.queue_delay` give `scaling.request_count`.",
            );
        }
        if delay.0 < std::time::Duration::from_millis(500) {
            out.error_at(
                at.attr("queue_delay"),
                "Too short",
                "RunPod looks every half second: `scaling.queue_delay` is 500ms at least.",
            );
        }
    }
    let idle = workers.known().is_some_and(|it| matches!(it.idle_timeout, Maybe::Known(_)));
    if queue == Some(true) && idle && matches!(scaling.request_count, Maybe::Known(_)) {
        out.error_at(
            Path::attribute("workers").attr("idle_timeout"),
            "Not with this signal",
            "RunPod refuses `workers.idle_timeout` of an endpoint with `routing` QUEUE that scales on `scaling.request_count`. Remove it, or scale on `scaling.queue_delay`.",
        );
    }
}

fn check_workers(workers: &WorkersSpecView, out: &mut Diagnostics) {
    let at = Path::attribute("workers");
    let or = |value: &Maybe<u32>, usual: u32| match value {
        Maybe::Known(value) => Some(*value),
        Maybe::Null => Some(usual),
        Maybe::Unknown => None,
    };
    if let (Some(min), Some(max)) = (or(&workers.min, 0), or(&workers.max, 3))
        && max < min
    {
        out.error_at(
            at.clone().attr("max"),
            "Fewer at most than at least",
            format!("`workers.max` is {max} and `workers.min` is {min}: raise one or lower the other."),
        );
    }
    if let Some(idle) = workers.idle_timeout.known() {
        let seconds = idle.0.as_secs();
        if idle.0.subsec_nanos() != 0 || !(1..=3600).contains(&seconds) {
            out.error_at(
                at.attr("idle_timeout"),
                "No such time",
                "`workers.idle_timeout` is whole seconds, from 1s to 1h.",
            );
        }
    }
}

fn check_gpu(spec: &EndpointGpuSpecView, out: &mut Diagnostics) {
    let at = Path::attribute("gpu");
    for (index, pool) in spec.pools.known().into_iter().flatten().enumerate() {
        let Some(pool) = pool.known().filter(|pool| !POOLS.contains(&pool.as_str())) else { continue };
        let at = at.clone().attr("pools").index(index);
        match nearest(pool, POOLS.iter().copied()) {
            Some(near) => out.error_at(
                at,
                "No such pool",
                format!(
                    "{pool:?} in `gpu.pools` is no pool of GPU types. Did you mean {near:?}? There are {}.",
                    POOLS.join(", ")
                ),
            ),
            None => out.warning_at(
                at,
                "A pool that we do not know",
                format!(
                    "{pool:?} in `gpu.pools` is none of {}. RunPod decides when it is applied.",
                    POOLS.join(", ")
                ),
            ),
        }
    }
    for (index, ty) in spec.excluded.known().into_iter().flatten().enumerate() {
        let Some(ty) = ty.known() else { continue };
        let at = at.clone().attr("excluded").index(index);
        match gpu(ty) {
            Some(found) if found.runpod == Some(ty.as_str()) => {}
            Some(found) => {
                let id = found.runpod.map_or_else(
                    || "RunPod does not have it.".to_owned(),
                    |id| format!("RunPod calls it {id:?}."),
                );
                out.error_at(
                    at,
                    "Not RunPod's name",
                    format!("{ty:?} in `gpu.excluded` is known, but not by this name. {id}"),
                );
            }
            None => {
                let near = nearest_gpu(ty).and_then(gpu).and_then(|it| it.runpod);
                let why = Gpu::unknown(ty, near, |it| it.runpod.is_some());
                out.error_at(at, "Unknown GPU", format!("`gpu.excluded`: {why}"));
            }
        }
    }
    if spec.min_cuda_version.known().is_some_and(|version| !is_cuda(version)) {
        out.error_at(
            at.attr("min_cuda_version"),
            "No CUDA version",
            "`gpu.min_cuda_version` is MAJOR.MINOR, such as 12.8.",
        );
    }
}
