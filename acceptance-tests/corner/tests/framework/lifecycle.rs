//! What happens to objects when things go wrong, take long, grow old or change their type.

use std::time::Duration;

use serde_json::json;
use tfplugin_testing::cli::{
    Action, Case, Feature, Interrupt, Step, When, action, empty, exists, known, moved, not_tainted, tainted,
    unknown, value,
};

use crate::support::{Store, case, on_all, on_both};

#[test]
fn a_create_that_saved_and_failed_is_tainted_and_replaced() {
    on_both(|cli| {
        let store = Store::new();
        let at = "corner_partial.p";
        case(cli, &store)
            .covers("ApplyResourceChange", "partial state after a failed create is kept, tainted")
            .step(
                Step::apply(r#"resource "corner_partial" "p" { name = "x" }"#)
                    .before(store.puts("partial", "fail"))
                    .expect_apply_error(
                        "(?is)Cannot create corner_partial.*the second half failed.*Remove the cause",
                    )
                    .state(tainted(at))
                    .state(value(at, "endpoint", json!(null))),
            )
            .step(
                Step::reapply()
                    .before(store.removes("partial", "fail"))
                    .plan(action(at, Action::Replace))
                    .state(not_tainted(at)),
            )
            .check_destroyed(|_| store.nothing_left("partial"))
            .run()
    });
}

#[test]
fn a_resumable_create_is_continued_in_place() {
    on_both(|cli| {
        let store = Store::new();
        let at = "corner_resumable.r";
        case(cli, &store)
            .covers("ApplyResourceChange", "a resumable create that fails is continued")
            .covers("PlanResourceChange", "a pending create plans an update in place")
            .step(
                Step::apply(r#"resource "corner_resumable" "r" { name = "x" }"#)
                    .before(store.puts("resumable", "fail"))
                    .expect_warning("(?s)did not finish.*the endpoint")
                    .expect_non_empty_plan("the endpoint is still to be made")
                    .state(not_tainted(at)),
            )
            .step(
                Step::reapply()
                    .before(store.removes("resumable", "fail"))
                    .plan(action(at, Action::Update))
                    .plan(unknown(at, "endpoint"))
                    .state(not_tainted(at)),
            )
            .run()
    });
}

#[test]
fn a_resumable_create_that_times_out_is_continued() {
    on_both(|cli| {
        let store = Store::new();
        let at = "corner_resumable.r";
        case(cli, &store)
            .covers("ApplyResourceChange", "a resumable create that times out is continued")
            .step(
                Step::apply("resource \"corner_resumable\" \"r\" {\n  name = \"x\"\n  timeouts = { create = \"1s\" }\n}")
                    .before(store.puts("resumable", "hang"))
                    .expect_warning("(?s)did not finish.*not finished within 1s")
                    .expect_non_empty_plan("the endpoint is still to be made")
                    .state(not_tainted(at)),
            )
            .step(
                Step::reapply()
                    .before(store.removes("resumable", "hang"))
                    .plan(action(at, Action::Update)),
            )
            .run()
    });
}

#[test]
fn a_time_out_ends_a_create_and_loses_nothing() {
    on_both(|cli| {
        let store = Store::new();
        case(cli, &store)
            .covers("ApplyResourceChange", "a time-out ends the handler and saves the state")
            .step(
                Step::apply("resource \"corner_slow\" \"s\" {\n  takes = \"10m\"\n  timeouts = { create = \"1s\" }\n}")
                    .expect_apply_error("(?s)Cannot create corner_slow.*not finished within 1s.*timeouts")
                    .state(tainted("corner_slow.s")),
            )
            .step(
                Step::apply("resource \"corner_slow\" \"s\" {\n  takes = \"10m\"\n  deaf = true\n  timeouts = { create = \"1s\" }\n}")
                    .named("a deaf handler is ended too")
                    .expect_apply_error("not finished within 1s"),
            )
            .check_destroyed(|_| store.nothing_left("slow"))
            .run()
    });
}

#[test]
fn a_busy_remote_side_is_asked_again() {
    on_both(|cli| {
        let store = Store::new();
        case(cli, &store)
            .covers("ApplyResourceChange", "throttled calls are tried again")
            .step(Step::apply("resource \"corner_slow\" \"s\" {\n  takes = \"0s\"\n  busy = 3\n}"))
            .step(
                Step::apply("resource \"corner_slow\" \"t\" {\n  takes = \"0s\"\n  busy = 100\n}")
                    .expect_apply_error("(?i)tried 8 times"),
            )
            .run()
    });
}

#[test]
fn an_interrupt_ends_a_running_create_cleanly() {
    on_both(|cli| {
        let store = Store::new();
        let folder = store.path().join("slow");
        case(cli, &store)
            .covers("StopProvider", "Ctrl-C ends a running create and saves the state")
            .step(
                Step::apply("resource \"corner_slow\" \"s\" {\n  takes = \"10m\"\n}")
                    .interrupt(
                        Interrupt::when(When::FileExists(folder.clone()))
                            .exits_within(Duration::from_secs(20)),
                    )
                    .expect_apply_error("was interrupted")
                    .state(exists("corner_slow.s")),
            )
            .check_destroyed(|_| store.nothing_left("slow"))
            .run()
    });
}

#[test]
fn an_interrupted_resumable_create_is_continued() {
    on_both(|cli| {
        let store = Store::new();
        let folder = store.path().join("resumable");
        let at = "corner_resumable.r";
        case(cli, &store)
            .covers("StopProvider", "a resumable create that is interrupted is continued")
            .step(
                Step::apply(r#"resource "corner_resumable" "r" { name = "x" }"#)
                    .before(store.puts("resumable", "hang"))
                    .interrupt(
                        Interrupt::when(When::FileExists(folder.join("made.json")))
                            .exits_within(Duration::from_secs(20)),
                    )
                    .expect_apply_error("execution halted")
                    .expect_warning("did not finish")
                    .expect_non_empty_plan("the endpoint is still to be made")
                    .state(not_tainted(at)),
            )
            .step(
                Step::reapply()
                    .before(store.removes("resumable", "hang"))
                    .plan(action(at, Action::Update))
                    .state(not_tainted(at)),
            )
            .run()
    });
}

#[test]
fn a_panic_becomes_an_error_that_names_the_resource() {
    on_all(|cli| {
        let store = Store::new();
        let panics_in = |handler: &str| {
            Step::apply(format!("resource \"corner_panic\" \"p\" {{ in = \"{handler}\" }}"))
                .named(handler)
                .expect_error(&format!("(?s)corner_panic.*the provider panicked: told to panic in {handler}"))
        };
        case(cli, &store)
            .covers("ValidateResourceConfig", "a panic becomes an error")
            .covers("PlanResourceChange", "a panic becomes an error")
            .covers("ApplyResourceChange", "a panic becomes an error")
            .step(panics_in("validate"))
            .step(panics_in("modify_plan"))
            .step(panics_in("create"))
            .step(
                Step::apply(r#"resource "corner_panic" "q" { in = "nowhere" }"#).named("the process goes on"),
            )
            .run()
    });
}

#[test]
fn the_framework_finds_what_core_would_refuse_and_says_more() {
    on_both(|cli| {
        let store = Store::new();
        let lies = |about: &str| {
            Step::apply(format!(
                "resource \"corner_lying\" \"l\" {{\n  about = \"{about}\"\n  name  = \"given\"\n}}"
            ))
            .named(about)
        };
        case(cli, &store)
            .covers("PlanResourceChange", "core's rules are checked first")
            .covers("ApplyResourceChange", "core's rules are checked first")
            .step(lies("plan").expect_error("(?s)name.*given.*another name.*bug in the provider"))
            .step(lies("apply").expect_apply_error("(?s)name.*given.*another name.*bug in the provider"))
            .step(lies("unknown").expect_apply_error("(?s)id.*bug in the provider"))
            .step(lies("null").expect_apply_error("(?s)no state.*bug in the provider"))
            .step(lies("nothing"))
            .run()
    });
}

#[test]
fn a_resource_by_hand_works_like_any_other() {
    on_all(|cli| {
        let store = Store::new();
        let at = "corner_by_hand.b";
        case(cli, &store)
            .covers("ApplyResourceChange", "a resource written by hand, on values")
            .step(
                Step::apply(r#"resource "corner_by_hand" "b" { name = "four" }"#).plan(unknown(at, "length")),
            )
            .step(
                Step::apply(r#"resource "corner_by_hand" "b" { name = "twelve" }"#)
                    .state(value(at, "length", 6)),
            )
            .step(Step::import(at, "twelve"))
            .step(
                Step::validate(r#"resource "corner_by_hand" "b" { name = "" }"#)
                    .expect_error("between 1 and 20"),
            )
            .run()
    });
}

#[test]
fn private_state_survives_plans_refreshes_and_updates() {
    on_all(|cli| {
        let store = Store::new();
        let hcl = |name: &str| {
            format!(
                "terraform {{\n  provider_meta \"corner\" {{\n    module = \"mine\"\n  }}\n}}\nresource \
                 \"corner_private\" \"p\" {{ name = \"{name}\" }}"
            )
        };
        let at = "corner_private.p";
        case(cli, &store)
            .covers("ApplyResourceChange", "private state")
            .covers("ReadResource", "private state")
            .covers("ApplyResourceChange", "provider meta")
            .step(Step::apply(hcl("a")).state(value(at, "updates", 0)).state(value(at, "module", "mine")))
            .step(Step::apply(hcl("b")).state(value(at, "updates", 1)))
            .step(Step::refresh())
            .step(Step::apply(hcl("c")).state(value(at, "updates", 2)))
            .run()
    });
}

// Rewrites the state file: what an earlier version of the provider would have left there.
fn rewrite_state(case: Case<'_>, version: u64, attributes: serde_json::Value) -> Case<'_> {
    case.step(Step::reapply().named("old state").before(move |cx| {
        let path = cx.dir().join("terraform.tfstate");
        let mut state: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        let instance = &mut state["resources"][0]["instances"][0];
        let id = instance["attributes"]["id"].clone();
        instance["schema_version"] = version.into();
        instance["attributes"] = attributes.clone();
        instance["attributes"]["id"] = id;
        state["serial"] = (state["serial"].as_u64().unwrap_or_default() + 1).into();
        std::fs::write(&path, state.to_string())?;
        Ok(())
    }))
}

#[test]
fn states_of_two_old_versions_are_upgraded() {
    on_all(|cli| {
        let store = Store::new();
        let at = "corner_upgraded.u";
        let start = case(cli, &store)
            .covers("UpgradeResourceState", "two old versions, chained")
            .covers("UpgradeResourceState", "the current version")
            .step(Step::apply("resource \"corner_upgraded\" \"u\" {\n  host = \"h\"\n  port = 80\n}"));
        let first = rewrite_state(start, 0, json!({ "address": "h:80" }));
        let second = rewrite_state(first, 1, json!({ "host": "h", "port": "80", "gone": true }));
        second.step(Step::replan().plan(empty())).step(Step::reapply().state(value(at, "port", 80))).run()
    });
}

#[test]
fn a_state_of_a_later_version_is_refused_with_words() {
    on_both(|cli| {
        let store = Store::new();
        let start = case(cli, &store)
            .covers("UpgradeResourceState", "a broken old state is an error")
            .step(Step::apply("resource \"corner_upgraded\" \"u\" {\n  host = \"h\"\n  port = 80\n}"));
        let broken = Step::replan().named("broken").before(|cx| {
            let path = cx.dir().join("terraform.tfstate");
            let mut state: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
            let instance = &mut state["resources"][0]["instances"][0];
            let id = instance["attributes"]["id"].clone();
            instance["schema_version"] = 0.into();
            instance["attributes"] = json!({ "id": id, "address": "no port" });
            std::fs::write(&path, state.to_string())?;
            Ok(())
        });
        start
            .step(broken.expect_error("(?s)Cannot read the state of corner_upgraded.*version 0.*has no port"))
            .step(
                Step::reapply()
                    .named("repaired")
                    .before(|cx| {
                        let path = cx.dir().join("terraform.tfstate");
                        let text = std::fs::read_to_string(&path)?;
                        std::fs::write(&path, text.replace("no port", "h:80"))?;
                        Ok(())
                    })
                    .state(value("corner_upgraded.u", "port", 80)),
            )
            .run()
    });
}

#[test]
fn objects_move_between_types_and_providers() {
    on_both(|cli| {
        let store = Store::new();
        case(cli, &store)
            .requires(Feature::MoveBetweenTypes)
            .covers("MoveResourceState", "between types of one provider")
            .step(Step::apply(r#"resource "corner_thing" "old" { name = "x" }"#))
            .step(
                Step::plan_only(
                    "resource \"corner_moved\" \"new\" { name = \"x\" }\nmoved {\n  from = corner_thing.old\n  to = corner_moved.new\n}",
                )
                .plan(moved("corner_thing.old", "corner_moved.new"))
                .plan(known("corner_moved.new", "name", "x")),
            )
            .run()
    });
}
