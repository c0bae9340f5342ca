//! From a source file to packages that play: fetch, probe, encode in segments, package, publish.
//!
//! | target | is |
//! |---|---|
//! | `vod` | the job of an asset: fetches, plans, waits for the encoders, packages, publishes |
//! | `vod-remove` | the job that takes an asset away |
//! | `transcoder` | the service that encodes what jobs ask for |
//! | `probe` | a job that only looks at a source |
//!
//! Encoding and packaging are separate steps, joined by the object store and the event log, so that encoders may run
//! elsewhere.

mod boxes;
mod busy;
mod encode;
mod fetch;
mod guard;
mod index;
mod job;
mod manifest;
mod package;
mod plan;
mod probe;
mod protect;
mod rehearsal;
mod remove;
mod share;
mod tiles;
mod work;
mod worker;

pub use job::{VOD, vod_job};
pub use probe::{PROBE, probe_source};
pub use rehearsal::{AsyncSeen, Look, Rehearsal, Rehearsed};
pub use remove::VOD_REMOVE;
pub use worker::TRANSCODER;
