//! A provider that runs already, here in the test itself: the command lines attach to it and leave it running.

use std::time::Duration;

use terraform_provider_corner::{ADDRESS, Corner};
use tfplugin_framework::Service;
use tfplugin_framework::transport::{Reattach, ServeOptions, serve_reattach};
use tfplugin_testing::cli::{Action, Case, Interrupt, Step, When, absent, action, exists, value};
use tokio::runtime::{Builder, Runtime};

use crate::support::{Store, on_both};

/// The provider of this process, for as long as this lives.
struct Attached {
    runtime: Runtime,
    served: Option<Reattach>,
}

impl Attached {
    fn new() -> Attached {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let service = Service::of::<Corner>(ADDRESS);
        let served = runtime.block_on(serve_reattach(service, ServeOptions::new(ADDRESS)));
        Attached { runtime, served: Some(served.expect("a socket can be opened")) }
    }

    fn json(&self) -> String {
        self.served.as_ref().map(Reattach::json).unwrap_or_default()
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(served) = self.served.take() {
            self.runtime.block_on(served.shutdown());
        }
    }
}

// This process has no environment of its own for each case, so the configuration says where the store is.
fn with(store: &Store, resources: &str) -> String {
    format!("provider \"corner\" {{\n  directory = \"{}\"\n}}\n{resources}", store.path().display())
}

#[test]
fn a_running_provider_serves_one_command_after_the_other() {
    on_both(|cli| {
        let (store, attached) = (Store::new(), Attached::new());
        let thing =
            |name: &str| with(&store, &format!("resource \"corner_thing\" \"a\" {{ name = \"{name}\" }}"));
        Case::new(cli)
            .reattach(attached.json())
            .covers("GetProviderSchema", "in reattach mode")
            .covers("ApplyResourceChange", "in reattach mode")
            .step(
                Step::apply(thing("x"))
                    .plan(action("corner_thing.a", Action::Create))
                    .state(exists("corner_thing.a")),
            )
            .step(Step::apply(thing("y")).plan(action("corner_thing.a", Action::Update)).state(value(
                "corner_thing.a",
                "name",
                "y",
            )))
            .step(Step::destroy().state(absent("corner_thing.a")))
            .check_destroyed(|_| store.nothing_left("thing"))
            .run()
    });
}

#[test]
fn an_interrupted_run_leaves_the_provider_ready_for_the_next() {
    on_both(|cli| {
        let (store, attached) = (Store::new(), Attached::new());
        let slow =
            |takes: &str| with(&store, &format!("resource \"corner_slow\" \"s\" {{ takes = \"{takes}\" }}"));
        Case::new(cli)
            .reattach(attached.json())
            .covers("StopProvider", "in reattach mode the next run works")
            .step(
                Step::apply(slow("10m"))
                    .interrupt(
                        // The provider is not in the command's process group: only the command hears it.
                        Interrupt::when(When::FileExists(store.path().join("slow")))
                            .exits_within(Duration::from_secs(20)),
                    )
                    .expect_apply_error("was interrupted"),
            )
            .step(Step::apply(slow("1s")).plan(action("corner_slow.s", Action::Replace)))
            .check_destroyed(|_| store.nothing_left("slow"))
            .run()
    });
}
