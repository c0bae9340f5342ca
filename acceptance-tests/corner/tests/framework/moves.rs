//! Objects that come from elsewhere: moved from another type or provider, imported by a block.

use serde_json::json;
use tfplugin_testing::cli::{Action, Feature, Id, Step, Tracked, action, moved, value};

use crate::support::{Store, case, on_both};

#[test]
fn an_object_moves_here_from_another_provider() {
    on_both(|cli| {
        let store = Store::new();
        let id = Tracked::new("terraform_data.old", "id");
        case(cli, &store)
            .requires(Feature::MoveBetweenTypes)
            .covers("MoveResourceState", "from another provider")
            .step(Step::apply(r#"resource "terraform_data" "old" {}"#).state(id.noted()))
            .step(
                Step::apply(
                    "resource \"corner_moved\" \"new\" {}\nmoved {\n  from = terraform_data.old\n  to = corner_moved.new\n}",
                )
                .before(|cx| {
                    // Where the object went, it is there.
                    let id = cx.state()?.get("terraform_data.old", "id")?.clone();
                    let id = id.as_str().unwrap_or_default();
                    store.put("moved", id);
                    store.change("moved", id, |object| *object = json!({ "id": id, "name": null }));
                    Ok(())
                })
                .plan(moved("terraform_data.old", "corner_moved.new"))
                .plan(action("corner_moved.new", Action::NoOp))
                .state(value("corner_moved.new", "name", json!(null))),
            )
            .check_destroyed(|_| store.nothing_left("moved"))
            .run()
    });
}

#[test]
fn what_cannot_be_moved_is_refused_with_both_types() {
    on_both(|cli| {
        let store = Store::new();
        case(cli, &store)
            .requires(Feature::MoveBetweenTypes)
            .covers("MoveResourceState", "from a type that is not taken")
            .covers("MoveResourceState", "to a type that takes none")
            .step(Step::apply(r#"resource "corner_number" "old" {}"#))
            .step(
                Step::plan_only(
                    "resource \"corner_moved\" \"new\" {}\nmoved {\n  from = corner_number.old\n  to = corner_moved.new\n}",
                )
                .expect_plan_error("corner_moved takes no objects from corner_number.*Remove the moved block and import"),
            )
            .step(
                Step::plan_only(
                    "resource \"corner_thing\" \"new\" { name = \"x\" }\nmoved {\n  from = corner_number.old\n  to = corner_thing.new\n}",
                )
                .expect_plan_error("corner_thing takes no objects from corner_number"),
            )
            .run()
    });
}

#[test]
fn import_blocks_import_and_generated_configurations_plan_nothing_more() {
    on_both(|cli| {
        let store = Store::new();
        let hcl = r#"
            resource "corner_thing" "a" {
              name   = "x"
              labels = { a = "b" }
            }
            resource "corner_nested" "n" {
              single = {
                name    = "s"
                by_name = { k = { text = "t" } }
              }
              list = [{ name = "one" }]
              map  = { two = { name = "2" } }
              deep = [[{ a = 1 }], []]
            }"#;
        let by_id = |address| Step::import(address, Id::attribute("id"));
        // Terraform 1.5 leaves out computed attributes of nested objects and then misses them: not there.
        case(cli, &store)
            .covers("ImportResourceState", "import block")
            .covers("ImportResourceState", "generated configuration")
            .step(Step::apply(hcl))
            .step(by_id("corner_thing.a").by_block().named("block"))
            .step(by_id("corner_thing.a").generating_config().named("thing"))
            .step(by_id("corner_nested.n").generating_config().named("nested"))
            .run()
    });
}

#[test]
fn an_import_of_nothing_or_of_what_cannot_be_imported_is_an_error() {
    on_both(|cli| {
        let store = Store::new();
        case(cli, &store)
            .covers("ImportResourceState", "an id of nothing is an error")
            .covers("ImportResourceState", "a type without import says so")
            .step(Step::apply("resource \"corner_thing\" \"a\" { name = \"x\" }\nresource \"corner_private\" \"p\" { name = \"x\" }"))
            .step(
                Step::import("corner_thing.a", "thing-0")
                    .expect_error("Cannot import corner_thing.*(?i:there) is no such object"),
            )
            .step(Step::import("corner_private.p", "any").expect_error("(?i)corner_private.*cannot be imported"))
            .run()
    });
}
