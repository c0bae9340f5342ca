//! The controller is killed (SIGKILL) before and after each call that buys a pod or gives one back, and answers are lost: no pod is bought twice, and
//! none is left.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tfplugin_testing::cli::{Action, Cli, Failure, Step, action};

use crate::kit::{Place, case, fleet};

const FLEET: &str = "streamverse_runpod_fleet.it";

/// Kills the controller whenever a call of it is held, until told to end; how often.
struct Killer<'a> {
    place: &'a Place,
    kills: AtomicUsize,
    over: AtomicBool,
}

/// Ends the killer, also where a step fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Killer<'_> {
    fn run(&self) {
        while !self.over.load(Ordering::SeqCst) {
            if self.place.it.held() > 0 {
                self.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn kill(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        for pid in self.place.node.pids("fleet-controller", "main") {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        while self.place.it.held() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kills.fetch_add(1, Ordering::SeqCst);
        // The agent starts it again after a pause that grows with each kill; an order to start it ends the pause.
        let mut order = Command::new(self.place.node.folder().join("streamverse"));
        order.args(["node", "restart", "--deployment", "test", "--socket"]).arg(self.place.node.socket());
        let _ = order.arg("fleet-controller/main").stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Calls of pods with this method that fit are met by these, in this order.
fn met(place: &Place, method: &str, by: &[&str]) {
    let all: Vec<Value> =
        by.iter().map(|what| json!({ "method": method, "path": "/v2/pods", "what": what })).collect();
    place.it.faults(&Value::Array(all));
}

#[test]
fn whenever_its_controller_is_killed_a_fleet_has_no_pod_twice_and_leaves_none() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(place) = Place::start() else { return Ok(()) };
    let place = &place;
    let without = format!("{}{}", place.block(), place.controller(""));
    let whole =
        |count: u32| format!("{without}{}", fleet("one", &format!("min = {count}, max = {count}"), ""));
    let killer = Killer { place, kills: AtomicUsize::new(0), over: AtomicBool::new(false) };
    // What a step came to: pods there, pods ever bought, and every fault was met.
    let came_to = |there: usize, bought: usize, kills: usize| {
        place.wait_for_pods("one", there);
        place.until("all faults are met", || place.it.held() == 0);
        assert_eq!(place.it.clear_faults(), 0, "a fault was not met: {:?}", place.it.calls());
        assert_eq!(place.it.account().created("pod"), bought, "{:?}", place.it.calls());
        assert_eq!(place.pods("one").len(), there);
        let killed = killer.kills.swap(0, Ordering::SeqCst);
        assert!(killed >= kills, "it was killed {killed} times");
        Ok(())
    };
    std::thread::scope(|threads| {
        let _end = End(&killer.over);
        threads.spawn(|| killer.run());
        case(&cli, place)
            .step(Step::apply(without.clone()))
            .step(
                Step::apply(whole(3))
                    .named("bought")
                    // Three that buy something, and two that die before they do.
                    .before(|_| {
                        met(
                            place,
                            "POST",
                            &["hold_before", "hold_after", "hold_before", "lose", "hold_after"],
                        );
                        Ok(())
                    })
                    .plan(action(FLEET, Action::Create))
                    .after(|_| came_to(3, 3, 2)),
            )
            .step(
                Step::apply(whole(1))
                    .named("given back")
                    .before(|_| {
                        met(place, "DELETE", &["hold_before", "hold_after", "lose"]);
                        Ok(())
                    })
                    .plan(action(FLEET, Action::Update))
                    .after(|_| came_to(1, 3, 1)),
            )
            .step(
                Step::apply(without.clone())
                    .named("taken away")
                    .before(|_| {
                        met(place, "DELETE", &["hold_before", "hold_after"]);
                        Ok(())
                    })
                    .plan(action(FLEET, Action::Delete))
                    .after(|_| came_to(0, 3, 2)),
            )
            .check_destroyed(|_| place.nothing_left())
            .run()
            .map(|_| ())
    })
}
