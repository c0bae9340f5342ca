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
                .named("another range, in place")
                .plan(action(FLEET, Action::Update))
                .after(|_| {
                    place.wait_for_pods("one", 2);
                    let pods = place.it.things("pod");
                    let with = pods.iter().filter(|it| it["env"]["MODE"] == "live").count();
                    assert!(with >= 1, "{pods:#?}");
                    Ok(())
                }),
        )
        .step(
            Step::reapply()
                .named("somebody emptied it on its site")
                .before(|_| place.node.behind("runpod-fleet", "one", true).map_err(Into::into))
                .plan(action(FLEET, Action::Update)),
        )
        .step(
            Step::reapply()
                .named("somebody took it from its site")
                .before(|_| place.node.behind("runpod-fleet", "one", false).map_err(Into::into))
                .plan(action(FLEET, Action::Create))
                .after(|_| {
                    assert_eq!(place.pods("one").len(), 2, "it was adopted: no pod left or came");
                    Ok(())
                }),
        )
        .step(
            Step::import(FLEET, "default/one")
                .config(whole("one", "min = 2, max = 2", environment))
                .by_block(),
        )
        .step(
            Step::import(CONTROLLER, Id::attribute("name"))
                .config(whole("one", "min = 2, max = 2", environment))
                .ignoring(&["runpod.api_key_ref"]),
        )
        .step(
            Step::apply(whole("two", "min = 1, max = 1", environment))
                .named("another name")
                .plan(action(FLEET, Action::Replace))
                .after(|_| {
                    assert_eq!(place.pods("one"), [""; 0], "the old one is fenced, then gone");
                    place.wait_for_pods("two", 1);
                    let pod =
                        place.it.things("pod").into_iter().find(|it| text(it, "name").contains("--two--"));
                    assert_eq!(pod.unwrap()["env"]["MODE"], json!("live"));
                    Ok(())
                }),
        )
        .check_destroyed(|_| {
            place.it.clean()?;
            place.node.nothing_left().map_err(Into::into)
        })
        .run()
        .map(|_| ())
}
