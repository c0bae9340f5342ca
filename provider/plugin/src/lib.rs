//! The StreamVerse provider: one file per resource, in folders by domain. What may be asked for is in
//! `streamverse-model`, how it gets to its place in `streamverse-sites`, what every resource shares in `deploy`.

mod compute;
mod data;
mod delivery;
mod deploy;
mod drm;
mod media;
mod placement;
mod plain;
mod platform;
mod provider;
mod sites;

pub use provider::Streamverse;

/// Where the registry has it.
pub const ADDRESS: &str = "registry.terraform.io/streamverse/streamverse";
