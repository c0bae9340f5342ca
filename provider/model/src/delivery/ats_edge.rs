//! An edge: Apache Traffic Server in front of origins.

use crate::platform::{
    self, CredentialUse, EndpointObject, EngineKind, EngineObject, Name, Object, Owner, Port, Protocol,
    Resources, SecretObject, SpecError,
};
use serde::{Deserialize, Serialize};
use tfplugin_schema::{Duration, Schema, Size};

/// An Apache Traffic Server that caches what origins serve.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtsEdgeSpec {
    /// The TCP port for HTTP.
    #[attribute(default = 8081, validate(range = 1..))]
    pub port: u16,
    /// Where viewers reach it when that is not its `address`: `https://video.example`, of a load balancer, a Gateway or a
    /// name of yours that leads here. It is what `url` says.
    #[attribute(validate(regex(
        "^https?://[^/?#@\\s]+(/[^?#\\s]*)?$",
        says = "must be http://HOST or https://HOST, with a port or a path if need be"
    )))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// HTTPS beside it; none where it is not set.
    pub tls: Option<TlsSpec>,
    /// Where it fetches from, in order.
    #[attribute(validate(length = 1..=64))]
    pub origins: Vec<Parent>,
    /// Paths that others than the origins answer, such as a channel, a guide or licences. The longest that fits counts.
    #[attribute(validate(length = 1..=64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<Route>>,
    /// How it chooses among the origins.
    #[attribute(default = "first_live")]
    pub policy: ParentPolicy,
    /// How it finds out that one is down.
    pub health_check: Option<HealthCheck>,
    /// Cache on disk. Another size is a drained restart.
    #[attribute(default = "1GiB")]
    pub storage: Size,
    /// Cache in memory. Another size is a drained restart.
    #[attribute(default = "128MiB")]
    pub memory: Size,
    /// What is cached for how long.
    pub cache: Option<CacheRules>,
    /// Congestion control of connections to viewers, as the host's kernel names it: `bbr`, `cubic`; the host's own where
    /// none is given.
    #[attribute(validate(regex("^[a-z][a-z0-9_]*$", says = "must be a kernel's name such as bbr")))]
    pub congestion_control: Option<String>,
    /// Plugins that must be there besides those that the other attributes need, such as `header_rewrite.so`.
    #[serde(default)]
    pub plugins: Option<Vec<String>>,
    /// How long a restart waits for transfers in flight.
    #[attribute(default = "30s")]
    #[serde(default = "half_a_minute")]
    pub drain: Duration,
}

fn half_a_minute() -> Duration {
    Duration(std::time::Duration::from_secs(30))
}

/// HTTPS.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSpec {
    /// The TCP port for HTTPS.
    #[attribute(default = 8443, validate(range = 1..))]
    pub port: u16,
    /// The certificate chain, PEM.
    pub certificate: String,
}

/// One place to fetch from.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// Its address: `http://10.0.0.1:8080`, no path.
    #[attribute(validate(regex(
        "^https?://[^/?#@]+$",
        says = "must be http://HOST:PORT or https://HOST:PORT, without a path"
    )))]
    pub url: String,
}

/// A path that somebody else than the origins answers.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// What begins with it: `/channel/`.
    #[attribute(validate(regex(
        "^(/[A-Za-z0-9._~-]+)+/$",
        says = "must begin and end with / and have a name between, such as /channel/"
    )))]
    pub path: String,
    /// Who answers, under the same path: `http://10.0.0.1:8090`, no path.
    #[attribute(validate(regex(
        "^https?://[^/?#@\\s]+$",
        says = "must be http://HOST:PORT or https://HOST:PORT, without a path"
    )))]
    pub url: String,
    /// Others of the same, asked in order when the one before does not answer. On a cluster one address stands for all
    /// replicas.
    #[attribute(validate(length = 1..=16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Vec<String>>,
    /// Whether answers are cached for as long as they say, a query being part of the address, and always given whole, which
    /// suits playlists and guides. Without it POST passes too: licences.
    #[attribute(default = true)]
    #[serde(default = "yes")]
    pub cache: bool,
    /// How old a cached answer may be when nobody answers. Short for playlists: a player that is told the same one for
    /// longer than it has pictures ahead stands still and hears no reason. A guide may be `1h` old.
    #[attribute(default = "5s")]
    #[serde(default = "five_seconds")]
    pub stale: Duration,
}

fn yes() -> bool {
    true
}

/// As long as a channel says of its playlists (`playlist_stale`).
fn five_seconds() -> Duration {
    Duration(std::time::Duration::from_secs(5))
}

impl Route {
    /// All who answer it, the first first.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.url.as_str()).chain(self.fallbacks.iter().flatten().map(String::as_str))
    }
}

/// How an edge chooses among origins (parent.config of Traffic Server). A hash of the path is not offered: with the origins
/// as parents, 9.2.9 answered the share of one that was down with 502 and asked no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentPolicy {
    /// The first that is up.
    FirstLive,
    /// In turns.
    RoundRobin,
}

/// How an edge finds out that an origin is down, and that it itself serves after a change.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// What it asks the origins for.
    #[attribute(default = "/readyz", validate(regex("^/[!-~]*$", says = "must be a path")))]
    pub path: String,
    /// How long a failed one is left alone.
    #[attribute(default = "10s")]
    pub retry: Duration,
    /// How many failures make it fail.
    #[attribute(default = 3, validate(range = 1..=100))]
    pub failures: u32,
}

/// What is cached for how long, where an origin does not say.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheRules {
    /// Manifests and redirects.
    #[attribute(default = "2s")]
    pub manifests: Duration,
    /// Segments.
    #[attribute(default = "1day")]
    pub segments: Duration,
    /// Whether many requests for one object that is not there yet become one to the origin.
    #[attribute(default = true)]
    pub collapse: bool,
    /// How long an object may be served after its time when no origin answers.
    #[attribute(default = "1h")]
    pub stale: Duration,
}

/// What Traffic Server itself and its connections take in memory, beside caches.
const OWN_MEMORY: u64 = 512 << 20;
/// Bytes of memory for each entry of the cache's directory, and the bytes of storage that one entry is reckoned for
/// (Traffic Server's documentation, "Architecture: Cache", a `Dir` is 10 bytes; `records.config`,
/// `proxy.config.cache.min_average_object_size`, whose default is 8000).
const ENTRY: u64 = 10;
const STORAGE_OF_ENTRY: u64 = 8000;
/// What lies on disk beside the cache, which grows to all of `storage`: its log (128 MiB at most, as the rendering says),
/// its configuration and run folder.
const BESIDE_CACHE: u64 = 256 << 20;

impl AtsEdgeSpec {
    /// The attributes in which it differs from what was there `before` and that a running Traffic Server does not take
    /// over: its transfers are drained and it is started again.
    pub fn restarts(&self, before: &AtsEdgeSpec) -> Vec<&'static str> {
        let ports = |spec: &AtsEdgeSpec| spec.tls.as_ref().map(|tls| tls.port);
        let list = |spec: &AtsEdgeSpec| spec.plugins.clone().unwrap_or_default();
        [
            ("port", self.port != before.port),
            ("tls", ports(self) != ports(before)),
            ("storage", self.storage.0 != before.storage.0),
            ("memory", self.memory.0 != before.memory.0),
            ("congestion_control", self.congestion_control != before.congestion_control),
            ("plugins", list(self) != list(before)),
        ]
        .into_iter()
        .filter_map(|(name, changed)| changed.then_some(name))
        .collect()
    }

    /// What the engine may take. The whole directory of a cache is in memory, so a large disk needs memory too: 1 TiB about
    /// 1.3 GiB.
    fn resources(&self) -> Resources {
        let directory = (self.storage.0 / STORAGE_OF_ENTRY).saturating_mul(ENTRY);
        let memory = self.memory.0.saturating_add(OWN_MEMORY).saturating_add(directory);
        Resources {
            // In whole MiB, as people read it.
            memory_bytes: memory.div_ceil(1 << 20) << 20,
            scratch_bytes: self.storage.0.saturating_add(BESIDE_CACHE),
            ..Resources::default()
        }
    }

    /// The engine, its addresses and, with TLS, the secret that holds its private key.
    ///
    /// `key_version` changes when the private key does.
    ///
    /// # Errors
    /// A spec that is no JSON, which does not happen.
    pub fn objects(&self, owner: &Owner, key_version: Option<i64>) -> Result<Vec<Object>, SpecError> {
        let mut ports = platform::http(self.port);
        let mut credentials = Vec::new();
        let mut rest = vec![platform::public_http("engine/ats-edge", true)];
        if let Some(tls) = &self.tls {
            let https = Name::fixed("https");
            ports.push(Port {
                name: https.clone(),
                number: tls.port,
                protocol: Protocol::Tcp,
                public: false,
            });
            credentials.push(CredentialUse { kind: owner.kind.clone(), name: owner.name.clone() });
            rest.push(Object::Endpoint(EndpointObject {
                name: https.clone(),
                of: "engine/ats-edge".to_owned(),
                port: https,
                public: true,
            }));
            rest.push(Object::Secret(SecretObject {
                name: Name::fixed("secret"),
                keys: vec![Name::fixed("private-key")],
                version: key_version.and_then(|it| u64::try_from(it).ok()).unwrap_or(0),
            }));
        }
        let engine = EngineObject {
            name: Name::fixed("ats-edge"),
            engine: EngineKind::TrafficServer,
            spec: platform::spec_value(self)?,
            ports,
            credentials,
            reach: platform::reach(
                self.origins
                    .iter()
                    .map(|origin| origin.url.as_str())
                    .chain(self.routes.iter().flatten().flat_map(Route::urls)),
            ),
            resources: self.resources(),
            drain_seconds: u32::try_from(self.drain.0.as_secs()).unwrap_or(u32::MAX).min(3600),
        };
        Ok(std::iter::once(Object::Engine(engine)).chain(rest).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn engine(storage: &str) -> EngineObject {
        let spec: AtsEdgeSpec = serde_json::from_value(json!({
            "port": 8081, "tls": null, "policy": "first_live", "health_check": null, "storage": storage, "memory": "1GiB",
            "cache": null, "congestion_control": null, "origins": [{ "url": "http://10.0.0.1:8080" }],
        }))
        .unwrap();
        match spec.objects(&Owner::new("demo", "ats-edge", "main").unwrap(), None).unwrap().remove(0) {
            Object::Engine(engine) => engine,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_edge_reaches_whom_its_routes_name() {
        let mut spec = serde_json::to_value(engine("1GiB").spec).unwrap();
        spec["routes"] = json!([{ "path": "/channel/", "url": "http://10.0.0.2:8090", "fallbacks": ["http://10.0.0.3:8091"] }]);
        let spec: AtsEdgeSpec = serde_json::from_value(spec).unwrap();
        assert!(spec.routes.as_ref().unwrap()[0].cache);
        let objects = spec.objects(&Owner::new("demo", "ats-edge", "main").unwrap(), None).unwrap();
        let Object::Engine(engine) = &objects[0] else { panic!("{objects:?}") };
        let ports: Vec<u16> = engine.reach.iter().map(|reach| reach.port).collect();
        assert_eq!(ports, [8080, 8090, 8091]);
    }

    #[test]
    fn a_full_cache_leaves_room_for_what_lies_beside_it() {
        assert!(engine("100GiB").resources.scratch_bytes >= (100 << 30) + (128 << 20));
    }

    #[test]
    fn a_large_disk_needs_memory_for_its_directory() {
        let small = engine("1GiB").resources.memory_bytes;
        let large = engine("1TiB").resources.memory_bytes;
        let own = (1 << 30) + OWN_MEMORY;
        assert!((own..own + (4 << 20)).contains(&small), "{small}");
        // 2^40 / 8000 * 10 bytes.
        assert!(((1_300 << 20)..(1_400 << 20)).contains(&(large - small)), "{large}");
    }
}
