//! Which workers there are, as the controller's state has them: who speaks to workers serves these and no others.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use streamverse_model::compute::FleetWork;
use streamverse_model::platform::Name;

use crate::lease::Lease;

/// A worker that is alive, or was asked for.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its fleet.
    pub fleet: Name,
    /// What it does; `None` where nobody enrols.
    pub work: Option<Arc<FleetWork>>,
}

/// The workers that the state knows as alive. The controller alone writes it.
pub struct Roster {
    lease: Arc<dyn Lease>,
    members: RwLock<HashMap<String, Member>>,
}

impl Roster {
    /// Nobody yet.
    pub fn new(lease: Arc<dyn Lease>) -> Roster {
        Roster { lease, members: RwLock::default() }
    }

    /// Whether this controller is the one that acts. One that is not answers no worker.
    pub fn leads(&self) -> bool {
        self.lease.held()
    }

    /// A worker by the name of its instance. `None`: it was given back, or never asked for.
    pub fn find(&self, worker: &str) -> Option<Member> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).get(worker).cloned()
    }

    pub(crate) fn set(&self, members: HashMap<String, Member>) {
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = members;
    }

    /// One that is about to be launched: it may ask before the next look.
    pub(crate) fn add(&self, worker: String, member: Member) {
        self.members.write().unwrap_or_else(PoisonError::into_inner).insert(worker, member);
    }
}
