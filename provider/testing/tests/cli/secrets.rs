//! Planted secrets, sensitive values and captured logs.

use tfplugin_testing::cli::{Action, Case, Cli, Failure, Feature, Step, action, kept_sensitive, sensitive};

use super::{ONE, each, each_fails};

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
