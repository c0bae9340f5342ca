//! Data sources: read while planning, or during apply where something is not known before.

use serde_json::json;
use tfplugin_testing::cli::{Feature, Step, value};

use crate::support::{Store, case, on_both};

const READ: &str = r#"
    resource "corner_thing" "a" {
      name = "x"
      size = 7
    }
    data "corner_thing" "d" {
      id       = corner_thing.a.id
      timeouts = { read = "10s" }
    }
    output "name" { value = data.corner_thing.d.name }
    output "size" { value = data.corner_thing.d.size }"#;

#[test]
fn a_data_source_waits_for_its_id_and_is_read_in_apply() {
    on_both(|cli| {
        let store = Store::new();
        case(cli, &store)
            .covers("ReadDataSource", "read in apply while its configuration is unknown")
            .covers("ReadDataSource", "read while planning")
            .covers("ReadDataSource", "timeouts")
            .step(
                Step::apply(READ)
                    .plan_fn(|plan| {
                        let action = plan.change("data.corner_thing.d")?["change"]["actions"].clone();
                        if action == json!(["read"]) { Ok(()) } else { Err(format!("{action}").into()) }
                    })
                    .output("name", "x")
                    .output("size", 7)
                    .state(value("data.corner_thing.d", "timeouts.read", "10s")),
            )
            .step(
                Step::reapply()
                    .named("the source sees what has changed")
                    .before(|cx| {
                        let id = cx.state()?.get("corner_thing.a", "id")?.clone();
                        store.change("thing", id.as_str().unwrap_or_default(), |it| it["size"] = 9.into());
                        Ok(())
                    })
                    .plan_fn(|plan| match plan.change("data.corner_thing.d") {
                        // The thing itself is about to change back.
                        Ok(change) if change["change"]["actions"] == json!(["read"]) => Ok(()),
                        Ok(change) => Err(format!("{change}").into()),
                        Err(_) => Ok(()),
                    })
                    .output("size", 7),
            )
            .run()
    });
}

#[test]
fn what_is_not_there_is_an_error_at_the_attribute() {
    on_both(|cli| {
        let store = Store::new();
        case(cli, &store)
            .covers("ReadDataSource", "an error at its attribute says what to do next")
            .covers("ValidateDataResourceConfig", "values are validated")
            .step(
                Step::plan_only("data \"corner_thing\" \"d\" {\n  id = \"thing-0\"\n}").expect_plan_error(
                    "on main.tf line 2, in data \"corner_thing\" \"d\": 2: id = \"thing-0\".*(?i:there) is no thing \"thing-0\".*Create it, or correct the id",
                ),
            )
            .step(
                Step::validate("data \"corner_thing\" \"d\" {\n  id = \"\"\n}")
                    .expect_error_at("data.corner_thing.d", "id = \"\"", "The id is empty"),
            )
            .step(
                Step::validate("data \"corner_thing\" \"d\" {\n  id = \"x\"\n  timeouts = { read = \"soon\" }\n}")
                    .expect_error_at("data.corner_thing.d", "", "`timeouts.read` must be a span of time"),
            )
            .run()
    });
}

#[test]
fn many_instances_of_a_data_source_are_read_at_once() {
    on_both(|cli| {
        let store = Store::new();
        let hcl = r#"
            resource "corner_thing" "a" {
              for_each = toset([for n in range(20) : tostring(n)])
              name     = each.key
            }
            data "corner_thing" "d" {
              for_each = corner_thing.a
              id       = each.value.id
            }
            output "names" { value = sort([for one in data.corner_thing.d : one.name])[0] }"#;
        case(cli, &store)
            .requires(Feature::ImportBlock)
            .covers("ReadDataSource", "many at once")
            .step(Step::apply(hcl).output("names", "0"))
            .run()
    });
}
