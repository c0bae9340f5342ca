//! The HTTP server: clouds below `/aws/v1`, `/gcp/v1` and `/azure/v1`, metadata services below `/_metadata/ID`, and what tests steer
//! it with: `/clock`, `/clock/advance`, `/clock/run`, `/faults`, `/faults/random`, `/faults/each`, `/market`, `/clock/sleep`, `/settings`, `/calls`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use serde_json::{Value, json};
use streamverse_model::compute::{CloudKind, Money};
use streamverse_stand_in::{Answers, Broken, Call, Reply, Said, around, lock};

use crate::api::{self, Answer, cloud_of, refuse};
use crate::config::KEY;
use crate::faults::Chances;
use crate::metadata::{self, Asked};
use crate::world::{Refusal, World};

/// The world, shared.
pub(crate) type Shared = Arc<Mutex<World>>;

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

pub(crate) async fn one(world: Shared, call: Call) -> Reply {
    let (parts, body) = (call.parts(), call.json().unwrap_or_default());
    match parts.as_slice() {
        ["_metadata", id, rest @ ..] => {
            let path = format!("/{}", rest.join("/"));
            let asked = Asked {
                id,
                method: &call.method,
                path: &path,
                query: &call.query,
                headers: &call.headers,
                body: &body,
            };
            let plain = metadata::answer(&world, &asked).await.ok_or(Broken)?;
            let of_google = |etag| [("etag", etag), ("metadata-flavor", "Google".to_owned())];
            let headers: Vec<_> = plain.etag.map(of_google).into_iter().flatten().collect();
            Ok(streamverse_stand_in::respond(plain.status, &headers, plain.body))
        }
        [cloud, "v1", rest @ ..] => match cloud_of(cloud) {
            Some(cloud) => of_cloud(&OfCloud { world: &world, cloud, call: &call, parts: rest, body }).await,
            None => Ok(respond((404, json!({ "error": { "message": "there is no such cloud" } })), None)),
        },
        ["clock", "sleep"] => Ok(respond(sleep(&world, body["ms"].as_u64().unwrap_or(0)).await, None)),
        _ => Ok(respond(control(&world, &call.method, &parts, body), None)),
    }
}

/// A call of a cloud.
struct OfCloud<'a> {
    world: &'a Shared,
    cloud: CloudKind,
    call: &'a Call,
    /// What follows the version.
    parts: &'a [&'a str],
    body: Value,
}

impl OfCloud<'_> {
    /// Among the calls.
    fn note(&self, status: u16) {
        let line = format!("{} {} {status}", self.call.method, self.call.path);
        lock(self.world).steering.calls.push(line);
    }

    /// As it is sent, and noted.
    fn told(&self, answer: Answer, retry_after: Option<u64>) -> Response<Full<Bytes>> {
        self.note(answer.0);
        respond(answer, retry_after)
    }
}

impl Answers<Refusal> for OfCloud<'_> {
    fn done(&self) -> Response<Full<Bytes>> {
        let OfCloud { cloud, call, parts, body, .. } = self;
        let call = api::Call { cloud: *cloud, method: &call.method, parts, query: &call.query, body };
        let answer = api::answer(&mut lock(self.world), &call);
        self.told(answer, None)
    }

    fn instead(&self, said: Said<Refusal>, retry_after: Option<u64>) -> Response<Full<Bytes>> {
        match said {
            Said::Refusal(why) => self.told(refuse(self.cloud, why, "on purpose"), retry_after),
            Said::Status(status, text) => {
                self.told((status, json!({ "error": { "message": text } })), retry_after)
            }
            Said::Failure => respond(refuse(self.cloud, Refusal::Internal, "internal error"), None),
            Said::Garbage(body) => respond((200, body), None),
        }
    }

    fn dropped(&self) {
        self.note(0);
    }
}

/// Answers a call of a cloud, with what goes wrong on purpose.
async fn of_cloud(asked: &OfCloud<'_>) -> Reply {
    let call = asked.call;
    if call.header("authorization") != Some(&format!("Bearer {KEY}")) {
        return Ok(respond(
            (401, json!({ "error": { "code": "AuthFailure", "message": "the key is wrong" } })),
            None,
        ));
    }
    let (admitted, fault, holds) = {
        let mut world = lock(asked.world);
        world.catch_up();
        let admitted = world.admit(asked.cloud);
        let mut fault = if admitted.is_ok() { world.meet(&call.method, &call.path) } else { None };
        if fault.is_none() {
            let call = format!("{} {} {}", call.method, call.path, asked.body);
            fault = world.faults.hold_this(&asked.call.method, call);
        }
        (admitted, fault, Arc::clone(&world.steering.holds))
    };
    if let Err(wait) = admitted {
        let answer = refuse(asked.cloud, Refusal::Throttle, "too many requests");
        return Ok(asked.told(answer, Some(wait.div_ceil(1000))));
    }
    around(fault, &holds, asked).await
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
fn control(shared: &Shared, method: &str, parts: &[&str], body: Value) -> Answer {
    let mut world = lock(shared);
    world.catch_up();
    let wrong = |error: serde_json::Error| (400, json!({ "error": { "message": error.to_string() } }));
    if (method, parts) == ("DELETE", &["faults"]) {
        // Beside what was scripted.
        world.faults.clear();
        world.steering.holds.release();
    }
    if let Some(told) = world.steering.control(method, parts, &body) {
        return told;
    }
    match (method, parts) {
        ("GET", ["clock"]) => {
            let asleep = world.sleepers.iter().filter(|it| **it > world.now).count();
            (
                200,
                json!({
                    "now_ms": world.now, "asleep": asleep, "held": world.steering.holds.count(), "each": world.faults.held_each(),
                }),
            )
        }
        ("POST", ["clock", "advance"]) => {
            let target = world.now.saturating_add(body["ms"].as_u64().unwrap_or(0));
            world.advance_to(target);
            (200, json!({ "now_ms": world.now }))
        }
        ("POST", ["clock", "run"]) => {
            world.run(body["factor"].as_f64().unwrap_or(0.0));
            (200, json!({ "now_ms": world.now }))
        }
        ("POST", ["faults", "random"]) => match serde_json::from_value::<Chances>(body) {
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
        ("POST", ["market"]) => market(&mut world, &body),
        ("PUT", ["settings"]) => match serde_json::from_value(body) {
            Ok(settings) => {
                world.config.settings = settings;
                (200, json!({}))
            }
            Err(error) => wrong(error),
        },
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

fn respond((status, body): Answer, retry_after: Option<u64>) -> Response<Full<Bytes>> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
    streamverse_stand_in::respond(status, &headers, body.to_string())
}
