//! Tests of channels, on assets that are nothing but lengths.

mod kit;
mod playout;
mod schedule;
