//! The licence service: what may be asked for, and what it is on a site.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Duration, Maybe, Path, Schema};

use super::entitlement::EntitlementPolicySpec;
use crate::platform::{
    self, CredentialUse, EndpointObject, Isolation, Name, Object, Owner, Port, Protocol, Resources,
    SecretObject, ServiceObject, SpecError,
};

/// The port of the admin API; a pod's `admin` is the one of its health and metrics.
const ADMIN: &str = "admin-api";

/// Answers viewers' licence requests (W3C ClearKey) for those who are entitled.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenceServiceSpec {
    /// The TCP port for players: `POST /licence/clearkey`.
    #[attribute(default = 8090, validate(range = 1..))]
    pub port: u16,
    /// The TCP port of the admin API, which writes grants.
    #[attribute(default = 8091, validate(range = 1..))]
    pub admin_port: u16,
    /// Where players reach it when that is not its `address`: `https://licences.example`, of a load balancer, a Gateway or a
    /// name of yours that leads here. It is what `url` begins with.
    #[attribute(validate(regex(
        "^https?://[^/?#@\\s]+(/[^?#\\s]*)?$",
        says = "must be http://HOST or https://HOST, with a port or a path if need be"
    )))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// How many run. More than one need a `cache` that is Redis, where they remember which tokens were used; a site of one
    /// host runs one.
    #[attribute(default = 1, validate(range = 1..=100))]
    pub replicas: u32,
    /// Where content keys come from: the `url` of a `streamverse_key_service`.
    pub key_service: String,
    /// Where accounts are kept, and where assets are listed with what their licences allow (`usage` of a
    /// `streamverse_drm_config`): the `url` of a `streamverse_catalogue`.
    pub catalogue: String,
    /// Where replicas remember which tokens were used: the `url` of a `streamverse_cache` that is Redis and evicts nothing
    /// (`maxmemory-policy noeviction`) and never comes back with less than it had: with `appendfsync always`, or without any
    /// persistence and without a failover (a cache that comes back empty is noticed, one that lost its last seconds is not).
    /// Without one the process itself remembers, also for the next process on its host. At the
    /// first start, on another host and with another cache, tokens are taken from a few seconds later on, so that none is
    /// used twice; until then requests are told to come again.
    pub cache: Option<String>,
    /// Who may watch what: the `definition` of a `streamverse_entitlement_policy`. Another one is a change in place.
    pub policy: String,
    /// Which tokens are taken.
    pub token: TokenSpec,
    /// Origins (RFC 6454) whose pages may ask: `https://tv.example.org`, or `*`.
    #[attribute(default = vec![String::from("*")])]
    pub allowed_origins: Vec<String>,
}

/// Which tokens (JWT, RFC 7519) are taken.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSpec {
    /// Who issues them (`iss`).
    #[attribute(validate(length = 1..=200))]
    pub issuer: String,
    /// Whom they are for (`aud`). No other licence service of the catalogue may have the same one.
    #[attribute(validate(length = 1..=200))]
    pub audience: String,
    /// How long one may last at most, from `iat` to `exp`.
    #[attribute(default = "5m")]
    pub max_lifetime: Duration,
    /// How far apart the clocks of issuers, replicas and viewers may be. What opens does so late by this, and what closes
    /// early, so that no clock gives more than the policy.
    #[attribute(default = "2s")]
    pub clock_skew: Duration,
}

/// A key that tokens are verified with. What it is says which algorithm its tokens have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenKey {
    /// HS256: a secret, in the resource's own secret under `token-ID`.
    Secret {
        /// Which version of it the configuration gives.
        #[serde(default)]
        version: Option<i64>,
    },
    /// ES256: a public key on P-256, PEM.
    PublicKey(String),
}

/// What the target `licence-service` runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenceRun {
    /// What was asked for.
    pub service: LicenceServiceSpec,
    /// The keys of tokens, by `kid`.
    pub keys: BTreeMap<String, TokenKey>,
}

impl LicenceRun {
    /// The version of the resource's secret, of its parts: each only ever grows, so their sum does.
    pub fn secret_version(&self, admin_token: Option<i64>) -> Option<i64> {
        let keys = self.keys.values().filter_map(|key| match key {
            TokenKey::Secret { version } => *version,
            TokenKey::PublicKey(_) => None,
        });
        keys.chain(admin_token).reduce(i64::saturating_add)
    }

    /// The key of the resource's secret that holds a token key.
    pub fn secret_key(id: &str) -> String {
        format!("token-{id}")
    }

    /// The service, its two addresses and its secret.
    ///
    /// # Errors
    /// A store's address that is none, a policy that is none, a key's id that is no name.
    pub fn objects(&self, owner: &Owner, admin_token: Option<i64>) -> Result<Vec<Object>, SpecError> {
        EntitlementPolicySpec::read(&self.service.policy)?;
        let stores =
            [Some(&self.service.key_service), Some(&self.service.catalogue), self.service.cache.as_ref()];
        let mut uses = platform::uses(stores.into_iter().flatten().map(String::as_str))?;
        uses.credentials.push(CredentialUse { kind: owner.kind.clone(), name: owner.name.clone() });
        uses.credentials.sort();
        let port = |name: &'static str, number: u16| Port {
            name: Name::fixed(name),
            number,
            protocol: Protocol::Tcp,
            public: false,
        };
        let service = ServiceObject {
            name: Name::fixed("licence-service"),
            target: "licence-service".to_owned(),
            spec: platform::spec_value(self)?,
            replicas: self.service.replicas,
            ports: vec![port("http", self.service.port), port(ADMIN, self.service.admin_port)],
            credentials: uses.credentials,
            reach: uses.reach,
            // What remembers used tokens takes the most of it.
            resources: Resources { memory_bytes: 512 << 20, ..Resources::default() },
            isolation: Isolation::Process,
            drain_seconds: 10,
        };
        let mut keys = vec![Name::fixed("admin-token")];
        for (id, key) in &self.keys {
            if matches!(key, TokenKey::Secret { .. }) {
                keys.push(Name::parse(&LicenceRun::secret_key(id))?);
            }
        }
        let secret = SecretObject {
            name: Name::fixed("secret"),
            keys,
            version: self.secret_version(admin_token).and_then(|it| u64::try_from(it).ok()).unwrap_or(0),
        };
        let admin = EndpointObject {
            name: Name::fixed(ADMIN),
            of: "service/licence-service".to_owned(),
            port: Name::fixed(ADMIN),
            public: false,
        };
        Ok(vec![
            Object::Service(service),
            platform::public_http("service/licence-service", true),
            Object::Endpoint(admin),
            Object::Secret(secret),
        ])
    }
}

/// What a configuration refuses, apart from what its site cannot hold. What is not known yet is not judged.
pub fn check_licence_service(view: &LicenceServiceSpecView, out: &mut Diagnostics) {
    let (port, admin) =
        (view.port.known().copied().unwrap_or(8090), view.admin_port.known().copied().unwrap_or(8091));
    if port == admin && !view.port.is_unknown() && !view.admin_port.is_unknown() {
        out.error_at(
            LicenceServiceSpec::admin_port(),
            "One port for two",
            format!("Players reach it at {port} too: give the admin API a port of its own."),
        );
    }
    if let Some(policy) = view.policy.known()
        && let Err(error) = EntitlementPolicySpec::read(policy)
    {
        out.error_at(
            LicenceServiceSpec::policy(),
            "No entitlement policy",
            format!("{error}. Give the `definition` of a streamverse_entitlement_policy."),
        );
    }
    if let Some(token) = view.token.known() {
        let place = |name: &str| Path::attribute("token").attr(name);
        let seconds = |it: &Maybe<Duration>| it.known().map(|it| it.0.as_secs_f64());
        if seconds(&token.max_lifetime).is_some_and(|it| !(10.0..=300.0).contains(&it)) {
            out.error_at(
                place("max_lifetime"),
                "Unusable lifetime",
                "Tokens last 10 s to 5 min: one that is stolen is of no use for longer.",
            );
        }
        if seconds(&token.clock_skew).is_some_and(|it| it > 30.0) {
            out.error_at(
                place("clock_skew"),
                "Clocks too far apart",
                "At most 30 s: let the hosts keep time by NTP.",
            );
        }
    }
    for (number, origin) in view.allowed_origins.known().into_iter().flatten().enumerate() {
        let Some(origin) = origin.known() else { continue };
        let good = url::Url::parse(origin).is_ok_and(|it| it.origin().ascii_serialization() == *origin);
        if origin != "*" && !good {
            out.error_at(
                Path::attribute("allowed_origins").index(number),
                "No origin",
                format!("{origin:?} is no origin of a page such as \"https://tv.example.org\", without a path, or \"*\"."),
            );
        }
    }
}

/// What comes before the point in the SubjectPublicKeyInfo of a key on P-256 that names its curve and is not compressed
/// (RFC 5480 section 2).
const P256: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

/// The point of a public key on P-256 as ES256 has it (`04 || x || y`), from PEM (RFC 7468 section 13).
///
/// # Errors
/// What it is instead, in words.
pub fn es256_point(pem: &str) -> Result<[u8; 65], SpecError> {
    let wrong = |text: &str| Err(SpecError::new(text));
    if pem.contains("PRIVATE KEY") {
        return wrong("this is a private key: give the public one, as `openssl ec -pubout` writes it");
    }
    let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----");
    let Some(body) = body.and_then(|it| it.strip_suffix("-----END PUBLIC KEY-----")) else {
        return wrong("this is no PEM of one PUBLIC KEY: give `file(\"key.pem\")`, not its path");
    };
    let der = decoded(body);
    let point =
        der.as_deref().and_then(|der| der.strip_prefix(&hex::decode(P256).ok()?[..]).map(<[u8]>::to_vec));
    match point.and_then(|it| <[u8; 65]>::try_from(it).ok()).filter(|it| it.first() == Some(&4)) {
        Some(point) => Ok(point),
        None => wrong(
            "this is no public key on the curve P-256: ES256 needs one, as `openssl ecparam -name prime256v1 -genkey` begins it",
        ),
    }
}

/// Base64 (RFC 4648 section 4) with white space in it. A public key is short, so it need not be fast.
fn decoded(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let plain: Vec<u8> = text.bytes().filter(|it| !it.is_ascii_whitespace()).collect();
    let padding = plain.iter().rev().take_while(|it| **it == b'=').count();
    if plain.len() > 1024 || !plain.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in plain.iter().take(plain.len() - padding) {
        let value = ALPHABET.iter().position(|it| it == byte)?;
        held = (held << 6 | u32::try_from(value).ok()?) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout`.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEU63z/sYRTuJwDJ/A76EsATAFFBrn\nxUdOl/SfD+9yj8VyFaEmgyPyz1UOQDGuV8w1t7ltxcDpNWWs62rvoXKDEw==\n-----END PUBLIC KEY-----\n";

    #[test]
    fn a_public_key_on_p256_is_read_and_everything_else_is_refused() {
        let point = es256_point(PEM).unwrap();
        assert_eq!(point[0], 4);
        assert_eq!(
            hex::encode(&point[1..]),
            "53adf3fec6114ee2700c9fc0efa12c013005141ae7c5474e97f49f0fef728fc57215a1268323f2cf550e4031ae57cc35b7b96dc5c0e93565aceb6aefa1728313"
        );
        for wrong in [
            "",
            "key.pem",
            "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----",
            "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----",
        ] {
            assert!(es256_point(wrong).is_err(), "{wrong}");
        }
        assert!(es256_point(&PEM.replace("MFkw", "MFkx")).is_err());
    }

    #[test]
    fn attributes_become_the_objects_of_a_licence_service_and_its_secret() {
        let owner = Owner::new("demo", "licence-service", "main").unwrap();
        let policy =
            serde_json::json!({ "purchases": true, "streams": 2, "devices": 5, "licence_duration": "2m" });
        let attributes = serde_json::json!({
            "name": "main", "site": "default", "timeouts": null, "revision": null, "address": "a", "admin_address": "b",
            "url": "c", "port": 8090, "admin_port": 8091, "replicas": 1, "public_url": null,
            "key_service": "keys://k:8095?secret=key-service.main", "catalogue": "sqlite://default/main", "cache": null,
            "policy": policy.to_string(), "allowed_origins": ["*"],
            "token": { "issuer": "shop", "audience": "tv", "max_lifetime": "5m", "clock_skew": "2s" },
            "token_keys": {
                "one": { "public_key": null, "secret_wo": null, "secret_wo_version": 3, "secret_ref": null },
                "two": { "public_key": PEM, "secret_wo": null, "secret_wo_version": null, "secret_ref": null },
            },
            "admin_token_wo": null, "admin_token_wo_version": 4, "admin_token_ref": null,
        });
        let objects = platform::declared_objects(&owner, &attributes).unwrap();
        assert_eq!(
            objects.iter().map(Object::key).collect::<Vec<_>>(),
            ["service/licence-service", "endpoint/http", "endpoint/admin-api", "secret/secret"]
        );
        let Some(Object::Secret(secret)) = objects.last() else { panic!() };
        assert_eq!((secret.keys.len(), secret.version), (2, 7), "{secret:?}");
        let Some(Object::Service(service)) = objects.first() else { panic!() };
        let reads: Vec<String> =
            service.credentials.iter().map(|it| format!("{}.{}", it.kind, it.name)).collect();
        assert_eq!(reads, ["key-service.main", "licence-service.main"]);
        assert_eq!(service.reach.iter().map(|it| it.port).collect::<Vec<_>>(), [8095]);
    }
}
