//! Every shape that the protocol carries, there and back.

use serde_json::json;
use tfplugin_testing::cli::{Action, Feature, Id, Step, action, empty, known, unknown, value};

use crate::support::{Store, case, on_all, on_both};

#[test]
fn numbers_keep_every_digit() {
    on_all(|cli| {
        let store = Store::new();
        let hcl = r#"
            resource "corner_number" "n" {
              float    = 3.1
              single   = 0.1
              signed   = -7
              unsigned = 18446744073709551615
              ratios   = [0.1, 1e-7, 0.25]
            }
            resource "corner_number" "small" { exact = 0.1 }
            output "precise" { value = corner_number.small.exact == 0.1 && corner_number.n.float == 3.1 }"#;
        case(cli, &store)
            .covers("PlanResourceChange", "decimals and u64 survive")
            .covers("ApplyResourceChange", "decimals and u64 survive")
            .step(
                Step::apply(hcl)
                    .plan(known("corner_number.n", "share", json!(0.1)))
                    .state(value("corner_number.n", "float", json!(3.1)))
                    .output("precise", json!(true)),
            )
            .step(Step::import("corner_number.n", Id::attribute("id")))
            .run()
    });
}

#[test]
fn integers_beyond_64_bits_survive() {
    on_all(|cli| {
        let store = Store::new();
        let hcl = r#"
            resource "corner_number" "n" { exact = 1208925819614629174706176 }
            resource "corner_dynamic" "d" { value = [true, 1208925819614629174706176] }
            output "wide" { value = corner_number.n.exact == pow(2, 80) }"#;
        case(cli, &store)
            .requires(Feature::BigIntegers)
            .covers("ApplyResourceChange", "2^80 survives")
            .step(Step::apply(hcl).output("wide", json!(true)))
            .step(Step::import("corner_number.n", Id::attribute("id")))
            .run()
    });
}

#[test]
fn a_number_out_of_its_range_is_refused_at_the_attribute() {
    on_both(|cli| {
        let store = Store::new();
        case(cli, &store)
            .covers("ValidateResourceConfig", "a number that does not fit its type")
            .step(
                Step::plan_only(r#"resource "corner_number" "n" { unsigned = -1 }"#)
                    .expect_error("unsigned must be a whole number between 0 and 18446744073709551615"),
            )
            .step(
                Step::plan_only(r#"resource "corner_number" "n" { signed = 2000000000000 }"#)
                    .expect_error("must be at least -1000000000000 and at most 1000000000000"),
            )
            .run()
    });
}

#[test]
fn unknown_set_elements_stay_apart() {
    on_both(|cli| {
        let store = Store::new();
        let hcl = r#"
            resource "corner_thing" "a" { name = "a" }
            resource "corner_thing" "b" { name = "b" }
            resource "corner_set" "s" {
              names   = [corner_thing.a.id, corner_thing.b.id, "fixed"]
              ports   = [443, 80, 443]
              members = [{ name = "x" }, { name = corner_thing.a.id, weight = 2 }]
            }
            output "count" { value = length(corner_set.s.names) }"#;
        case(cli, &store)
            .covers("PlanResourceChange", "unknown set elements stay apart")
            .covers("ApplyResourceChange", "sets correlate")
            .step(Step::apply(hcl).output("count", json!(3)).plan(action("corner_set.s", Action::Create)))
            .step(
                Step::apply(hcl.replace("weight = 2", "weight = 3"))
                    .named("one element changes")
                    .plan(action("corner_set.s", Action::Update)),
            )
            .step(Step::import("corner_set.s", Id::attribute("id")))
            .run()
    });
}

#[test]
fn nested_attributes_work_at_every_depth() {
    on_all(|cli| {
        let store = Store::new();
        let hcl = |note: &str| {
            format!(
                r#"
            resource "corner_nested" "n" {{
              single = {{ name = "a", inner = {{ rest = [{{ value = "x" }}, {{}}] }}, by_name = {{ k = {{}} }} }}
              list   = [{{ name = "l1" }}, {{ name = "l2", note = "{note}" }}]
              map    = {{ k = {{ name = "m" }} }}
              deep   = [[{{ a = 1 }}, {{}}], []]
            }}"#
            )
        };
        case(cli, &store)
            .covers("PlanResourceChange", "defaults at depth")
            .covers("PlanResourceChange", "computed values inside nested attributes keep their prior value")
            .step(
                Step::apply(hcl("z"))
                    .plan(known("corner_nested.n", "single.inner.rest[1].enabled", true))
                    .plan(known("corner_nested.n", "single.inner.text", "unset"))
                    .plan(known("corner_nested.n", "list[0].note", "none"))
                    .plan(unknown("corner_nested.n", "list[1].id")),
            )
            .step(
                Step::apply(hcl("zz"))
                    .named("one element changes, no id does")
                    .plan(action("corner_nested.n", Action::Update))
                    .plan_fn(|plan| {
                        let change = plan.change("corner_nested.n")?;
                        let unknown = &change["change"]["after_unknown"];
                        if unknown["list"][1]["id"].as_bool() == Some(true) {
                            return Err(format!("an id became unknown: {unknown}").into());
                        }
                        Ok(())
                    }),
            )
            .step(Step::import("corner_nested.n", Id::attribute("id")))
            .run()
    });
}

#[test]
fn unions_hold_exactly_one() {
    on_both(|cli| {
        let store = Store::new();
        let with = |backend: &str| format!("resource \"corner_union\" \"u\" {{\n  backend = {backend}\n}}");
        case(cli, &store)
            .covers("ValidateResourceConfig", "a union has exactly one member")
            .covers("ApplyResourceChange", "unions and enums")
            .step(Step::plan_only(with("{}")).expect_error("(?i)one of"))
            .step(
                Step::plan_only(with(r#"{ memory = {}, file = { path = "/x" } }"#))
                    .expect_error("(?i)one of"),
            )
            .step(
                Step::apply(with(r#"{ remote = { address = "a:1" } }"#))
                    .plan(known("corner_union.u", "backend.remote.timeout", "5s"))
                    .plan(known("corner_union.u", "eviction", "least_recent")),
            )
            .step(Step::apply(with("{ memory = {} }")).plan(action("corner_union.u", Action::Update)))
            .step(
                Step::plan_only("resource \"corner_union\" \"u\" {\n  backend  = { memory = {} }\n  eviction = \"least_recnt\"\n}")
                    .expect_error("did you mean \"least_recent\""),
            )
            .run()
    });
}

#[test]
fn dynamic_attributes_keep_type_and_value() {
    on_all(|cli| {
        let store = Store::new();
        let with = |any: &str| format!("resource \"corner_dynamic\" \"d\" {{\n  value = {any}\n}}");
        case(cli, &store)
            .covers("ApplyResourceChange", "dynamic attributes")
            .step(Step::apply(with("{ a = [1, \"two\", null], b = 3.1 }")))
            .step(Step::apply(with("\"text\"")).plan(action("corner_dynamic.d", Action::Update)))
            .step(Step::apply(with("[true, 3.1]")))
            .step(Step::apply(with("null")))
            .run()
    });
}

#[test]
fn null_and_empty_stay_different() {
    on_all(|cli| {
        let store = Store::new();
        let empty_hcl = r#"
            resource "corner_empty" "e" {
              text    = ""
              list    = []
              map     = {}
              object  = {}
              objects = []
              gaps    = ["a", null]
            }"#;
        case(cli, &store)
            .covers("PlanResourceChange", "null and empty stay different")
            .step(
                Step::apply(empty_hcl)
                    .state(value("corner_empty.e", "text", ""))
                    .state(value("corner_empty.e", "list", json!([])))
                    .state(value("corner_empty.e", "object", json!({ "text": null }))),
            )
            .step(Step::import("corner_empty.e", Id::attribute("id")))
            .step(
                Step::apply("resource \"corner_empty\" \"e\" {}")
                    .plan(action("corner_empty.e", Action::Update))
                    .state(value("corner_empty.e", "list", json!(null)))
                    .state(value("corner_empty.e", "text", json!(null))),
            )
            .run()
    });
}

#[test]
fn another_spelling_is_no_change() {
    on_both(|cli| {
        let store = Store::new();
        let spelled = |json: &str, duration: &str, cidr: &str, time: &str| {
            format!(
                r#"
            resource "corner_spelling" "s" {{
              json     = "{json}"
              duration = "{duration}"
              size     = "64MiB"
              cidr     = "{cidr}"
              address  = "2001:db8::1"
              time     = "{time}"
              ranges   = ["10.0.0.0/8", "{cidr}"]
              inner    = {{ json = "{json}" }}
            }}"#
            )
        };
        let first = spelled(r#"{\"b\": 1, \"a\": [2]}"#, "90s", "2001:db8::/32", "2026-11-22T18:00:00Z");
        let second =
            spelled(r#"{\"a\":[2],\"b\":1.0}"#, "1m30s", "2001:0db8::/32", "2026-11-22T19:00:00+01:00");
        case(cli, &store)
            .covers("PlanResourceChange", "another spelling is no change")
            .covers("ReadResource", "the prior spelling is kept")
            .covers("ApplyResourceChange", "the planned spelling is kept")
            .step(Step::apply(first).state(value("corner_spelling.s", "duration", "90s")))
            .step(Step::plan_only(second.replace("1.0", "1")).plan(empty()))
            .step(
                Step::plan_only("resource \"corner_spelling\" \"s\" {\n  cidr = \"10.1.2.3/8\"\n}")
                    .expect_error("its bits beyond /8 must be zero"),
            )
            .run()
    });
}

#[test]
fn ten_megabytes_make_the_round_trip() {
    on_both(|cli| {
        let store = Store::new();
        let hcl = r#"
            resource "corner_big" "b" {
              text = join("", [for i in range(1000) : format("%010000d", i)])
              list = flatten([for i in range(2) : [for j in range(1000) : { name = "n${i}-${j}", number = j }]])
              map  = { for i in range(1000) : "k${i}" => { name = "n${i}", number = i } }
              set  = [for i in range(100) : { name = "n${i}", number = i }]
            }
            output "length" { value = length(corner_big.b.text) }
            output "count" { value = length(corner_big.b.list) + length(corner_big.b.map) + length(corner_big.b.set) }"#;
        case(cli, &store)
            .covers("ApplyResourceChange", "a value of 10 MB")
            .step(Step::apply(hcl).output("length", json!(10_000_000)).output("count", json!(3100)))
            .run()
    });
}

#[test]
fn blocks_nest_in_blocks() {
    on_all(|cli| {
        let store = Store::new();
        let hcl = r#"
            resource "corner_blocks" "b" {
              single {}
              listener {
                port = 80
                route { prefix = "/a" }
                route { prefix = "/b" }
              }
              listener { port = 81 }
            }"#;
        case(cli, &store)
            .covers("PlanResourceChange", "nested blocks")
            .step(
                Step::apply(hcl).plan(known("corner_blocks.b", "listener[1].protocol", "http")).state(value(
                    "corner_blocks.b",
                    "listener[0].route[1].prefix",
                    "/b",
                )),
            )
            .step(
                Step::apply(r#"resource "corner_blocks" "b" {}"#)
                    .plan(action("corner_blocks.b", Action::Update)),
            )
            .run()
    });
}
