//! The guides of channels over HTTP (target `epg`): `/epg/NAME.xml` as XMLTV, `/epg/NAME.json`. Today, by the channel's clock,
//! and the days after it. A guide is a pure function of definition, lengths and day.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use prometheus_client::metrics::counter::Counter;
use streamverse_core::stores::Catalogue;
use streamverse_core::{Error, Ready, Result, Service, ServiceContext, Start, Stop, Target, http};
use streamverse_model::media::channel::{
    ChannelDefinition, EpgSpec, Guide, Lengths, Zone, day, played_ms, xmltv,
};

use super::answers::{Content, Fresh};
use super::package::is_plain;
use super::packages::{Packages, within};
use super::service::Clock;
use super::shared::Stores;
use crate::origin::conditions;
use crate::origin::cors::Cors;

/// Between two looks at how long assets are.
const LOOK: Duration = Duration::from_secs(10);

/// The target `epg`.
pub const EPG: Target = Target { name: "epg", start: Start::Service(|spec, cx| Box::pin(start(spec, cx))) };

async fn start(spec: serde_json::Value, cx: ServiceContext) -> Result<Box<dyn Service>> {
    let refused = |text: &str| Error::permanent("spec-invalid", text.to_owned());
    let spec: EpgSpec =
        serde_json::from_value(spec).map_err(|error| refused("this is no spec of guides").because(error))?;
    let definitions =
        spec.definitions().map_err(|error| refused("this is no spec of guides").because(error))?;
    let mut stores: BTreeMap<(String, String), (Arc<dyn Catalogue>, Packages)> = BTreeMap::new();
    let mut channels = BTreeMap::new();
    for definition in definitions {
        let channel = &definition.channel;
        let zone = Zone::named(&channel.time_zone)
            .map_err(|error| refused("a channel's time zone is unknown").because(error))?;
        let urls = (channel.object_store.clone(), channel.catalogue.clone());
        if !stores.contains_key(&urls) {
            let open = Stores::open(&urls.0, &urls.1, &cx).await?;
            let packages = Packages::of(&open, String::new());
            stores.insert(urls.clone(), (Arc::clone(&open.catalogue), packages));
        }
        let Some((catalogue, packages)) = stores.get(&urls).cloned() else { continue };
        let name = definition.name.to_string();
        channels.insert(name, Told { definition, zone, catalogue, packages, state: Mutex::default() });
    }
    let counters = Counters::default();
    cx.metrics.register(|registry| counters.register(registry));
    let guides = Guides {
        channels,
        days: u64::from(spec.days_ahead),
        cors: Cors::new(&spec.allowed_origins),
        policy: format!("public, max-age={}", spec.max_age.0.as_secs()),
        clock: Clock::system(),
        counters,
        cx: cx.clone(),
    };
    Ok(Box::new(EpgService { guides: Arc::new(guides), address: SocketAddr::new(cx.bind, spec.port) }))
}

struct EpgService {
    guides: Arc<Guides>,
    address: SocketAddr,
}

struct Guides {
    channels: BTreeMap<String, Told>,
    days: u64,
    cors: Cors,
    policy: String,
    clock: Clock,
    counters: Counters,
    cx: ServiceContext,
}

/// A channel whose guide is told.
struct Told {
    definition: ChannelDefinition,
    zone: Zone,
    catalogue: Arc<dyn Catalogue>,
    packages: Packages,
    state: Mutex<Made>,
}

/// What was found out and made last.
#[derive(Default)]
struct Made {
    /// How long packages play, of assets whose definition does not say it.
    lengths: BTreeMap<String, u64>,
    /// The days that it is of, and both of its forms.
    guide: Option<((u64, u64), Content, Content)>,
}

#[derive(Clone, Default)]
struct Counters {
    served: Counter,
    refused: Counter,
    troubles: Counter,
}

impl Counters {
    fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        registry.register("epg_served", "Requests answered with a guide", self.served.clone());
        registry.register("epg_refused", "Requests for what is not there", self.refused.clone());
        registry.register("epg_troubles", "Times that a store did not answer", self.troubles.clone());
    }
}

#[async_trait]
impl Service for EpgService {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        let listener = http::listen(self.address)?;
        let guides = Arc::clone(&self.guides);
        let looking = tokio::spawn(async move {
            loop {
                guides.look().await;
                ready.set(true);
                tokio::time::sleep(LOOK.mul_f64(0.8 + rand::random::<f64>() * 0.4)).await;
            }
        });
        http::serve_tcp(listener, router(self.guides), http::Limits::default(), &stop).await;
        looking.abort();
        Ok(())
    }
}

impl Guides {
    /// Finds out how long assets are. What a store does not say stays as it was.
    async fn look(&self) {
        for told in self.channels.values() {
            match told.found().await {
                Ok(lengths) => {
                    let mut state = told.state.lock().unwrap_or_else(PoisonError::into_inner);
                    if state.lengths != lengths {
                        *state = Made { lengths, guide: None };
                    }
                }
                Err(error) => {
                    self.counters.troubles.inc();
                    tracing::warn!(error = %error.chain(), channel = %told.definition.name, "Lengths are not known.");
                }
            }
        }
    }
}

impl Told {
    async fn found(&self) -> Result<BTreeMap<String, u64>> {
        let channel = &self.definition.channel;
        let unknown = |name: &String| channel.source(name).is_none_or(|it| it.duration_ms.is_none());
        let wanted: Vec<String> = channel.assets().into_iter().filter(unknown).collect();
        let mut found = BTreeMap::new();
        if wanted.is_empty() {
            return Ok(found);
        }
        for asset in within(self.catalogue.assets()).await?.into_iter().filter(|it| wanted.contains(&it.name))
        {
            match self.packages.published(&asset.name, &asset.generation).await {
                Ok(Some(package)) => {
                    found.insert(asset.name, played_ms(package.index()));
                }
                Ok(None) => {}
                Err(error) if error.code == "package-broken" => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The guide of the days from an instant's on: XMLTV and JSON.
    fn guide(&self, now: u64, days: u64) -> Option<(Content, Content)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, _) = day(&self.zone, now);
        // Noon of the last day: whatever a clock does, it is on that day.
        let (_, to) = day(&self.zone, from.saturating_add(days * 86_400_000 + 43_200_000));
        if let Some((of, xml, json)) = &state.guide
            && *of == (from, to)
        {
            return Some((xml.clone(), json.clone()));
        }
        let lengths = Lengths::of(&self.definition.channel, &|name| state.lengths.get(name).copied());
        let guide = Guide::of(self.definition.name.as_str(), &self.definition.channel, &lengths, from, to);
        let guide = guide.ok()?;
        let json = Content::of(serde_json::to_vec(&guide).ok()?, Fresh::Live);
        let xml = Content::of(xmltv(&[guide]), Fresh::Live);
        state.guide = Some(((from, to), xml.clone(), json.clone()));
        Some((xml, json))
    }
}

fn router(guides: Arc<Guides>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ready\n" }))
        .route(
            "/metrics",
            get(|State(guides): State<Arc<Guides>>| async move {
                streamverse_core::run::metrics_page(&guides.cx.metrics)
            }),
        )
        .route("/epg/{file}", any(serve))
        .with_state(guides)
}

async fn serve(State(guides): State<Arc<Guides>>, request: Request) -> Response {
    let headers = request.headers();
    let mut answer = match *request.method() {
        Method::GET | Method::HEAD => {
            let file = request.uri().path().strip_prefix("/epg/").unwrap_or_default();
            told(&guides, file, headers, request.method() == Method::GET)
        }
        Method::OPTIONS => {
            let mut answer = StatusCode::NO_CONTENT.into_response();
            guides.cors.preflight(headers, answer.headers_mut());
            return answer;
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD, OPTIONS")]).into_response(),
    };
    guides.cors.add(headers, answer.headers_mut());
    answer
}

fn told(guides: &Guides, file: &str, headers: &HeaderMap, whole: bool) -> Response {
    let found = file.rsplit_once('.').filter(|(name, _)| is_plain(name));
    let found = found.and_then(|(name, form)| {
        let (xml, json) = guides.channels.get(name)?.guide(guides.clock.now(), guides.days)?;
        match form {
            "xml" => Some((xml, "application/xml")),
            "json" => Some((json, "application/json")),
            _ => None,
        }
    });
    let Some((content, kind)) = found else {
        guides.counters.refused.inc();
        return (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "max-age=1")]).into_response();
    };
    guides.counters.served.inc();
    let mut fields = HeaderMap::new();
    for (name, text) in [(header::CACHE_CONTROL, guides.policy.as_str()), (header::ETAG, &*content.etag)] {
        if let Ok(value) = HeaderValue::from_str(text) {
            fields.insert(name, value);
        }
    }
    if conditions::has_tag(headers, &content.etag) {
        return (StatusCode::NOT_MODIFIED, fields).into_response();
    }
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(content.body.len()));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    (fields, if whole { Body::from(content.body) } else { Body::empty() }).into_response()
}
