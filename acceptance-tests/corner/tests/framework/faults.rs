//! The provider dies in the middle of its work, as by `kill -9`: what Terraform knows stays true, and the next
//! run goes on from there.
#![cfg(unix)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use tfplugin_testing::cli::{Action, Case, Cli, Step, action, empty, exists, value};

use crate::support::{ADDRESS, BINARY, Store, on_both};

// The provider; a file says which process it is.
fn case<'a>(cli: &'a Cli, store: &Store) -> Case<'a> {
    let script = store.path().join("noted");
    let text = format!("#!/bin/sh\necho $$ >'{}'\nexec '{BINARY}'\n", pid_file(store).display());
    // A child writes it: were it open for writing here, what a test beside this one forks in that moment would hold it
    // open, and nobody could run it (execve(2), ETXTBSY).
    let written = Command::new("sh")
        .args(["-c", "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"", "sh", &text])
        .arg(&script)
        .status()
        .expect("a shell runs");
    assert!(written.success(), "the store can be written");
    Case::new(cli).provider(ADDRESS, script).env("CORNER_STORE", store.path())
}

fn pid_file(store: &Store) -> PathBuf {
    store.path().join("pid")
}

// As soon as an object lies in `folder`, the provider that put it there is no more. A file that is not yet an object
// does not count: without it nothing would be left behind.
fn kill_once_there_is(folder: PathBuf, pid: PathBuf) {
    spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(180);
        while Instant::now() < deadline {
            let is_object =
                |entry: fs::DirEntry| entry.path().extension().is_some_and(|ending| ending == "json");
            if fs::read_dir(&folder).is_ok_and(|entries| entries.flatten().any(is_object)) {
                let pid = fs::read_to_string(&pid).unwrap_or_default();
                let killed = Command::new("kill").args(["-9", pid.trim()]).status();
                return eprintln!("killed {}: {killed:?}", pid.trim());
            }
            sleep(Duration::from_millis(20));
        }
    });
}

#[test]
fn a_provider_killed_while_it_creates_loses_nothing_that_was_there() {
    on_both(|cli| {
        let store = Store::new();
        let slow = |takes: &str| {
            format!(
                "resource \"corner_thing\" \"a\" {{ name = \"x\" }}\nresource \"corner_slow\" \"s\" {{\n  takes = \
                 \"{takes}\"\n  depends_on = [corner_thing.a]\n}}"
            )
        };
        case(cli, &store)
            .covers("ApplyResourceChange", "a provider that dies leaves a state that is true")
            .step(
                Step::apply(slow("10m"))
                    .before(|_| {
                        kill_once_there_is(store.path().join("slow"), pid_file(&store));
                        Ok(())
                    })
                    .timeout(Duration::from_secs(180))
                    .expect_apply_error("Plugin did not respond.*ApplyResourceChange")
                    .state(exists("corner_thing.a"))
                    // Nobody could tell Terraform of it. What is not known to exist is made again.
                    .state_fn(|state| match state.resource("corner_slow.s") {
                        Ok(kept) if kept["tainted"] != true => Err(format!("it is {kept}").into()),
                        _ => Ok(()),
                    }),
            )
            .step(
                Step::apply(slow("0s"))
                    .plan(action("corner_thing.a", Action::NoOp))
                    .state(exists("corner_slow.s"))
                    .state(value("corner_slow.s", "takes", "0s")),
            )
            .step(Step::replan().plan(empty()))
            // The object of the create that nobody finished: known to the other side alone.
            .check_destroyed(|_| {
                store.nothing_left("thing")?;
                match store.objects("slow").len() {
                    1 => Ok(()),
                    other => Err(format!("{other} slow objects are left, not 1").into()),
                }
            })
            .run()
    });
}
