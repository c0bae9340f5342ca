//! What plans refuse, compute, replace and protect.

use tfplugin_testing::cli::{
    Action, Step, action, known, not_tainted, null, replaced_because_of, unknown, value,
};

use crate::support::{Store, case, on_all, on_both};

#[test]
fn computed_values_change_only_with_what_they_depend_on() {
    on_all(|cli| {
        let store = Store::new();
        let hcl = |name: &str, more: &str| {
            format!("resource \"corner_computed\" \"c\" {{\n  name = \"{name}\"\n  {more}\n}}")
        };
        let at = "corner_computed.c";
        case(cli, &store)
            .covers("PlanResourceChange", "computed values keep their prior value")
            .covers("PlanResourceChange", "changes_with makes computed values unknown")
            .step(Step::apply(hcl("a", "")).plan(unknown(at, "id")).plan(unknown(at, "zone")))
            .step(
                Step::apply(hcl("a", "note = \"hello\""))
                    .named("the note changes")
                    .plan(action(at, Action::Update))
                    .plan(known(at, "loud", "A"))
                    .plan(known(at, "zone", "zone-a"))
                    .plan(unknown(at, "revision"))
                    .plan(unknown(at, "note_length"))
                    .state(value(at, "note_length", 5))
                    .state(value(at, "revision", 2)),
            )
            .step(
                Step::apply(hcl("b", "note = \"hello\""))
                    .named("the name changes")
                    .plan(unknown(at, "loud"))
                    .plan(known(at, "note_length", 5))
                    .state(value(at, "loud", "B")),
            )
            .step(
                Step::apply(hcl("b", "zone = \"zone-b\""))
                    .named("the configuration chooses")
                    .plan(known(at, "zone", "zone-b"))
                    .plan(unknown(at, "note_length")),
            )
            .run()
    });
}

#[test]
fn a_resource_looks_at_its_whole_plan() {
    on_both(|cli| {
        let store = Store::new();
        let hcl = |cores: u32| format!("resource \"corner_modified\" \"m\" {{\n  cores = {cores}\n}}");
        let at = "corner_modified.m";
        case(cli, &store)
            .covers("PlanResourceChange", "modify_plan sets, replaces and warns")
            .covers("PlanResourceChange", "refinements promised in a plan")
            .covers("PlanResourceChange", "destroy plans reach modify_plan")
            .step(Step::apply(hcl(2)).plan(known(at, "cost", 14)).plan(unknown(at, "id")))
            .step(Step::apply(hcl(4)).plan(action(at, Action::Update)).plan(known(at, "cost", 28)))
            .step(Step::apply(hcl(3)).named("a machine cannot shrink").plan(replaced_because_of(at, "cores")))
            .step(Step::plan_only(hcl(100)).expect_warning("Few machines are this large"))
            .step(Step::destroy().expect_warning("The machine goes"))
            .run()
    });
}

#[test]
fn the_protected_are_neither_destroyed_nor_replaced() {
    on_both(|cli| {
        let store = Store::new();
        let hcl = |protected: bool, region: &str, copies: u8| {
            format!(
                "resource \"corner_protected\" \"p\" {{\n  deletion_protection = {protected}\n  region = \
                 \"{region}\"\n  copies = {copies}\n}}"
            )
        };
        let at = "corner_protected.p";
        case(cli, &store)
            .covers("PlanResourceChange", "deletion protection")
            .covers("PlanResourceChange", "fixed attributes refuse a change")
            .step(Step::apply(hcl(true, "eu", 3)))
            .step(Step::destroy().expect_error("deletion_protection"))
            .step(Step::plan_only(hcl(true, "us", 3)).expect_error("deletion_protection"))
            .step(Step::plan_only(hcl(true, "eu", 4)).expect_error("The number of copies is chosen once"))
            .step(Step::taint(at))
            .step(Step::reapply().named("tainted and protected").expect_apply_error("deletion_protection"))
            .step(Step::command(["untaint", at]))
            .step(Step::apply(hcl(false, "eu", 3)).plan(action(at, Action::Update)))
            .step(Step::apply(hcl(false, "us", 3)).plan(replaced_because_of(at, "region")))
            .run()
    });
}

#[test]
fn replacement_happens_where_it_must() {
    on_all(|cli| {
        let store = Store::new();
        let hcl = |text: &str| format!("resource \"corner_replaced\" \"r\" {{\n{text}\n}}");
        let at = "corner_replaced.r";
        case(cli, &store)
            .covers("PlanResourceChange", "replacement always, if configured, by condition, at depth")
            .step(Step::apply(hcl("always = \"a\"\nsize = 5\ninner = { kind = \"x\" }\nconfigured = \"c\"")))
            .step(
                Step::apply(hcl("always = \"b\"\nsize = 5\ninner = { kind = \"x\" }\nconfigured = \"c\""))
                    .plan(replaced_because_of(at, "always")),
            )
            .step(
                Step::apply(hcl("always = \"b\"\nsize = 6\ninner = { kind = \"x\" }\nconfigured = \"c\""))
                    .named("growing is no replacement")
                    .plan(action(at, Action::Update)),
            )
            .step(
                Step::apply(hcl("always = \"b\"\nsize = 4\ninner = { kind = \"x\" }\nconfigured = \"c\""))
                    .plan(replaced_because_of(at, "size")),
            )
            .step(
                Step::apply(hcl("always = \"b\"\nsize = 4\ninner = { kind = \"y\" }\nconfigured = \"c\""))
                    .plan(replaced_because_of(at, "inner.kind")),
            )
            .step(
                Step::apply(hcl("always = \"b\"\nsize = 4\ninner = { kind = \"y\" }\nconfigured = \"d\""))
                    .plan(replaced_because_of(at, "configured")),
            )
            .step(
                Step::apply(hcl("always = \"b\"\nsize = 4\ninner = { kind = \"y\" }\nnote = \"n\""))
                    .named("left out is not configured")
                    .plan(action(at, Action::Update))
                    .plan(known(at, "configured", "d"))
                    .state(not_tainted(at)),
            )
            .run()
    });
}

#[test]
fn every_refusal_stands_at_its_attribute() {
    on_all(|cli| {
        let store = Store::new();
        let hcl = |text: &str| format!("resource \"corner_validated\" \"v\" {{\n{text}\n}}");
        let refused = |text: &str, snippet: &str, why: &str| {
            Step::validate(hcl(text)).expect_error_at("corner_validated.v", snippet, why)
        };
        case(cli, &store)
            .covers("ValidateResourceConfig", "validators at the attribute")
            .covers("ValidateResourceConfig", "rules between attributes")
            .covers("ValidateResourceConfig", "the resource's own validation, at depth")
            .step(refused("label = \"No!\"\nby_name = \"x\"", "label", "must match"))
            .step(refused("label = \"a\"\nby_name = \"x\"\nport = 0", "port", "must be at least 1"))
            .step(refused(
                "label = \"a\"\nby_name = \"x\"\nprotocol = \"tpc\"",
                "protocol",
                "did you mean \"tcp\"",
            ))
            .step(refused(
                "label = \"a\"\nby_name = \"x\"\ntags = [\"a\", \"a\"]",
                "tags",
                "no element twice",
            ))
            .step(Step::validate(hcl("label = \"a\"")).expect_error("(?i)one of"))
            .step(
                Step::validate(hcl("label = \"a\"\nby_name = \"x\"\nby_number = 1"))
                    .expect_error("(?i)one of"),
            )
            .step(Step::validate(hcl("label = \"a\"\nby_name = \"x\"\nuser = \"u\"")).expect_error("group"))
            .step(
                Step::validate(hcl("label = \"a\"\nby_name = \"x\"\nprotocol = \"quic\""))
                    .expect_error("certificate"),
            )
            .step(
                Step::validate(hcl("label = \"a\"\nby_name = \"x\"\nport = 1\nsocket = \"s\""))
                    .expect_error("socket"),
            )
            .step(
                Step::validate(hcl(
                    "label = \"a\"\nby_name = \"x\"\nrules = [{ from = 1, to = 2 }, { from = 5, to = 2 }]",
                ))
                .expect_error("An empty range of ports"),
            )
            .step(
                Step::validate(hcl(
                    "label = \"a\"\nby_name = \"x\"\nrules = [{ from = 1, to = 2 }, { from = 0, to = 2 }]",
                ))
                .expect_error("must be at least 1"),
            )
            .step(
                Step::apply(hcl("label = \"a\"\nby_name = \"x\"\nport = 80\ntitle = \"t\""))
                    .expect_warning("Port 80 is not encrypted"),
            )
            .step(
                Step::plan_only(hcl("label = \"a\"\nby_name = \"x\"\ntitle = \"t\""))
                    .expect_warning("(?i)deprecated"),
            )
            .run()
    });
}

#[test]
fn what_is_unknown_is_judged_only_as_far_as_it_is_known() {
    on_both(|cli| {
        let store = Store::new();
        let hcl = r#"
            resource "corner_thing" "t" { name = "t" }
            resource "corner_validated" "v" {
              label     = corner_thing.t.id
              by_name   = corner_thing.t.id
              protocol  = corner_thing.t.name
              rules     = [{ from = corner_thing.t.size, to = 2 }]
            }"#;
        case(cli, &store)
            .covers("ValidateResourceConfig", "unknown values are not judged")
            // `name` is no protocol, but only known once the reference resolves.
            .step(
                Step::plan_only(hcl.replace("corner_thing.t.name", "\"tcp\""))
                    .plan(unknown("corner_validated.v", "label")),
            )
            .step(
                Step::plan_only(
                    r#"
                    resource "corner_thing" "t" { name = "t" }
                    resource "corner_validated" "v" {
                      label   = "A-${corner_thing.t.id}"
                      by_name = "x"
                    }"#,
                )
                .plan(unknown("corner_validated.v", "label")),
            )
            .step(Step::plan_only(r#"resource "corner_empty" "e" {}"#).plan(null("corner_empty.e", "text")))
            .run()
    });
}
