//! Time runs out, and a name is somebody else's: the next apply converges, and destroy leaves nothing.

use std::time::Duration;

use serde_json::json;
use tfplugin_testing::cli::{Action, Cli, Failure, Step, action, not_tainted};

use crate::kit::{Place, case, fleet};

#[test]
fn a_destroy_whose_time_is_up_has_fenced_the_fleet_and_the_next_one_ends_it() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(place) = Place::start() else { return Ok(()) };
    let place = &place;
    let whole = |more: &str| {
        format!("{}{}{}", place.block(), place.controller(""), fleet("one", "min = 1, max = 1", more))
    };
    let without = || format!("{}{}", place.block(), place.controller(""));
    let holder = std::net::TcpListener::bind(("127.0.0.1", place.node.ports[0])).unwrap();
    let holder = std::cell::RefCell::new(Some(holder));
    case(&cli, place)
        .step(
            Step::apply(whole("timeouts = { create = \"6s\", delete = \"8s\" }").replace(
                "  tick ",
                "  timeouts = { create = \"8s\" }\n  tick ",
            ))
            .named("neither is ready when its time is up, which is told, and both are later")
            .expect_warning(&format!("(?s)not ready.*port {} is taken", place.node.ports[0]))
            .expect_warning("(?s)streamverse_runpod_fleet is there, but not ready")
            .state(not_tainted("streamverse_fleet_controller.main"))
            .state(not_tainted("streamverse_runpod_fleet.it"))
            .after(|_| {
                assert_eq!(place.it.account().created("pod"), 0);
                holder.borrow_mut().take();
                place.wait_for_pods("one", 1);
                Ok(())
            }),
        )
        .step(
            Step::apply(without())
                .named("RunPod takes nothing back")
                .before(|_| {
                    place.it.faults(&json!([
                        { "method": "DELETE", "path": "/v2/pods", "what": { "answer": { "status": 500 } }, "times": 1000 },
                    ]));
                    Ok(())
                })
                .plan(action("streamverse_runpod_fleet.it", Action::Delete))
                .expect_apply_error("(?s)still leaving.*fenced"),
        )
        .step(
            Step::apply(without())
                .named("it does again")
                .before(|_| {
                    assert_eq!(place.it.account().created("pod"), 1, "a fenced fleet buys nothing");
                    place.it.clear_faults();
                    Ok(())
                })
                .plan(action("streamverse_runpod_fleet.it", Action::Delete))
                .timeout(Duration::from_secs(180))
                .after(|_| place.it.clean().map_err(Into::into)),
        )
        .check_destroyed(|_| place.node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn a_fleet_that_may_not_be_is_refused_at_apply_and_nothing_of_it_is_left() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(place) = Place::start() else { return Ok(()) };
    let place = &place;
    let without = format!("{}{}", place.block(), place.controller(""));
    let whole = format!("{without}{}", fleet("one", "min = 1, max = 1", ""));
    let theirs = json!({ "definition": { "name": "one", "candidates": [], "range": { "min": 0, "max": 0 }, "policy": {},
        "schedule": { "idle": "20m" } }, "generation": "g", "owner": "runpod-fleet/one of the deployment other on site far" });
    // Rented workers do not reach what is on this host.
    let near = || {
        let work = "resource \"streamverse_object_store\" \"media\" { name = \"media\" }\nresource \"streamverse_event_log\" \"work\" { name = \"work\" }\nresource \"streamverse_transcoder\" \"main\" {\n  name = \"main\"\n  event_log = streamverse_event_log.work.url\n  object_store = streamverse_object_store.media.url\n  catalogue = streamverse_catalogue.main.url\n}\n";
        let more = "transcoder = streamverse_transcoder.main.name";
        format!("{without}{work}{}", fleet("one", "min = 1, max = 1", more))
    };
    case(&cli, place)
        .step(Step::apply(without.clone()))
        .step(Step::apply(near()).named("a transcoder whose log is on this host").expect_apply_error(
            "(?s)transcoder.*event log of the transcoder.*embedded:.*is a place of one host",
        ))
        .step(
            Step::apply(whole)
                .named("theirs")
                .before(|_| {
                    place.sql(&format!("insert into records values ('fleet.main', 'one', 7, '{theirs}')"));
                    Ok(())
                })
                .expect_apply_error("(?s)deployment.*other.*another"),
        )
        .step(Step::apply(without).named("nothing of it is in the state").after(|_| {
            place.sql("delete from records where collection = 'fleet.main' and version = 7");
            Ok(())
        }))
        .check_destroyed(|_| place.nothing_left())
        .run()
        .map(|_| ())
}
