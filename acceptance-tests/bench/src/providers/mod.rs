//! The providers that are measured.

pub mod collections;
pub mod echo;
pub mod types;
pub mod wide;

use tfplugin_framework::{Parts, Provider, Request, Result, Schema, provider};

/// The source address that the providers share, so that one configuration fits them all.
pub const ADDRESS: &str = "registry.terraform.io/streamverse/bench";

/// A provider with one wide resource, and one for each kind of large collection.
pub struct Bench;

/// Nothing to configure.
#[derive(Clone, Schema)]
pub struct BenchConfig {
    /// Anything.
    label: Option<String>,
}

#[provider(name = "bench")]
impl Provider for Bench {
    type Config = BenchConfig;

    async fn configure(_: &Request, _: BenchConfigView) -> Result<Bench> {
        Ok(Bench)
    }

    fn parts(parts: Parts<Bench>) -> Parts<Bench> {
        parts
            .resource::<wide::Wide>()
            .resource::<collections::Set>()
            .resource::<collections::List>()
            .resource::<collections::Map>()
    }
}
