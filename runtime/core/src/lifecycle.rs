//! How a service lives: started (its stores are open, nothing listens), ready, draining, stopped.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::Result;

/// A service that was started. Being told to stop is no error.
#[async_trait]
pub trait Service: Send {
    /// Serves until it is told to stop, then drains: not ready first, then what has begun is finished, then everything
    /// is flushed and closed.
    ///
    /// # Errors
    /// What ended it early. It is started again with back-off.
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()>;
}

/// Tells that the service is ready. Dropped unused, it means that the service failed.
#[derive(Debug)]
pub struct Ready(watch::Sender<bool>);

impl Ready {
    /// The teller, and what watches it.
    pub fn new() -> (Ready, watch::Receiver<bool>) {
        let (sender, receiver) = watch::channel(false);
        (Ready(sender), receiver)
    }

    /// Ready, or not any more.
    pub fn set(&self, ready: bool) {
        let _ = self.0.send(ready);
    }
}

/// Tells a service to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    token: CancellationToken,
    patience: Arc<OnceLock<Duration>>,
}

impl Stop {
    /// Nobody is told yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Nobody is told yet; who will be has so long to finish what it has begun.
    pub fn patient(patience: Duration) -> Stop {
        Stop { patience: Arc::new(OnceLock::from(patience)), ..Stop::default() }
    }

    /// How long whoever is told may take to finish what it has begun, where that was said.
    pub fn patience(&self) -> Option<Duration> {
        self.patience.get().copied()
    }

    /// Tells all clones, and how long they may take where that was not said before.
    pub fn stop_within(&self, patience: Duration) {
        let _ = self.patience.set(patience);
        self.stop();
    }

    /// Tells all clones.
    pub fn stop(&self) {
        self.token.cancel();
    }

    /// Resolves when told.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// Whether told.
    pub fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }
}
