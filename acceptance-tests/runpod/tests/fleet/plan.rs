//! What a plan refuses and warns of, at its attribute; with the live catalogue and without. What the example of rented workers costs.

use serde_json::json;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Report, Step, action, with_each};

use crate::kit::{IDENTITY, Place, case, fleet};

const EXAMPLE: &str = include_str!("../../../../examples/rented-workers/main.tf");

/// The example on this node and with this account.
fn example(place: &Place) -> String {
    let from = EXAMPLE.find("variable \"public_url\"").unwrap();
    let rest = EXAMPLE[from..].replace("provider \"streamverse\" {\n  deployment = \"rented\"\n}\n", "");
    assert!(!rest.contains("provider \""), "{rest}");
    format!("{}{rest}", place.block())
}

#[test]
fn the_plan_tells_the_truth_about_prices_places_and_budgets() -> Result<(), Failure> {
    with_each(&Cli::both()?, the_truth)
}

fn the_truth(cli: &Cli) -> Result<Report, Failure> {
    let Some(place) = Place::start() else { return Case::new(cli).run() };
    let place = &place;
    let whole = |fleet: String| format!("{}{}{fleet}", place.block(), place.controller(""));
    let refused = |what: &'static str, fleet: String, error: &str| {
        Step::plan_only(whole(fleet)).named(what).expect_plan_error(error)
    };
    let usual = || fleet("one", "min = 1, max = 1", "");
    case(cli, place)
        .env("TF_FLEET_IDENTITY", IDENTITY)
        .env("TF_S3_KEY", "planted-s3-key-0c4e")
        .var("public_url", "https://fleet.example:9190")
        .var("brokers", "[\"kafka.example:9092\"]")
        .var("bucket", "{ name = \"media\", region = \"us-east-1\", access_key_id = \"AKIA\" }")
        .var("image", "registry.example/worker:1")
        .step(refused(
            "no such data centre",
            usual().replace("EU-RO-1", "EU-RO-9"),
            r"(?s)No such data centre|EU-RO-9.*EU-RO-1",
        ))
        .step(refused(
            "no encoder",
            fleet("one", "min = 1, max = 1", "transcoder = \"main\"").replace("\"L4\"", "\"H100\""),
            r"(?s)No encoder.*L40S",
        ))
        .step(refused(
            "a budget that does not last",
            fleet("one", "min = 1, max = 1, monthly_budget = 100", ""),
            r"(?s)budget.*\$0\.49.*\$357\.94",
        ))
        .step(refused("a divided name", fleet("a--b", "min = 1, max = 1", ""), r"(?s)divides"))
        .step(refused(
            "a log of this host",
            fleet("one", "min = 0, max = 1", "queue = { event_log = \"embedded://default/work\" }"),
            r"(?s)own host",
        ))
        .step(refused(
            "more workers than the event log makes partitions",
            fleet(
                "one",
                "min = 0, max = 13",
                "queue = { event_log = \"kafka://k.example:9092?partitions=12\" }",
            ),
            r"(?s)More workers than partitions.*topics of 12: 1 of 13.*to 13",
        ))
        .step(
            Step::plan_only(whole(usual()))
                .named("prices moved")
                .before(|_| {
                    place.it.price(&json!({ "gpu": "NVIDIA L40S", "of": "secure", "dollars": 2.0 }));
                    Ok(())
                })
                .expect_warning("(?s)Prices have moved.*\\$2\\.00"),
        )
        .step(
            Step::plan_only(example(place))
                .named("the example of rented workers")
                .plan(action("streamverse_runpod_fleet.encode", Action::Create))
                .plan_fn(|plan| {
                    let cost = &plan.json()["planned_values"]["outputs"]["cost"]["value"];
                    let dear = |it: &str| cost[it].as_f64().is_some_and(|it| it > 0.0);
                    assert!(dear("hourly") && dear("monthly") && cost["as_of"].is_string(), "{cost}");
                    Ok(())
                }),
        )
        .run()
}
