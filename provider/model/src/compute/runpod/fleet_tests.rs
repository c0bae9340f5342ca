//! What a fleet of pods refuses, warns of and costs.

use serde_json::{Value, json};
use tfplugin_schema::{Diagnostics, Field as _, Maybe, Severity};

use super::{FleetCost, RunpodFleetSpec, RunpodFleetSpecView, check_fleet};
use crate::compute::{FleetJobSpec, FleetSource, Money};
use crate::platform::{Name, Object};

fn fleet(change: impl FnOnce(&mut Value)) -> RunpodFleetSpec {
    let mut spec = json!({
        "controller": "main", "transcoder": "main", "image": "registry.example/worker:1",
        "candidates": [
            { "gpu": "L40S", "gpus": 1, "data_centre": "EU-RO-1", "tenancy": "secure" },
            { "gpu": "NVIDIA L4", "gpus": 2, "data_centre": null, "tenancy": "secure" },
        ],
        "range": { "min": 1, "max": 4 },
        "queue": {
            "event_log": "kafka://k.example:9092?partitions=12", "topic": "transcode", "group": "transcoders",
            "scale_out_above": 100, "scale_in_below": 10, "scale_in_after": "20m", "target_p95": "30m",
            "assumed_job_time": "60s",
        },
    });
    change(&mut spec);
    serde_json::from_value(spec).unwrap()
}

fn view(spec: &RunpodFleetSpec) -> RunpodFleetSpecView {
    match RunpodFleetSpec::view(&RunpodFleetSpec::write(spec)).unwrap() {
        Maybe::Known(view) => view,
        _ => panic!("it is all known"),
    }
}

/// `SEVERITY PATH: SUMMARY. DETAIL` of each finding.
fn found(out: Diagnostics) -> Vec<String> {
    let line = |it: tfplugin_schema::Diagnostic| {
        let severity = if it.severity == Severity::Error { "error" } else { "warning" };
        format!("{severity} {}: {}. {}", it.path.unwrap_or_default(), it.summary, it.detail)
    };
    out.into_iter().map(line).collect()
}

fn checked(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut out = Diagnostics::new();
    check_fleet(&view(&fleet(change)), &mut out);
    found(out)
}

#[track_caller]
fn says(change: impl FnOnce(&mut Value), wanted: &[&str]) {
    let all = checked(change);
    let fits = |line: &String| wanted.iter().all(|it| line.contains(it));
    assert!(all.iter().any(fits), "{wanted:?} is not said: {all:#?}");
}

#[test]
fn a_fleet_that_is_well_says_nothing() {
    assert_eq!(checked(|_| {}), [""; 0]);
}

#[test]
fn an_unknown_gpu_is_told_the_nearest_at_its_attribute() {
    says(|it| it["candidates"][1]["gpu"] = json!("L40X"), &["error candidates[1].gpu", "Did you mean \"L40"]);
    says(|it| it["candidates"][0]["gpu"] = json!("T4"), &["error candidates[0].gpu", "does not rent T4"]);
}

#[test]
fn a_transcoders_fleet_without_an_encoder_is_refused_and_told_what_encodes() {
    let gpu = |it: &mut Value| it["candidates"][1]["gpu"] = json!("A100");
    says(gpu, &["error candidates[1].gpu: No encoder", "A100 PCIe", "L4, L40, L40S"]);
    let free = |it: &mut Value| {
        gpu(it);
        it["transcoder"] = Value::Null;
    };
    assert_eq!(checked(free), [""; 0], "who does not encode may have it");
}

#[test]
fn one_data_centre_is_warned_of_with_figures() {
    says(
        |it| it["candidates"][1]["data_centre"] = json!("EU-RO-1"),
        &["warning candidates: One data centre only", "17 to 91 %", "0.8 %"],
    );
}

#[test]
fn the_same_place_twice_is_refused() {
    let twice = json!({ "gpu": "NVIDIA L40S", "gpus": 1, "data_centre": "EU-RO-1", "tenancy": "secure" });
    says(|it| it["candidates"][1] = twice, &["error candidates[1]", "candidates[0] is l40s-eu-ro-1 too"]);
}

#[test]
fn a_drain_that_no_notice_covers_is_warned_of_with_what_happens() {
    let policy = |drain: &str| json!({ "capacity_block": "3m", "quota_block": "30m", "launches_per_hour": 120, "spread": 0, "extra": 0, "drain": drain });
    says(
        |it| it["policy"] = policy("5m"),
        &["warning policy.drain", "killed 5 s later", "other workers encode"],
    );
    assert_eq!(checked(|it| it["policy"] = policy("5s")), [""; 0]);
}

#[test]
fn ranges_thresholds_and_partitions_that_cannot_work_are_refused() {
    says(
        |it| it["range"] = json!({ "min": 5, "max": 4 }),
        &["error range.max", "max = 4 is less than min = 5"],
    );
    says(|it| it["queue"]["scale_in_below"] = json!(100), &["error queue.scale_in_below"]);
    says(
        |it| it["range"]["max"] = json!(13),
        &["error range.max: More workers than partitions", "topics of 12: 1 of 13", "to 13 at least"],
    );
    says(
        |it| {
            it["queue"] = Value::Null;
            it["range"]["min"] = json!(0);
        },
        &["warning range.min: Nothing starts the first pod"],
    );
}

#[test]
fn an_event_log_of_one_host_is_refused() {
    for url in ["embedded://default/work", "s3://media", "file://default/x"] {
        says(|it| it["queue"]["event_log"] = json!(url), &["error queue.event_log", "kafka"]);
    }
}

#[test]
fn one_image_or_one_template() {
    says(|it| it["template_id"] = json!("abc"), &["error template_id: Two things to run"]);
    says(|it| it["image"] = Value::Null, &["error image: Nothing to run"]);
}

#[test]
fn the_environment_has_no_secrets_and_none_of_our_names() {
    says(
        |it| it["environment"] = json!({ "STREAMVERSE_TOKEN": "x" }),
        &["error environment[\"STREAMVERSE_TOKEN\"]: A name of ours"],
    );
    says(
        |it| it["environment"] = json!({ "API_KEY": "x" }),
        &["warning environment[\"API_KEY\"]", "returns the environment"],
    );
    says(|it| it["ports"] = json!(["80"]), &["error ports[0]"]);
}

#[test]
fn a_volume_is_in_one_data_centre() {
    let volume = |it: &mut Value| it["network_volume"] = json!({ "id": "v", "path": "/workspace" });
    says(volume, &["error candidates[1].data_centre", "may be anywhere"]);
    let two = |it: &mut Value| {
        volume(it);
        it["candidates"][1]["data_centre"] = json!("US-KS-2");
    };
    says(two, &["error candidates[1].data_centre", "EU-RO-1 and US-KS-2"]);
}

#[test]
fn a_night_that_is_none_is_refused() {
    let night = json!({ "night": { "from": "23:00", "to": "23:00", "time_zone": "UTC" }, "idle": "20m" });
    says(|it| it["schedule"] = night, &["error schedule.night", "max = 0"]);
}

#[test]
fn the_cost_is_that_of_the_table_without_the_nights() {
    let cost = |change: fn(&mut Value)| FleetCost::of_spec(&fleet(change)).unwrap();
    let usual = cost(|_| {});
    // L40S 0.99 and two L4 of 0.49.
    assert_eq!(usual.hourly_min, Some(Money::micros(980_000)));
    assert_eq!(usual.hourly_max, Some(Money::micros(4 * 990_000)));
    assert_eq!(usual.monthly_min, Money::dollars(0.98 * 730.5));
    let night = cost(|it| {
        it["schedule"] =
            json!({ "night": { "from": "18:00", "to": "06:00", "time_zone": "UTC" }, "idle": "20m" });
    });
    assert_eq!(night.monthly_max, Money::dollars(4.0 * 0.99 * 730.5 / 2.0));
    let capped = cost(|it| it["range"]["price_ceiling"] = json!(0.98));
    assert_eq!(capped.hourly_max, Some(Money::micros(4 * 980_000)), "what is dearer is never bought");
}

#[test]
fn what_has_no_price_has_no_cost_but_a_bound() {
    let unpriced = |it: &mut Value| it["candidates"][1]["gpu"] = json!("RTX 5090");
    let cost = FleetCost::of_spec(&fleet(unpriced)).unwrap();
    assert_eq!((cost.hourly_min, cost.hourly_max), (None, None));
    let mut out = Diagnostics::new();
    cost.check(&mut out);
    let told = found(out).concat();
    assert!(told.contains("warning candidates") && told.contains("rtx-5090-x2"), "{told}");
    let bounded = FleetCost::of_spec(&fleet(|it| {
        unpriced(it);
        it["range"]["price_ceiling"] = json!(1.5);
    }))
    .unwrap();
    assert_eq!(bounded.hourly_max, Some(Money::micros(6_000_000)));
    assert_eq!(bounded.hourly_min, None);
    // Nothing runs at zero, whatever it would cost.
    let idle = FleetCost::of_spec(&fleet(|it| {
        unpriced(it);
        it["range"]["min"] = json!(0);
    }))
    .unwrap();
    assert_eq!((idle.hourly_min, idle.monthly_min), (Some(Money::ZERO), Some(Money::ZERO)));
    assert_eq!(idle.hourly_max, None);
}

#[test]
fn a_machine_of_the_community_has_no_price_though_its_gpu_has_one() {
    let cost = FleetCost::of_spec(&fleet(|it| {
        it["candidates"] = json!([
            { "gpu": "RTX 4090", "gpus": 1, "tenancy": "secure" },
            { "gpu": "RTX 4090", "gpus": 1, "tenancy": "community" },
        ]);
    }))
    .unwrap();
    assert_eq!((cost.cheapest, cost.hourly_max), (Some(Money::micros(740_000)), None));
    assert_eq!(cost.unpriced, ["rtx-4090-c"]);
}

#[test]
fn those_in_addition_cost_wherever_any_run() {
    let cost = |min: u32, max: u32| {
        let change = |it: &mut Value| {
            it["range"] = json!({ "min": min, "max": max });
            it["policy"] = json!({ "capacity_block": "3m", "quota_block": "30m", "launches_per_hour": 120, "spread": 0,
                "extra": 2, "drain": "5s" });
        };
        FleetCost::of_spec(&fleet(change)).unwrap()
    };
    let some = cost(1, 4);
    // Two L4 of 0.49 in each of three pods, and one L40S of 0.99 in each of six.
    assert_eq!(some.hourly_min, Some(Money::micros(3 * 980_000)));
    assert_eq!(some.hourly_max, Some(Money::micros(6 * 990_000)));
    assert_eq!(cost(0, 4).hourly_min, Some(Money::ZERO), "none are kept beside none");
    assert_eq!(cost(0, 0).hourly_max, Some(Money::ZERO));
}

#[test]
fn what_is_above_the_ceiling_is_never_reckoned_with() {
    let at = |ceiling: f64, change: fn(&mut Value)| {
        let spec = fleet(|it| {
            it["range"]["price_ceiling"] = json!(ceiling);
            change(it);
        });
        let cost = FleetCost::of_spec(&spec).unwrap();
        let mut out = Diagnostics::new();
        cost.check(&mut out);
        (cost, found(out).concat())
    };
    // Below the ceiling there is the first candidate alone, though the second is in the list and dearer.
    let (cost, told) = at(1.0, |it| it["candidates"][1]["gpus"] = json!(3));
    assert_eq!(
        (cost.hourly_min, cost.hourly_max),
        (Some(Money::micros(990_000)), Some(Money::micros(4 * 990_000)))
    );
    assert_eq!(told, "");
    // Below this one there is none: it costs nothing, and that is said.
    let (cost, told) = at(0.9, |_| {});
    assert_eq!((cost.hourly_min, cost.hourly_max), (Some(Money::ZERO), Some(Money::ZERO)));
    assert!(
        told.contains("warning range.price_ceiling") && told.contains("$0.98") && told.contains("$0.90"),
        "{told}"
    );
    // One without a price may be below it: then nobody knows.
    let (_, told) = at(0.9, |it| it["candidates"][1]["tenancy"] = json!("community"));
    assert!(
        !told.contains("No candidate below the ceiling") && told.contains("reckon with price_ceiling"),
        "{told}"
    );
}

#[test]
fn a_budget_that_min_alone_breaks_is_refused_with_the_figures() {
    let told = |budget: u32| {
        let mut out = Diagnostics::new();
        let spec = fleet(|it| it["range"]["monthly_budget"] = json!(budget));
        FleetCost::of_spec(&spec).unwrap().check(&mut out);
        found(out).concat()
    };
    let refused = told(100);
    assert!(refused.contains("error range.monthly_budget"), "{refused}");
    assert!(
        refused.contains("$0.98 per hour and $715.89 per month") && refused.contains("$100"),
        "{refused}"
    );
    // 1000 / 3.96 dollars per hour.
    let warned = told(1000);
    assert!(
        warned.contains("warning range.monthly_budget") && warned.contains("after 252 hours"),
        "{warned}"
    );
    assert_eq!(told(3000), "");
}

#[test]
fn a_fleet_is_a_job_that_its_resource_reads_back() {
    let spec = fleet(|it| {
        it["network_volume"] = json!({ "id": "v", "path": "/work" });
        it["candidates"][1]["tenancy"] = json!("community");
        it["disk_gb"] = json!(40);
        it["ports"] = json!(["22/tcp", "80/http"]);
    });
    let job = FleetJobSpec { name: Name::fixed("encode"), fleet: FleetSource::Runpod(Box::new(spec)) };
    let objects = job.objects().unwrap();
    let [Object::Job(object)] = objects.as_slice() else { panic!("{objects:?}") };
    assert_eq!(serde_json::from_value::<FleetJobSpec>(object.spec.clone()).unwrap(), job);
    let uses: Vec<String> = object.uses.iter().map(|it| format!("{}/{}", it.kind, it.name)).collect();
    assert_eq!(uses, ["fleet-controller/main", "transcoder/main"]);
    let definition = job.definition(3).unwrap();
    let keys: Vec<&str> = definition.candidates.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["l40s-eu-ro-1", "l4-x2-c"]);
    assert_eq!(definition.queue.as_ref().map(|it| it.jobs_per_worker), Some(3));
    assert_eq!(definition.options["ports"], "22/tcp,80/http");
    assert_eq!(definition.options["network_volume_path"], "/work");
    for key in keys {
        let group = format!("d-{key}");
        assert!(crate::compute::GroupName::new("demo", "encode", &group).is_some(), "{group}");
    }
}
