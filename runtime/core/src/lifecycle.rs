//! How a service lives: started (its stores are open, nothing listens), ready, draining, stopped.

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
pub struct Stop(CancellationToken);

impl Stop {
    /// Nobody is told yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Tells all clones.
    pub fn stop(&self) {
        self.0.cancel();
    }

    /// Resolves when told.
    pub async fn stopped(&self) {
        self.0.cancelled().await;
    }

    /// Whether told.
    pub fn is_stopped(&self) -> bool {
        self.0.is_cancelled()
    }
}
