//! A secret is in no state, plan, output or log, whichever way it comes in; and older command lines say how.

use serde_json::json;
use tfplugin_testing::cli::{Action, Cli, Feature, Id, Step, action, empty, unknown, value};

use crate::support::{Store, case, on_both};

const FIRST: &str = "f1rst-planted-secret";
const SECOND: &str = "a-sec0nd-planted-secret";
const AT: &str = "corner_secret.a";

fn write_only(version: u32) -> String {
    format!(
        "variable \"password\" {{\n  type = string\n  ephemeral = true\n}}\nresource \"corner_secret\" \"a\" {{\n  \
         user = \"ada\"\n  password_wo = var.password\n  password_wo_version = {version}\n}}\noutput \"length\" \
         {{ value = corner_secret.a.length }}"
    )
}

fn by_reference(reference: &str) -> String {
    format!("resource \"corner_secret\" \"a\" {{\n  user = \"ada\"\n  password_ref = \"{reference}\"\n}}")
}

#[test]
fn a_write_only_secret_reaches_the_provider_and_nothing_else() {
    on_both(|cli| {
        let store = Store::new();
        case(cli, &store)
            .requires(Feature::WriteOnly)
            .secrets_absent(&[FIRST, SECOND])
            .log_level("TRACE")
            .covers("PlanResourceChange", "write-only values are never in the plan")
            .covers("ApplyResourceChange", "write-only values are never in the state")
            .covers("ReadResource", "write-only values stay null")
            .covers("ImportResourceState", "write-only values stay null")
            .step(
                Step::apply(write_only(1))
                    .var("password", FIRST)
                    .plan(action(AT, Action::Create))
                    .plan(unknown(AT, "length"))
                    .state(value(AT, "length", FIRST.len()))
                    .state(value(AT, "password_wo", json!(null))),
            )
            .step(
                Step::replan()
                    .named("another value without another version")
                    .var("password", SECOND)
                    .plan(empty()),
            )
            .step(
                Step::apply(write_only(2))
                    .named("another version")
                    .var("password", SECOND)
                    .plan(action(AT, Action::Update))
                    .output("length", SECOND.len()),
            )
            .step(Step::refresh().var("password", SECOND))
            .step(
                Step::import(AT, Id::attribute("id"))
                    .var("password", SECOND)
                    .ignoring(&["password_wo_version"]),
            )
            .run()
    });
}

#[test]
fn a_secret_by_reference_is_read_when_it_is_needed() {
    on_both(|cli| {
        let store = Store::new();
        let file = store.path().join("password");
        std::fs::write(&file, format!("{SECOND}\n")).expect("the store can be written");
        let file = by_reference(&format!("file:{}", file.display()));
        case(cli, &store)
            .env("CORNER_PASSWORD", FIRST)
            .secrets_absent(&[FIRST, SECOND])
            .log_level("TRACE")
            .covers("ApplyResourceChange", "secrets by reference")
            .step(Step::apply(by_reference("env:CORNER_PASSWORD")).named("environment").state(value(
                AT,
                "length",
                FIRST.len(),
            )))
            .step(Step::apply(file).named("file").plan(action(AT, Action::Update)).state(value(
                AT,
                "length",
                SECOND.len(),
            )))
            .step(Step::refresh())
            .step(Step::import(AT, Id::attribute("id")).ignoring(&["password_ref"]))
            .run()
    });
}

#[test]
fn a_reference_that_leads_nowhere_says_what_to_do() {
    on_both(|cli| {
        let store = Store::new();
        case(cli, &store)
            .covers("ApplyResourceChange", "a secret that cannot be read is an error")
            .covers("ValidateResourceConfig", "a reference that is none is refused")
            .step(
                Step::apply(by_reference("env:CORNER_NOT_SET"))
                    .expect_apply_error(
                        "Cannot create corner_secret.*env:CORNER_NOT_SET.*Set the environment variable CORNER_NOT_SET",
                    ),
            )
            .step(Step::apply(by_reference("file:/nowhere/at/all")).expect_apply_error(
                "Cannot create corner_secret.*file:/nowhere/at/all.*No such file",
            ))
            .step(
                Step::validate(by_reference("a password by mistake"))
                    .secret_is_not_repeated()
                    .expect_error_at(AT, "password_ref", "must be a reference to a secret"),
            )
            .run()
    });
}

/// What is wrong in a configuration must not be shown by the answer.
trait NotRepeated {
    fn secret_is_not_repeated(self) -> Self;
}

impl NotRepeated for Step<'_> {
    fn secret_is_not_repeated(self) -> Self {
        self.json(|answer| {
            let text = |one: &serde_json::Value| format!("{} {}", one["summary"], one["detail"]);
            let all: String = answer["diagnostics"].as_array().into_iter().flatten().map(text).collect();
            if all.contains("by mistake") { Err(format!("the value is in {all}").into()) } else { Ok(()) }
        })
    }
}

#[test]
fn there_is_exactly_one_way_in() {
    on_both(|cli| {
        let store = Store::new();
        let with = |lines: &str| {
            Step::validate(format!("resource \"corner_secret\" \"a\" {{\n  user = \"ada\"\n{lines}}}"))
        };
        case(cli, &store)
            .covers("ValidateResourceConfig", "a secret has exactly one way in")
            .step(
                with("").named("neither").expect_error("One of `password_wo` and `password_ref` must be set"),
            )
            .step(
                with("  password_wo = \"x\"\n  password_ref = \"env:X\"\n")
                    .named("both")
                    .requires(Feature::WriteOnly)
                    .expect_error("Only one of `password_wo` and `password_ref` can be set"),
            )
            .step(
                with("  password_ref = \"env:X\"\n  password_wo_version = 1\n")
                    .named("a version of nothing")
                    .expect_error("password_wo_version.*password_wo"),
            )
            .run()
    });
}

#[test]
fn a_command_line_without_write_only_attributes_names_version_and_reference() {
    let cli = Cli::terraform_1_5().expect("its path is right, if there is one");
    let store = Store::new();
    let hcl = "resource \"corner_secret\" \"a\" {\n  user = \"ada\"\n  password_wo = \"x\"\n}";
    let error =
        "password_wo needs a newer Terraform.*Use Terraform 1.11 / OpenTofu 1.11 or later.*`password_ref`";
    let report = case(&cli, &store)
        .env("CORNER_PASSWORD", FIRST)
        .covers(
            "ValidateResourceConfig",
            "write-only attributes on old command lines name version and way out",
        )
        .step(Step::plan_only(hcl).expect_error(error))
        .step(Step::apply(by_reference("env:CORNER_PASSWORD")).state(value(AT, "length", FIRST.len())))
        .run();
    report.unwrap_or_else(|failure| panic!("{failure}"));
}
