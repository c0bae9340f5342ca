//! The provider that is measured.

use std::process::ExitCode;

use tfplugin_bench::providers::{ADDRESS, Bench};

fn main() -> ExitCode {
    tfplugin_framework::serve::<Bench>(ADDRESS)
}
