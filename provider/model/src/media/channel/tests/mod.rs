//! Tests of channels, on assets that are nothing but lengths.

mod check;
mod guide;
mod kit;
mod playout;
mod schedule;
