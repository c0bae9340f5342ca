//! What runs: a process of its own, or a service inside of the agent.

use std::path::Path;
use std::time::Duration;

use crate::inside::Inside;
use crate::process::Process;

/// What a keeper keeps.
pub(super) enum Running {
    /// It outlives the agent.
    Process(Process),
    /// It ends with the agent.
    Inside(Inside),
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        match self {
            Running::Process(it) => it.identity.pid,
            Running::Inside(_) => std::process::id(),
        }
    }

    /// Of what it was started with.
    pub(super) fn fingerprint(&self) -> &str {
        match self {
            Running::Process(it) => &it.identity.fingerprint,
            Running::Inside(it) => &it.fingerprint,
        }
    }

    pub(super) fn is_alive(&mut self) -> bool {
        match self {
            Running::Process(it) => it.is_alive(),
            Running::Inside(it) => it.is_alive(),
        }
    }

    /// Whether it ended.
    pub(super) async fn stop(&mut self, patience: Duration) -> bool {
        match self {
            Running::Process(it) => {
                it.stop(patience).await;
                !it.is_alive()
            }
            Running::Inside(it) => it.stop(patience).await,
        }
    }

    /// How a process ended, as far as that can be known.
    pub(super) fn ended(&self) -> Option<String> {
        match self {
            Running::Process(it) => it.ended(),
            Running::Inside(_) => None,
        }
    }

    /// Whether its program was replaced since.
    pub(super) fn is_older_than(&self, program: &Path) -> bool {
        match self {
            Running::Process(it) => it.is_older_than(program),
            Running::Inside(_) => false,
        }
    }
}
