//! The real command lines run the corner provider: every tricky behaviour on the installed Terraform and on
//! OpenTofu, what must also hold on old and new Terraform on 1.5.7 and 1.15.0.
#![allow(clippy::expect_used, clippy::panic, reason = "a test may stop at the first wrong thing")]

mod data;
mod ephemeral;
mod examples;
mod faults;
mod functions;
mod lifecycle;
mod moves;
mod planning;
mod provider;
mod reattach;
mod secrets;
mod support;
mod things;
mod values;
