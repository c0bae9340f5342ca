//! When a plugin process ends: not at Ctrl-C, which the terminal sends to the host and to us alike and after which
//! the host tells us what to do; at SIGTERM, gracefully; and when the host is gone.

use super::error::ServeError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// From here on an interrupt does not end the process. Must be called within a tokio runtime.
#[cfg(unix)]
pub(super) fn ignore_interrupts() -> Result<(), ServeError> {
    use tokio::signal::unix::{SignalKind, signal};
    // The handler stays for the life of the process, whether or not anyone listens.
    signal(SignalKind::interrupt()).map(drop).map_err(ServeError::Runtime)
}

#[cfg(windows)]
pub(super) fn ignore_interrupts() -> Result<(), ServeError> {
    let mut interrupts = tokio::signal::windows::ctrl_c().map_err(ServeError::Runtime)?;
    // Windows ends the process as soon as nobody listens.
    tokio::spawn(async move { while interrupts.recv().await.is_some() {} });
    Ok(())
}

/// Cancels `stop` when the process is told to end, or is no longer of use to anyone.
#[cfg(unix)]
pub(super) fn stop_when_told(stop: &CancellationToken, connections: &TaskTracker) -> Result<(), ServeError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Runtime)?;
    let (stop, connections) = (stop.clone(), connections.clone());
    // Now, and not when the task gets its turn: by then the host may know us already, and be dead.
    let parent = std::os::unix::process::parent_id();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::debug!("Stopping: the process was asked to terminate."),
            () = orphaned(&connections, parent) => tracing::debug!("Stopping: the host is gone."),
            () = stop.cancelled() => {}
        }
        stop.cancel();
    });
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn stop_when_told(_: &CancellationToken, _: &TaskTracker) -> Result<(), ServeError> {
    Ok(())
}

/// Returns when the process that started us has died and nobody has been connected for a while. A host that was
/// killed can no longer send its shutdown; its plugins would stay for ever.
#[cfg(unix)]
async fn orphaned(connections: &TaskTracker, parent: u32) {
    use std::os::unix::process::parent_id;
    const EVERY: std::time::Duration = std::time::Duration::from_secs(1);
    const OFTEN: u32 = 3;
    let mut alone = 0;
    while alone < OFTEN {
        tokio::time::sleep(EVERY).await;
        alone = if parent_id() != parent && connections.is_empty() { alone + 1 } else { 0 };
    }
}
