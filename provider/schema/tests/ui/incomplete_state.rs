//! A state in which a value is missing or unknown does not compile.
use tfplugin_schema::{Computed, Schema};

/// A cache.
#[derive(Clone, Schema)]
pub struct Cache {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Computed<String>,
    /// Its port.
    pub port: Computed<u16>,
}

fn forgotten(plan: Cache) -> CacheState {
    plan.complete(CacheComputed { address: "10.0.0.1".to_owned() })
}

fn unknown(plan: Cache) -> CacheState {
    CacheState { name: plan.name, address: plan.address, port: 80 }
}

fn main() {}
