//! The HTTP service itself: methods, conditions, ranges, cache headers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use object_store::path::Path;
use prometheus_client::metrics::counter::Counter;
use streamverse_core::stores::{open_cache, open_catalogue, open_objects};
use streamverse_core::{Error, Ready, Result, Service, ServiceContext, Start, Stop, Target, http};
use streamverse_model::delivery::OriginSpec;

use super::conditions::{self, Verdict};
use super::cors::Cors;
use super::objects::{About, Objects};
use super::range::{self, Ranged};
use super::shown::Shown;

/// What could not say that an answer is still right. RFC 9111 dropped `Warning`; a field of our own says it to whoever looks.
const STALE: header::HeaderName = header::HeaderName::from_static("x-stale");

/// The target `origin`.
pub const ORIGIN: Target =
    Target { name: "origin", start: Start::Service(|spec, cx| Box::pin(start(spec, cx))) };

async fn start(spec: serde_json::Value, cx: ServiceContext) -> Result<Box<dyn Service>> {
    let spec: OriginSpec = serde_json::from_value(spec)
        .map_err(|error| Error::permanent("spec-invalid", "this is no spec of an origin").because(error))?;
    let store = open_objects(&spec.object_store, &cx)?;
    let catalogue = open_catalogue(&spec.catalogue, &cx).await?;
    catalogue.probe().await?;
    let cache = match &spec.cache {
        Some(url) if !url.starts_with("memory://") => Some(open_cache(url, spec.memory.0, &cx).await?),
        _ => None,
    };
    let counters = Counters::default();
    cx.metrics.register(|registry| counters.register(registry));
    let origin = Origin {
        objects: Objects::new(store, cache, spec.memory.0),
        shown: Shown::new(catalogue),
        cors: Cors::new(&spec.allowed_origins),
        manifest: manifest_policy(&spec),
        segment: segment_policy(&spec),
        counters,
        cx: cx.clone(),
    };
    Ok(Box::new(OriginService { origin: Arc::new(origin), address: SocketAddr::new(cx.bind, spec.port) }))
}

pub(super) struct OriginService {
    pub(super) origin: Arc<Origin>,
    pub(super) address: SocketAddr,
}

pub(super) struct Origin {
    pub(super) objects: Objects,
    pub(super) shown: Shown,
    pub(super) cors: Cors,
    pub(super) manifest: HeaderValue,
    pub(super) segment: HeaderValue,
    pub(super) counters: Counters,
    pub(super) cx: ServiceContext,
}

#[derive(Clone, Default)]
pub(super) struct Counters {
    served: Counter,
    missing: Counter,
    failed: Counter,
}

impl Counters {
    fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        registry.register(
            "origin_served",
            "Requests answered with content or a redirect",
            self.served.clone(),
        );
        registry.register("origin_missing", "Requests for what is not there", self.missing.clone());
        registry.register(
            "origin_failed",
            "Requests that the store or the catalogue failed",
            self.failed.clone(),
        );
    }
}

#[async_trait]
impl Service for OriginService {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        let listener = http::listen(self.address)?;
        ready.set(true);
        http::serve_tcp(listener, router(self.origin), http::Limits::default(), &stop).await;
        ready.set(false);
        Ok(())
    }
}

pub(super) fn router(origin: Arc<Origin>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route(
            "/metrics",
            get(|State(origin): State<Arc<Origin>>| async move {
                streamverse_core::run::metrics_page(&origin.cx.metrics)
            }),
        )
        .route("/catalogue.json", any(catalogue))
        .route("/vod/{*path}", any(vod))
        .with_state(origin)
}

async fn readyz(State(origin): State<Arc<Origin>>) -> Response {
    match origin.shown.listing().await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", error.chain())).into_response(),
    }
}

async fn catalogue(State(origin): State<Arc<Origin>>, request: Request) -> Response {
    let headers = request.headers().clone();
    let mut answer = match origin.shown.listing().await {
        Ok(listing) => {
            let assets: Vec<_> = listing.assets.values().cloned().collect();
            let mut answer = Json(assets).into_response();
            answer.headers_mut().insert(header::CACHE_CONTROL, origin.manifest.clone());
            answer
        }
        Err(_) => failed(&origin),
    };
    origin.cors.add(&headers, answer.headers_mut());
    answer
}

async fn vod(State(origin): State<Arc<Origin>>, request: Request) -> Response {
    let headers = request.headers().clone();
    let mut answer = match *request.method() {
        Method::GET | Method::HEAD => {
            let head = request.method() == Method::HEAD;
            serve(&origin, request.uri().path(), &headers, head).await
        }
        Method::OPTIONS => {
            let mut answer = StatusCode::NO_CONTENT.into_response();
            origin.cors.preflight(&headers, answer.headers_mut());
            return answer;
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD, OPTIONS")]).into_response(),
    };
    origin.cors.add(&headers, answer.headers_mut());
    answer
}

async fn serve(origin: &Origin, path: &str, headers: &HeaderMap, head: bool) -> Response {
    // What packages are called needs no escapes; what needs them is not ours.
    let parts: Vec<&str> = path.strip_prefix("/vod/").unwrap_or_default().split('/').collect();
    let plain = |part: &&str| {
        !part.is_empty()
            && *part != "."
            && *part != ".."
            && part.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-$".contains(&it))
    };
    if parts.len() < 2 || !parts.iter().all(plain) {
        return missing(origin, StatusCode::NOT_FOUND);
    }
    match parts.as_slice() {
        [asset, name] => redirect(origin, asset, name).await,
        _ => object(origin, path.trim_start_matches('/'), headers, head).await,
    }
}

/// A stable address leads to the generation that is shown.
async fn redirect(origin: &Origin, asset: &str, name: &str) -> Response {
    let Ok(listing) = origin.shown.listing().await else { return failed(origin) };
    let Some(record) = listing.assets.get(asset) else { return missing(origin, StatusCode::NOT_FOUND) };
    let target = match name {
        "hls.m3u8" => Some(record.hls.as_str()),
        "dash.mpd" => Some(record.dash.as_str()),
        "thumbnails.vtt" => record.thumbnails.as_deref(),
        _ => None,
    };
    let Some(target) = target else { return missing(origin, StatusCode::NOT_FOUND) };
    let Ok(location) = HeaderValue::from_str(&format!("/vod/{asset}/{}/{target}", record.generation)) else {
        return failed(origin);
    };
    origin.counters.served.inc();
    let mut answer = StatusCode::FOUND.into_response();
    answer.headers_mut().insert(header::LOCATION, location);
    answer.headers_mut().insert(header::CACHE_CONTROL, origin.manifest.clone());
    if listing.stale {
        answer.headers_mut().insert(STALE, HeaderValue::from_static("catalogue"));
    }
    answer
}

async fn object(origin: &Origin, path: &str, headers: &HeaderMap, head: bool) -> Response {
    let Ok(path) = Path::parse(path) else { return missing(origin, StatusCode::NOT_FOUND) };
    let about = match origin.objects.about(&path).await {
        Ok(Some(about)) => about,
        Ok(None) => return missing(origin, StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::warn!(%error, %path, "The store did not answer.");
            return failed(origin);
        }
    };
    let mut fields = HeaderMap::new();
    describe(origin, &path, &about, &mut fields);
    match conditions::judge(headers, &about) {
        Verdict::Serve => {}
        Verdict::NotModified => {
            origin.counters.served.inc();
            fields.remove(header::CONTENT_TYPE);
            return (StatusCode::NOT_MODIFIED, fields).into_response();
        }
        Verdict::Failed => return StatusCode::PRECONDITION_FAILED.into_response(),
    }
    // A range is for GET alone (RFC 9110 section 14.2), and there is one field of it or none.
    let mut ranges = headers.get_all(header::RANGE).iter();
    let asked = match (head, ranges.next(), ranges.next()) {
        (false, Some(one), None) => one.to_str().ok(),
        _ => None,
    };
    let asked = asked.filter(|_| conditions::if_range_holds(headers, &about, SystemTime::now()));
    let (status, first, last) = match range::read(asked, about.size) {
        Ranged::Whole => (StatusCode::OK, 0, about.size.saturating_sub(1)),
        Ranged::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last),
        Ranged::Nothing => {
            let answer = [(header::CONTENT_RANGE, format!("bytes */{}", about.size))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, answer).into_response();
        }
    };
    let length = if about.size == 0 { 0 } else { last + 1 - first };
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = HeaderValue::from_str(&format!("bytes {first}-{last}/{}", about.size))
    {
        fields.insert(header::CONTENT_RANGE, value);
    }
    let body = match head {
        true => Ok(Body::empty()),
        false => origin.objects.read(&path, &about, first, last).await,
    };
    match body {
        Ok(body) => {
            origin.counters.served.inc();
            (status, fields, body).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, %path, "The store did not answer.");
            failed(origin)
        }
    }
}

fn describe(origin: &Origin, path: &Path, about: &About, fields: &mut HeaderMap) {
    let kind = content_type(path.filename().unwrap_or_default());
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // A generation never changes, its manifests included.
    fields.insert(header::CACHE_CONTROL, origin.segment.clone());
    fields.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    let mut put = |name: header::HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            fields.insert(name, value);
        }
    };
    put(header::ETAG, &about.etag);
    put(header::LAST_MODIFIED, &conditions::http_date(about.modified));
    if about.stale {
        put(STALE, "store");
    }
}

fn missing(origin: &Origin, status: StatusCode) -> Response {
    origin.counters.missing.inc();
    // Soon it may be there: an asset that is being made.
    (status, [(header::CACHE_CONTROL, "max-age=1")]).into_response()
}

fn failed(origin: &Origin) -> Response {
    origin.counters.failed.inc();
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CACHE_CONTROL, "no-store"), (header::RETRY_AFTER, "2")])
        .into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "m3u8" => "application/vnd.apple.mpegurl", // RFC 8216 section 4
        "mpd" => "application/dash+xml",           // ISO/IEC 23009-1 annex C
        "mp4" | "m4s" | "m4v" | "cmfv" => "video/mp4",
        "m4a" | "cmfa" => "audio/mp4",
        "vtt" => "text/vtt; charset=utf-8",
        "jpg" => "image/jpeg",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

fn manifest_policy(spec: &OriginSpec) -> HeaderValue {
    let (age, stale) = (spec.manifest_max_age.0.as_secs(), spec.manifest_stale.0.as_secs());
    policy(&format!("public, max-age={age}, stale-while-revalidate={stale}, stale-if-error={stale}"))
}

fn segment_policy(spec: &OriginSpec) -> HeaderValue {
    policy(&format!("public, max-age={}, immutable", spec.segment_max_age.0.as_secs()))
}

fn policy(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("no-store"))
}
