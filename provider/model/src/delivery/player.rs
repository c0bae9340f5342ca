//! The page that plays.

use crate::platform::{self, Isolation, Name, Object, Resources, ServiceObject, SpecError};
use serde::{Deserialize, Serialize};
use tfplugin_schema::Schema;

/// A page that plays what the catalogue lists, and shows how well it plays.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayerSpec {
    /// The TCP port.
    #[attribute(default = 8000, validate(range = 1..))]
    pub port: u16,
    /// What the page is called.
    #[attribute(default = "StreamVerse")]
    pub title: String,
    /// The catalogue: the `url` of a `streamverse_catalogue`.
    pub catalogue: String,
    /// Where browsers fetch from: the `url` of a `streamverse_ats_edge`, or the `address` of an origin.
    pub delivery: String,
    /// Services whose health the page shows, by the name that it shows: each an `address`.
    #[serde(default)]
    pub services: Option<std::collections::BTreeMap<String, String>>,
}

impl PlayerSpec {
    /// The service and its address.
    ///
    /// # Errors
    /// A store's address that is none.
    pub fn objects(&self) -> Result<Vec<Object>, SpecError> {
        let mut uses = platform::uses([self.catalogue.as_str()])?;
        let asked = self.services.iter().flat_map(|all| all.values()).map(String::as_str);
        uses.reach.extend(platform::reach(asked));
        let service = ServiceObject {
            name: Name::fixed("web-player"),
            target: "player".to_owned(),
            spec: platform::spec_value(self)?,
            replicas: 1,
            ports: platform::http(self.port),
            credentials: uses.credentials,
            reach: uses.reach,
            resources: Resources::default(),
            isolation: Isolation::Process,
            drain_seconds: 5,
        };
        Ok(vec![Object::Service(service), platform::public_http("service/web-player", true)])
    }
}
