//! What a scaler refuses, while planning and before it is applied.

use tfplugin_schema::{Diagnostics, Field as _, Maybe, Path, Severity};

use super::keda::{KafkaTrigger, KedaScalerSpec, KedaScalerSpecView, ScaleQueueSpecView};
use crate::drm::LicenceRun;
use crate::media::{TRANSCODE_GROUP, TRANSCODE_TOPIC, TranscoderSpec};
use crate::platform::{Bundle, Object, ServiceObject, SpecError, StoreUrl};

/// Refuses what cannot work. What is not known yet is not judged.
pub fn check_scaler(view: &KedaScalerSpecView, out: &mut Diagnostics) {
    let or = |value: &Maybe<u32>, usual: u32| match value {
        Maybe::Known(value) => Some(*value),
        Maybe::Null => Some(usual),
        Maybe::Unknown => None,
    };
    let (min, max) = (or(&view.min, 1), view.max.known().copied());
    if let (Some(min), Some(max)) = (min, max)
        && max < min
    {
        out.error_at(
            KedaScalerSpec::max(),
            "Fewer at most than at least",
            format!("max = {max} is less than min = {min}. Raise max, or lower min."),
        );
    }
    match &view.queue {
        Maybe::Null => {
            if min == Some(0) {
                out.error_at(
                    KedaScalerSpec::min(),
                    "Nothing starts the first",
                    "CPU and memory are used by what runs: where none does, nothing says that one is needed. Give a queue, or min = 1.",
                );
            }
            if (or(&view.cpu, 70), or(&view.memory, 80)) == (Some(0), Some(0)) {
                out.error_at(
                    KedaScalerSpec::cpu(),
                    "Nothing decides",
                    "Give cpu, memory or a queue: with none of them nothing says how many are needed.",
                );
            }
        }
        Maybe::Known(queue) => check_queue(view, queue, (min, max), out),
        Maybe::Unknown => {}
    }
}

fn check_queue(
    view: &KedaScalerSpecView,
    queue: &ScaleQueueSpecView,
    (min, max): (Option<u32>, Option<u32>),
    out: &mut Diagnostics,
) {
    let at = |name: &str| Path::attribute("queue").attr(name);
    let kind = view.target.known().and_then(|it| it.kind.known());
    if kind.is_some_and(|kind| kind != "transcoder") {
        for (name, given) in [("topic", &queue.topic), ("group", &queue.group)] {
            if given.is_null() {
                let kind = kind.map(String::as_str).unwrap_or_default();
                out.error_at(at(name), "Whose work is it?", format!("A {kind} takes no work from a topic of ours: give the {name} that says how many are needed."));
            }
        }
    }
    if queue.scale_to_zero_on_invalid_offset.known() == Some(&true) && min == Some(0) {
        out.warning_at(
            at("scale_to_zero_on_invalid_offset"),
            "The first record may wait for ever",
            "A group that never took a record counts as one for which nothing waits, and with min = 0 none runs that could take the first. Leave `scale_to_zero_on_invalid_offset` false, or give min = 1.",
        );
    }
    let Some(text) = queue.event_log.known() else { return };
    match KafkaTrigger::read(text) {
        Err(error) => out.error_at(
            at("event_log"),
            "No queue that KEDA can ask",
            format!("{error}. Give `event_log` the `url` of a streamverse_event_log with `kafka`."),
        ),
        Ok(kafka) => {
            if let (Some(max), Some(partitions)) = (max, kafka.partitions)
                && max > partitions
            {
                out.error_at(
                    KedaScalerSpec::max(),
                    "More at most than there are partitions",
                    format!("Each partition goes to one of them, and there are {partitions}: of {max}, {} would have nothing to do. Lower max, or raise `partitions` of the event log.", max - partitions),
                );
            }
        }
    }
}

/// The same for what is known as a whole: also what was unknown while planning.
///
/// # Errors
/// The first that is refused.
pub fn check_scaler_spec(spec: &KedaScalerSpec) -> Result<(), SpecError> {
    let mut found = Diagnostics::new();
    if let Ok(Maybe::Known(view)) = KedaScalerSpec::view(&KedaScalerSpec::write(spec)) {
        check_scaler(&view, &mut found);
    }
    match found.iter().find(|it| it.severity == Severity::Error) {
        None => Ok(()),
        Some(first) => {
            let place = first.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
            Err(SpecError::new(format!("{place}{}. {}", first.summary, first.detail)))
        }
    }
}

fn service_of(target: &Bundle) -> Option<&ServiceObject> {
    target.objects.iter().find_map(|object| match object {
        Object::Service(it) => Some(it),
        _ => None,
    })
}

/// Refuses more workers of a transcoder than find work: each encode that a worker does side by side joins the group by itself,
/// and a partition is one member's at a time.
///
/// # Errors
/// How many partitions they need, and how many there are.
pub fn check_lanes(spec: &KedaScalerSpec, target: &Bundle) -> Result<(), SpecError> {
    let (Some(queue), Some(service)) = (&spec.queue, service_of(target)) else { return Ok(()) };
    let its = |given: &Option<String>, own: &str| given.as_deref().is_none_or(|it| it == own);
    if target.owner.kind.as_str() != "transcoder"
        || !its(&queue.topic, TRANSCODE_TOPIC)
        || !its(&queue.group, TRANSCODE_GROUP)
    {
        return Ok(());
    }
    let Some(partitions) = KafkaTrigger::read(&queue.event_log)?.partitions else { return Ok(()) };
    let each = serde_json::from_value::<TranscoderSpec>(service.spec.clone())?.concurrency;
    let needed = spec.max.saturating_mul(each);
    if needed <= partitions {
        return Ok(());
    }
    let raise = match partitions / each.max(1) {
        0 => "Raise".to_owned(),
        most => format!("Lower max to {most}, or raise"),
    };
    Err(SpecError::new(format!(
        "{} does {each} encodes side by side in each worker, and each of them takes a partition of its own: max = {} workers need {needed}, and there are {partitions}. {raise} `partitions` of the event log to {needed}",
        target.owner.key(),
        spec.max
    )))
}

/// Refuses to have several of a service that cannot be several as it is.
///
/// # Errors
/// Why it cannot.
pub fn check_scaled(spec: &KedaScalerSpec, target: &Bundle) -> Result<(), SpecError> {
    let Some(service) = service_of(target) else {
        return Err(SpecError::new(format!("{} runs no service that could be scaled", target.owner.key())));
    };
    check_lanes(spec, target)?;
    if spec.max < 2 || target.owner.kind.as_str() != "licence-service" {
        return Ok(());
    }
    let run: LicenceRun = serde_json::from_value(service.spec.clone())?;
    let shared = run.service.cache.as_deref().and_then(|url| StoreUrl::parse(url).ok());
    if matches!(shared, Some(StoreUrl::Remote { .. })) {
        return Ok(());
    }
    Err(SpecError::new(format!(
        "{} has no cache that is Redis: replicas that do not share what they remember would take a token twice",
        target.owner.key()
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(change: &serde_json::Value) -> String {
        let mut spec = json!({ "target": { "kind": "transcoder", "name": "main" }, "min": 1, "max": 8, "cpu": 70,
            "memory": 80, "queue": { "event_log": "kafka://a.example:9092?partitions=12", "lag": 10, "activation": 0,
            "scale_to_zero_on_invalid_offset": false, "cooldown": "5m" } });
        for (key, value) in change.as_object().unwrap() {
            match key.strip_prefix("queue.") {
                Some(key) => spec["queue"][key] = value.clone(),
                None => spec[key] = value.clone(),
            }
        }
        let spec: KedaScalerSpec = serde_json::from_value(spec).unwrap();
        check_scaler_spec(&spec).err().map(|it| it.to_string()).unwrap_or_default()
    }

    #[test]
    fn each_encode_side_by_side_takes_a_partition_of_its_own() {
        let of = |max: u32, concurrency: u32, topic: Option<&str>| {
            let spec: KedaScalerSpec = serde_json::from_value(json!({ "target": { "kind": "transcoder", "name": "main" },
                "min": 1, "max": max, "cpu": 70, "memory": 80, "queue": { "event_log": "kafka://a.example:9092?partitions=12",
                "topic": topic, "lag": 10, "activation": 0, "scale_to_zero_on_invalid_offset": false, "cooldown": "5m" } }))
            .unwrap();
            let transcoder = TranscoderSpec {
                concurrency,
                workers: 1,
                scratch: tfplugin_schema::Size(1 << 30),
                memory: tfplugin_schema::Size(1 << 30),
                event_log: "kafka://a.example:9092?partitions=12".to_owned(),
                object_store: "s3://media?region=us-east-1".to_owned(),
                catalogue: "postgres://streamverse@db.example:5432/catalogue".to_owned(),
            };
            let owner = crate::platform::Owner::new("demo", "transcoder", "main").unwrap();
            let target = Bundle::new(owner, transcoder.objects().unwrap());
            check_scaled(&spec, &target).err().map(|it| it.to_string()).unwrap_or_default()
        };
        for (max, concurrency) in [(12, 1), (6, 2), (1, 12)] {
            assert_eq!(of(max, concurrency, None), "", "{max} x {concurrency}");
        }
        let said = of(12, 2, None);
        assert!(
            said.contains("max = 12 workers need 24, and there are 12. Lower max to 6, or raise"),
            "{said}"
        );
        assert_eq!(of(12, 2, Some(TRANSCODE_TOPIC)), said);
        let said = of(1, 13, None);
        assert!(
            said.contains("need 13, and there are 12. Raise `partitions` of the event log to 13"),
            "{said}"
        );
        // Who takes from another topic is none of its group.
        assert_eq!(of(12, 2, Some("other")), "");
    }

    #[test]
    fn what_cannot_work_is_refused_at_its_place() {
        for (change, why) in [
            (json!({}), ""),
            (json!({ "min": 0, "max": 12 }), ""),
            (json!({ "min": 9 }), "max: Fewer at most than at least"),
            (json!({ "max": 13 }), "max: More at most than there are partitions"),
            (json!({ "queue": null }), ""),
            (json!({ "queue": null, "min": 0 }), "min: Nothing starts the first"),
            (json!({ "queue": null, "cpu": 0, "memory": 0 }), "cpu: Nothing decides"),
            (json!({ "cpu": 0, "memory": 0 }), ""),
            (json!({ "target": { "kind": "origin", "name": "main" } }), "queue.topic: Whose work is it?"),
            (
                json!({ "queue.event_log": "embedded://default/work" }),
                "queue.event_log: No queue that KEDA can ask",
            ),
        ] {
            let said = refused(&change);
            assert!(said.starts_with(why) && said.is_empty() == why.is_empty(), "{change}: {said}");
        }
    }
}
