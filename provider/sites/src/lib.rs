//! Puts services, engines and jobs on a site, observes them and removes them: one trait, two implementations
//! (a host under a node agent, a Kubernetes cluster), one conformance suite that both pass.
//!
//! "Applied" and "ready" are different facts: [`Site::apply`] returns once the objects are persisted; waiting for them
//! is the caller's, with [`Site::observe`] and a deadline.

mod error;
pub mod kubernetes;
pub mod node;
mod site;

pub use error::{Class, Error, Result};
pub use site::{Address, Capability, Deletion, Site, SiteInfo, SiteKind};
