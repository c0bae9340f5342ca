//! Calls that wait until the test lets them go.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Calls that wait until the test lets them go.
#[derive(Debug, Default)]
pub struct Holds {
    held: AtomicUsize,
    go: Notify,
}

/// Counts itself as held, also when the caller goes.
struct Held<'a>(&'a AtomicUsize);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Holds {
    /// Waits. A caller that goes takes its call with it.
    pub async fn hold(&self) {
        let go = self.go.notified();
        tokio::pin!(go);
        // Whoever sees it counted can let it go.
        go.as_mut().enable();
        self.held.fetch_add(1, Ordering::SeqCst);
        let _held = Held(&self.held);
        go.await;
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// Lets all go.
    pub fn release(&self) {
        self.go.notify_waiters();
    }
}
