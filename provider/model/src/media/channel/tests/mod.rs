//! Tests of channels, on assets that are nothing but lengths.

mod check;
mod fuzzed;
mod guide;
mod hostile;
mod kit;
mod playout;
mod properties;
mod schedule;
