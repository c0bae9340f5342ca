//! Accepts connections, and ends them: promptly when told to, never in the middle of an answer if that can be had
//! within the grace period.

use super::listen::{Listener, Stream};
use super::services::Services;
use crate::proto::tfplugin6::provider_server::Provider;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// A local peer answers at once; one that does not must not hold a task for ever.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// Between failures to accept, such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Room for a large state in flight, so that the sender need not wait for window updates.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// `-parallelism` is the user's to choose; the host is trusted.
const CONCURRENT_REQUESTS: u32 = 100_000;

/// Ctrl-C cancels all requests at once, which must not be taken for an attack.
const CANCELLED_REQUESTS: usize = 100_000;

pub(super) struct Server<P> {
    pub(super) listener: Listener,
    pub(super) services: Services<P>,
    /// Absent where the host asked for none.
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) stop: CancellationToken,
    /// How long requests that are under way may take after the stop.
    pub(super) grace: Duration,
    /// Counts open connections.
    pub(super) connections: TaskTracker,
}

impl<P: Provider> Server<P> {
    /// Returns when the stop came and every connection has ended, at most the grace period later.
    pub(super) async fn run(self) {
        let Server { listener, services, tls, stop, grace, connections } = self;
        let services = Arc::new(services);
        let stopped = stop.cancelled();
        let mut stopped = pin!(stopped);
        loop {
            let accepted = tokio::select! {
                () = &mut stopped => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(stream) => {
                    let (services, tls, stop) = (Arc::clone(&services), tls.clone(), stop.clone());
                    connections.spawn(async move {
                        if let Err(error) = connection(stream, tls, services, stop, grace).await {
                            debug!(error = %error, "A connection ended early.");
                        }
                    });
                }
                Err(error) => {
                    warn!(error = %error, "Cannot accept a connection, trying again.");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Removes the socket's file: nobody finds a server that is leaving.
        drop(listener);
        connections.close();
        connections.wait().await;
    }
}

async fn connection<P: Provider>(
    stream: Box<dyn Stream>,
    tls: Option<TlsAcceptor>,
    services: Arc<Services<P>>,
    stop: CancellationToken,
    grace: Duration,
) -> io::Result<()> {
    let stream = match tls {
        None => stream,
        Some(tls) => tokio::select! {
            secured = timeout(TLS_HANDSHAKE, tls.accept(stream)) => Box::new(secured??),
            () = stop.cancelled() => return Ok(()),
        },
    };
    let serve = service_fn(move |request| {
        let services = Arc::clone(&services);
        async move { Ok::<_, Infallible>(services.call(request).await) }
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.auto_date_header(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(CONCURRENT_REQUESTS)
        .max_pending_accept_reset_streams(CANCELLED_REQUESTS)
        .max_local_error_reset_streams(CANCELLED_REQUESTS);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), serve));
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(io::Error::other),
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    match timeout(grace, connection).await {
        Ok(ended) => ended.map_err(io::Error::other),
        Err(_) => {
            warn!(grace_ms = grace.as_millis() as u64, "Requests did not end in time and were dropped.");
            Ok(())
        }
    }
}
