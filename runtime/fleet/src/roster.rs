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
    /// How long it may finish what it has begun when it is to leave.
    pub drain_seconds: u64,
}

/// How a worker stands.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Another controller leads, or this one has not looked yet: it should ask again.
    NotKnown,
    /// It was given back, or never asked for.
    Gone,
    /// It is one of ours.
    Alive(Member),
}

/// The workers that the state knows as alive. The controller alone writes it.
pub struct Roster {
    lease: Arc<dyn Lease>,
    members: RwLock<Members>,
}

#[derive(Default)]
struct Members {
    /// Whether a look of this term told who there is. Until then nobody is known to be gone.
    looked: bool,
    /// Another number whenever the lease was lost.
    term: u64,
    all: HashMap<String, Member>,
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

    /// How a worker stands, by the name of its instance.
    pub fn standing(&self, worker: &str) -> Standing {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        match members.all.get(worker) {
            _ if !self.leads() => Standing::NotKnown,
            Some(member) => Standing::Alive(member.clone()),
            None if members.looked => Standing::Gone,
            None => Standing::NotKnown,
        }
    }

    /// Whether it is one of ours, whoever leads.
    pub fn has(&self, worker: &str) -> bool {
        self.members.read().unwrap_or_else(PoisonError::into_inner).all.contains_key(worker)
    }

    /// The time for which the lease has been held, as a number: what was told in another one is of yesterday.
    pub fn term(&self) -> u64 {
        self.members.read().unwrap_or_else(PoisonError::into_inner).term
    }

    /// All that there are, as a look has found.
    pub fn set(&self, all: HashMap<String, Member>) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        members.looked = true;
        members.all = all;
    }

    /// One that is about to be launched: it may ask before the next look.
    pub fn add(&self, worker: String, member: Member) {
        self.members.write().unwrap_or_else(PoisonError::into_inner).all.insert(worker, member);
    }

    /// The lease was lost: what is known is somebody else's to say.
    pub fn clear(&self) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        *members = Members { term: members.term + 1, ..Members::default() };
    }
}
