//! Tests of channels, on assets that are nothing but lengths.

mod check;
mod guide;
mod hostile;
mod kit;
mod playout;
mod properties;
mod schedule;
