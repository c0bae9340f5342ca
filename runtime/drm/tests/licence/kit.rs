//! A site in a folder, content keys, tokens, and licensors whose clocks are set by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use streamverse_core::stores::{Cache, ContentKey, ContentKeys, KeyWanted, open_catalogue, open_records};
use streamverse_core::{Error, Metrics, Result, ServiceContext};
use streamverse_drm::licence::{Licensor, Parts, Verifier};
use streamverse_model::drm::entitlement::EntitlementPolicySpec;
use streamverse_model::drm::{KeyId, TokenSpec};
use streamverse_model::platform::{Name, Owner};

pub(crate) const SECRET: &str = "the secret of the issuer, 32 bytes at least";
pub(crate) const START: u64 = 1_800_000_000_000;
pub(crate) const SKEW: u64 = 2000;

pub(crate) fn context(folder: &Path) -> ServiceContext {
    let at = |name: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    ServiceContext {
        site: Name::parse("here").unwrap(),
        owner: Owner::new("test", "licence-service", "main").unwrap(),
        object: "service/licence-service".to_owned(),
        data_dir: at("data"),
        scratch_dir: at("scratch"),
        run_dir: at("run"),
        credentials_dir: at("credentials"),
        specs_dir: at("specs"),
        tools: BTreeMap::new(),
        bind: [127, 0, 0, 1].into(),
        metrics: Metrics::new(),
    }
}

/// Keys of any asset: what is made of a name is there.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) away: AtomicBool,
}

pub(crate) const ASSETS: &[&str] = &["film", "other", "rented", "match"];

pub(crate) fn kid(asset: &str) -> KeyId {
    KeyId::derive("test", asset, "1", "all", 0)
}

/// A key that a test can look for.
pub(crate) fn key_of(asset: &str) -> [u8; 16] {
    KeyId::derive("secret", asset, "1", "all", 0).0
}

#[async_trait]
impl ContentKeys for Keys {
    async fn obtain(&self, _: &[KeyWanted]) -> Result<Vec<ContentKey>> {
        Err(Error::permanent("test", "nobody packages here"))
    }

    async fn find(&self, kids: &[KeyId]) -> Result<Vec<Option<ContentKey>>> {
        if self.away.load(Ordering::Relaxed) {
            return Err(Error::passing("test", "away"));
        }
        let asset = |it: &KeyId| ASSETS.iter().find(|asset| kid(asset) == *it);
        Ok(kids
            .iter()
            .map(|it| asset(it).map(|name| ContentKey::new(*it, *name, key_of(name).into())))
            .collect())
    }

    async fn probe(&self) -> Result<()> {
        Ok(())
    }
}

pub(crate) fn token_spec() -> TokenSpec {
    let json = json!({ "issuer": "shop", "audience": "tv", "max_lifetime": "5m", "clock_skew": "2s" });
    serde_json::from_value(json).unwrap()
}

pub(crate) fn policy() -> Value {
    json!({
        "packages": [{ "name": "basic", "assets": ["film"] }], "purchases": true,
        "rental": { "window": "1m", "start_within": "2m" },
        "events": [{ "name": "final", "assets": ["match"], "from": "2027-01-15T08:00:20Z", "to": "2027-01-15T08:02:20Z" }],
        "blackouts": [{ "countries": ["DE"], "assets": ["match"] }],
        "streams": 2, "devices": 3, "licence_duration": "1m",
    })
}

/// A clock that is set by hand.
#[derive(Clone)]
pub(crate) struct Hand(pub(crate) Arc<AtomicU64>);

impl Hand {
    pub(crate) fn at(now: u64) -> Hand {
        Hand(Arc::new(now.into()))
    }
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new(&token_spec()).with_secret("one", SECRET.as_bytes()).unwrap()
}

/// The first licensor of an audience, once it takes tokens.
pub(crate) async fn licensor(
    cx: &ServiceContext,
    keys: &Arc<Keys>,
    policy: &Value,
    hand: &Hand,
    cache: Option<Arc<dyn Cache>>,
) -> Result<Licensor> {
    // It begins after all that somebody else may have taken.
    let now = hand.0.swap(START - 2 * SKEW - 1, Ordering::SeqCst);
    let licensor = another(cx, keys, policy, hand, cache, None).await;
    hand.0.store(now, Ordering::SeqCst);
    licensor
}

/// A licensor that begins now. What it takes is in the folder for the next one.
pub(crate) async fn another(
    cx: &ServiceContext,
    keys: &Arc<Keys>,
    policy: &Value,
    hand: &Hand,
    cache: Option<Arc<dyn Cache>>,
    folder: Option<PathBuf>,
) -> Result<Licensor> {
    let clock = hand.clone();
    Licensor::begin(Parts {
        verifier: verifier(),
        token: token_spec(),
        policy: EntitlementPolicySpec::read(&policy.to_string()).unwrap(),
        records: open_records("sqlite://here/main", cx).await?,
        catalogue: open_catalogue("sqlite://here/main", cx).await?,
        cache,
        folder,
        fresh: Duration::ZERO,
        keys: Arc::clone(keys) as _,
        now: Arc::new(move || clock.0.load(Ordering::SeqCst)),
    })
    .await
}

/// The claims of a good token of that account.
pub(crate) fn claims(account: &str, id: &str, issued_ms: u64) -> Value {
    let issued = issued_ms / 1000;
    json!({
        "iss": "shop", "aud": "tv", "sub": account, "iat": issued, "exp": issued + 60, "jti": id, "device": "tv-1",
        "country": "FR",
    })
}

pub(crate) fn signed(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// `Bearer TOKEN`, signed by the issuer.
pub(crate) fn bearer(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    format!(
        "Bearer {}",
        signed(&json!({ "alg": "HS256", "kid": "one", "typ": "JWT" }), claims, &key, Algorithm::HS256)
    )
}

pub(crate) fn wanted(assets: &[&str]) -> Vec<u8> {
    wanted_as(assets, "temporary")
}

/// A request for a licence of that type.
pub(crate) fn wanted_as(assets: &[&str], kind: &str) -> Vec<u8> {
    let kids: Vec<String> = assets.iter().map(|it| URL_SAFE_NO_PAD.encode(kid(it).0)).collect();
    json!({ "kids": kids, "type": kind }).to_string().into_bytes()
}

/// Whose key it is, by the `kid` of a licence.
pub(crate) fn asset_of(name: &Value) -> &'static str {
    ASSETS.iter().find(|it| *name == URL_SAFE_NO_PAD.encode(kid(it).0)).unwrap()
}

/// Writes an account's document as the admin API does.
pub(crate) async fn grant(cx: &ServiceContext, account: &str, grants: &Value) {
    let records = open_records("sqlite://here/main", cx).await.unwrap();
    let value = json!({ "grants": grants, "devices": [], "streams": [] });
    if !records.insert("entitlement-accounts", account, &value).await.unwrap() {
        let held = records.get("entitlement-accounts", account).await.unwrap().unwrap();
        let mut next = held.value.clone();
        next["grants"] = grants.clone();
        assert!(records.replace("entitlement-accounts", account, held.version, &next).await.unwrap());
    }
}

pub(crate) fn subscription() -> Value {
    json!({ "a": { "kind": "subscription", "of": "basic", "from_ms": 0 } })
}
