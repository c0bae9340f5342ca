//! The page and what it asks for (target `player`).
//!
//! | path | answer |
//! |---|---|
//! | `/`, `/assets/…` | the built page |
//! | `/api/page.json` | title, where to fetch from, channels, where licences are asked for |
//! | `/api/token.json` | a token for a demo account (`account`, `device`, `session`), good for a minute |
//! | `/api/assets.json` | what the catalogue lists |
//! | `/api/health.json` | each service, asked for its `/readyz` within a second |

mod token;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use rust_embed::RustEmbed;
use serde_json::json;
use streamverse_core::stores::{Catalogue, open_catalogue};
use streamverse_core::{Error, Ready, Result, Service, ServiceContext, Start, Stop, Target, http};
use streamverse_model::delivery::PlayerSpec;
use tokio::sync::Mutex;
use tokio::time::Instant;

use token::{Asked, Signer};

/// The target `player`.
pub const PLAYER: Target =
    Target { name: "player", start: Start::Service(|spec, cx| Box::pin(start(spec, cx))) };

/// The page as Vite built it; nothing where it was not built. In a debug build it is read from the folder.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Page;

async fn start(spec: serde_json::Value, cx: ServiceContext) -> Result<Box<dyn Service>> {
    let spec: PlayerSpec = serde_json::from_value(spec)
        .map_err(|error| Error::permanent("spec-invalid", "this is no spec of a player").because(error))?;
    let catalogue = open_catalogue(&spec.catalogue, &cx).await?;
    let signer = spec.licence.as_ref().map(|licence| Signer::open(licence, &cx)).transpose()?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(1)).build();
    let client = client.map_err(|error| Error::permanent("player", "no HTTP client").because(error))?;
    let address = SocketAddr::new(cx.bind, spec.port);
    Ok(Box::new(PlayerService {
        shared: Arc::new(Shared { spec, catalogue, signer, client, health: Mutex::new(None) }),
        address,
    }))
}

struct PlayerService {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    spec: PlayerSpec,
    catalogue: Arc<dyn Catalogue>,
    signer: Option<Signer>,
    client: reqwest::Client,
    /// Asked for at most once a second, however many pages are open.
    health: Mutex<Option<(Instant, BTreeMap<String, bool>)>>,
}

#[async_trait]
impl Service for PlayerService {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        let listener = http::listen(self.address)?;
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(|| async { "ready\n" }))
            .route("/", get(|State(shared): State<Arc<Shared>>| async move { file(&shared, "index.html") }))
            .route(
                "/{*path}",
                get(|State(shared): State<Arc<Shared>>, Path(path): Path<String>| async move {
                    file(&shared, &path)
                }),
            )
            .route("/api/page.json", get(page))
            .route("/api/token.json", get(token))
            .route("/api/assets.json", get(assets))
            .route("/api/health.json", get(health))
            .with_state(self.shared);
        ready.set(true);
        http::serve_tcp(listener, router, http::Limits::default(), &stop).await;
        ready.set(false);
        Ok(())
    }
}

async fn page(State(shared): State<Arc<Shared>>) -> Response {
    let named = |name: &str, title: &Option<String>| json!({ "name": name, "title": title.as_deref().unwrap_or(name) });
    let channels: Vec<_> =
        shared.spec.channels.iter().flatten().map(|it| named(&it.name, &it.title)).collect();
    let licence = shared.spec.licence.as_ref().map(|it| {
        let accounts: Vec<_> = it.accounts.iter().map(|it| named(&it.id, &it.title)).collect();
        json!({ "url": it.url, "accounts": accounts })
    });
    let answer = json!({
        "title": shared.spec.title, "delivery": shared.spec.delivery, "channels": channels, "licence": licence,
    });
    fresh(Json(answer).into_response())
}

/// A token for whoever opened this page: no other page can read the answer, for it names no origin that may.
async fn token(State(shared): State<Arc<Shared>>, Query(asked): Query<Asked>) -> Response {
    let Some(signer) = &shared.signer else { return StatusCode::NOT_FOUND.into_response() };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    match signer.token(&asked, now) {
        Ok(answer) => fresh(Json(answer).into_response()),
        Err(refused) => {
            let told = json!({ "code": refused.code, "message": refused.message });
            fresh((StatusCode::BAD_REQUEST, Json(told)).into_response())
        }
    }
}

async fn assets(State(shared): State<Arc<Shared>>) -> Response {
    match shared.catalogue.assets().await {
        Ok(mut assets) => {
            let listed = shared.spec.assets.as_ref();
            assets.retain(|asset| listed.is_none_or(|all| all.contains(&asset.name)));
            fresh(Json(assets).into_response())
        }
        Err(error) => {
            tracing::warn!(error = %error.chain(), "The catalogue did not answer.");
            (StatusCode::SERVICE_UNAVAILABLE, "the catalogue does not answer\n").into_response()
        }
    }
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let mut known = shared.health.lock().await;
    if known.as_ref().is_none_or(|(asked, _)| asked.elapsed() > Duration::from_secs(1)) {
        let asking = shared.spec.services.iter().flatten().map(|(name, address)| {
            let request = shared.client.get(format!("{}/readyz", address.trim_end_matches('/'))).send();
            async move { (name.clone(), request.await.is_ok_and(|answer| answer.status().is_success())) }
        });
        let answers = futures::future::join_all(asking).await.into_iter().collect();
        *known = Some((Instant::now(), answers));
    }
    let answers = known.as_ref().map(|(_, answers)| answers.clone()).unwrap_or_default();
    fresh(Json(answers).into_response())
}

fn fresh(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    answer
}

fn file(shared: &Shared, path: &str) -> Response {
    let Some(found) = Page::get(path) else {
        if path == "index.html" {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                "The page is not built into this binary: run `cargo xtask web`, then build again.\n",
            )
                .into_response();
        }
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut fields = HeaderMap::new();
    let kind = match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    };
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    fields.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    fields.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    // Vite names files by their content.
    let lifetime =
        if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(lifetime));
    let delivery = shared.spec.delivery.trim_end_matches('/');
    let licence = shared.spec.licence.as_ref().map(|it| it.url.as_str()).unwrap_or_default();
    let policy = format!(
        "default-src 'self'; connect-src 'self' {delivery} {licence}; media-src 'self' blob: {delivery}; img-src 'self' data: {delivery}; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        fields.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    (fields, found.data.into_owned()).into_response()
}
