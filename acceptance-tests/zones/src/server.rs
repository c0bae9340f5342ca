//! The HTTP server: clouds below `/aws/v1`, `/gcp/v1` and `/azure/v1`, metadata services below `/_metadata/ID`, and what tests steer
//! it with: `/clock`, `/clock/advance`, `/clock/run`, `/faults`, `/faults/random`, `/faults/each`, `/market`, `/clock/sleep`, `/settings`, `/calls`.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use streamverse_model::compute::{CloudKind, Money};
use tokio::net::TcpListener;

use crate::api::{self, Answer, Call, cloud_of, refuse};
use crate::config::KEY;
use crate::faults::{Chances, Fault, What};
use crate::metadata::{self, Asked};
use crate::world::{Refusal, World};

/// The world, shared.
pub(crate) type Shared = Arc<Mutex<World>>;

pub(crate) fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection breaks without an answer.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection breaks on purpose")
    }
}

impl std::error::Error for Broken {}

/// An answer of a metadata service.
pub(crate) struct Plain {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) body: String,
}

impl Plain {
    pub(crate) fn status(status: u16) -> Plain {
        Plain { status, etag: None, body: String::new() }
    }

    pub(crate) fn text(body: impl Into<String>) -> Plain {
        Plain { status: 200, etag: None, body: body.into() }
    }
}

/// A request, read.
struct Read {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Value,
}

/// Serves until the listener breaks.
pub(crate) async fn serve(listener: TcpListener, world: Shared) -> std::io::Result<Infallible> {
    loop {
        let (stream, _) = listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let service = service_fn(|request| one(Arc::clone(&world), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn one(world: Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
    let read = read(request).await;
    let parts: Vec<&str> = read.path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["_metadata", id, rest @ ..] => {
            let path = format!("/{}", rest.join("/"));
            let asked = Asked {
                id,
                method: &read.method,
                path: &path,
                query: &read.query,
                headers: &read.headers,
                body: &read.body,
            };
            let plain = metadata::answer(&world, &asked).await.ok_or(Broken)?;
            let mut answer = Response::builder().status(plain.status);
            if let Some(etag) = plain.etag {
                answer = answer.header("etag", etag).header("metadata-flavor", "Google");
            }
            Ok(answer.body(Full::new(Bytes::from(plain.body))).unwrap_or_default())
        }
        [cloud, "v1", rest @ ..] => match cloud_of(cloud) {
            Some(cloud) => of_cloud(&world, cloud, rest, &read).await,
            None => Ok(respond((404, json!({ "error": { "message": "there is no such cloud" } })), None)),
        },
        ["clock", "sleep"] => Ok(respond(sleep(&world, read.body["ms"].as_u64().unwrap_or(0)).await, None)),
        _ => Ok(respond(control(&world, &read, &parts), None)),
    }
}

/// A call of a cloud, with what goes wrong on purpose.
async fn of_cloud(
    world: &Shared,
    cloud: CloudKind,
    parts: &[&str],
    read: &Read,
) -> Result<Response<Full<Bytes>>, Broken> {
    let name =
        |answer: &Answer| lock(world).calls.push(format!("{} {} {}", read.method, read.path, answer.0));
    let authorized = read.headers.get("authorization").is_some_and(|it| *it == *format!("Bearer {KEY}"));
    if !authorized {
        return Ok(respond(
            (401, json!({ "error": { "code": "AuthFailure", "message": "the key is wrong" } })),
            None,
        ));
    }
    let (admitted, fault) = {
        let mut world = lock(world);
        world.catch_up();
        let admitted = world.admit(cloud);
        let mut fault = if admitted.is_ok() { world.faults.meet(&read.method, &read.path) } else { None };
        if fault.is_none() {
            let call = format!("{} {} {}", read.method, read.path, read.body);
            fault = world.faults.hold_this(&read.method, call);
        }
        (admitted, fault)
    };
    if let Err(wait) = admitted {
        let answer = refuse(cloud, Refusal::Throttle, "too many requests");
        name(&answer);
        return Ok(respond(answer, Some(wait.div_ceil(1000))));
    }
    match &fault {
        Some(What::Refuse { why, retry_after }) => {
            let answer = refuse(cloud, *why, "on purpose");
            name(&answer);
            return Ok(respond(answer, *retry_after));
        }
        Some(What::Answer { status, message, retry_after }) => {
            let answer = (*status, json!({ "error": { "message": message } }));
            name(&answer);
            return Ok(respond(answer, *retry_after));
        }
        Some(What::Drop) => {
            name(&(0, Value::Null));
            return Err(Broken);
        }
        Some(What::HoldBefore) => held(world).await,
        _ => {}
    }
    let answer = {
        let mut world = lock(world);
        let call = Call { cloud, method: &read.method, parts, query: &read.query, body: &read.body };
        api::answer(&mut world, &call)
    };
    name(&answer);
    match fault {
        Some(What::Lose) => Err(Broken),
        Some(What::DoneThen500) => Ok(respond(refuse(cloud, Refusal::Internal, "internal error"), None)),
        Some(What::Late(ms)) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(respond(answer, None))
        }
        Some(What::Garbage(body)) => Ok(respond((200, body), None)),
        Some(What::HoldAfter) => {
            held(world).await;
            Ok(respond(answer, None))
        }
        _ => Ok(respond(answer, None)),
    }
}

/// Counts itself as held, also when the caller goes.
struct Held<'a>(&'a Shared);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut world = lock(self.0);
        world.faults.held = world.faults.held.saturating_sub(1);
    }
}

async fn held(world: &Shared) {
    let release = lock(world).faults.hold();
    let _held = Held(world);
    release.notified().await;
}

/// One that waits for the virtual clock, counted until it wakes or goes.
struct Sleeper<'a>(&'a Shared, u64);

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let mut world = lock(self.0);
        if let Some(at) = world.sleepers.iter().position(|it| *it == self.1) {
            world.sleepers.swap_remove(at);
        }
    }
}

/// Answers when so much time has passed.
async fn sleep(shared: &Shared, ms: u64) -> Answer {
    let until = {
        let mut world = lock(shared);
        world.catch_up();
        let until = world.now.saturating_add(ms);
        world.sleepers.push(until);
        until
    };
    let _sleeper = Sleeper(shared, until);
    loop {
        {
            let mut world = lock(shared);
            world.catch_up();
            if world.now >= until {
                return (200, json!({ "now_ms": world.now }));
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What tests steer it with.
fn control(shared: &Shared, read: &Read, parts: &[&str]) -> Answer {
    let mut world = lock(shared);
    world.catch_up();
    let wrong = |error: serde_json::Error| (400, json!({ "error": { "message": error.to_string() } }));
    match (read.method.as_str(), parts) {
        ("GET", ["clock"]) => {
            let asleep = world.sleepers.iter().filter(|it| **it > world.now).count();
            (
                200,
                json!({
                    "now_ms": world.now, "asleep": asleep, "held": world.faults.held, "each": world.faults.held_each(),
                }),
            )
        }
        ("POST", ["clock", "advance"]) => {
            let target = world.now.saturating_add(read.body["ms"].as_u64().unwrap_or(0));
            world.advance_to(target);
            (200, json!({ "now_ms": world.now }))
        }
        ("POST", ["clock", "run"]) => {
            world.run(read.body["factor"].as_f64().unwrap_or(0.0));
            (200, json!({ "now_ms": world.now }))
        }
        ("POST", ["faults"]) => match serde_json::from_value::<Vec<Fault>>(read.body.clone()) {
            Ok(faults) => {
                world.faults.add(faults);
                (200, json!({}))
            }
            Err(error) => wrong(error),
        },
        ("POST", ["faults", "random"]) => match serde_json::from_value::<Chances>(read.body.clone()) {
            Ok(chances) => {
                world.faults.random(chances);
                (200, json!({}))
            }
            Err(error) => wrong(error),
        },
        ("POST", ["faults", "each"]) => {
            world.faults.hold_each();
            (200, json!({}))
        }
        ("DELETE", ["faults"]) => (200, json!(world.faults.clear())),
        ("POST", ["market"]) => market(&mut world, &read.body),
        ("PUT", ["settings"]) => match serde_json::from_value(read.body.clone()) {
            Ok(settings) => {
                world.config.settings = settings;
                (200, json!({}))
            }
            Err(error) => wrong(error),
        },
        ("GET", ["calls"]) => (200, json!(world.calls)),
        ("GET", ["machines"]) => {
            drop(world);
            (200, metadata::list(shared))
        }
        _ => (404, json!({ "error": { "message": "there is no such thing to steer" } })),
    }
}

/// `{zone, spot?, on_demand?, spot_price?}`: what a zone gives from now on; `spot: null` lets the market decide again.
fn market(world: &mut World, body: &Value) -> Answer {
    let zone = body["zone"].as_str().unwrap_or_default();
    let Some(index) = world.config.zones.iter().position(|it| it.name == zone) else {
        return (404, json!({ "error": { "message": format!("there is no zone {zone}") } }));
    };
    let number = |it: &Value| it.as_u64().and_then(|it| u32::try_from(it).ok());
    if let Some(said) = body.get("spot") {
        match number(said) {
            Some(count) => _ = world.said.insert(index, count),
            None => _ = world.said.remove(&index),
        }
    }
    if let Some(of) = world.config.zones.get_mut(index) {
        if let Some(said) = body.get("on_demand") {
            of.on_demand_available = number(said);
        }
        if let Some(price) = body["spot_price"].as_f64().and_then(Money::dollars) {
            of.spot = Some(price);
        }
    }
    let now = world.now;
    world.advance_to(now);
    (200, json!({}))
}

async fn read(request: Request<Incoming>) -> Read {
    let (parts, body) = request.into_parts();
    let bytes = Limited::new(body, 1 << 20).collect().await.map(http_body_util::Collected::to_bytes);
    let bytes = bytes.unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default().split('&').filter(|it| !it.is_empty());
    let query = query.map(|it| it.split_once('=').unwrap_or((it, "")));
    Read {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

fn respond((status, body): Answer, retry_after: Option<u64>) -> Response<Full<Bytes>> {
    let mut answer = Response::builder().status(status).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        answer = answer.header("retry-after", seconds.to_string());
    }
    answer.body(Full::new(Bytes::from(body.to_string()))).unwrap_or_default()
}
