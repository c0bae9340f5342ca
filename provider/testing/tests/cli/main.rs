//! The driver against the real command lines and `terraform_data`, the resource that is built into them.
//!
//! Each thing the driver promises is shown twice: a case that passes, and one that must fail and says why.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests stop a test too")]

mod errors;
mod import;
mod lifecycle;
mod process;
mod secrets;

use tfplugin_testing::cli::{Cli, Failure, Report, with_each};

const ONE: &str = r#"
resource "terraform_data" "a" {
  input            = { size = 3, name = "é" }
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
