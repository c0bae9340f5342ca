//! The whole definition of done: create, no second plan, change in place, what another hand changed, import, another name, an empty account.

use serde_json::json;
use tfplugin_testing::cli::{Action, Cli, Failure, Id, Step, action, known, not_tainted};

use crate::kit::{Place, case, fleet, text};

const FLEET: &str = "streamverse_runpod_fleet.it";
const CONTROLLER: &str = "streamverse_fleet_controller.main";

#[test]
fn a_controller_and_a_fleet_are_done() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(place) = Place::start() else { return Ok(()) };
    let place = &place;
    let whole = |name: &str, range: &str, more: &str| {
        format!("{}{}{}", place.block(), place.controller(""), fleet(name, range, more))
    };
    // A controller that looks less often and may spend less, of a fleet with a ceiling.
    let other = |name: &str, range: &str| {
        let controller = place.controller("monthly_budget = 5000").replace("\"5s\"", "\"6s\"");
        let environment = "environment = { MODE = \"live\" }";
        format!("{}{controller}{}", place.block(), fleet(name, range, environment))
    };
    let second = |config: &str| config.replace("name                = \"main\"", "name = \"second\"");
    let many = fleet("many", "min = 20, max = 20", "");
    let many = many.replace("streamverse_fleet_controller.main.name", "\"main\"");
    let below = "min = 2, max = 2, price_ceiling = 0.5";
    let environment = "environment = { MODE = \"live\" }";
    case(&cli, place)
        .step(
            Step::apply(whole("one", "min = 1, max = 1", ""))
                .named("create")
                .plan(action(FLEET, Action::Create))
                .plan(known(FLEET, "hourly_min", 0.49))
                .plan(known(FLEET, "hourly_max", 0.99))
                .plan(known(FLEET, "monthly_max", 723.195))
                .plan(known(CONTROLLER, "address", format!("https://127.0.0.1:{}", place.node.ports[0])))
                .state(not_tainted(FLEET))
                .after(|_| {
                    place.wait_for_pods("one", 1);
                    // The first candidate, and whose it is.
                    assert!(
                        place.pods("one")[0].starts_with("sv--test--one--d-l40s-eu-ro-1--"),
                        "{:?}",
                        place.pods("one")
                    );
                    Ok(())
                }),
        )
        .step(
            Step::apply(whole("one", "min = 2, max = 2", environment))
                .named("another range, in place, while the first candidate is sold out")
                .before(|_| {
                    place.it.stock(&json!({ "gpu": "NVIDIA L40S", "free": 0 }));
                    Ok(())
                })
                .plan(action(FLEET, Action::Update))
                .after(|_| {
                    place.wait_for_pods("one", 2);
                    let pods = place.it.things("pod");
                    let with = pods.iter().filter(|it| it["env"]["MODE"] == "live").count();
                    assert!(with >= 1, "{pods:#?}");
                    let of = |what: &str| place.pods("one").iter().filter(|it| it.contains(what)).count();
                    assert_eq!((of("--d-l40s-eu-ro-1--"), of("--d-l4--")), (1, 1), "{:?}", place.pods("one"));
                    place.it.stock(&json!({ "gpu": "NVIDIA L40S", "free": 16 }));
                    Ok(())
                }),
        )
        .step(
            Step::apply(other("one", below))
                .named("a ceiling below what one of them costs; and of the controller what may change in place")
                .plan(action(FLEET, Action::Update))
                .plan(action(CONTROLLER, Action::Update))
                .after(|_| {
                    place.until("both are below the ceiling", || {
                        let pods = place.pods("one");
                        pods.len() == 2 && pods.iter().all(|it| it.contains("--d-l4--"))
                    });
                    Ok(())
                }),
        )
        .step(
            Step::reapply()
                .named("somebody emptied both on their site")
                .before(|_| {
                    place.node.behind("fleet-controller", "main", true)?;
                    place.node.behind("runpod-fleet", "one", true).map_err(Into::into)
                })
                .plan(action(CONTROLLER, Action::Update))
                .plan(action(FLEET, Action::Update)),
        )
        .step(
            Step::reapply()
                .named("somebody took both from their site")
                .before(|_| {
                    place.node.behind("runpod-fleet", "one", false)?;
                    place.node.behind("fleet-controller", "main", false).map_err(Into::into)
                })
                .expect_warning("(?s)Its pods may go on")
                .plan(action(CONTROLLER, Action::Create))
                .plan(action(FLEET, Action::Create))
                .after(|_| {
                    assert_eq!(place.pods("one").len(), 2, "it was adopted: no pod left or came");
                    Ok(())
                }),
        )
        .step(
            Step::reapply()
                .named("somebody changed it in the controller's catalogue")
                .before(|_| {
                    let changed = "update records set version = version + 1, record = json_set(record, '$.definition.range.max', 9) where collection = 'fleet.main'";
                    assert_eq!(place.sql(changed), 1);
                    Ok(())
                })
                .expect_warning("(?s)another one in its controller's catalogue")
                .plan(action(FLEET, Action::Update)),
        )
        .step(
            Step::reapply()
                .named("somebody took it from the controller's catalogue")
                .before(|_| {
                    assert_eq!(place.sql("delete from records where collection = 'fleet.main'"), 1);
                    Ok(())
                })
                .expect_warning("(?s)gone from its controller's catalogue")
                .plan(action(FLEET, Action::Update))
                .after(|_| {
                    assert_eq!(place.sql("update records set id = id where collection = 'fleet.main'"), 1);
                    place.wait_for_pods("one", 2);
                    Ok(())
                }),
        )
        .step(
            Step::import(FLEET, "default/one")
                .config(other("one", below))
                .by_block(),
        )
        .step(
            Step::import(CONTROLLER, Id::attribute("name"))
                .config(other("one", below))
                .ignoring(&["runpod.api_key_ref"]),
        )
        .step(Step::command(["state", "rm", CONTROLLER]))
        .step(Step::import(CONTROLLER, "default/main").config(other("one", below)).keep())
        .step(
            // A second plan, which follows each step, is empty.
            Step::apply(other("one", below))
                .named("a reference, which no site keeps, is noted after an import")
                .plan(action(CONTROLLER, Action::Update))
                .plan(action(FLEET, Action::NoOp))
                .after(|_| {
                    assert_eq!(place.pods("one").len(), 2);
                    Ok(())
                }),
        )
        .step(
            Step::plan_only(format!("{}{many}", place.block()))
                .named("a fleet of another configuration, that costs more than its controller may spend")
                .expect_plan_error(r"(?s)The budget does not last.*controller\s+.main.\s+may\s+spend\s+\$5000\.00"),
        )
        .step(
            Step::apply(second(&other("two", "min = 1, max = 1")))
            .named("other names")
            .plan(action(FLEET, Action::Replace))
            .plan(action(CONTROLLER, Action::Replace))
                .after(|_| {
                    assert_eq!(place.pods("one"), [""; 0], "the old one is fenced, then gone");
                    place.wait_for_pods("two", 1);
                    let pod =
                        place.it.things("pod").into_iter().find(|it| text(it, "name").contains("--two--"));
                    assert_eq!(pod.unwrap()["env"]["MODE"], json!("live"));
                    Ok(())
                }),
        )
        .step(
            Step::apply(second(&format!("{}{}", place.block(), place.controller("monthly_budget = 5000").replace("\"5s\"", "\"6s\""))))
                .named("it is destroyed, and its record is gone")
                .before(|_| {
                    assert_eq!(place.sql("delete from records where collection = 'fleet.second'"), 1);
                    Ok(())
                })
                .expect_warning(r"(?s)Pods of the fleet may go on.*not\s+in\s+the\s+catalogue\s+of\s+its\s+controller\s+.second.*sweep\s+--deployment\s+test\s+--runpod")
                .plan(action(FLEET, Action::Delete))
                .after(|_| {
                    // This controller has its own state still, and with it what it bought.
                    place.wait_for_pods("two", 0);
                    Ok(())
                }),
        )
        .check_destroyed(|_| place.nothing_left())
        .run()
        .map(|_| ())
}

#[test]
fn a_changed_transcoder_changes_its_fleet_in_the_same_apply() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(place) = Place::start() else { return Ok(()) };
    let place = &place;
    // Nobody works, so nobody opens these stores.
    let log = "kafka://k.example:9092?partitions=12";
    let config = |bucket: &str| {
        let both = format!("stores              = [\"{log}\", \"s3://{bucket}\"]");
        let controller = place
            .controller("")
            .replace("stores              = [\"kafka://k.example:9092?partitions=12\"]", &both);
        let transcoder = format!(
            "resource \"streamverse_transcoder\" \"main\" {{\n  name = \"main\"\n  workers = 0\n  event_log = \"{log}\"\n  object_store = \"s3://{bucket}\"\n  catalogue = streamverse_catalogue.main.url\n}}\n"
        );
        let work = "transcoder = streamverse_transcoder.main.name";
        format!("{}{controller}{transcoder}{}", place.block(), fleet("one", "min = 0, max = 1", work))
    };
    let handed = |bucket: &str| {
        let there = format!(
            "update records set id = id where collection = 'fleet.main' and json_extract(record, '$.work.spec.object_store') = 's3://{bucket}'"
        );
        assert_eq!(place.sql(&there), 1, "{bucket} is not what its workers are given");
    };
    // A GPU that nobody knows before the apply.
    let late = "resource \"terraform_data\" \"gpu\" {\n  input = \"H100\"\n}\n";
    let late = format!("{}{late}", config("one").replace("\"L4\"", "terraform_data.gpu.output"));
    case(&cli, place)
        .step(
            Step::apply(late)
                .named("a GPU without an encoder")
                .expect_apply_error("(?s)No encoder.*L40S")
                .after(|_| {
                    assert_eq!(place.sql("update records set id = id where collection = 'fleet.main'"), 0);
                    Ok(())
                }),
        )
        .step(Step::apply(config("one")).after(|_| {
            handed("one");
            Ok(())
        }))
        // A second plan, which follows each step, is empty.
        .step(Step::apply(config("two")).plan(action(FLEET, Action::Update)).after(|_| {
            handed("two");
            Ok(())
        }))
        .check_destroyed(|_| place.nothing_left())
        .run()
        .map(|_| ())
}
