//! What a handler has at hand while it works: deadline, cancellation, private state, warnings, saving of
//! partial state. [`Context`](crate::Context) adds the provider.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{Class, Error, Result};
use crate::private::Private;
use crate::schema::{Diagnostic, Diagnostics, Path, Value};

/// What the host can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCapabilities {
    /// It keeps write-only values out of plans and states (Terraform 1.11).
    pub write_only_attributes: bool,
    /// It can defer resources (experimental).
    pub deferral: bool,
}

/// One call, without the types of provider and resource.
pub struct Request {
    pub(crate) provider: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) subject: String,
    pub(crate) started: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancel: CancellationToken,
    pub(crate) capabilities: ClientCapabilities,
    pub(crate) host_version: Arc<str>,
    pub(crate) meta: Value,
    state: Mutex<Shared>,
}

// What handlers write; read by the service when they are done, cancelled or dead.
#[derive(Default)]
struct Shared {
    private: Private,
    saved: Option<Value>,
    diagnostics: Diagnostics,
    unfinished: Option<String>,
}

impl Request {
    pub(crate) fn new(subject: impl Into<String>, cancel: CancellationToken) -> Request {
        Request {
            provider: None,
            subject: subject.into(),
            started: Instant::now(),
            deadline: None,
            cancel,
            capabilities: ClientCapabilities::default(),
            host_version: Arc::from(""),
            meta: Value::Null,
            state: Mutex::default(),
        }
    }

    // A handler that panicked while holding the lock left whole values behind: each is one assignment.
    fn shared<T>(&self, with: impl FnOnce(&mut Shared) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is worked on: `acme_token_cache`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The version of Terraform or OpenTofu, as it calls itself; empty before the provider is configured.
    pub fn host_version(&self) -> &str {
        &self.host_version
    }

    /// What the host can do.
    pub fn capabilities(&self) -> ClientCapabilities {
        self.capabilities
    }

    /// What the module says in its `provider_meta` block; null if it says nothing.
    pub fn provider_meta(&self) -> &Value {
        &self.meta
    }

    /// When the operation's time is up: from the `timeouts` of the configuration or the resource.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How much time is left.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Since when it is worked on.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Resolves when the person interrupts Terraform, or the time is up. Handlers are ended soon after; those
    /// that must tidy up first wait for this in a `select!`.
    pub async fn cancelled(&self) {
        match self.deadline {
            Some(deadline) => tokio::select! {
                () = self.cancel.cancelled() => {}
                () = tokio::time::sleep_until(deadline) => {}
            },
            None => self.cancel.cancelled().await,
        }
    }

    /// Whether [`cancelled`](Request::cancelled) has happened.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The error that says why the work ends early.
    pub fn interruption(&self) -> Error {
        if self.cancel.is_cancelled() {
            return Error::new(Class::Interrupted, format!("{} was interrupted", self.subject))
                .next("Run the command again; what was saved is in the state.");
        }
        let limit =
            self.deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(self.started));
        Error::new(
            Class::Interrupted,
            format!("{} was not finished within {}", self.subject, humantime::format_duration(whole(limit))),
        )
        .next("Look at the object; then run apply again, or raise the operation's `timeouts`.")
    }

    /// A warning about the whole resource.
    pub fn warn(&self, summary: impl Into<String>, detail: impl Into<String>) {
        self.push(Diagnostic::warning(summary, detail));
    }

    /// A warning at an attribute.
    pub fn warn_at(&self, path: impl Into<Path>, summary: impl Into<String>, detail: impl Into<String>) {
        self.push(Diagnostic::warning(summary, detail).at(path));
    }

    pub(crate) fn push(&self, diagnostic: Diagnostic) {
        self.shared(|shared| shared.diagnostics.push(diagnostic));
    }

    pub(crate) fn take_diagnostics(&self) -> Diagnostics {
        self.shared(|shared| std::mem::take(&mut shared.diagnostics))
    }

    /// Saves what exists so far. If the operation fails, is interrupted or times out after this, the state
    /// holds it and nothing is lost. May be called as often as there is news.
    pub fn save_value(&self, state: Value) {
        self.shared(|shared| shared.saved = Some(state));
    }

    pub(crate) fn take_saved(&self) -> Option<Value> {
        self.shared(|shared| shared.saved.take())
    }

    /// Says what is still to be done, for the warning of a resumable create that ends early.
    pub fn unfinished(&self, what: impl Into<String>) {
        self.shared(|shared| shared.unfinished = Some(what.into()));
    }

    pub(crate) fn take_unfinished(&self) -> Option<String> {
        self.shared(|shared| shared.unfinished.take())
    }

    /// A value from the private state.
    pub fn private<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.shared(|shared| shared.private.get(name))
    }

    /// Keeps a value in the private state. Not for secrets.
    pub fn set_private(&self, name: &str, value: &impl Serialize) -> Result<()> {
        self.shared(|shared| shared.private.set(name, value))
    }

    /// Forgets a value of the private state.
    pub fn remove_private(&self, name: &str) {
        self.shared(|shared| shared.private.remove(name));
    }

    /// What a resumable create left undone, when this is the update that finishes it.
    pub fn pending(&self) -> Option<String> {
        self.shared(|shared| shared.private.pending().map(str::to_owned))
    }

    pub(crate) fn with_private(self, private: Private) -> Request {
        self.shared(|shared| shared.private = private);
        self
    }

    pub(crate) fn private_state(&self) -> Private {
        self.shared(|shared| shared.private.clone())
    }

    pub(crate) fn set_pending(&self, what: Option<String>) {
        self.shared(|shared| shared.private.set_pending(what));
    }
}

fn whole(duration: Duration) -> Duration {
    if duration.as_secs() > 0 { Duration::from_secs(duration.as_secs()) } else { duration }
}
