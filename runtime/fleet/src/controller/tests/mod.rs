//! The controller on a cloud in memory, on a clock that the test turns.

mod cloud;
mod doubt;
mod faults;
mod kit;
mod lease;
mod own;
mod refused;
mod situations;
mod told;
mod twins;
mod workers;
