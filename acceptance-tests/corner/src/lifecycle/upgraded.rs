//! `corner_upgraded`: states of two earlier versions. Version 0 had one string `address`; version 1 split it
//! into `host` and `port`, a string; version 2 has the port as a number.

use serde::Deserialize;
use tfplugin_framework::schema::Computed;
use tfplugin_framework::{Error, Result, Schema, Upgrades};

use crate::kept::kept;

/// The current version.
#[derive(Clone, Schema)]
pub(crate) struct Upgraded {
    /// Assigned by the provider.
    id: Computed<String>,
    /// Where it is.
    host: String,
    /// Its port.
    port: u16,
}

/// Version 1.
#[derive(Clone, Schema)]
pub(crate) struct UpgradedV1 {
    /// As now.
    id: String,
    /// As now.
    host: String,
    /// A string then.
    port: String,
}

/// Version 0.
#[derive(Clone, Schema, Deserialize)]
pub(crate) struct UpgradedV0 {
    /// As now.
    id: String,
    /// Host and port.
    address: String,
}

fn from_v0(old: UpgradedV0) -> Result<UpgradedV1> {
    let UpgradedV0 { id, address } = old;
    let (host, port) = address
        .split_once(':')
        .ok_or_else(|| Error::permanent("the address of version 0 has no port").at(UpgradedV0::address()))?;
    Ok(UpgradedV1 { id, host: host.to_owned(), port: port.to_owned() })
}

fn from_v1(old: UpgradedV1) -> Result<UpgradedState> {
    Ok(UpgradedState { port: old.port.parse()?, id: old.id, host: old.host })
}

kept!("upgraded", Upgraded, UpgradedComputed, {
    const VERSION: i64 = 2;

    fn upgrades() -> Upgrades<Self> {
        Upgrades::none().chain::<UpgradedV0, UpgradedV1>(0, from_v0).from::<UpgradedV1>(1, 2, from_v1)
    }
});
