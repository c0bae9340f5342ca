//! The StreamVerse provider as a process. `terraform-provider-streamverse docs --out DIR [--check]` writes its pages.

use std::process::ExitCode;

use terraform_provider_streamverse::{ADDRESS, Streamverse};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("docs") {
        return tfplugin_docs::main::<Streamverse>(ADDRESS);
    }
    tfplugin_framework::serve::<Streamverse>(ADDRESS)
}
