//! Every spec of StreamVerse, what it refuses, and what follows from it at plan time.
//!
//! Pure: no I/O, no Terraform, no clock. Time, prices and installed versions are arguments. A spec is declared once,
//! as a struct that derives `Schema` and serde: Terraform shows it, a site carries it, the runtime obeys it.

pub mod compute;
pub mod data;
pub mod delivery;
pub mod drm;
pub mod media;
pub mod platform;
