//! What tests and fuzzers of this crate and its users share (feature `testing`): types and values made from any bytes,
//! and the properties of the codecs as functions of bytes.
//!
//! The bytes are choices. A fuzzer mutates them, proptest shrinks them, a seed prolongs them for ever ([`seeded`]).

mod choices;
pub mod properties;

pub use choices::{Choices, seeded};
