//! The provider dies in the middle of its work, as by `kill -9`: what Terraform knows stays true, and the next
//! run goes on from there.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
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
    fs::write(&script, text).expect("the store can be written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("the script is ours");
    Case::new(cli).provider(ADDRESS, script).env("CORNER_STORE", store.path())
}

fn pid_file(store: &Store) -> PathBuf {
    store.path().join("pid")
}

// As soon as something lies in `folder`, the provider that put it there is no more.
fn kill_once_there_is(folder: PathBuf, pid: PathBuf) {
    spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
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
                    .timeout(Duration::from_secs(60))
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
