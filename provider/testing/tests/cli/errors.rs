//! Errors and warnings: expected ones, missing ones, and where they are.

use tfplugin_testing::cli::{Case, Failure, Step, tainted, value};

use super::{ONE, each, each_fails};

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
