//! Buys compute: the trait that clouds implement, the policy as a pure function, and its simulation.
//!
//! A cloud is one leaf crate below this folder. Every client takes its endpoint and credentials from outside.

pub mod cloud;
pub mod policy;
pub mod simulate;
