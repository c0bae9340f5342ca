//! Functions: variadic, dynamic, with null and unknown arguments, and errors at an argument.

use serde_json::json;
use tfplugin_testing::cli::{Cli, Feature, Step, planned_output, value};

use crate::support::{Store, case, on_both};

#[test]
fn functions_take_any_number_of_arguments_of_any_type() {
    on_both(|cli| {
        let store = Store::new();
        let hcl = r#"
            output "none"   { value = provider::corner::join("-") }
            output "one"    { value = provider::corner::join("-", "a") }
            output "many"   { value = provider::corner::join("-", "a", "b", "c", "d") }
            output "tuple"  { value = provider::corner::kind([1, "a", true]) }
            output "object" { value = provider::corner::kind({ a = 1 }) }
            output "number" { value = provider::corner::kind(3.1) }
            output "third"  { value = provider::corner::same(3.1) == 3.1 }
            output "big"    { value = provider::corner::same(1208925819614629174706176) == 1208925819614629174706176 }
            output "inside" { value = provider::corner::same({ a = null, b = [1, null] }) }
            output "null"   { value = provider::corner::or(null, "other") }
            output "given"  { value = provider::corner::or("given", "other") }
            output "share"  { value = provider::corner::percent(1, 8) }"#;
        case(cli, &store)
            .requires(Feature::Functions)
            .covers("CallFunction", "variadic arguments: none, one, many")
            .covers("CallFunction", "dynamic arguments and results")
            .covers("CallFunction", "null arguments")
            .covers("CallFunction", "decimals and 2^80 survive")
            .step(
                Step::apply(hcl)
                    .output("none", "")
                    .output("one", "a")
                    .output("many", "a-b-c-d")
                    .output("tuple", "tuple([number, string, bool])")
                    .output("object", "object({ a = number })")
                    .output("number", "number")
                    .output("third", true)
                    .output("big", true)
                    .output("inside", json!({ "a": null, "b": [1, null] }))
                    .output("null", "other")
                    .output("given", "given")
                    .output("share", json!(12.5)),
            )
            .run()
    });
}

#[test]
fn a_function_meets_what_is_not_known_yet() {
    on_both(|cli| {
        let store = Store::new();
        let hcl = r#"
            resource "corner_thing" "a" { name = "x" }
            output "known"  { value = provider::corner::known(corner_thing.a.id) }
            output "null"   { value = provider::corner::known(null) }
            output "joined" { value = provider::corner::join("-", "a", corner_thing.a.id) == "a-${corner_thing.a.id}" }"#;
        case(cli, &store)
            .requires(Feature::Functions)
            .covers("CallFunction", "unknown arguments")
            .step(
                Step::apply(hcl)
                    .expect_non_empty_plan("an output follows the function, which knows more after apply")
                    .plan(planned_output("known", false))
                    .plan(planned_output("null", true))
                    .output("joined", true)
                    .state(value("corner_thing.a", "name", "x")),
            )
            .step(Step::reapply().output("known", true))
            .run()
    });
}

#[test]
fn an_error_points_at_the_argument() {
    on_both(|cli| {
        let store = Store::new();
        let calls =
            |call: &str| Step::plan_only(format!("output \"o\" {{ value = provider::corner::{call} }}"));
        case(cli, &store)
            .requires(Feature::Functions)
            .covers("CallFunction", "an error points at its argument")
            .covers("CallFunction", "a panic becomes an error")
            .covers("CallFunction", "arguments of another type are refused")
            .step(
                calls("percent(1, 0)")
                    .named("argument")
                    .expect_plan_error("Invalid value for \"whole\" parameter: The whole must not be zero"),
            )
            .step(
                calls("panics()")
                    .named("panic")
                    .expect_plan_error("The function panics panicked: told to panic.*bug in the provider"),
            )
            .step(
                calls("percent(\"much\", 1)")
                    .named("another type")
                    .expect_plan_error("Invalid value for \"part\" parameter.*number"),
            )
            .step(calls("join()").named("too few").expect_plan_error("Not enough function arguments"))
            .run()
    });
}

#[test]
fn a_command_line_without_functions_loads_the_provider_that_has_some() {
    let cli = Cli::terraform_1_5().expect("its path is right, if there is one");
    let store = Store::new();
    let report = case(&cli, &store)
        .covers("GetProviderSchema", "what a command line does not know does not disturb it")
        .step(Step::apply(r#"resource "corner_thing" "a" { name = "x" }"#).expect_no_warnings())
        .step(
            Step::plan_only(r#"output "o" { value = provider::corner::join("-") }"#)
                .expect_error("(?s)Extra characters|Invalid|Unsupported|not allowed|Missing"),
        )
        .run();
    report.unwrap_or_else(|failure| panic!("{failure}"));
}
