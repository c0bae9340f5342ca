//! What every call gets: a span with its fields, the panic guard, deadline and cancellation.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, debug, error_span};

use super::Service;
use crate::error::{Error, Result};
use crate::log::{catch_panic, keys};
use crate::private::Private;
use crate::request::{ClientCapabilities, Request};
use crate::schema::{Diagnostic, Diagnostics};

/// How long a handler that was told to stop may tidy up before it is dropped.
const GRACE: Duration = Duration::from_secs(2);

static NEXT_REQUEST: AtomicU64 = AtomicU64::new(1);

impl Service {
    /// A request for handlers: with the configured provider, and stopped by StopProvider.
    pub(super) fn request(&self, subject: &str) -> Request {
        let configured = self.configured();
        let mut request = Request::new(subject, self.stop_token());
        request.provider = configured.provider;
        request.host_version = configured.host_version;
        request.capabilities = configured.capabilities;
        request
    }

    /// A span for everything that one RPC does. It exists whenever anything is logged, so that a handler's own
    /// lines carry its fields at every level.
    pub(super) fn span(&self, rpc: &'static str, kind: Kind, name: &str) -> Span {
        let span = error_span!(
            "rpc",
            { keys::RPC } = rpc,
            { keys::REQUEST_ID } = NEXT_REQUEST.fetch_add(1, Ordering::Relaxed),
            { keys::PROVIDER_ADDRESS } = %self.table.address,
            { keys::RESOURCE_TYPE } = Empty,
            { keys::DATA_SOURCE_TYPE } = Empty,
            { keys::EPHEMERAL_RESOURCE_TYPE } = Empty,
            { keys::FUNCTION } = Empty,
        );
        match kind {
            Kind::Provider => &span,
            Kind::Resource => span.record(keys::RESOURCE_TYPE, name),
            Kind::DataSource => span.record(keys::DATA_SOURCE_TYPE, name),
            Kind::Ephemeral => span.record(keys::EPHEMERAL_RESOURCE_TYPE, name),
            Kind::Function => span.record(keys::FUNCTION, name),
        };
        span
    }
}

/// What an RPC is about.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Provider,
    Resource,
    DataSource,
    Ephemeral,
    Function,
}

/// Runs a handler: a panic becomes an error that names the subject, and an interrupt or deadline ends it, at
/// once if it stops by itself, after a grace period if it does not.
pub(super) async fn guarded<T>(
    request: &Arc<Request>,
    handler: impl Future<Output = Result<T>>,
) -> Result<T> {
    let interrupted = async {
        request.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        outcome = catch_panic(handler) => match outcome {
            Ok(outcome) => outcome,
            Err(panic) => Err(panicked(request.subject(), &panic.message)),
        },
        () = interrupted => Err(request.interruption()),
    }
}

/// The same for code that answers at once.
pub(super) async fn guarded_now(
    subject: &str,
    diagnostics: &mut Diagnostics,
    work: impl FnOnce(&mut Diagnostics),
) {
    if let Err(panic) = catch_panic(async { work(diagnostics) }).await {
        diagnostics.push(panicked(subject, &panic.message).diagnostic());
    }
}

fn panicked(subject: &str, message: &str) -> Error {
    Error::bug(format!("{subject}: the provider panicked: {message}"))
        .next("Run again with TF_LOG=ERROR for the stack, and attach it to the report.")
}

/// Logs how long an RPC took, at the level that shows every RPC.
pub(super) async fn timed<T>(span: Span, work: impl Future<Output = T>) -> T {
    if span.is_disabled() {
        return work.await;
    }
    async {
        let started = Instant::now();
        let done = work.await;
        debug!({ keys::REQUEST_DURATION_MS } = started.elapsed().as_millis() as u64, "RPC done.");
        done
    }
    .instrument(span)
    .await
}

/// Turns what went wrong into a diagnostic among the others.
pub(super) fn told<T>(outcome: Result<T>, diagnostics: &mut Diagnostics) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            diagnostics.push(error.diagnostic());
            None
        }
    }
}

/// Unwraps what the table found.
pub(super) fn found<T>(outcome: Result<T, Diagnostic>, diagnostics: &mut Diagnostics) -> Option<T> {
    outcome.map_err(|diagnostic| diagnostics.push(diagnostic)).ok()
}

impl Request {
    /// With the private state that the host kept.
    pub(super) fn with_private_bytes(self, bytes: &bytes::Bytes) -> Result<Request> {
        Ok(self.with_private(Private::decode(bytes)?))
    }

    pub(super) fn until(mut self, limit: Option<Duration>) -> Request {
        self.deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        self
    }
}

impl From<Option<crate::proto::tfplugin6::ClientCapabilities>> for ClientCapabilities {
    fn from(announced: Option<crate::proto::tfplugin6::ClientCapabilities>) -> ClientCapabilities {
        let announced = announced.unwrap_or_default();
        ClientCapabilities {
            write_only_attributes: announced.write_only_attributes_allowed,
            deferral: announced.deferral_allowed,
        }
    }
}
