//! The provider of very many resource types.

use std::process::ExitCode;

use tfplugin_bench::providers::{ADDRESS, types::Types};

fn main() -> ExitCode {
    tfplugin_framework::serve::<Types>(ADDRESS)
}
