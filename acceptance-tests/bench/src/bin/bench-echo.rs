//! The provider that hands everything back undecoded.

use std::process::ExitCode;

use tfplugin_bench::providers::{ADDRESS, echo::Echo};
use tfplugin_framework::log;
use tfplugin_framework::transport::{ServeOptions, serve_blocking};

fn main() -> ExitCode {
    log::init("bench");
    match serve_blocking(Echo::new, ServeOptions::new(ADDRESS)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
