//! Crashes: the agent, services and Traffic Server are killed; the run directory is emptied as by a reboot.

use std::time::{Duration, Instant};

use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

use crate::kit::{edge, get, origin, stores};

pub(crate) fn kill(pids: &[u32]) {
    for pid in pids {
        let _ = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
}

fn serves_within(port: u16, time: Duration) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let until = Instant::now() + time;
    let mut last = (0, String::new());
    while Instant::now() < until {
        last = get(&format!("http://127.0.0.1:{port}/catalogue.json"));
        if last.0 == 200 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    Err(format!("the edge answers {}: {}", last.0, last.1).into())
}

#[test]
fn what_is_killed_comes_back_and_the_plan_stays_empty() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let node = std::cell::RefCell::new(node);
    let [port, front, _] = node.borrow().ports;
    let config = format!("{}{}{}{}", node.borrow().block(), stores(), origin(port, "64MiB"), edge(front, ""));
    let long = Duration::from_secs(90);
    let provider = node.borrow().provider();
    let report = Case::new(&cli)
        .provider(ADDRESS, provider)
        .step(Step::apply(config).after(|_| serves_within(front, long)))
        .step(
            Step::reapply()
                .named("the agent is killed: everything serves on, and is found again")
                .before(|_| {
                    let before =
                        (node.borrow().pids("origin", "main"), node.borrow().pids("ats-edge", "main"));
                    node.borrow_mut().kill_agent();
                    serves_within(front, Duration::from_secs(5))?;
                    node.borrow_mut().start_agent();
                    std::thread::sleep(Duration::from_secs(3));
                    let after =
                        (node.borrow().pids("origin", "main"), node.borrow().pids("ats-edge", "main"));
                    if before == after { Ok(()) } else { Err(format!("{before:?} became {after:?}").into()) }
                })
                .after(|_| serves_within(front, long)),
        )
        .step(
            Step::reapply()
                .named("the origin and Traffic Server are killed")
                .before(|_| {
                    kill(&node.borrow().pids("origin", "main"));
                    kill(&node.borrow().pids("ats-edge", "main"));
                    std::thread::sleep(Duration::from_secs(1));
                    serves_within(front, long)
                })
                .after(|_| serves_within(front, long)),
        )
        .step(
            Step::reapply()
                .named("a reboot: everything is killed and the run directory emptied")
                .before(|_| {
                    let all = [
                        node.borrow().pids("origin", "main"),
                        node.borrow().pids("ats-edge", "main"),
                        node.borrow().pids("event-log", "work"),
                    ]
                    .concat();
                    node.borrow_mut().kill_agent();
                    kill(&all);
                    std::fs::remove_dir_all(node.borrow().folder().join("run"))?;
                    node.borrow_mut().start_agent();
                    serves_within(front, long)
                })
                .after(|_| serves_within(front, long)),
        )
        .check_destroyed(|_| node.borrow().nothing_left().map_err(Into::into))
        .run();
    report.map(|_| ())
}
