//! How much waits in the queues that decide the sizes of fleets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use streamverse_core::log::{EventLog, Progress, open_log};
use streamverse_core::{Result, ServiceContext};
use streamverse_model::compute::QueueSpec;

/// Queues.
#[async_trait]
pub trait Queues: Send + Sync {
    /// How far its workers are in each partition. What is not done waits, or somebody works on it.
    ///
    /// # Errors
    /// An event log that cannot be opened or does not answer.
    async fn progress(&self, queue: &QueueSpec) -> Result<Vec<Progress>>;
}

/// Queues in event logs, opened when they are first asked for.
pub struct Logs {
    cx: ServiceContext,
    open: Mutex<HashMap<String, Arc<dyn EventLog>>>,
}

impl Logs {
    /// … with the credentials of a service.
    pub fn new(cx: ServiceContext) -> Logs {
        Logs { cx, open: Mutex::default() }
    }

    fn opened(&self, url: &str) -> Option<Arc<dyn EventLog>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned()
    }
}

#[async_trait]
impl Queues for Logs {
    async fn progress(&self, queue: &QueueSpec) -> Result<Vec<Progress>> {
        let log = match self.opened(&queue.event_log) {
            Some(log) => log,
            None => {
                let log = open_log(&queue.event_log, &self.cx).await?;
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                open.entry(queue.event_log.clone()).or_insert(log).clone()
            }
        };
        log.progress(&queue.group, &queue.topic).await
    }
}
