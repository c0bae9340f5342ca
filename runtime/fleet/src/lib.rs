//! The fleet controller: looks at clouds and queues, asks the policy, writes down what follows, and does it.
//!
//! | target | is |
//! |---|---|
//! | `fleet-controller` | the controller, and the API that its workers ask |
//! | `fleet` | the job that hands a fleet to its controller |
//! | `fleet-remove` | the job that fences a fleet and waits until nothing of it is left |

pub mod api;
pub mod authority;
mod clock;
mod controller;
pub mod jobs;
pub mod journal;
mod lease;
mod queues;
pub mod registry;
mod roster;
pub mod service;
pub mod token;
pub mod workers;

pub use clock::{Clock, SystemClock};
pub use controller::{Controller, Parts};
pub use lease::{FileLease, KubernetesLease, LEASE_VARIABLE, Lease};
pub use queues::{Logs, Queues};
pub use roster::{Member, Roster, Standing};
