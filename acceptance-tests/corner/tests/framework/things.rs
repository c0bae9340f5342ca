//! What is ordinary: create, change, replace, drift, import, refresh, destroy.

use tfplugin_testing::cli::{Action, Step, absent, action, drift, known, unknown, value};

use crate::support::{Store, case, on_all};

#[test]
fn a_thing_lives_its_life() {
    on_all(|cli| {
        let store = Store::new();
        case(cli, &store)
            .covers("PlanResourceChange", "create, update and destroy")
            .covers("ApplyResourceChange", "create, update and destroy")
            .covers("ReadResource", "drift found and repaired")
            .covers("ImportResourceState", "import by id")
            .step(
                Step::apply(r#"resource "corner_thing" "a" { name = "x" }"#)
                    .named("create")
                    .plan(action("corner_thing.a", Action::Create))
                    .plan(unknown("corner_thing.a", "id"))
                    .plan(known("corner_thing.a", "size", 1))
                    .state(value("corner_thing.a", "name", "x")),
            )
            .step(
                Step::apply(
                    "resource \"corner_thing\" \"a\" {\n  name = \"y\"\n  size = 3\n  labels = {}\n}",
                )
                .named("update")
                .plan(action("corner_thing.a", Action::Update))
                .state(value("corner_thing.a", "size", 3)),
            )
            .step(
                Step::reapply()
                    .named("drift")
                    .before(|cx| {
                        let state = cx.state()?;
                        let id = state.get("corner_thing.a", "id")?.as_str().unwrap_or_default().to_owned();
                        store.change("thing", &id, |object| object["size"] = 9.into());
                        Ok(())
                    })
                    .plan(drift("corner_thing.a", "size", 9))
                    .plan(action("corner_thing.a", Action::Update))
                    .state(value("corner_thing.a", "size", 3)),
            )
            .step(
                Step::reapply()
                    .named("gone")
                    .before(|cx| {
                        let state = cx.state()?;
                        let id = state.get("corner_thing.a", "id")?.as_str().unwrap_or_default().to_owned();
                        store.remove("thing", &id);
                        Ok(())
                    })
                    .plan(action("corner_thing.a", Action::Create)),
            )
            .step(Step::import("corner_thing.a", tfplugin_testing::cli::Id::attribute("id")).named("import"))
            .step(Step::destroy().state(absent("corner_thing.a")))
            .check_destroyed(|_| store.nothing_left("thing"))
            .run()
    });
}
