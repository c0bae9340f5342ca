//! What a fleet of pods refuses and warns of, while planning. What is not known yet is not judged.

use std::collections::BTreeMap;
use std::time::Duration as Span;

use tfplugin_schema::{Diagnostic, Diagnostics, Maybe, Path};

use super::container::{check_container, is_cuda};
use super::fleet::{FleetCandidateSpec, FleetCandidateSpecView, FleetQueueSpecView, RunpodFleetSpecView};
use crate::compute::{Gpu, NightSpec, QueueSpec, RangeSpec, Tenancy, gpu, gpu_names, nearest_gpu};
use crate::platform::StoreUrl;

/// What is left of a pod that RunPod stops: SIGTERM, and SIGKILL so long after it (documentation of RunPod's former API; no live
/// pod was looked at).
pub const RUNPOD_NOTICE: Span = Span::from_secs(5);
/// What our own variables begin with.
const OURS: &str = "STREAMVERSE_";

/// Refuses what cannot work, and warns of what is unwise.
///
/// Sources: RunPod's API description of 2026-08-18 (one image or template for a pod, one network volume, which lies in one data
/// centre); the table of GPUs (encoders); the replay of recorded spot capacity (breadth).
pub fn check_fleet(view: &RunpodFleetSpecView, out: &mut Diagnostics) {
    check_container("environment", &view.environment, &view.ports, out);
    for name in view.environment.known().into_iter().flat_map(BTreeMap::keys) {
        if name.starts_with(OURS) {
            out.error_at(
                Path::attribute("environment").key(name.as_str()),
                "A name of ours",
                format!("Variables that begin with {OURS} are how a worker finds its controller. Give {name} another name."),
            );
        }
    }
    check_image(view, out);
    check_candidates(view, out);
    check_volume(view, out);
    check_range(view, out);
    if let Some(night) = view.schedule.known().and_then(|it| it.night.known()) {
        let zone = match &night.time_zone {
            Maybe::Known(zone) => Some(zone.clone()),
            Maybe::Null => Some("UTC".to_owned()),
            Maybe::Unknown => None,
        };
        if let (Some(from), Some(to), Some(time_zone)) = (night.from.known(), night.to.known(), zone) {
            let spec = NightSpec { from: from.clone(), to: to.clone(), time_zone };
            if let Err(error) = spec.read() {
                out.error_at(Path::attribute("schedule").attr("night"), "No night", format!("{error}."));
            }
        }
    }
    let drain = view.policy.known().and_then(|it| it.drain.known());
    if let Some(drain) = drain.filter(|it| it.0 > RUNPOD_NOTICE) {
        out.warning_at(
            Path::attribute("policy").attr("drain"),
            "Longer than any notice",
            format!(
                "RunPod announces nothing: a pod that it stops gets SIGTERM and is killed {} s later. `drain` = {drain} holds for what the controller gives back (scale-in, night, budget, destroy). What is cut off loses the segments in hand, and other workers encode those again.",
                RUNPOD_NOTICE.as_secs()
            ),
        );
    }
    if view.min_cuda_version.known().is_some_and(|version| !is_cuda(version)) {
        out.error_at(
            Path::attribute("min_cuda_version"),
            "No CUDA version",
            "`min_cuda_version` is MAJOR.MINOR, such as 12.8.",
        );
    }
    match &view.queue {
        Maybe::Known(queue) => check_queue(view, queue, out),
        Maybe::Null => {
            let none = view.range.known().is_some_and(|it| match &it.min {
                Maybe::Known(min) => *min == 0,
                Maybe::Null => true,
                Maybe::Unknown => false,
            });
            if none {
                out.warning_at(
                    Path::attribute("range").attr("min"),
                    "Nothing starts the first pod",
                    "Without `queue` a fleet has `min` pods, and that is 0. Give a queue, or raise `min`.",
                );
            }
        }
        Maybe::Unknown => {}
    }
}

fn check_image(view: &RunpodFleetSpecView, out: &mut Diagnostics) {
    match (&view.image, &view.template_id) {
        (Maybe::Null, Maybe::Null) => out.error_at(
            Path::attribute("image"),
            "Nothing to run",
            "Give `image`, or `template_id` of a template for pods.",
        ),
        (Maybe::Known(_), Maybe::Known(_)) => out.error_at(
            Path::attribute("template_id"),
            "Two things to run",
            "Give `image` or `template_id`: remove one of the two.",
        ),
        _ => {}
    }
}

/// A candidate's part, or what holds where none is given.
pub(super) fn or<T: Clone>(value: &Maybe<T>, usual: T) -> Option<T> {
    match value {
        Maybe::Known(value) => Some(value.clone()),
        Maybe::Null => Some(usual),
        Maybe::Unknown => None,
    }
}

/// The candidate, once all of it is known.
pub fn settled(it: &FleetCandidateSpecView) -> Option<FleetCandidateSpec> {
    Some(FleetCandidateSpec {
        gpu: it.gpu.known()?.clone(),
        gpus: or(&it.gpus, 1)?,
        data_centre: match &it.data_centre {
            Maybe::Known(centre) => Some(centre.clone()),
            Maybe::Null => None,
            Maybe::Unknown => return None,
        },
        tenancy: or(&it.tenancy, Tenancy::Secure)?,
    })
}

fn check_candidates(view: &RunpodFleetSpecView, out: &mut Diagnostics) {
    let Some(candidates) = view.candidates.known() else { return };
    let at = |index: usize| Path::attribute("candidates").index(index);
    let mut keys: Vec<(String, usize)> = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let Some(candidate) = candidate.known() else { continue };
        if let Some(name) = candidate.gpu.known() {
            check_gpu(name, matches!(view.transcoder, Maybe::Known(_)), at(index).attr("gpu"), out);
        }
        let Some(whole) = settled(candidate) else { continue };
        let key = whole.key();
        match keys.iter().find(|(other, _)| *other == key) {
            Some((_, first)) => out.error_at(
                at(index),
                "The same place twice",
                format!("candidates[{first}] is {key} too. Keep the first: a place that is asked again in vain is no breadth."),
            ),
            None => keys.push((key, index)),
        }
    }
    let centres: Option<Vec<&String>> = candidates.iter().map(|it| it.known()?.data_centre.known()).collect();
    if let Some(centres) = centres
        && let Some(first) = centres.first()
        && centres.iter().all(|it| it == first)
    {
        out.warning_at(
            Path::attribute("candidates"),
            "One data centre only",
            format!(
                "When {first} has none left, nothing starts. In 45 recorded days of nine AWS zones (V100 as spot; nobody has recorded RunPod) a single zone had capacity 17 to 91 % of the time, and half of its outages were longer than 23 to 42 minutes; all nine were out together 0.8 % of the time. Add a candidate elsewhere, or one without `data_centre`."
            ),
        );
    }
}

fn check_gpu(name: &str, encodes: bool, at: Path, out: &mut Diagnostics) {
    let Some(it) = gpu(name) else {
        let why = Gpu::unknown(name, nearest_gpu(name), |it| {
            it.runpod.is_some() && (!encodes || it.nvenc.is_some())
        });
        out.error_at(at, "Unknown GPU", why);
        return;
    };
    if it.runpod.is_none() {
        let rented = gpu_names(|it| it.runpod.is_some()).join(", ");
        out.error_at(at, "Not at RunPod", format!("RunPod does not rent {}. It has {rented}.", it.name));
    } else if encodes && it.nvenc.is_none() {
        let able = gpu_names(|it| it.nvenc.is_some() && it.runpod.is_some()).join(", ");
        out.error_at(
            at,
            "No encoder",
            format!(
                "{} decodes video and has no encoder, and this fleet does a transcoder's work. These encode: {able}.",
                it.name
            ),
        );
    }
}

fn check_volume(view: &RunpodFleetSpecView, out: &mut Diagnostics) {
    if view.network_volume.known().is_none() {
        return;
    }
    let mut first: Option<&String> = None;
    for (index, candidate) in view.candidates.known().into_iter().flatten().enumerate() {
        let Some(candidate) = candidate.known() else { continue };
        let at = Path::attribute("candidates").index(index).attr("data_centre");
        let refused = match (&candidate.data_centre, first) {
            (Maybe::Null, _) => Some(format!(
                "A network volume lies in one data centre, and candidates[{index}] may be anywhere. Name the volume's."
            )),
            (Maybe::Known(here), Some(there)) if here != there => Some(format!(
                "A network volume lies in one data centre, and candidates are in {there} and {here}. Keep those of the volume's, or take `network_volume` away."
            )),
            (Maybe::Known(here), _) => {
                first = Some(here);
                None
            }
            (Maybe::Unknown, _) => None,
        };
        if let Some(why) = refused {
            out.error_at(at, "Out of the volume's reach", why);
        }
    }
}

fn check_range(view: &RunpodFleetSpecView, out: &mut Diagnostics) {
    let Some(range) = view.range.known() else { return };
    let mut found = Diagnostics::new();
    RangeSpec::check(range, &mut found);
    for diagnostic in found {
        let path = diagnostic.path.clone().unwrap_or_default();
        out.push(Diagnostic { path: Some(Path::attribute("range").join(&path)), ..diagnostic });
    }
}

fn check_queue(view: &RunpodFleetSpecView, queue: &FleetQueueSpecView, out: &mut Diagnostics) {
    let at = |name: &str| Path::attribute("queue").attr(name);
    if let (Some(above), Some(below)) = (or(&queue.scale_out_above, 100), or(&queue.scale_in_below, 10))
        && below >= above
    {
        out.error_at(
            at("scale_in_below"),
            "Thresholds that cross",
            format!("Workers would be asked for above {above} waiting jobs and dismissed below {below}, both at once. scale_in_below must be less than scale_out_above."),
        );
    }
    let Some(log) = queue.event_log.known() else { return };
    if let Err(why) = remote_log(log) {
        out.error_at(at("event_log"), "Out of a rented worker's reach", why);
        return;
    }
    let partitions = QueueSpec::partitions_of(log);
    let max = view.range.known().and_then(|it| it.max.known().copied());
    // Each job that a worker does side by side has a partition of its own.
    let each = queue.jobs_per_worker.known().copied().unwrap_or(1).max(1);
    if let (Some(partitions), Some(max)) = (partitions, max)
        && max.saturating_mul(each) > partitions
    {
        let needed = max.saturating_mul(each);
        out.error_at(
            Path::attribute("range").attr("max"),
            "More workers than partitions",
            format!(
                "A partition is one worker's at a time, and the event log makes topics of {partitions}: {} of {max} workers would be paid for nothing. Raise `partitions` of the streamverse_event_log to {needed} at least, or lower max.",
                max - partitions / each
            ),
        );
    }
}

/// Refuses an event log that only its own host reaches.
///
/// # Errors
/// Why it is of no use to a rented worker.
pub fn remote_log(url: &str) -> Result<(), String> {
    let next = "Give the `url` of a streamverse_event_log with `kafka`";
    match StoreUrl::parse(url) {
        Err(error) => Err(format!("{error}. {next}.")),
        Ok(read) if read.scheme() == "kafka" => Ok(()),
        Ok(read) if read.site().is_some() => Err(format!(
            "{url} is reached from its own host alone, and workers are rented elsewhere. {next}."
        )),
        Ok(_) => Err(format!("{url} is no event log. {next}.")),
    }
}
