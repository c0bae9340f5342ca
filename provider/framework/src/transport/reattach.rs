//! Serving without a host that starts us: the provider runs first (under a debugger, or inside a test), and
//! `TF_REATTACH_PROVIDERS` tells the CLI where it is.
//!
//! There is no encryption in this mode, as in go-plugin; the socket's permissions protect it. The CLI neither starts
//! nor stops the provider, which therefore serves any number of runs.

use super::host::{Address, Host, PROTOCOL};
use super::listen::Listener;
use super::server::Server;
use super::services::Services;
use super::{ServeError, ServeOptions, runtime};
use crate::proto::tfplugin6::provider_server::Provider;
use std::io::Write as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A provider that waits for CLIs. Dropping it stops the provider.
#[derive(Debug)]
pub struct Reattach {
    provider: String,
    at: Address,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

/// Serves `provider` on the current tokio runtime and returns at once.
///
/// # Errors
///
/// When no socket can be opened.
pub async fn serve_reattach<P: Provider>(provider: P, options: ServeOptions) -> Result<Reattach, ServeError> {
    // Our own environment may be that of a plugin process, and its settings are not for this.
    let listener = Listener::bind(options.network, &Host::default())?;
    let at = listener.address()?;
    let stop = options.stop;
    let server = Server {
        listener,
        services: Services::new(provider, &stop),
        tls: None,
        stop: stop.clone(),
        grace: options.grace,
        connections: TaskTracker::new(),
    };
    let server = tokio::spawn(server.run());
    Ok(Reattach { provider: options.address, at, stop, server })
}

impl Reattach {
    /// The value for `TF_REATTACH_PROVIDERS`.
    ///
    /// The key is the source address given to [`ServeOptions::new`]. OpenTofu's own registry has another host name:
    /// for a configuration that names none, give the address that the CLI in use completes it to.
    pub fn json(&self) -> String {
        self.json_for(&[&self.provider])
    }

    /// The same for other source addresses, all leading to this provider.
    pub fn json_for(&self, providers: &[&str]) -> String {
        let entry = serde_json::json!({
            "Protocol": "grpc",
            "ProtocolVersion": PROTOCOL,
            "Pid": std::process::id(),
            "Test": true,
            "Addr": { "Network": self.at.network, "String": self.at.address },
        });
        let entries = providers.iter().map(|provider| ((*provider).to_owned(), entry.clone()));
        serde_json::Value::Object(entries.collect()).to_string()
    }

    /// Where the socket is: a path, or an IP address with port.
    pub fn address(&self) -> &str {
        &self.at.address
    }

    /// Stops the provider; returns when its connections have ended and its socket is removed.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        // It fails only by a panic, which the panic hook has told.
        let _ = (&mut self.server).await;
    }

    /// Returns when the provider has stopped by itself: through its stop token, or a host's shutdown request.
    pub async fn stopped(&mut self) {
        let _ = (&mut self.server).await;
    }
}

impl Drop for Reattach {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// For `main` with a flag such as `--debug`: serves until Ctrl-C, after telling how to use it.
///
/// # Errors
///
/// When runtime or socket cannot be had, or standard output is closed.
pub fn debug_blocking<P: Provider>(
    provider: impl FnOnce() -> P,
    options: ServeOptions,
) -> Result<(), ServeError> {
    let runtime = runtime(options.workers)?;
    let result = runtime.block_on(async {
        let mut served = serve_reattach(provider(), options).await?;
        let json = served.json();
        writeln!(
            std::io::stdout(),
            "The provider is running, process {}. In the shell in which you use the CLI:\n\n  \
             export TF_REATTACH_PROVIDERS='{json}'\n\nCtrl-C ends the provider.",
            std::process::id()
        )
        .map_err(ServeError::Announce)?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => served.shutdown().await,
            () = served.stopped() => {}
        }
        Ok(())
    });
    runtime.shutdown_background();
    result
}
