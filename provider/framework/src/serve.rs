//! What a provider's `main` calls.

use std::process::ExitCode;

use crate::log;
use crate::provider::Provider;
use crate::service::Service;
use crate::transport::{ServeOptions, debug_blocking, serve_blocking};

/// Serves the provider of this source address to the host that started the process:
///
/// ```no_run
/// # use tfplugin_framework::{Parts, Provider, Request, Result, Schema, provider};
/// # /// The provider.
/// # #[derive(Clone, Schema)]
/// # struct Acme {}
/// # #[provider(name = "acme")]
/// # impl Provider for Acme {
/// #     type Config = Acme;
/// #     async fn configure(_: &Request, _: AcmeView) -> Result<Acme> { Ok(Acme {}) }
/// #     fn parts(parts: Parts<Acme>) -> Parts<Acme> { parts }
/// # }
/// fn main() -> std::process::ExitCode {
///     tfplugin_framework::serve::<Acme>("registry.terraform.io/acme/acme")
/// }
/// ```
///
/// With the argument `--debug` it serves without a host, for a debugger, and prints what to put into
/// `TF_REATTACH_PROVIDERS`.
pub fn serve<P: Provider>(address: &str) -> ExitCode {
    log::init(P::NAME);
    let debug = std::env::args().any(|argument| argument == "--debug");
    let service = || Service::of::<P>(address);
    let options = ServeOptions::new(address);
    let served = if debug { debug_blocking(service, options) } else { serve_blocking(service, options) };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
