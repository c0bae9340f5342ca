//! How a rented worker gets its identity and its work from its controller: the messages of both.
//!
//! | request | who may | answer |
//! |---|---|---|
//! | `POST /v1/enrol` | who has a token for this name that nobody used | [`Enrolled`] |
//! | `POST /v1/workers/NAME/renew` | the worker NAME, by its certificate | [`Enrolled`] |
//! | `GET /v1/workers/NAME/work` | the worker NAME, by its certificate | [`WorkOrder`] |
//! | `GET /v1/workers/NAME/orders?wait=SECONDS` | the worker NAME, by its certificate | [`Order`](super::Order), 204 |
//! | `POST /v1/workers/NAME/report?instance=ID` ([`Report`](super::Report)) | the worker NAME, by its certificate | 204 |
//!
//! `instance`, which may be missing, is the cloud's id of the instance that it runs on: of two that have one name, it says which one is heard.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::platform::Owner;

/// The variables that an instance's environment has, which its cloud shows to whoever may list instances.
pub mod enrol_variables {
    /// `https://HOST:PORT` of the controller.
    pub const CONTROLLER: &str = "STREAMVERSE_CONTROLLER";
    /// The instance's name.
    pub const WORKER: &str = "STREAMVERSE_WORKER";
    /// The certificate of the controller's authority: DER in base64.
    pub const AUTHORITY: &str = "STREAMVERSE_AUTHORITY";
    /// The token, of use once.
    pub const TOKEN: &str = "STREAMVERSE_TOKEN";
    /// Where notices come from: `aws`, `gcp`, `azure`, `runpod`, which the controller says, or `signal`.
    pub const NOTICES: &str = "STREAMVERSE_NOTICES";
}

/// A worker asks for its first certificate. The private key stays with it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// The instance's name.
    pub worker: String,
    /// The token of its environment.
    pub token: String,
    /// Its public key: the 32 bytes of Ed25519 in base64.
    pub public_key: String,
}

/// A certificate for the worker's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolled {
    /// PEM.
    pub certificate: String,
    /// After so many seconds it asks for the next one; the certificate lives for several times as long.
    pub renew_seconds: u64,
}

/// What a worker runs, and the secrets that it needs for that: those of its event log and object store.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkOrder {
    /// `transcoder`.
    pub target: String,
    /// The target's spec.
    pub spec: Value,
    /// Whose work it is.
    pub owner: Owner,
    /// How long a worker that nobody hurries has to leave, in seconds.
    pub drain_seconds: u64,
    /// By secret, `KIND.NAME`: its values by key.
    pub credentials: BTreeMap<String, BTreeMap<String, String>>,
}

impl fmt::Debug for EnrolRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolRequest").field("worker", &self.worker).finish_non_exhaustive()
    }
}

impl fmt::Debug for WorkOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets: Vec<_> = self.credentials.keys().collect();
        f.debug_struct("WorkOrder")
            .field("target", &self.target)
            .field("owner", &self.owner)
            .field("credentials", &secrets)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_does_not_print() {
        let request = EnrolRequest {
            worker: "sv--a--b--c--1".to_owned(),
            token: "planted".to_owned(),
            public_key: String::new(),
        };
        let order = WorkOrder {
            target: "transcoder".to_owned(),
            spec: Value::Null,
            owner: Owner::new("a", "transcoder", "main").expect("an owner"),
            drain_seconds: 300,
            credentials: BTreeMap::from([(
                "object-store.media".to_owned(),
                BTreeMap::from([("secret-key".to_owned(), "planted".to_owned())]),
            )]),
        };
        let printed = format!("{request:?} {order:?}");
        assert!(printed.contains("object-store.media") && !printed.contains("planted"), "{printed}");
    }
}
