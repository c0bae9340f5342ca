//! The driver against the real command lines and `terraform_data`, the resource that is built into them.
//!
//! Each thing the driver promises is shown twice: a case that passes, and one that must fail and says why.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests stop a test too")]

use std::{
    cell::Cell,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;
use tfplugin_testing::{
    cli::{
        Action, Case, Cli, Context, Failure, Feature, Id, Interrupt, Outcome, Product, Report, Step, When,
        absent, action, differ, drift, empty, exists, kept_sensitive, known, moved, not_tainted, null,
        planned_output, reason, replaced_because_of, same, sensitive, tainted, unknown, value, with_each,
    },
    json::{contains, matches},
};

const ONE: &str = r#"
resource "terraform_data" "a" {
  input            = { size = 3, big = 1208925819614629174706176, name = "é" }
  triggers_replace = "one"
}
resource "terraform_data" "b" {
  input = terraform_data.a.id
}
output "size" { value = terraform_data.a.input.size }
"#;

/// With `terraform` and `tofu`, whichever is there.
fn each(test: impl Fn(&Cli) -> Result<Report, Failure>) -> Result<(), Failure> {
    with_each(&Cli::both()?, test)
}

/// The message of a case that must fail, with each.
fn each_fails(test: impl Fn(&Cli) -> Result<Report, Failure>, says: &[&str]) -> Result<(), Failure> {
    for cli in Cli::both()? {
        let failure = test(&cli).expect_err("the case should have failed").to_string();
        for text in says {
            assert!(failure.contains(text), "{cli}: {failure}\nlacks {text:?}");
        }
    }
    Ok(())
}

#[test]
fn a_resource_is_created_updated_replaced_and_destroyed() -> Result<(), Failure> {
    each(|cli| {
        let updated = ONE.replace("size = 3", "size = 4");
        let replaced = updated.replace("\"one\"", "\"two\"");
        let gone = Cell::new(false);
        let report = Case::new(cli)
            .step(
                Step::apply(ONE)
                    .named("create")
                    .plan(action("terraform_data.a", Action::Create))
                    .plan(unknown("terraform_data.a", "id"))
                    .plan(unknown("terraform_data.a", "output.size"))
                    .plan(known("terraform_data.a", "input.size", 3))
                    .plan(known(
                        "terraform_data.a",
                        "input.big",
                        json!(1_208_925_819_614_629_174_706_176_u128),
                    ))
                    .plan(unknown("terraform_data.b", "input"))
                    .plan(null("terraform_data.b", "triggers_replace"))
                    .state(value("terraform_data.a", "input.name", "é"))
                    .state(value("terraform_data.a", "id", matches("^[0-9a-f-]{36}$")))
                    .state(same("terraform_data.a", "id", "terraform_data.b", "output"))
                    .state(differ("terraform_data.a", "id", "terraform_data.b", "id"))
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
                    .plan(planned_output("size", 4)),
            )
            .step(
                Step::apply(replaced)
                    .plan(action("terraform_data.a", Action::DeleteThenCreate))
                    .plan(replaced_because_of("terraform_data.a", "triggers_replace")),
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

#[test]
fn errors_are_compared_without_boxes_and_line_breaks() -> Result<(), Failure> {
    const REFUSED: &str = r#"
variable "size" {
  type    = number
  default = 9
  validation {
    condition     = var.size < 5
    error_message = "The size of a thing on the satellite must be smaller than five, because the transponder has no more room than that."
  }
}
resource "terraform_data" "a" { input = var.size }
"#;
    let long = "must be smaller than five, because the transponder has no more room than that";
    each(|cli| {
        Case::new(cli)
            .step(
                Step::plan_only(REFUSED)
                    .expect_plan_error(long)
                    .expect_error("^Invalid value for variable on main.tf"),
            )
            .step(Step::apply(REFUSED).var("size", "3").state(value("terraform_data.a", "input", 3)))
            .run()
    })?;
    each_fails(
        |cli| Case::new(cli).step(Step::apply(REFUSED).expect_error("bigger than five")).run(),
        &[
            "expected an error that matches `bigger than five`, got\n  Invalid value for variable on main.tf line 2: 2: variable \"size\" { var.size is 9",
        ],
    )?;
    each_fails(
        |cli| Case::new(cli).step(Step::apply(REFUSED).expect_apply_error(long)).run(),
        &["expected an error while applying"],
    )?;
    each_fails(
        |cli| Case::new(cli).step(Step::apply(ONE).expect_error("anything")).run(),
        &["expected an error that matches `anything`, but the step succeeded"],
    )?;
    each_fails(
        |cli| Case::new(cli).step(Step::apply(REFUSED)).run(),
        &["the command failed", "exit status 1", "must be smaller than five, because the\n"],
    )
}

#[test]
fn an_error_during_apply_leaves_a_state_that_can_be_checked() -> Result<(), Failure> {
    const FAILS: &str = r#"
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "exit 7" }
}
"#;
    each(|cli| {
        Case::new(cli)
            .step(Step::apply(FAILS).expect_apply_error("exit status 7").state(tainted("terraform_data.a")))
            .run()
    })
}

#[test]
fn warnings_are_expected_or_excluded() -> Result<(), Failure> {
    const WARNS: &str = r#"
check "room" {
  assert {
    condition     = 1 + length(terraform_data.a.input) > 5
    error_message = "There is little room left."
  }
}
resource "terraform_data" "a" { input = "x" }
"#;
    each(|cli| {
        Case::new(cli)
            .step(
                Step::apply(WARNS)
                    .expect_warning("Check block assertion failed .* There is little room left"),
            )
            .step(Step::apply(ONE).expect_no_warnings())
            .run()
    })?;
    each_fails(
        |cli| Case::new(cli).step(Step::apply(WARNS).expect_no_warnings()).run(),
        &["expected no warning, got\n  Check block assertion failed"],
    )?;
    each_fails(
        |cli| Case::new(cli).step(Step::apply(ONE).expect_warning("room")).run(),
        &["expected a warning that matches `room`, got"],
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

/// Creates a file, then takes a long time.
const SLOW: &str = r#"
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "touch started; sleep 60" }
}
"#;

#[test]
fn ctrl_c_reaches_a_running_apply() -> Result<(), Failure> {
    each(|cli| {
        let started = Instant::now();
        let report = Case::new(cli)
            .step(
                Step::apply(SLOW)
                    .interrupt(
                        Interrupt::when(When::FileExists("started".into()))
                            .exits_within(Duration::from_secs(20)),
                    )
                    .expect_apply_error("execution halted|local-exec provisioner error")
                    .printed(|text| match text.contains("Interrupt received") {
                        true => Ok(()),
                        false => Err("no word of the interrupt".into()),
                    })
                    .state(tainted("terraform_data.a")),
            )
            .step(
                Step::apply(SLOW.replace("touch started", "echo now"))
                    .interrupt(Interrupt::when(When::Printed(r"\(local-exec\): .*now".into())).only_cli())
                    .expect_error("execution halted|local-exec provisioner error"),
            )
            .run()?;
        assert!(started.elapsed() < Duration::from_secs(40), "{report:?}");
        Ok(report)
    })
}

#[test]
fn a_command_that_ends_before_its_interrupt_is_a_failure() -> Result<(), Failure> {
    each_fails(
        |cli| Case::new(cli).step(Step::apply(ONE).interrupt_when_file("never")).run(),
        &[
            "the command ended before it could be interrupted (FileExists(\"never\"))",
            "apply -input=false tfplan",
        ],
    )
}

#[test]
fn a_command_past_its_deadline_is_ended_with_all_its_children() -> Result<(), Failure> {
    // The child ignores the interrupt and writes a line every tenth of a second for as long as it lives.
    const STUBBORN: &str = r#"
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "trap '' INT; echo $$ > pid; while :; do sleep 0.1; done" }
}
"#;
    for cli in Cli::both()? {
        let started = Instant::now();
        let pid = Cell::new(String::new());
        let failure = Case::new(&cli)
            .step(Step::apply(ONE).before(|cx| {
                pid.set(cx.dir().join("pid").display().to_string());
                Ok(())
            }))
            .step(Step::apply(STUBBORN).timeout(Duration::from_secs(2)))
            .run()
            .unwrap_err();
        assert!(failure.message().contains("did not end within 2.0 s"), "{failure}");
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
        assert!(!alive(&pid.take()), "the child of {cli} still runs");
    }
    Ok(())
}

/// Whether any process still has the directory of this file as its working directory.
fn alive(pid_file: &str) -> bool {
    let dir = Path::new(pid_file).parent().unwrap();
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    let mut working_dirs =
        processes.flatten().filter_map(|entry| fs::read_link(entry.path().join("cwd")).ok());
    working_dirs.any(|cwd| cwd.to_string_lossy().starts_with(&*dir.to_string_lossy()))
}

#[test]
fn what_a_command_line_cannot_do_is_skipped_with_the_reason() -> Result<(), Failure> {
    for cli in Cli::both()? {
        // No released command line of 2026 in this range has both.
        let impossible = match cli.product() {
            Product::OpenTofu => Feature::Actions,
            Product::Terraform => match Feature::Actions.missing_in(&cli) {
                Some(_) => Feature::Actions,
                None => continue,
            },
        };
        let report = Case::new(&cli).requires(impossible).step(Step::apply("not even HCL")).run()?;
        let Outcome::Skipped(reason) = report.outcome else { panic!("not skipped") };
        assert!(reason.starts_with(&format!("{cli} has no actions")), "{reason}");

        let report = Case::new(&cli)
            .step(Step::apply("not even HCL").requires(impossible))
            .step(Step::apply(ONE))
            .run()?;
        assert_eq!(report.outcome, Outcome::Passed);
        assert!(matches!(report.steps[0].outcome, Outcome::Skipped(_)));
        assert_eq!(report.steps[1].outcome, Outcome::Passed);
    }
    Ok(())
}

#[test]
fn planted_secrets_are_found_in_state_plan_and_output() -> Result<(), Failure> {
    const KEPT: &str = r#"
variable "password" { sensitive = true }
resource "terraform_data" "a" { input = var.password }
"#;
    const SHOWN: &str = r#"
variable "password" {}
resource "terraform_data" "a" {}
output "x" { value = var.password }
"#;
    const HASHED: &str = r#"
variable "password" { ephemeral = true }
resource "terraform_data" "a" { input = "nothing" }
"#;
    fn case(cli: &Cli) -> Case<'_> {
        Case::new(cli).var("password", "pl4nted \"secret\"").secrets_absent(&["pl4nted \"secret\""])
    }
    each(|cli| case(cli).requires(Feature::Ephemeral).step(Step::apply(HASHED)).run())?;
    each(|cli| {
        // A constant of the configuration is in the plan file's copy of it, which does not count.
        let unused = format!("{HASHED}\nlocals {{\n  unused = \"pl4nted \\\"secret\\\"\"\n}}\n");
        case(cli)
            .requires(Feature::Ephemeral)
            .step(Step::apply(unused).plan(action("terraform_data.a", Action::Create)))
            .run()
    })?;
    each_fails(
        |cli| case(cli).step(Step::apply(KEPT).plan(sensitive("terraform_data.a", "input"))).run(),
        &[
            "planted secrets were found",
            "work/terraform.tfstate: `pl4nted",
            "work/tfplan (tfplan)",
            "as a JSON string",
        ],
    )?;
    each_fails(
        |cli| case(cli).step(Step::plan_only(SHOWN)).run(),
        &["planted secrets were found", "-plan.stdout: `pl4nted"],
    )
}

#[test]
fn sensitive_values_are_seen_in_plan_and_state() -> Result<(), Failure> {
    const SENSITIVE: &str = "resource \"terraform_data\" \"a\" { input = sensitive(\"x\") }";
    each(|cli| {
        Case::new(cli)
            .step(
                Step::apply(SENSITIVE)
                    .plan(sensitive("terraform_data.a", "input"))
                    .state(kept_sensitive("terraform_data.a", "input")),
            )
            .run()
    })
}

#[test]
fn validation_errors_are_found_at_their_block_and_line() -> Result<(), Failure> {
    const WRONG: &str = r#"
resource "terraform_data" "a" {
  inptu = 3
}
"#;
    each(|cli| {
        Case::new(cli)
            .step(Step::validate(ONE).json(|json| match json["valid"] == true {
                true => Ok(()),
                false => Err("not valid".into()),
            }))
            .step(Step::validate(WRONG).expect_error_at(
                "terraform_data.a",
                "inptu = 3",
                "Did you mean \"input\"",
            ))
            .step(Step::validate(WRONG).expect_error("Unsupported argument"))
            .run()
    })?;
    each_fails(
        |cli| {
            Case::new(cli).step(Step::validate(WRONG).expect_error_at("terraform_data.b", "inptu", "")).run()
        },
        &["expected an error at terraform_data.b", "terraform_data.a: `inptu = 3`: Unsupported argument"],
    )?;
    each_fails(|cli| Case::new(cli).step(Step::validate(WRONG)).run(), &["the configuration is not valid"])?;
    each_fails(
        |cli| Case::new(cli).step(Step::validate(ONE).expect_error_at("terraform_data.a", "", "")).run(),
        &["expected an error at terraform_data.a"],
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
fn the_users_machine_does_not_reach_the_command_line() -> Result<(), Failure> {
    const ENV: &str = r#"
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "env > seen" }
}
"#;
    each(|cli| {
        Case::new(cli)
            .env("GIVEN", "yes")
            .inherit_env("CARGO_PKG_NAME")
            .step(Step::apply(ENV).env("OF_STEP", "too").after(|cx| {
                let seen = fs::read_to_string(cx.dir().join("seen"))?;
                let has = |line: &str| seen.lines().any(|other| other == line);
                assert!(has("GIVEN=yes") && has("OF_STEP=too") && has("CHECKPOINT_DISABLE=1"), "{seen}");
                assert!(has("CARGO_PKG_NAME=tfplugin-testing"), "{seen}");
                assert!(!seen.contains("CARGO_MANIFEST_DIR"), "{seen}");
                let home = seen.lines().find_map(|line| line.strip_prefix("HOME=")).unwrap_or_default();
                assert_ne!(Some(home.into()), std::env::var_os("HOME"));
                Ok(())
            }))
            .run()
    })
}

#[test]
fn a_provider_that_nobody_gave_fails_at_once_without_a_registry() -> Result<(), Failure> {
    each(|cli| {
        let started = Instant::now();
        let config = "resource \"null_resource\" \"a\" {}";
        let report = Case::new(cli)
            .timeout(Duration::from_secs(20))
            .step(Step::plan_only(config).expect_error("(?i)hashicorp/null"))
            .step(Step::command(["init"]).expect_error("hashicorp/null was not found"))
            .run()?;
        assert!(started.elapsed() < Duration::from_secs(15));
        Ok(report)
    })
}

#[test]
fn a_log_is_captured_for_each_step() -> Result<(), Failure> {
    each(|cli| {
        Case::new(cli)
            .log_level("TRACE")
            .secrets_absent(&["pl4nted"])
            .step(Step::apply(ONE).after(|cx| {
                assert!(cx.log()?.contains("[TRACE]"));
                Ok(())
            }))
            .step(Step::command(["version"]).after(|cx| {
                let log = cx.log()?;
                assert!(!log.is_empty() && !log.contains("CLI command args: []string{\"plan\""), "{log}");
                Ok(())
            }))
            .run()
    })
}

#[test]
fn a_command_line_that_is_missing_is_skipped_aloud() -> Result<(), Failure> {
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        return Ok(());
    }
    let cli = Cli::find(Product::OpenTofu, "TFPLUGIN_NO_SUCH", None)?;
    let report = Case::new(&cli).step(Step::apply(ONE)).run()?;
    assert!(matches!(report.outcome, Outcome::Skipped(reason) if reason.contains("TFPLUGIN_NO_SUCH")));
    Ok(())
}
