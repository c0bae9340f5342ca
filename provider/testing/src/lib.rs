//! Test kit for Terraform providers.
//!
//! - [`client`]: plays Terraform against a provider in the test's own process.
//! - [`cli`]: drives the real `terraform` and `tofu` through steps of configuration, and checks their
//!   plans, states, errors and what is left at the end.
//! - [`mod@coverage`]: notes which test proves which behaviour of which RPC, and builds the table.
//! - [`json`]: paths into JSON documents and expectations about what is found there.

pub mod cli;
pub mod client;
pub mod coverage;
pub mod json;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
