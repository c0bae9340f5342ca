//! Who tells that this instance goes: the metadata service of each cloud, and signals.

mod aws;
mod azure;
mod gcp;

use std::future::Future;
use std::time::Duration;

use streamverse_core::{Error, Result};
use streamverse_model::compute::{Notices, Reason};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::metadata::Metadata;

/// A metadata service that fails is asked again after at most this long.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Somebody says that this worker must leave, or may have to.
#[derive(Clone)]
pub(super) struct Notice {
    pub(super) reason: Reason,
    /// When the instance is gone, in milliseconds since the Unix epoch, where that is out of our hands.
    pub(super) gone_ms: Option<u64>,
    /// How long there is, where whoever says so gives a time of its own.
    pub(super) seconds: Option<u64>,
    /// How to say that we are done.
    pub(super) release: Option<Release>,
}

impl Notice {
    fn new(reason: Reason, gone_ms: Option<u64>) -> Notice {
        Notice { reason, gone_ms, seconds: None, release: None }
    }
}

/// Says to Azure that its event may begin now.
#[derive(Clone)]
pub(super) struct Release {
    metadata: Metadata,
    event: String,
}

impl Release {
    /// Best effort: without it the cloud takes the instance when its time has come.
    pub(super) async fn release(&self) {
        if let Err(error) = azure::start(&self.metadata, &self.event).await {
            warn!(error = %error.chain(), "The metadata service was not told that we are done.");
        }
    }
}

/// Watches for notices until it is aborted.
pub(super) async fn watch(notices: Notices, tell: mpsc::Sender<Notice>) {
    let watched = async {
        match notices {
            Notices::Signal | Notices::Runpod { .. } => Ok(()),
            Notices::Aws { endpoint } => aws::watch(Metadata::new(&endpoint)?, tell).await,
            Notices::Gcp { endpoint, notice_seconds } => {
                gcp::watch(Metadata::new(&endpoint)?, notice_seconds, tell).await
            }
            Notices::Azure { endpoint } => azure::watch(Metadata::new(&endpoint)?, tell).await,
        }
    };
    let ended: Result<()> = watched.await;
    if let Err(error) = ended {
        warn!(error = %error.chain(), "Nobody watches for notices.");
    }
}

/// SIGTERM and SIGINT, which are listened to from now on. `waits` is how many seconds whoever sends them waits before SIGKILL; without
/// it, until the worker has ended.
///
/// # Errors
/// When they cannot be.
pub(super) fn signals(waits: Option<u64>, tell: mpsc::Sender<Notice>) -> Result<impl Future<Output = ()>> {
    let failed = |error| Error::permanent("signals", "signals cannot be listened to").because(error);
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            info!("Told to stop.");
            let gone_ms = waits.map(|it| super::now_ms().saturating_add(it.saturating_mul(1000)));
            if tell.send(Notice::new(Reason::Signalled, gone_ms)).await.is_err() {
                return;
            }
        }
    })
}

/// Asks again and again, every `pause`; a service that fails is told of once, and given more time.
async fn every<F, Fut>(pause: Duration, mut ask: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    let (mut wait, mut failing) = (pause, false);
    loop {
        match ask().await {
            Ok(true) => return Ok(()),
            Ok(false) => {
                if failing {
                    info!("The metadata service answers again.");
                }
                (wait, failing) = (pause, false);
            }
            Err(error) => {
                if !failing {
                    warn!(error = %error.chain(), "No notices can be read; it is tried again.");
                }
                failing = true;
                wait = (wait * 2).clamp(Duration::from_secs(1), LONGEST_PAUSE);
            }
        }
        tokio::time::sleep(wait.mul_f64(rand::random_range(0.8..1.0))).await;
    }
}
