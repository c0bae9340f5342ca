//! The key service over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use prometheus_client::metrics::counter::Counter;
use serde::Deserialize;
use streamverse_core::stores::key_wire::{self as wire, AccessKey, Claim, Way};
use streamverse_core::stores::{KeyWanted, open_records};
use streamverse_core::{Error, Ready, Result, Service, ServiceContext, Start, Stop, Target, http};
use streamverse_model::drm::{KeyId, KeyServiceSpec};
use streamverse_model::platform::CredentialUse;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::audit::{Audit, AuditEntry, Outcome};
use super::guard::{Guard, Refusal};
use super::kek;
use super::store::KeyStore;

/// The target `key-service`.
pub const KEY_SERVICE: Target =
    Target { name: "key-service", start: Start::Service(|spec, cx| Box::pin(start(spec, cx))) };

/// Between two passes over what is sealed under a previous key, and over the audit log.
const TEND: Duration = Duration::from_secs(60);
/// How long the other replicas have to learn a new key before records are sealed under it.
const OTHERS_LEARN: Duration = Duration::from_secs(90);
/// Records that one request or pass works on at a time.
pub(super) const PAGE: u32 = 200;

async fn start(spec: serde_json::Value, cx: ServiceContext) -> Result<Box<dyn Service>> {
    let spec: KeyServiceSpec = serde_json::from_value(spec).map_err(|error| {
        Error::permanent("spec-invalid", "this is no spec of a key service").because(error)
    })?;
    let own = CredentialUse { kind: cx.owner.kind.clone(), name: cx.owner.name.clone() };
    let access = AccessKey::parse(&Zeroizing::new(cx.credential(&own, "access-key")?))?;
    let records = open_records(&spec.catalogue, &cx).await?;
    let kek = kek::open(&spec.key_encryption_key, &cx)?;
    let previous = spec.previous_key_encryption_key.as_ref().map(|it| kek::open(it, &cx)).transpose()?;
    let store = KeyStore::new(Arc::clone(&records), kek, previous);
    for (kek, count) in store.check().await? {
        info!(kek, count, "There are content keys under this key-encryption key.");
    }
    let counters = Counters::default();
    cx.metrics.register(|registry| counters.register(registry));
    let keys = Keys {
        store,
        audit: Audit::new(records, spec.audit_retention.0),
        guard: Guard::new(access),
        counters,
        tending: AtomicBool::new(true),
        cx: cx.clone(),
    };
    let address = SocketAddr::new(cx.bind, spec.port);
    Ok(Box::new(KeyService { keys: Arc::new(keys), address, alone: spec.replicas == 1 }))
}

struct KeyService {
    keys: Arc<Keys>,
    address: SocketAddr,
    alone: bool,
}

pub(super) struct Keys {
    pub(super) store: KeyStore,
    pub(super) audit: Audit,
    pub(super) guard: Guard,
    pub(super) counters: Counters,
    /// Whether the last look at the store succeeded.
    tending: AtomicBool,
    cx: ServiceContext,
}

#[derive(Clone, Default)]
pub(super) struct Counters {
    answered: Counter,
    made: Counter,
    refused: Counter,
    denied: Counter,
    failed: Counter,
    pub(super) rewrapped: Counter,
}

impl Counters {
    fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        let rows = [
            ("keys_answered", "Requests that were answered", &self.answered),
            ("keys_made", "Content keys that were made", &self.made),
            ("keys_refused", "Requests that were refused", &self.refused),
            (
                "keys_denied",
                "Requests of those who do not know the access key, or that came twice",
                &self.denied,
            ),
            ("keys_failed", "Requests that the store or the key-encryption key failed", &self.failed),
            (
                "keys_rewrapped",
                "Records that were sealed anew under another key-encryption key",
                &self.rewrapped,
            ),
        ];
        for (name, help, counter) in rows {
            registry.register(name, help, counter.clone());
        }
    }
}

#[async_trait]
impl Service for KeyService {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        let listener = http::listen(self.address)?;
        ready.set(true);
        let limits = http::Limits { body: wire::LARGEST_REQUEST, ..http::Limits::default() };
        let serve = http::serve_tcp(listener, router(Arc::clone(&self.keys)), limits, &stop);
        let tend = async {
            tokio::select! {
                () = tend(&self.keys, self.alone) => {}
                () = stop.stopped() => {}
            }
        };
        tokio::join!(serve, tend);
        ready.set(false);
        Ok(())
    }
}

/// Seals what is under a previous key anew, and forgets what of the audit log is too old.
async fn tend(keys: &Keys, alone: bool) {
    if !alone && keys.store.has_previous() {
        tokio::time::sleep(OTHERS_LEARN).await;
    }
    loop {
        let done = tend_once(keys).await;
        keys.tending.store(done.is_ok(), Ordering::Relaxed);
        if let Err(error) = done {
            warn!(error = %error.chain(), "What is sealed was not tended; it is tried again.");
        }
        tokio::time::sleep(TEND.mul_f64(rand::random_range(0.75..1.25))).await;
    }
}

async fn tend_once(keys: &Keys) -> Result<()> {
    keys.audit.prune(now_ms()).await?;
    if !keys.store.has_previous() {
        return Ok(());
    }
    let (mut next, mut count) = (Some(String::new()), 0);
    while let Some(after) = next {
        let page = keys.store.rewrap(&after, PAGE).await?;
        keys.counters.rewrapped.inc_by(page.rewrapped);
        count += page.rewrapped;
        next = page.next;
    }
    if count > 0 {
        info!(count, "Content keys are sealed under the new key-encryption key.");
    }
    Ok(())
}

fn router(keys: Arc<Keys>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route(
            "/metrics",
            get(|State(keys): State<Arc<Keys>>| async move {
                streamverse_core::run::metrics_page(&keys.cx.metrics)
            }),
        )
        .route("/v1/{what}", post(asked))
        .with_state(keys)
}

async fn readyz(State(keys): State<Arc<Keys>>) -> Response {
    match keys.store.list("", 1).await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", error.chain())).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    keys: Vec<KeyWanted>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sought {
    kids: Vec<KeyId>,
}

/// What a request asked for, for the audit log.
#[derive(Default)]
pub(super) struct Asked {
    /// Which keys, by identifier.
    pub(super) kids: Vec<KeyId>,
    pub(super) made: usize,
    pub(super) missing: usize,
    /// Whether it only goes on with something that was noted.
    pub(super) goes_on: bool,
}

async fn asked(State(keys): State<Arc<Keys>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path();
    let header = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let claim = match keys.guard.admit(header, path, &body, now_ms()) {
        Ok(claim) => claim,
        Err(refusal) => {
            keys.counters.denied.inc();
            return refused(refusal);
        }
    };
    let mut asked = Asked::default();
    let answer = answer(&keys, &claim, path, body.to_vec(), &mut asked).await;
    let code = answer.as_ref().err().map(|error| error.code.to_owned());
    let entry = AuditEntry {
        time_ms: now_ms(),
        client: claim.client.clone(),
        what: path.trim_start_matches("/v1/").to_owned(),
        kids: asked.kids,
        made: asked.made,
        missing: asked.missing,
        outcome: if code.is_none() { Outcome::Answered } else { Outcome::Refused },
        code,
    };
    keys.counters.made.inc_by(asked.made as u64);
    // No key leaves without a trace. A probe asks for none.
    let nothing = asked.goes_on || entry.what == "find";
    let noted = match entry.kids.is_empty() && entry.code.is_none() && nothing {
        true => Ok(()),
        false => keys.audit.note(&entry).await,
    };
    let sealed = answer
        .and_then(|plain| noted.map(|()| plain))
        .and_then(|plain| keys.guard.access().seal(Way::Answer, &claim.nonce, path, plain));
    match sealed {
        Ok(sealed) => {
            keys.counters.answered.inc();
            let fields =
                [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
            (fields, sealed).into_response()
        }
        Err(error) if error.retry => {
            keys.counters.failed.inc();
            warn!(code = error.code, error = %error.chain(), "A request failed.");
            // Another replica may be able to.
            let close = [(header::CONNECTION, "close"), (header::RETRY_AFTER, "1")];
            (StatusCode::SERVICE_UNAVAILABLE, close, told(error.code, &error.message)).into_response()
        }
        Err(error) => {
            keys.counters.refused.inc();
            let status = match error.code {
                "not-found" => StatusCode::NOT_FOUND,
                "request-invalid" => StatusCode::BAD_REQUEST,
                "too-large" => StatusCode::PAYLOAD_TOO_LARGE,
                "key-of-another-asset" | "key-conflict" | "backup-key" => StatusCode::CONFLICT,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, told(error.code, &error.message)).into_response()
        }
    }
}

async fn answer(
    keys: &Keys,
    claim: &Claim,
    path: &str,
    body: Vec<u8>,
    asked: &mut Asked,
) -> Result<Zeroizing<Vec<u8>>> {
    match path {
        wire::OBTAIN => {
            let Wanted { keys: wanted } = read(&body)?;
            few(wanted.len())?;
            asked.kids = wanted.iter().map(|it| it.kid).collect();
            for one in &wanted {
                named(&one.asset, "asset")?;
                named(&one.track, "track")?;
            }
            let (found, made) = keys.store.obtain(&wanted, now_ms()).await?;
            asked.made = made;
            let found: Vec<_> = found.into_iter().map(Some).collect();
            Ok(wire::encode(&found))
        }
        wire::FIND => {
            let Sought { kids } = read(&body)?;
            few(kids.len())?;
            let found = keys.store.find(&kids).await?;
            asked.missing = found.iter().filter(|it| it.is_none()).count();
            asked.kids = kids;
            Ok(wire::encode(&found))
        }
        _ => super::admin::answer(keys, claim, path, body, asked).await,
    }
}

/// Reads a request. serde_json ends at 128 levels, and the listener at [`wire::LARGEST_REQUEST`] bytes.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        Error::permanent(
            "request-invalid",
            format!(
                "the request is not what this version expects, at line {} column {}",
                error.line(),
                error.column()
            ),
        )
    })
}

pub(super) fn few(count: usize) -> Result<()> {
    match count <= wire::MOST_KEYS {
        true => Ok(()),
        false => {
            let text = format!("it asks for {count} keys, more than {}: ask in parts", wire::MOST_KEYS);
            Err(Error::permanent("too-large", text))
        }
    }
}

pub(super) fn named(text: &str, what: &str) -> Result<()> {
    let fits = (1..=wire::LONGEST_NAME).contains(&text.len()) && !text.chars().any(char::is_control);
    match fits {
        true => Ok(()),
        false => {
            let text = format!("the {what} of a key is 1 to {} bytes without controls", wire::LONGEST_NAME);
            Err(Error::permanent("request-invalid", text))
        }
    }
}

fn refused(refusal: Refusal) -> Response {
    let (status, code, message) = match refusal {
        Refusal::Denied => (StatusCode::UNAUTHORIZED, "access-denied", "the access key is another one"),
        Refusal::Clock => (StatusCode::UNAUTHORIZED, "clock", "the clocks are more than two minutes apart"),
        Refusal::Replayed => (StatusCode::CONFLICT, "replayed", "this request came before"),
        Refusal::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy", "there are too many requests"),
    };
    (status, told(code, message)).into_response()
}

fn told(code: &str, message: &str) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "code": code, "message": message }))
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
