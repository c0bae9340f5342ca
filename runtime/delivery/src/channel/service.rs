//! The HTTP service: methods, conditions, cache headers, and the task that announces on.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use streamverse_core::{Error, Ready, Result, Service, ServiceContext, Start, Stop, Target, http};
use streamverse_model::media::channel::FastChannelSpec;

use super::announced::{Announced, millis};
use super::answers::{self, Answer, Content, Fresh, Resource};
use super::query::{Query, Refusal, refusal};
use super::question::{NoQuestion, Question};
use super::time::utc;
use crate::origin::conditions;
use crate::origin::cors::Cors;

/// Between two looks at what is announced.
const TURN: Duration = Duration::from_secs(1);
/// How long recordings may be kept by caches.
const COMPLETE: u64 = 60;
const IMMUTABLE: u64 = 86_400;
/// Answers that are kept until the edge moves.
const MOST_KEPT: usize = 256;
const MOST_BYTES_KEPT: usize = 4 << 20;

/// The target `fast-channel`.
pub const FAST_CHANNEL: Target =
    Target { name: "fast-channel", start: Start::Service(|spec, cx| Box::pin(start(spec, cx))) };

async fn start(spec: serde_json::Value, cx: ServiceContext) -> Result<Box<dyn Service>> {
    let spec: FastChannelSpec = serde_json::from_value(spec)
        .map_err(|error| Error::permanent("spec-invalid", "this is no spec of a channel").because(error))?;
    let stores = super::shared::Stores::open(&spec.object_store, &spec.catalogue, &cx).await?;
    let name = cx.owner.name.to_string();
    let address = SocketAddr::new(cx.bind, spec.port);
    let cors = Cors::new(&spec.allowed_origins);
    let announced = Announced::new(&name, spec, stores)?;
    let counters = Counters::default();
    cx.metrics.register(|registry| counters.register(registry));
    let channel =
        Channel { name, announced, cors, clock: Clock::system(), counters, kept: Mutex::default(), cx };
    Ok(Box::new(ChannelService { channel: Arc::new(channel), address }))
}

/// Where the time comes from: milliseconds since the epoch.
#[derive(Clone)]
pub(super) struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The host's.
    pub(super) fn system() -> Clock {
        Clock::from(|| millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)))
    }

    /// One that does not go back by a little when what it reads does: a leap second or a corrected clock takes no segment back
    /// that was shown.
    pub(super) fn from(read: impl Fn() -> u64 + Send + Sync + 'static) -> Clock {
        let latest = AtomicU64::new(0);
        Clock(Arc::new(move || {
            let now = read();
            let before = latest.fetch_max(now, Ordering::Relaxed);
            let steady = steady(now, before);
            if steady < before {
                latest.store(steady, Ordering::Relaxed);
            }
            steady
        }))
    }

    pub(super) fn now(&self) -> u64 {
        (self.0)()
    }
}

/// How far a clock may go back and be waited for. One that goes back further was wrong before.
const PATIENCE_MS: u64 = 10_000;

/// The time to go by, of a clock that said `before` already.
fn steady(now: u64, before: u64) -> u64 {
    if before.saturating_sub(now) <= PATIENCE_MS { now.max(before) } else { now }
}

struct ChannelService {
    channel: Arc<Channel>,
    address: SocketAddr,
}

/// A channel as it is served.
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) announced: Announced,
    pub(super) cors: Cors,
    pub(super) clock: Clock,
    pub(super) counters: Counters,
    pub(super) kept: Mutex<Kept>,
    pub(super) cx: ServiceContext,
}

/// What was answered since the edge moved.
#[derive(Default)]
pub(super) struct Kept {
    edge: u64,
    bytes: usize,
    answers: HashMap<(Resource, Query), Content>,
}

#[derive(Clone, Default)]
pub(super) struct Counters {
    served: Counter,
    refused: Counter,
    failed: Counter,
    made: Counter,
    read: Counter,
    troubles: Counter,
    ahead: Gauge,
}

impl Counters {
    fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        let mut counter =
            |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter("channel_served", "Requests answered with content", &self.served);
        counter("channel_refused", "Requests for what is not there or cannot be asked", &self.refused);
        counter(
            "channel_failed",
            "Requests that a store failed, or that came before anything was announced",
            &self.failed,
        );
        counter("channel_blocks_made", "Blocks that this replica announced", &self.made);
        counter(
            "channel_blocks_read",
            "Blocks that other replicas, or it itself before, announced",
            &self.read,
        );
        counter("channel_troubles", "Times that it could not be announced on", &self.troubles);
        registry.register(
            "channel_announced_seconds",
            "How far ahead it is known what plays",
            self.ahead.clone(),
        );
    }
}

#[async_trait]
impl Service for ChannelService {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        let listener = http::listen(self.address)?;
        let announcing = tokio::spawn(Arc::clone(&self.channel).announce(ready, stop.clone()));
        http::serve_tcp(listener, router(self.channel), http::Limits::default(), &stop).await;
        announcing.abort();
        Ok(())
    }
}

impl Channel {
    /// Goes on announcing; ready as long as something can be shown.
    async fn announce(self: Arc<Self>, ready: Ready, stop: Stop) {
        while !stop.is_stopped() {
            self.turn().await;
            ready.set(self.plays());
            // Replicas do not all ask at the same moment.
            let pause = TURN.mul_f64(0.8 + rand::random::<f64>() * 0.4);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.stopped() => break,
            }
        }
        ready.set(false);
    }

    pub(super) async fn turn(&self) {
        let now = self.clock.now();
        match self.announced.turn(now).await {
            Ok(turned) => {
                self.counters.made.inc_by(turned.made);
                self.counters.read.inc_by(turned.read);
            }
            Err(error) => {
                self.counters.troubles.inc();
                tracing::warn!(error = %error.chain(), "It cannot be announced on; what is known is served.");
            }
        }
        let until = self.announced.timeline().known_until().unwrap_or(0);
        self.counters.ahead.set(i64::try_from(until.saturating_sub(now) / 1000).unwrap_or(i64::MAX));
    }

    /// Whether something is on, and it is known what comes.
    fn plays(&self) -> bool {
        let timeline = self.announced.timeline();
        let now = self.clock.now();
        timeline.known_until().is_some_and(|until| until > now) && timeline.edge(now).is_some()
    }

    pub(super) async fn answer(&self, resource: &Resource, query: &Query) -> Answer {
        if let Resource::Cues { .. } = resource {
            return answers::cues(&self.announced, resource).await;
        }
        let now = self.clock.now();
        // What is on changes by the clock, not by the edge.
        let edge = answers::edge(&self.announced, now).filter(|_| *resource != Resource::Now);
        let key = (resource.clone(), Query { msn: None, ..query.clone() });
        if let (Some(edge), None) = (edge, query.msn)
            && let Some(content) = self.kept().get(edge, &key)
        {
            return Answer::Content(content);
        }
        let answer = answers::answer(&self.name, &self.announced, resource, query, now);
        if let (Some(edge), Answer::Content(content)) = (edge, &answer) {
            self.kept().put(edge, key, content);
        }
        answer
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an answer may be used: never for longer than half a segment, so that no edge shows a playlist past its time.
    fn policy(&self, content: &Content) -> String {
        let spec = &self.announced.spec;
        match content.fresh {
            Fresh::Immutable => format!("public, max-age={IMMUTABLE}, immutable"),
            Fresh::Complete => format!("public, max-age={COMPLETE}"),
            Fresh::Live => {
                let timeline = self.announced.timeline();
                let target = timeline.entries().last().map_or(1, |it| it.lineup.target);
                let age = spec.playlist_max_age.0.as_secs().min(target / 2);
                let stale = spec.playlist_stale.0.as_secs();
                format!("public, max-age={age}, stale-while-revalidate={stale}, stale-if-error={stale}")
            }
        }
    }
}

impl Kept {
    fn get(&self, edge: u64, key: &(Resource, Query)) -> Option<Content> {
        if self.edge == edge { self.answers.get(key).cloned() } else { None }
    }

    fn put(&mut self, edge: u64, key: (Resource, Query), content: &Content) {
        let more = self.bytes.saturating_add(content.body.len());
        if self.edge != edge || self.answers.len() >= MOST_KEPT || more > MOST_BYTES_KEPT {
            (self.edge, self.bytes) = (edge, 0);
            self.answers.clear();
        }
        self.bytes = self.bytes.saturating_add(content.body.len());
        self.answers.insert(key, content.clone());
    }
}

pub(super) fn router(channel: Arc<Channel>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route(
            "/metrics",
            get(|State(channel): State<Arc<Channel>>| async move {
                streamverse_core::run::metrics_page(&channel.cx.metrics)
            }),
        )
        .route("/channel/{*path}", any(serve))
        .with_state(channel)
}

async fn readyz(State(channel): State<Arc<Channel>>) -> Response {
    let trouble = channel.announced.trouble();
    let now = channel.clock.now();
    let until = channel.announced.timeline().known_until().unwrap_or(0);
    match (channel.plays(), trouble) {
        (true, None) => "ready\n".into_response(),
        (true, Some(why)) => {
            let text = format!(
                "ready, on what was announced for the next {} s: {why}\n",
                until.saturating_sub(now) / 1000
            );
            text.into_response()
        }
        (false, why) => {
            let why = why.unwrap_or_else(|| "nothing is announced yet".to_owned());
            (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
        }
    }
}

async fn serve(State(channel): State<Arc<Channel>>, request: Request) -> Response {
    let headers = request.headers();
    let mut answer = match *request.method() {
        Method::GET | Method::HEAD => {
            let whole = request.method() == Method::GET;
            let path = request.uri().path().strip_prefix("/channel/").unwrap_or_default();
            answered(&channel, path, request.uri().query(), headers, whole).await
        }
        Method::OPTIONS => {
            let mut answer = StatusCode::NO_CONTENT.into_response();
            channel.cors.preflight(headers, answer.headers_mut());
            return answer;
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD, OPTIONS")]).into_response(),
    };
    channel.cors.add(headers, answer.headers_mut());
    answer
}

pub(super) async fn answered(
    channel: &Channel,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    whole: bool,
) -> Response {
    let Some(rest) = path.strip_prefix(channel.name.as_str()).and_then(|it| it.strip_prefix('/')) else {
        return missing(channel);
    };
    if rest == "time" {
        let fields =
            [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        return (fields, utc(channel.clock.now())).into_response();
    }
    let Question { resource, query } = match Question::read(rest, query) {
        Ok(question) => question,
        Err(NoQuestion::Missing) => return missing(channel),
        Err(NoQuestion::Refused { code, message }) => return refuse(channel, refusal(code, message)),
    };
    match channel.answer(&resource, &query).await {
        Answer::Content(content) => told(channel, &resource, &content, headers, whole),
        Answer::Refused(refused) => refuse(channel, refused),
        Answer::Missing => missing(channel),
        Answer::NotYet | Answer::Failed => {
            channel.counters.failed.inc();
            let fields = [(header::CACHE_CONTROL, "no-store"), (header::RETRY_AFTER, "1")];
            (StatusCode::SERVICE_UNAVAILABLE, fields).into_response()
        }
    }
}

fn told(
    channel: &Channel,
    resource: &Resource,
    content: &Content,
    headers: &HeaderMap,
    whole: bool,
) -> Response {
    channel.counters.served.inc();
    let mut fields = HeaderMap::new();
    let mut put = |name: header::HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            fields.insert(name, value);
        }
    };
    put(header::CACHE_CONTROL, &channel.policy(content));
    put(header::ETAG, &content.etag);
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if conditions::has_tag(headers, &content.etag) {
        return (StatusCode::NOT_MODIFIED, fields).into_response();
    }
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(resource.content_type()));
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(content.body.len()));
    let body = if whole { Body::from(content.body.clone()) } else { Body::empty() };
    (fields, body).into_response()
}

fn refuse(channel: &Channel, refused: Refusal) -> Response {
    channel.counters.refused.inc();
    let text = serde_json::json!({ "code": refused.code, "message": refused.message });
    (StatusCode::BAD_REQUEST, [(header::CACHE_CONTROL, "no-store")], Json(text)).into_response()
}

fn missing(channel: &Channel) -> Response {
    channel.counters.refused.inc();
    // Soon it may be there: a rendition of an asset that is being made.
    (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "max-age=1")]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_a_little_is_waited_for_and_one_that_was_wrong_is_left() {
        let day = 86_400_000;
        for (now, before, by) in [
            (day + 1, day, day + 1),
            (day, day, day),
            (day - 1, day, day),
            // A second that is smeared, or inserted.
            (day - 1000, day, day),
            (day - PATIENCE_MS, day, day),
            (day - PATIENCE_MS - 1, day, day - PATIENCE_MS - 1),
            (day, 50 * 365 * day, day),
            (day, 0, day),
        ] {
            assert_eq!(steady(now, before), by, "{now} after {before}");
        }
    }
}
