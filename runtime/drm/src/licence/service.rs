//! The HTTP service: the port of players, and that of the admin API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use futures::StreamExt as _;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use streamverse_core::stores::{open_cache, open_catalogue, open_keys, open_records};
use streamverse_core::{Error, Ready, Result, Service, ServiceContext, Start, Stop, Target, http};
use streamverse_model::drm::entitlement::{EntitlementPolicySpec, Refusal};
use streamverse_model::drm::{LicenceRun, TokenKey};
use streamverse_model::platform::CredentialUse;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::admin::{self, Admin};
use super::cors::Cors;
use super::licensor::{Licensor, Parts};
use super::request;
use super::token::Verifier;

/// Seconds, for the histogram of answers.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0, 10.0];
/// Until a cache of tokens or the catalogue is there.
const PATIENCE: Duration = Duration::from_secs(20);
/// How old what is known of other processes of an audience may be.
const FRESH: Duration = Duration::from_secs(1);

/// The target `licence-service`.
pub const LICENCE_SERVICE: Target =
    Target { name: "licence-service", start: Start::Service(|spec, cx| Box::pin(start(spec, cx))) };

async fn start(spec: serde_json::Value, cx: ServiceContext) -> Result<Box<dyn Service>> {
    let run: LicenceRun = serde_json::from_value(spec).map_err(|error| {
        Error::permanent("spec-invalid", "this is no spec of a licence service").because(error)
    })?;
    let spec = run.service;
    let policy = EntitlementPolicySpec::read(&spec.policy)
        .map_err(|error| Error::permanent("spec-invalid", error.to_string()))?;
    let own = CredentialUse { kind: cx.owner.kind.clone(), name: cx.owner.name.clone() };
    let mut verifier = Verifier::new(&spec.token);
    for (id, key) in &run.keys {
        verifier = match key {
            TokenKey::Secret { .. } => {
                let secret = Zeroizing::new(cx.credential(&own, &LicenceRun::secret_key(id))?);
                verifier.with_secret(id, secret.as_bytes())?
            }
            TokenKey::PublicKey(pem) => verifier.with_public_key(id, pem)?,
        };
    }
    let admin_token = Zeroizing::new(cx.credential(&own, "admin-token")?);
    let records = open_records(&spec.catalogue, &cx).await?;
    let cache = match &spec.cache {
        Some(url) if !url.starts_with("memory://") => Some(open_cache(url, 0, &cx).await?),
        _ if spec.replicas > 1 => {
            let text = "several replicas remember used tokens in a cache that is Redis: give `cache`";
            return Err(Error::permanent("spec-invalid", text));
        }
        _ => None,
    };
    let parts = Parts {
        verifier,
        token: spec.token,
        policy,
        records,
        catalogue: open_catalogue(&spec.catalogue, &cx).await?,
        cache,
        folder: Some(cx.run_dir.clone()),
        fresh: FRESH,
        keys: open_keys(&spec.key_service, &cx)?,
        now: Arc::new(now_ms),
    };
    let late = |_| Error::passing("store-unreachable", "the catalogue or the cache does not answer in time");
    let licensor = tokio::time::timeout(PATIENCE, Licensor::begin(parts)).await.map_err(late)??;
    let licensor = Arc::new(licensor);
    let counters = Counters::default();
    cx.metrics.register(|registry| counters.register(registry));
    let admin = Admin::new(Arc::clone(&licensor), admin_token.as_bytes())?;
    let front = Front { licensor, cors: Cors::new(&spec.allowed_origins), counters, cx: cx.clone() };
    let service = LicenceService {
        front: Arc::new(front),
        admin,
        address: SocketAddr::new(cx.bind, spec.port),
        admin_address: SocketAddr::new(cx.bind, spec.admin_port),
    };
    Ok(Box::new(service))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

struct LicenceService {
    front: Arc<Front>,
    admin: Admin,
    address: SocketAddr,
    admin_address: SocketAddr,
}

pub(super) struct Front {
    licensor: Arc<Licensor>,
    cors: Cors,
    counters: Counters,
    cx: ServiceContext,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

#[derive(Clone)]
struct Counters {
    given: Counter,
    refused: Family<Code, Counter>,
    seconds: Histogram,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters { given: Counter::default(), refused: Family::default(), seconds: Histogram::new(BUCKETS) }
    }
}

impl Counters {
    fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        registry.register("licences_given", "Licences that were given", self.given.clone());
        registry.register(
            "licences_refused",
            "Licence requests that were refused, by code",
            self.refused.clone(),
        );
        registry.register("licence_seconds", "How long licence requests took", self.seconds.clone());
    }
}

#[async_trait]
impl Service for LicenceService {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        let licensor = Arc::clone(&self.front.licensor);
        // One that is still there answers all until we can: nobody is sent away for a token that comes too early.
        if licensor.has_rival() && !opened(&licensor, &stop).await {
            return licensor.close().await;
        }
        let players = http::listen(self.address)?;
        let admins = http::listen(self.admin_address)?;
        let limits = http::Limits::default();
        let opening = async {
            if opened(&licensor, &stop).await {
                ready.set(true);
            }
        };
        tokio::join!(
            opening,
            http::serve_tcp(players, router(self.front), limits, &stop),
            http::serve_tcp(admins, admin::router(self.admin), limits, &stop),
        );
        ready.set(false);
        if let Err(error) = licensor.close().await {
            warn!(error = %error.chain(), "The next process will wait before it takes tokens.");
        }
        Ok(())
    }
}

/// Until a token that is issued then is taken: it says when in whole seconds.
fn left_ms(licensor: &Licensor) -> u64 {
    (licensor.opens_ms() / 1000 + 1).saturating_mul(1000).saturating_sub(licensor.now_ms())
}

/// Waits until tokens are taken; `false` when it was told to stop before.
async fn opened(licensor: &Licensor, stop: &Stop) -> bool {
    loop {
        let left = left_ms(licensor);
        if left == 0 {
            return !stop.is_stopped();
        }
        info!(milliseconds = left, "Tokens that an earlier process may have taken are waited for.");
        // The clock may be set meanwhile.
        let pause = Duration::from_millis(left.min(1000));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.stopped() => return false,
        }
    }
}

pub(super) fn router(front: Arc<Front>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route(
            "/metrics",
            get(|State(front): State<Arc<Front>>| async move {
                streamverse_core::run::metrics_page(&front.cx.metrics)
            }),
        )
        .route("/licence/clearkey", any(clearkey))
        .with_state(front)
}

async fn readyz(State(front): State<Arc<Front>>) -> Response {
    match front.licensor.probe().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", error.chain())).into_response(),
    }
}

async fn clearkey(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let mut answer = match parts.method {
        Method::POST => licence(&front, &headers, body).await,
        Method::OPTIONS => {
            let mut answer = StatusCode::NO_CONTENT.into_response();
            front.cors.preflight(&headers, answer.headers_mut());
            return answer;
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST, OPTIONS")]).into_response(),
    };
    let fields = answer.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    front.cors.add(&headers, fields);
    answer
}

async fn licence(front: &Front, headers: &HeaderMap, body: Body) -> Response {
    let begun = Instant::now();
    let answer = asked(front, headers, body).await;
    front.counters.seconds.observe(begun.elapsed().as_secs_f64());
    match answer {
        Ok(licence) => {
            front.counters.given.inc();
            let seconds = HeaderValue::from(renew_after(licence.renew_after_ms));
            let kind = HeaderValue::from_static("application/json");
            ([(header::CONTENT_TYPE, kind), (RENEW, seconds)], licence.body).into_response()
        }
        Err(refusal) => {
            front.counters.refused.get_or_create(&Code { code: refusal.code() }).inc();
            let wait = match refusal {
                Refusal::ServiceStarting => left_ms(&front.licensor).div_ceil(1000).clamp(1, 60),
                _ => 2,
            };
            refused(refusal, wait)
        }
    }
}

/// After how many whole seconds to ask again. Never at once, which players take for never, and not before what was given is
/// over: who asks a moment early gets a moment.
fn renew_after(ms: u64) -> u64 {
    ms.div_ceil(1000).max(1)
}

/// After how many seconds a player should ask for the next licence of its stream.
const RENEW: header::HeaderName = header::HeaderName::from_static("licence-renew-after");

async fn asked(front: &Front, headers: &HeaderMap, body: Body) -> Result<super::Licence, Refusal> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let authorization = match (fields.next(), fields.next()) {
        (None, _) => None,
        (Some(one), None) => Some(one.to_str().map_err(|_| Refusal::TokenMalformed)?),
        // Two of them are two opinions.
        (Some(_), Some(_)) => return Err(Refusal::TokenMalformed),
    };
    let told = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|bytes| bytes > request::LONGEST as u64) {
        return Err(Refusal::RequestTooLarge);
    }
    let mut bytes = Bytes::new();
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        // It broke off, or came too slowly.
        let part = part.map_err(|_| Refusal::RequestMalformed)?;
        if bytes.len() + part.len() > request::LONGEST {
            return Err(Refusal::RequestTooLarge);
        }
        // Nearly always it comes in one piece.
        bytes = if bytes.is_empty() { part } else { [bytes, part].concat().into() };
    }
    front.licensor.answer(authorization, &bytes).await
}

fn refused(refusal: Refusal, wait_seconds: u64) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
    let text = Json(serde_json::json!({ "code": refusal.code(), "message": refusal.message() }));
    let mut answer = (status, text).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::renew_after;

    #[test]
    fn nobody_is_told_to_ask_again_at_once_or_before_the_licence_is_over() {
        assert_eq!([0, 1, 400, 1000, 1001, 30_000].map(renew_after), [1, 1, 1, 1, 2, 30]);
    }
}
