//! The corner provider as a process. `terraform-provider-corner docs --out DIR [--check]` writes its pages.

use std::process::ExitCode;

use terraform_provider_corner::{ADDRESS, Corner};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("docs") {
        return tfplugin_docs::main::<Corner>(ADDRESS);
    }
    tfplugin_framework::serve::<Corner>(ADDRESS)
}
