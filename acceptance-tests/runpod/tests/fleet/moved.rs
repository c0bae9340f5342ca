//! Another controller, and another site: a fleet and its controller are replaced, and no pod of the old ones stays.

use streamverse_acceptance::Node;
use tfplugin_testing::cli::{Action, Cli, Failure, Step, action, replaced_because_of};

use crate::kit::{Place, case, fleet};

const FLEET: &str = "streamverse_runpod_fleet.it";
const CONTROLLER: &str = "streamverse_fleet_controller.main";

#[test]
fn a_fleet_goes_to_another_controller_and_with_it_to_another_site() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(place) = Place::start() else { return Ok(()) };
    let Some(second) = Node::start_with(|_| vec!["--site".into(), "other".into()]) else { return Ok(()) };
    let place = &place;
    let sites =
        format!("sites = {{ other = {{ node = {{ socket = \"{}\" }} }}, default", second.socket().display());
    let block = place.block().replace("sites = { default", &sites);
    let at = |site: &str| format!("site = \"{site}\"");
    // A catalogue and two controllers.
    let controllers = |site: &str| {
        let catalogue = format!("\"main\" {{\n  name = \"main\"\n  {}\n}}", at(site));
        let main = place.controller(&at(site)).replace("\"main\" { name = \"main\" }", &catalogue);
        let from = main.find("resource \"streamverse_fleet_controller\"").unwrap();
        let rest = main[from..].replace("controller\" \"main\"", "controller\" \"second\"");
        let rest = rest.replace("= \"main\"", "= \"second\"");
        let node = if site == "other" { &second } else { &place.node };
        let [one, two, _] = node.ports.map(|it| it.to_string());
        let port = place.node.ports[0].to_string();
        format!("{}{}", main.replace(&port, &one), rest.replace(&port, &two))
    };
    let whole = |site: &str, controller: &str, more: &str| {
        let fleet = fleet("one", "min = 1, max = 1", &at(site));
        let fleet = fleet.replace("controller.main", &format!("controller.{controller}"));
        format!("{block}{}{fleet}{more}", controllers(site))
    };
    let twin = fleet("one", "min = 1, max = 1", &at("other")).replace("\"it\"", "\"twin\"");
    // The second controller has no account any more.
    let poor = |config: &str, patience: &str| {
        let (before, second) = config.split_once("\"second\" {").unwrap();
        let timeouts = format!("  timeouts = {{ update = \"{patience}\" }}\n  # ");
        let second = second.replacen("  runpod ", &timeouts, 1);
        format!("{before}\"second\" {{{second}")
    };
    let moved = &whole("other", "second", "");
    let alone = &moved[..moved.find("resource \"streamverse_runpod_fleet\"").unwrap()];
    let one = || {
        place.wait_for_pods("one", 1);
        Ok(())
    };
    case(&cli, place)
        .step(Step::apply(whole("default", "main", "")).after(|_| one()))
        .step(
            Step::plan_only(whole("default", "main", &twin))
                .named("another fleet of its name on another site")
                .expect_plan_error(r"(?s)The site .default. has a fleet .one. of this deployment"),
        )
        .step(
            Step::apply(whole("default", "second", ""))
                .named("another controller alone")
                .plan(replaced_because_of(FLEET, "controller"))
                .plan(action(CONTROLLER, Action::NoOp))
                .after(|_| one()),
        )
        .step(
            Step::apply(whole("other", "second", ""))
                .named("all of it on another site")
                .plan(replaced_because_of(FLEET, "site"))
                .plan(replaced_because_of(CONTROLLER, "site"))
                .after(|_| {
                    place.node.nothing_left()?;
                    one()
                }),
        )
        .step(
            Step::plan_only(poor(moved, "5s"))
                .named("its controller is left without an account")
                .expect_plan_error(r"(?s)The controller .second. has no account at RunPod"),
        )
        .step(Step::command(["state", "rm", FLEET]))
        .step(
            Step::apply(poor(alone, "5s"))
                .named("… by a configuration that does not have the fleet")
                .expect_warning(r"(?s)Its fleets are left without an account.*\(one\)")
                .expect_apply_error("(?s)[Ii]t still keeps fleets: one")
                .after(|_| {
                    assert_eq!(place.pods("one").len(), 1);
                    Ok(())
                }),
        )
        .step(Step::import(FLEET, "other/one").config(moved).keep())
        .step(
            Step::apply(poor(alone, "3m"))
                .named("the fleet goes, and then the account")
                .plan(action(FLEET, Action::Delete))
                .plan(action("streamverse_fleet_controller.second", Action::Update))
                .after(|_| {
                    assert_eq!(place.pods("one"), [""; 0]);
                    Ok(())
                }),
        )
        .check_destroyed(|_| {
            second.nothing_left()?;
            place.nothing_left()
        })
        .run()
        .map(|_| ())
}
