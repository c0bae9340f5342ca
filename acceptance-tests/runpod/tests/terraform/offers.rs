//! Prices and stock: live, and from the dated table where RunPod cannot be asked.

use serde_json::{Value, json};
use streamverse_model::compute::{CloudKind, PRICES_VERSION, prices};
use streamverse_runpod_stand_in::{KEY, StandIn};
use tfplugin_testing::cli::{Case, Cli, Failure, Step, value};

use crate::kit::{ADDRESS, block, case, provider};

const AT: &str = "data.streamverse_gpu_offers.it";
const ENCODERS: &str = "data.streamverse_gpu_offers.encoders";
const EXAMPLE: &str = include_str!("../../../../examples/data-sources/streamverse_gpu_offers/data-source.tf");

/// What two of a GPU cost by the built-in table.
fn table(gpu: &str) -> f64 {
    let row =
        prices().iter().find(|it| it.cloud == CloudKind::Runpod && !it.serverless && it.shape.gpu == gpu);
    row.unwrap().hourly.times(2).as_dollars()
}

#[test]
fn offers_are_live_and_fall_back_to_the_dated_table_aloud() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    it.stock(&json!({ "gpu": "NVIDIA L40S", "free": 0 }));
    it.stock(&json!({ "gpu": "NVIDIA L40S", "data_center": "EU-CZ-1", "cloud": "SECURE", "free": 1 }));
    let config = |rest: &str| {
        format!(
            "{}data \"streamverse_gpu_offers\" \"it\" {{\n  gpus = [\"A100\", \"NVIDIA L40S\"]\n  {rest}\n}}\n",
            block(it)
        )
    };
    let example = |rest: &str| {
        let with = format!("\"RTX 4090\"]\n  {rest}");
        format!("{}{}", block(it), EXAMPLE.replace("\"RTX 4090\"]", &with))
    };
    let asked = &std::cell::RefCell::new(0);
    Case::new(&cli)
        .provider(ADDRESS, provider())
        .secrets_absent(&[KEY])
        .step(
            Step::apply(config(""))
                .named("live")
                .env("RUNPOD_API_KEY", KEY)
                .state(value(AT, "live", true))
                .state(value(AT, "offers[0].gpu", "NVIDIA L40S"))
                .state(value(AT, "offers[0].stock", "low"))
                .state(value(AT, "offers[0].encodes", true))
                .state(value(AT, "offers[0].data_centers[\"EU-CZ-1\"]", "low"))
                .state(value(AT, "offers[1].gpu", "NVIDIA A100 80GB PCIe"))
                .state(value(AT, "offers[1].encodes", false))
                .expect_no_warnings(),
        )
        .step(
            Step::apply(config("cloud = \"COMMUNITY\"\n  gpu_count = 2"))
                .named("two of other people's at once")
                .env("RUNPOD_API_KEY", KEY)
                .state(value(AT, "offers[0].gpu", "NVIDIA L40S"))
                .state(value(AT, "offers[0].hourly", 1.58))
                .state(value(AT, "offers[0].stock", "none"))
                .state(value(AT, "offers[1].hourly", 2.38))
                .state(value(AT, "offers[1].data_centers[\"EU-RO-1\"]", "low"))
                .expect_no_warnings(),
        )
        .step(
            Step::apply(config("cloud = \"COMMUNITY\"\n  gpu_count = 5"))
                .named("more than a machine of theirs has")
                .env("RUNPOD_API_KEY", KEY)
                .state(value(AT, "live", true))
                .state(value(AT, "offers", json!([]))),
        )
        .step(
            Step::apply(example(""))
                .named("the page's example")
                .env("RUNPOD_API_KEY", KEY)
                .state(value(ENCODERS, "live", true))
                .state(value(ENCODERS, "offers[0].gpu", "NVIDIA L4"))
                .state(value(ENCODERS, "offers[0].hourly", 0.43))
                .state(value(ENCODERS, "timeouts", Value::Null))
                .expect_no_warnings(),
        )
        .step(
            Step::apply(example("gpu_count = 2\n  offline = true"))
                .named("the page's example, offline")
                .env("RUNPOD_API_KEY", KEY)
                .before(|_| {
                    *asked.borrow_mut() = it.calls().len();
                    Ok(())
                })
                .state(value(ENCODERS, "live", false))
                .state(value(ENCODERS, "as_of", PRICES_VERSION))
                .state(value(ENCODERS, "offers[0].encodes", true))
                .state(value(ENCODERS, "offers[0].stock", "unknown"))
                .state(value(ENCODERS, "offers[0].hourly", table("L4")))
                .expect_warning("(?s)Prices are not live.*`offline` is set.*These are [1-9] prices of the built-in table of 2026")
                .after(|_| {
                    assert_eq!(it.calls().len(), *asked.borrow(), "RunPod was asked");
                    Ok(())
                }),
        )
        .step(
            Step::apply(config("product = \"SERVERLESS\""))
                .named("no key")
                .state(value(AT, "live", false))
                .state(value(AT, "offers[0].stock", "unknown"))
                .expect_warning("(?s)Prices are not live.*RUNPOD_API_KEY.*built-in table of 2026"),
        )
        .step(
            Step::apply(config(""))
                .named("RunPod fails")
                .env("RUNPOD_API_KEY", KEY)
                .before(|_| {
                    it.faults(&json!([{ "path": "/v2/catalog", "what": { "answer": { "status": 503, "retry_after": 3600 } }, "times": 99 }]));
                    Ok(())
                })
                .state(value(AT, "live", false))
                .expect_warning("(?s)Prices are not live.*503"),
        )
        .step(
            Step::apply(config("timeouts = { read = \"2s\" }"))
                .named("RunPod answers when the time is up")
                .env("RUNPOD_API_KEY", KEY)
                .before(|_| {
                    it.clear_faults();
                    it.faults(&json!([{ "path": "/v2/catalog", "what": { "late": 20_000 }, "times": 99 }]));
                    Ok(())
                })
                .state(value(AT, "live", false))
                .expect_warning("(?s)Prices are not live.*timed out.*built-in table of 2026"),
        )
        .step(
            Step::plan_only(config("").replace("NVIDIA L40S", "NVIDIA L40X"))
                .named("a misspelt name")
                .expect_error("There is no GPU \"NVIDIA L40X\" in the table of 2026-.*only those of the table are taken. Did you mean"),
        )
        .step(
            Step::plan_only(config("gpu_count = 2"))
                .named("a wrong key")
                .env("RUNPOD_API_KEY", "rpa_of-somebody-else")
                .before(|_| {
                    it.clear_faults();
                    Ok(())
                })
                .expect_error("401, the bearer token is missing or invalid"),
        )
        .run()
        .map(|_| ())
}

#[test]
fn a_fleet_is_judged_by_what_the_catalogue_has_of_its_machines() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let fleet = |candidate: &str| {
        format!(
            "{}resource \"streamverse_runpod_fleet\" \"it\" {{\n  name = \"one\"\n  controller = \"main\"\n  image = \"registry.example/worker:1\"\n  candidates = [{{ gpu = \"L4\" }}, {{ {candidate} }}]\n  range = {{ min = 1, max = 1 }}\n}}\n",
            block(it)
        )
    };
    let refused = |named: &'static str, candidate: &str, says: &str| {
        Step::plan_only(fleet(candidate)).named(named).expect_plan_error(says)
    };
    case(&cli)
        .step(refused(
            "more GPUs than a machine has",
            "gpu = \"L40S\", gpus = 16",
            "Not for rent.*16 GPUs for each pod.*NVIDIA L40S.*secure cloud has is of 8",
        ))
        .step(refused(
            "fewer of them in the other cloud",
            "gpu = \"L40S\", gpus = 8, tenancy = \"community\"",
            "Not for rent.*community cloud has is of 4",
        ))
        .step(refused(
            "a GPU that is gone",
            "gpu = \"RTX 3090\"",
            "Not for rent.*no \"NVIDIA GeForce RTX 3090\" any more.*L40S",
        ))
        .step(
            Step::plan_only(fleet("gpu = \"L40S\", data_centre = \"CA-MTL-1\", tenancy = \"community\""))
                .named("a data centre of others")
                .expect_warning(
                    "(?s)None there now.*NVIDIA L40S in CA-MTL-1 now; these have some: EU-RO-1, EU-CZ-1",
                ),
        )
        .run()
        .map(|_| ())
}
