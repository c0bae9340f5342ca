//! Serves a provider to Terraform and OpenTofu: go-plugin's handshake, its encrypted channel, its shutdown.
//!
//! [`serve_blocking`] is what a provider's `main` calls. [`serve_reattach`] serves without a host that starts and
//! stops us: for a debugger, and for tests.
//!
//! Standard output carries the handshake: a provider must print nothing to it. Standard error is for the log.

mod cached;
mod error;
mod host;
mod listen;
mod reattach;
mod server;
mod services;
mod signals;
mod tls;
#[cfg(unix)]
mod unix;

pub use error::ServeError;
pub use listen::Network;
pub use reattach::{Reattach, debug_blocking, serve_reattach};

use crate::proto::tfplugin6::provider_server::Provider;
use host::{Address, Host};
use listen::Listener;
use server::Server;
use services::Services;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How a provider is served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    address: String,
    network: Network,
    grace: Duration,
    workers: usize,
    stop: CancellationToken,
}

impl ServeOptions {
    /// For the provider of this source address, such as `registry.terraform.io/streamverse/corner`.
    pub fn new(address: impl Into<String>) -> ServeOptions {
        ServeOptions {
            address: address.into(),
            network: Network::Auto,
            // The host kills a plugin two seconds after it asked for shutdown.
            grace: Duration::from_secs(1),
            workers: 2,
            stop: CancellationToken::new(),
        }
    }

    /// The kind of socket. Default: [`Network::Auto`].
    #[must_use]
    pub fn network(mut self, network: Network) -> ServeOptions {
        self.network = network;
        self
    }

    /// How long requests that are under way may take once the provider is told to stop. Default: 1 s.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> ServeOptions {
        self.grace = grace;
        self
    }

    /// How many threads [`serve_blocking`] and [`debug_blocking`] run requests on. Default: 2, so that a request that
    /// blocks its thread does not block the shutdown. With 0 everything runs on the thread of `main`.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> ServeOptions {
        self.workers = workers;
        self
    }

    /// A token that is cancelled when the provider begins to stop; whoever cancels it stops the provider.
    #[must_use]
    pub fn stop_token(mut self, stop: CancellationToken) -> ServeOptions {
        self.stop = stop;
        self
    }
}

/// Serves `provider` to the host that started this process, until the host asks for shutdown.
///
/// Made for a process of its own: it reads the environment, writes the handshake to standard output and takes
/// over the interrupt and terminate signals. A panic in the provider becomes the status `Internal`.
///
/// # Errors
///
/// When the process was not started by a host, or by one that speaks no protocol 6; when socket, certificate or
/// handshake fail. [`ServeError::report`] tells the person and gives the exit code.
pub async fn serve<P: Provider>(provider: P, options: ServeOptions) -> Result<(), ServeError> {
    let host = Host::from_environment();
    check(&host, &options.address)?;
    signals::ignore_interrupts()?;
    let connections = TaskTracker::new();
    signals::stop_when_told(&options.stop, &connections)?;

    let listener = Listener::bind(options.network, &host)?;
    let identity = host.client_certificate.as_deref().map(tls::identity).transpose()?;
    let certificate = identity.as_ref().map(|identity| identity.certificate.as_ref());
    host::announce(&mut std::io::stdout().lock(), &listener.address()?, certificate)
        .map_err(ServeError::Announce)?;

    let services = Services::new(provider, &options.stop);
    let tls = identity.map(|identity| TlsAcceptor::from(identity.config));
    let server = Server { listener, services, tls, stop: options.stop, grace: options.grace, connections };
    server.run().await;
    Ok(())
}

/// [`serve`] with a runtime of its own, for `main`. `provider` is made inside the runtime, and only when a host
/// waits for it: it runs several times per command of the CLI, so it should be quick.
///
/// # Errors
///
/// As [`serve`].
pub fn serve_blocking<P: Provider>(
    provider: impl FnOnce() -> P,
    options: ServeOptions,
) -> Result<(), ServeError> {
    // A person at the keyboard gets the answer before anything is set up.
    check(&Host::from_environment(), &options.address)?;
    let runtime = runtime(options.workers)?;
    let result = runtime.block_on(async { serve(provider(), options).await });
    // A blocking call that a request left behind must not hold the process.
    runtime.shutdown_background();
    result
}

fn runtime(workers: usize) -> Result<tokio::runtime::Runtime, ServeError> {
    use tokio::runtime::Builder;
    let mut builder = match workers {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if workers > 0 {
        builder.worker_threads(workers);
    }
    builder.enable_all().build().map_err(ServeError::Runtime)
}

fn check(host: &Host, address: &str) -> Result<(), ServeError> {
    host.check_cookie(address)?;
    host.check_version().inspect_err(|_| {
        // The host compares the versions itself and tells its user, but only if it gets a line. It never looks at
        // the address, so there is none.
        let nowhere = Address { network: "unix", address: String::new() };
        let _ = host::announce(&mut std::io::stdout().lock(), &nowhere, None);
    })
}
