//! What a plan refuses and warns of, at its attribute; with the live catalogue and without.

use serde_json::json;
use tfplugin_testing::cli::{Cli, Failure, Step};

use crate::kit::{Place, case, fleet};

#[test]
fn the_plan_tells_the_truth_about_prices_places_and_budgets() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(place) = Place::start() else { return Ok(()) };
    let place = &place;
    let whole = |fleet: String| format!("{}{}{fleet}", place.block(), place.controller(""));
    let refused = |what: &'static str, fleet: String, error: &str| {
        Step::plan_only(whole(fleet)).named(what).expect_plan_error(error)
    };
    let usual = || fleet("one", "min = 1, max = 1", "");
    case(&cli, place)
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
        .step(
            Step::plan_only(whole(usual()))
                .named("prices moved")
                .before(|_| {
                    place.it.price(&json!({ "gpu": "NVIDIA L40S", "of": "secure", "dollars": 2.0 }));
                    Ok(())
                })
                .expect_warning("(?s)Prices have moved.*\\$2\\.00"),
        )
        .run()
        .map(|_| ())
}
