//! What cannot be fenced is not let go: a destroy without the controller, and a sweep whose fleet gives nothing back. Both say so, say the way out, and
//! leave what the next one needs.

use std::process::{Command, Output, Stdio};

use serde_json::json;
use streamverse_runpod_stand_in::KEY;
use tfplugin_testing::cli::{Action, Cli, Failure, Step, action};

use crate::kit::{IDENTITY, Place, case, fleet};

const FLEET: &str = "streamverse_runpod_fleet.it";

/// `streamverse sweep` of the node; whether it said that all is well, and what it said.
fn sweep(place: &Place, words: &[&str]) -> (bool, String) {
    let mut sweep = Command::new(place.node.folder().join("streamverse"));
    sweep.args(["sweep", "--deployment", "test", "--leaving", "4", "--socket"]).arg(place.node.socket());
    let said: Output = sweep.args(words).env("RUNPOD_API_KEY", KEY).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(!text.contains(KEY) && !text.contains(IDENTITY));
    (said.status.success(), text)
}

#[test]
fn a_fleet_that_cannot_be_fenced_is_let_go_by_neither_destroy_nor_sweep() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(place) = Place::start() else { return Ok(()) };
    let place = &place;
    let with = format!("{}{}", place.block(), place.controller(""));
    let whole = || format!("{with}{}", fleet("one", "min = 1, max = 1", ""));
    let catalogue =
        format!("{}resource \"streamverse_catalogue\" \"main\" {{ name = \"main\" }}\n", place.block());
    let bought = |count: usize| {
        assert_eq!(place.it.account().created("pod"), count, "{:?}", place.it.calls());
    };
    case(&cli, place)
        .step(Step::apply(whole()).after(|_| {
            place.wait_for_pods("one", 1);
            Ok(())
        }))
        .step(
            Step::apply(catalogue.clone())
                .named("its controller is gone")
                .before(|_| place.node.behind("fleet-controller", "main", false).map_err(Into::into))
                .plan(action(FLEET, Action::Delete))
                .expect_apply_error(
                    r"(?s)cannot be fenced.*controller\s+.main.*is\s+gone.*sweep\s+--deployment\s+test\s+--runpod.*terraform\s+state\s+rm",
                ),
        )
        .step(Step::apply(whole()).named("it is back: the fleet was in the state, and has its pod").after(|_| {
            place.wait_for_pods("one", 1);
            bought(1);
            // Whoever sweeps without the controller is told that pods may be left, each time.
            place.node.behind("fleet-controller", "main", false)?;
            for _ in 0..2 {
                let (well, text) = sweep(place, &[]);
                assert!(!well && text.contains("runpod-fleet/one") && text.contains("--runpod"), "{text}");
            }
            Ok(())
        }))
        .step(Step::apply(whole()).named("all is back, and RunPod takes nothing back").after(|_| {
            place.wait_for_pods("one", 1);
            bought(1);
            place.it.faults(&json!([
                { "method": "DELETE", "path": "/v2/pods", "what": { "answer": { "status": 500 } }, "times": 100_000 },
            ]));
            // The second finds the job that takes it away.
            for _ in 0..2 {
                let (well, text) = sweep(place, &[]);
                assert!(!well && text.contains("pods may be left") && text.contains("--runpod"), "{text}");
                let left = place.node.pids("fleet-controller", "main").len();
                assert_eq!(left, 1, "the controller that gives them back was removed: {text}");
            }
            assert_eq!(place.pods("one").len(), 1);
            // With its record, the catalogue lost what it bought.
            assert_eq!(place.sql("delete from records where collection = 'fleet.main'"), 1);
            let (well, text) = sweep(place, &[]);
            assert!(!well && text.contains("its record is not in the catalogue"), "{text}");
            assert_eq!(place.node.pids("fleet-controller", "main").len(), 1, "{text}");
            place.it.clear_faults();
            let (well, text) = sweep(place, &["--runpod", "--runpod-endpoint", &place.it.endpoint]);
            assert!(well, "{text}");
            bought(1);
            place.it.clean()?;
            place.node.nothing_left().map_err(Into::into)
        }))
        .check_destroyed(|_| {
            bought(1);
            place.it.clean()?;
            place.node.nothing_left().map_err(Into::into)
        })
        .run()
        .map(|_| ())
}
