//! Create, plan, update, replace, drift, modules, and the last destroy.

use std::{cell::Cell, fs};

use serde_json::json;
use tfplugin_testing::{
    cli::{
        Action, Case, Cli, Context, Failure, Feature, Step, Tracked, absent, action, differ, drift, empty,
        known, moved, not_tainted, null, planned_output, reason, replaced_because_of, same, tainted, unknown,
        value,
    },
    json::{contains, matches},
};

use super::{ONE, each, each_fails};

#[test]
fn a_resource_is_created_updated_replaced_and_destroyed() -> Result<(), Failure> {
    each(|cli| {
        let updated = ONE.replace("size = 3", "size = 4");
        let replaced = updated.replace("\"one\"", "\"two\"");
        let gone = Cell::new(false);
        let id = Tracked::new("terraform_data.a", "id");
        let report = Case::new(cli)
            .step(
                Step::apply(ONE)
                    .named("create")
                    .plan(action("terraform_data.a", Action::Create))
                    .plan(unknown("terraform_data.a", "id"))
                    .plan(unknown("terraform_data.a", "output.size"))
                    .plan(known("terraform_data.a", "input.size", 3))
                    .plan(unknown("terraform_data.b", "input"))
                    .plan(null("terraform_data.b", "triggers_replace"))
                    .state(value("terraform_data.a", "input.name", "é"))
                    .state(value("terraform_data.a", "id", matches("^[0-9a-f-]{36}$")))
                    .state(same("terraform_data.a", "id", "terraform_data.b", "output"))
                    .state(differ("terraform_data.a", "id", "terraform_data.b", "id"))
                    .state(id.noted())
                    .output("size", 3)
                    .printed(|text| match text.contains("Apply complete! Resources: 2 added") {
                        true => Ok(()),
                        false => Err("no summary".into()),
                    }),
            )
            .step(Step::replan().plan(empty()))
            .step(
                Step::apply(updated)
                    .plan(action("terraform_data.a", Action::Update))
                    .plan(action("terraform_data.b", Action::NoOp))
                    .plan(known("terraform_data.a", "id", matches("^[0-9a-f-]{36}$")))
                    .plan(planned_output("size", 4))
                    .state(id.unchanged()),
            )
            .step(
                Step::apply(replaced)
                    .plan(action("terraform_data.a", Action::DeleteThenCreate))
                    .plan(replaced_because_of("terraform_data.a", "triggers_replace"))
                    .state(id.changed()),
            )
            .check_destroyed(|before| {
                gone.set(true);
                match before.resource("terraform_data.a") {
                    Ok(_) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            })
            .run()?;
        assert!(gone.get());
        assert_eq!(report.steps.len(), 4);
        Ok(report)
    })
}

#[test]
fn replace_taint_destroy_and_other_commands_are_steps() -> Result<(), Failure> {
    each(|cli| {
        Case::new(cli)
            .step(Step::apply(ONE))
            .step(
                Step::replace("terraform_data.b")
                    .plan(action("terraform_data.b", Action::Replace))
                    .plan(reason("terraform_data.b", "replace_by_request"))
                    .plan(action("terraform_data.a", Action::NoOp)),
            )
            .step(Step::taint("terraform_data.a").state(tainted("terraform_data.a")))
            .step(
                Step::reapply()
                    .plan(reason("terraform_data.a", "replace_because_tainted"))
                    .state(not_tainted("terraform_data.a")),
            )
            .step(Step::command(["state", "rm", "terraform_data.b"]).state(absent("terraform_data.b")))
            .step(
                Step::command(["state", "rm", "terraform_data.z"])
                    .expect_error("(?i)invalid target|no matching"),
            )
            .step(
                Step::destroy()
                    .plan(action("terraform_data.a", Action::Delete))
                    .state(absent("terraform_data.a")),
            )
            .run()
    })
}

#[test]
fn a_failed_check_prints_step_command_and_both_values() -> Result<(), Failure> {
    each_fails(
        |cli| {
            Case::new(cli)
                .named("a case")
                .step(
                    Step::apply(ONE)
                        .named("create")
                        .plan(known("terraform_data.a", "input.size", 5))
                        .plan(action("terraform_data.b", Action::Update)),
                )
                .run()
        },
        &[
            "terraform_data.a `input.size`: expected 5, got 3",
            "terraform_data.b: expected update in place, planned is create",
            "case: a case",
            "step: 1: create",
            " plan -input=false -out=tfplan (exit status 0",
            "will be created",
        ],
    )
}

#[test]
fn what_a_failed_case_created_is_destroyed() -> Result<(), Failure> {
    for cli in Cli::both()? {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let config = format!(
            "resource \"terraform_data\" \"a\" {{\n provisioner \"local-exec\" {{\n when = destroy\n command = \"touch {}\"\n }}\n}}",
            gone.display()
        );
        let failure = Case::new(&cli)
            .step(Step::apply(config).state(absent("terraform_data.a")))
            .step(Step::apply("a syntax error {"))
            .run()
            .unwrap_err();
        assert!(failure.message().contains("expected no terraform_data.a"), "{failure}");
        assert!(gone.exists(), "the destroy provisioner did not run");
    }
    Ok(())
}

#[test]
fn a_broken_last_configuration_does_not_keep_the_last_destroy_from_running() -> Result<(), Failure> {
    each(|cli| {
        Case::new(cli)
            .step(Step::apply(ONE))
            .step(Step::plan_only("resource \"terraform_data\" {").expect_error("Missing name for resource"))
            .run()
    })
}

#[test]
fn something_left_after_the_last_destroy_is_a_failure() -> Result<(), Failure> {
    each_fails(
        |cli| Case::new(cli).step(Step::apply(ONE)).check_destroyed(|_| Err("one bucket".into())).run(),
        &["something is left: one bucket", "step: the last destroy"],
    )
}

#[test]
fn a_second_plan_that_is_not_empty_fails_unless_it_is_expected() -> Result<(), Failure> {
    const RESTLESS: &str = "resource \"terraform_data\" \"a\" { input = timestamp() }";
    each(|cli| Case::new(cli).step(Step::apply(RESTLESS).expect_non_empty_plan("a clock")).run())?;
    each_fails(
        |cli| Case::new(cli).step(Step::apply(RESTLESS)).run(),
        &[
            "after apply, the second plan: expected an empty plan",
            "terraform_data.a: update in place (input: ",
        ],
    )?;
    each_fails(
        |cli| Case::new(cli).step(Step::apply(ONE).expect_non_empty_plan("a clock")).run(),
        &["is empty, though it was expected not to be (a clock)"],
    )
}

/// Changes the state file, as if the object had changed: `terraform_data` reads what its state says.
fn tamper(cx: &Context<'_>, from: &str, to: &str) -> std::io::Result<()> {
    let path = cx.dir().join("terraform.tfstate");
    let text = fs::read_to_string(&path)?;
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to))
}

#[test]
fn hooks_see_the_working_directory_and_a_drift_is_repaired() -> Result<(), Failure> {
    const SMALL: &str = "resource \"terraform_data\" \"a\" { input = \"wanted\" }";
    each(|cli| {
        let seen = Cell::new(false);
        Case::new(cli)
            .step(Step::apply(SMALL))
            .step(
                Step::reapply()
                    .named("repair")
                    .before(|cx| Ok(tamper(cx, "\"wanted\"", "\"drifted\"")?))
                    .plan(action("terraform_data.a", Action::Update))
                    .plan(known("terraform_data.a", "input", "wanted"))
                    .after(|cx| {
                        assert_eq!(cx.state()?.values("terraform_data.a")?["input"], "wanted");
                        assert!(cx.plan().is_some_and(|plan| !plan.pending().is_empty()));
                        assert!(cx.run(["version"])?.success());
                        assert_eq!(cx.outputs().len(), 2, "plan and apply");
                        seen.set(true);
                        Ok(())
                    }),
            )
            .step(Step::refresh().plan(empty()))
            .run()
            .inspect(|_| assert!(seen.get()))
    })?;
    each_fails(
        |cli| Case::new(cli).step(Step::apply(SMALL).before(|_| Err("no such machine".into()))).run(),
        &["the hook before failed: no such machine"],
    )?;
    each_fails(
        |cli| Case::new(cli).step(Step::apply(SMALL).plan(drift("terraform_data.a", "input", "x"))).run(),
        &["terraform_data.a: expected drift, found is []"],
    )
}

#[test]
fn schemas_modules_moves_and_files_work_without_init() -> Result<(), Failure> {
    const CALLS: &str =
        "module \"m\" {\n  source = \"./modules/m\"\n}\noutput \"id\" { value = module.m.id }";
    const MODULE: &str =
        "resource \"terraform_data\" \"a\" { input = \"x\" }\noutput \"id\" { value = terraform_data.a.id }";
    each(|cli| {
        Case::new(cli)
            .step(Step::schemas(ONE).json(|json| match json.get("provider_schemas") {
                Some(schemas) if schemas.get("terraform.io/builtin/terraform").is_some() => Ok(()),
                _ => Err("no schema of the built-in provider".into()),
            }))
            .step(
                Step::apply(CALLS)
                    .file("modules/m/main.tf", MODULE)
                    .state(value("module.m.terraform_data.a", "input", "x"))
                    .output("id", contains("-")),
            )
            .step(
                Step::apply(format!("{CALLS}\nmoved {{\n  from = module.m.terraform_data.a\n  to = module.m.terraform_data.b\n}}"))
                    .file("modules/m/main.tf", MODULE.replace("terraform_data\" \"a\"", "terraform_data\" \"b\"").replace("data.a", "data.b"))
                    .plan(moved("module.m.terraform_data.a", "module.m.terraform_data.b")),
            )
            .run()
    })
}

#[test]
fn a_number_beyond_64_bits_is_compared_without_rounding() -> Result<(), Failure> {
    const BIG: &str = "resource \"terraform_data\" \"a\" { input = 1208925819614629174706176 }";
    let two_to_the_80 = || json!(1_208_925_819_614_629_174_706_176_u128);
    each(|cli| {
        Case::new(cli)
            .requires(Feature::BigIntegers)
            .step(Step::apply(BIG).plan(known("terraform_data.a", "input", two_to_the_80())).state(value(
                "terraform_data.a",
                "output",
                two_to_the_80(),
            )))
            .run()
    })?;
    let rounded = || json!(1_208_925_819_614_629_200_000_000_u128);
    each_fails(
        |cli| {
            Case::new(cli)
                .step(Step::plan_only(BIG).plan(known("terraform_data.a", "input", rounded().to_string())))
                .run()
        },
        &["terraform_data.a `input`: expected \"1208925819614629200000000\", got 1208925819614629"],
    )
}

#[test]
fn the_files_of_a_folder_are_applied_as_they_are() -> Result<(), Failure> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("resource.tf", "module \"m\" {\n  source = \"./inner\"\n}");
    write("inner/main.tf", "resource \"terraform_data\" \"a\" { input = file(\"${path.module}/text\") }");
    write("inner/text", "from a file");
    write("terraform.tfstate", "an old state that must not be taken over");
    write(".terraform/junk", "\0");
    each(|cli| {
        Case::new(cli)
            .step(Step::apply_folder(folder.path()).state(value(
                "module.m.terraform_data.a",
                "input",
                "from a file",
            )))
            .run()
    })?;
    each_fails(
        |cli| Case::new(cli).step(Step::apply_folder(folder.path().join(".terraform/none"))).run(),
        &["cannot list", ".terraform/none"],
    )
}
