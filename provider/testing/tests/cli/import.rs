//! Import steps: by command, block and generated configuration.

use tfplugin_testing::{
    cli::{Action, Case, Failure, Id, Step, action, exists, known, value},
    json::matches,
};

use super::{each, each_fails};

#[test]
fn a_resource_is_imported_by_command_block_and_generated_configuration() -> Result<(), Failure> {
    const EMPTY: &str = "resource \"terraform_data\" \"a\" {}";
    each(|cli| {
        Case::new(cli)
            .step(Step::apply(EMPTY))
            .step(Step::import("terraform_data.a", Id::attribute("id")).then_plan_is_empty())
            .step(
                Step::import("terraform_data.a", Id::attribute("id"))
                    .by_block()
                    .state(exists("terraform_data.a"))
                    .plan(known("terraform_data.a", "id", matches("-"))),
            )
            .step(Step::import("terraform_data.a", Id::attribute("id")).generating_config())
            .step(Step::import("terraform_data.a", "other").ignoring(&["id"]))
            .step(Step::destroy())
            .step(Step::import("terraform_data.a", "kept").keep().config(EMPTY).state(value(
                "terraform_data.a",
                "id",
                "kept",
            )))
            .step(Step::replan().plan(action("terraform_data.a", Action::NoOp)))
            .run()
    })
}

#[test]
fn an_import_that_differs_fails_with_each_difference() -> Result<(), Failure> {
    each_fails(
        |cli| {
            let config = "resource \"terraform_data\" \"a\" { input = \"x\" }";
            Case::new(cli).step(Step::apply(config)).step(Step::import("terraform_data.a", "other")).run()
        },
        &[
            "step: 2: import terraform_data.a",
            "imported \"other\"",
            "input: current \"x\", imported null",
            "output:",
        ],
    )
}

#[test]
fn an_import_block_that_also_plans_an_update_fails() -> Result<(), Failure> {
    each_fails(
        |cli| {
            let config = "resource \"terraform_data\" \"a\" { input = \"x\" }";
            Case::new(cli)
                .step(Step::apply(config))
                .step(Step::import("terraform_data.a", Id::attribute("id")).by_block())
                .run()
        },
        &["expected a plan that only imports", "import and update in place", "input: null → \"x\""],
    )
}
