//! The corner provider as a process. `terraform-provider-corner docs --out DIR [--check]` writes its pages.

use std::process::ExitCode;

use terraform_provider_corner::{ADDRESS, Corner};

fn main() -> ExitCode {
    tfplugin_framework::serve::<Corner>(ADDRESS)
}
