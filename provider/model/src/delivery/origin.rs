//! The origin: packages from the store, over HTTP.

use crate::platform::{self, Isolation, Name, Object, Resources, ServiceObject, SpecError};
use serde::{Deserialize, Serialize};
use tfplugin_schema::{Duration, Schema, Size};

/// Serves packages from the object store over HTTP.
///
/// `GET /vod/ASSET/hls.m3u8` and `GET /vod/ASSET/dash.mpd` answer with a redirect to the generation that the catalogue
/// shows; everything below `/vod/ASSET/GENERATION/` never changes.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginSpec {
    /// The TCP port.
    #[attribute(default = 8080, validate(range = 1..))]
    pub port: u16,
    /// How many run. A site of one host runs one.
    #[attribute(default = 1, validate(range = 1..=100))]
    pub replicas: u32,
    /// The object store that holds the packages: the `url` of a `streamverse_object_store`.
    pub object_store: String,
    /// The catalogue: the `url` of a `streamverse_catalogue`.
    pub catalogue: String,
    /// A cache in front of the store: the `url` of a `streamverse_cache`; its own memory where none is given.
    pub cache: Option<String>,
    /// Memory for what is asked for often.
    #[attribute(default = "256MiB")]
    pub memory: Size,
    /// Origins (RFC 6454) whose pages may play: `https://tv.example.org`, or `*`.
    #[attribute(default = vec![String::from("*")])]
    pub allowed_origins: Vec<String>,
    /// How long edges may use a redirect or manifest without asking again.
    #[attribute(default = "2s")]
    pub manifest_max_age: Duration,
    /// How long they may go on using it while they ask (RFC 5861), or when the origin is down.
    #[attribute(default = "1m")]
    pub manifest_stale: Duration,
    /// How long they may keep segments, which never change.
    #[attribute(default = "30days")]
    pub segment_max_age: Duration,
}

impl OriginSpec {
    /// The service and its address.
    ///
    /// # Errors
    /// A store's address that is none.
    pub fn objects(&self) -> Result<Vec<Object>, SpecError> {
        let stores = [Some(self.object_store.as_str()), Some(self.catalogue.as_str()), self.cache.as_deref()];
        let uses = platform::uses(stores.into_iter().flatten())?;
        let service = ServiceObject {
            name: Name::fixed("origin"),
            target: "origin".to_owned(),
            spec: platform::spec_value(self)?,
            replicas: self.replicas,
            ports: platform::http(self.port),
            credentials: uses.credentials,
            reach: uses.reach,
            resources: Resources {
                memory_bytes: self.memory.0.saturating_add(256 << 20),
                ..Resources::default()
            },
            isolation: Isolation::Process,
            drain_seconds: 10,
        };
        Ok(vec![Object::Service(service), platform::public_http("service/origin", false)])
    }
}
