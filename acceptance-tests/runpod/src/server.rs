//! The HTTP server: the API below `/v2`, and what tests steer it with below `/_control`.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use serde_json::{Map, Value, json};
use streamverse_stand_in::{Answers, Call, NoRefusals, Reply, Said, around, lock};

use crate::openapi::{Description, Operation};
use crate::pods::{self, Shared};
use crate::stock::Stock;
use crate::world::{Answer, KINDS, public, refuse, title};

/// The key that it takes.
pub const KEY: &str = "rpa_planted-runpod-key-5d20";

/// What a server needs.
pub(crate) struct Server {
    pub(crate) world: Shared,
    pub(crate) description: Option<Description>,
}

/// A call of the API, and the headers of its answer.
struct Asked<'a> {
    server: &'a Server,
    call: &'a Call,
    headers: Vec<(&'static str, String)>,
}

pub(crate) async fn one(server: Arc<Server>, call: Call) -> Reply {
    if let Some(rest) = call.path.strip_prefix("/_control/") {
        let (status, body) = control(&server, &call.method, rest, call.json());
        return Ok(respond(status, body.as_ref(), &[]));
    }
    if call.header("authorization") != Some(&format!("Bearer {KEY}")) {
        let (status, body) = refuse(401, "the bearer token is missing or invalid");
        return Ok(respond(status, body.as_ref(), &[]));
    }
    let (admitted, quota, holds) = {
        let mut world = lock(&server.world);
        (world.admit(), world.settings.per_minute, Arc::clone(&world.steering.holds))
    };
    let seconds = admitted.wait_ms / 1000 + 1;
    let headers = vec![
        ("RateLimit", format!("\"minute\";r={};t={seconds}", admitted.left)),
        ("RateLimit-Policy", format!("\"minute\";q={quota};w=60")),
    ];
    let asked = Asked { server: &server, call: &call, headers };
    if !admitted.yes {
        return Ok(told(&asked, refuse(429, "too many requests"), Some(seconds)));
    }
    let fault = lock(&server.world).steering.faults.meet(&call.method, &call.path);
    around(fault, &holds, &asked).await
}

impl Answers<NoRefusals> for Asked<'_> {
    fn done(&self) -> Response<Full<Bytes>> {
        told(self, answer(self.server, self.call), None)
    }

    fn instead(&self, said: Said<NoRefusals>, retry_after: Option<u64>) -> Response<Full<Bytes>> {
        match said {
            Said::Refusal(none) => match none {},
            Said::Status(status, text) => {
                let detail = if text.is_empty() { title(status).to_owned() } else { text };
                told(self, refuse(status, detail), retry_after)
            }
            Said::Failure => respond(500, refuse(500, "internal error").1.as_ref(), &self.headers),
            Said::Garbage(body) => respond(200, Some(&body), &self.headers),
        }
    }

    fn dropped(&self) {
        let call = format!("{} {} dropped", self.call.method, self.call.path);
        lock(&self.server.world).steering.calls.push(call);
    }
}

/// An answer as it is sent, after it was held to the description.
fn told(asked: &Asked<'_>, (status, mut body): Answer, retry_after: Option<u64>) -> Response<Full<Bytes>> {
    let Asked { server, call, headers } = asked;
    let mut world = lock(&server.world);
    world.steering.calls.push(format!("{} {} {status}", call.method, call.path));
    let operation =
        server.description.as_ref().and_then(|it| Some((it, it.operation(&call.method, &call.path)?)));
    if let Some((description, operation)) = operation {
        for fault in description.answer(operation, status, body.as_ref()) {
            world.violations.push(format!("{} {} {status}: {fault}", call.method, call.path));
        }
    }
    let size = world.settings.page_size;
    if call.method == "GET" && status == 200 && size > 0 {
        paginate(&mut body, &call.query, size);
    }
    let mut headers = headers.clone();
    headers.extend(retry_after.map(|it| ("Retry-After", it.to_string())));
    respond(status, body.as_ref(), &headers)
}

/// Cuts a list into pages, with a cursor to the next one.
fn paginate(body: &mut Option<Value>, query: &[(String, String)], size: usize) {
    let Some(Value::Object(members)) = body else { return };
    if members.len() != 1 {
        return;
    }
    let Some(Value::Array(all)) = members.values_mut().next() else { return };
    let cursor = query.iter().find(|(name, _)| name == "cursor").map(|(_, value)| value.as_str());
    let from = cursor.and_then(|it| it.strip_prefix("after-")?.parse().ok()).unwrap_or(0).min(all.len());
    let until = (from + size).min(all.len());
    let more = until < all.len();
    *all = all.drain(from..until).collect();
    if more {
        members.insert("nextCursor".to_owned(), json!(format!("after-{until}")));
    }
}

fn answer(server: &Server, call: &Call) -> Answer {
    let body = call.json();
    if body.is_none() && !call.body.is_empty() {
        return refuse(400, "the body is no JSON");
    }
    if let Some(description) = &server.description {
        let Some(operation) = description.operation(&call.method, &call.path) else {
            return refuse(404, "there is no such operation");
        };
        let wrong = faults_of(description, operation, call, body.as_ref());
        if !wrong.is_empty() {
            let mut world = lock(&server.world);
            world.violations.push(format!(
                "{} {}: the request: {}",
                call.method,
                call.path,
                wrong.join(", ")
            ));
            let (status, body) = refuse(422, "the request does not fit the schema");
            let mut body = body.unwrap_or_default();
            body["errors"] = json!(wrong);
            return (status, Some(body));
        }
    }
    dispatch(server, call, body.as_ref())
}

fn faults_of(
    description: &Description,
    operation: Operation<'_>,
    call: &Call,
    body: Option<&Value>,
) -> Vec<String> {
    let mut wrong = description.query(operation, &call.query);
    wrong.extend(description.body(operation, body));
    wrong
}

/// The kind and the list's member of a collection.
fn collection(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "pods" => ("pod", "pods"),
        "templates" => ("template", "templates"),
        "network-volumes" => ("volume", "networkVolumes"),
        "registries" => ("registry", "registries"),
        "serverless" => ("endpoint", "endpoints"),
        _ => return None,
    })
}

fn dispatch(server: &Server, call: &Call, body: Option<&Value>) -> Answer {
    let parts = call.parts();
    let empty = Map::new();
    let body = body.and_then(Value::as_object).unwrap_or(&empty);
    match (call.method.as_str(), parts.as_slice()) {
        ("GET", ["v2", "catalog", "gpus"]) => lock(&server.world).stock.gpus(&call.query),
        ("GET", ["v2", "catalog", "datacenters"]) => Stock::centres(),
        ("POST", ["v2", "pods", id, "action"]) => {
            pods::act(&server.world, id, body.get("action").and_then(Value::as_str).unwrap_or_default())
        }
        ("POST", ["v2", "pods"]) => pods::create(&server.world, body),
        ("PATCH", ["v2", "pods", id]) => pods::patch(&server.world, id, body),
        ("DELETE", ["v2", "pods", id]) => pods::terminate(&server.world, id, "terminated"),
        (method, ["v2", name, rest @ ..]) => match (collection(name), rest) {
            (Some(of), []) => all_of(server, method, of, body),
            (Some((kind, _)), [id]) => one_of(server, method, kind, id, body),
            _ => refuse(404, "this stand-in has no such path"),
        },
        _ => refuse(404, "there is no such path"),
    }
}

fn all_of(
    server: &Server,
    method: &str,
    (kind, member): (&'static str, &str),
    body: &Map<String, Value>,
) -> Answer {
    let mut world = lock(&server.world);
    match (method, kind) {
        ("GET", _) => (200, Some(json!({ member: world.listed(kind) }))),
        ("POST", "template") => world.create_template(body),
        ("POST", "volume") => world.create_volume(body),
        ("POST", "registry") => world.create_registry(body),
        ("POST", "endpoint") => world.create_endpoint(body),
        _ => refuse(405, "this method is not supported here"),
    }
}

fn one_of(server: &Server, method: &str, kind: &'static str, id: &str, body: &Map<String, Value>) -> Answer {
    let mut world = lock(&server.world);
    match (method, kind) {
        ("GET", _) => match world.of(kind).get(id) {
            Some(thing) => (200, Some(public(&thing.body))),
            None => refuse(404, format!("{kind} not found")),
        },
        ("PATCH", "template") => world.patch_template(id, body),
        ("PATCH", "volume") => world.patch_volume(id, body),
        ("PATCH", "endpoint") => world.patch_endpoint(id, body),
        ("DELETE", _) => world.delete(kind, id),
        _ => refuse(405, "this method is not supported here"),
    }
}

/// What tests steer it with.
fn control(server: &Server, method: &str, path: &str, body: Option<Value>) -> Answer {
    let parts: Vec<&str> = path.split('/').collect();
    if let ("POST", ["pods", id, "lose"]) = (method, parts.as_slice()) {
        return pods::terminate(&server.world, id, "lost");
    }
    if let ("POST", ["pods", id, "kill"]) = (method, parts.as_slice()) {
        return pods::kill(&server.world, id);
    }
    let mut world = lock(&server.world);
    let body = body.unwrap_or_default();
    if let Some((status, told)) = world.steering.control(method, &parts, &body) {
        return (status, Some(told));
    }
    let told = match (method, parts.as_slice()) {
        ("PUT", ["settings"]) => match serde_json::from_value(body) {
            Ok(settings) => {
                world.settings = settings;
                Value::Null
            }
            Err(error) => return refuse(422, error.to_string()),
        },
        ("PUT", ["stock"]) => {
            world.stock.set(&body);
            Value::Null
        }
        ("PUT", ["prices"]) => {
            world.stock.price(&body);
            Value::Null
        }
        ("GET", ["violations"]) => json!(world.violations),
        ("DELETE", ["violations"]) => json!(std::mem::take(&mut world.violations)),
        ("GET", ["checked"]) => json!(server.description.is_some()),
        ("GET", ["things"]) => {
            let all = KINDS.map(|kind| {
                let things: Vec<Value> =
                    world.of(kind).values().map(|thing| Value::Object(thing.body.clone())).collect();
                (kind.to_owned(), Value::Array(things))
            });
            Value::Object(all.into_iter().collect())
        }
        _ => return refuse(404, "the control API has no such call"),
    };
    (200, Some(told))
}

fn respond(status: u16, body: Option<&Value>, headers: &[(&'static str, String)]) -> Response<Full<Bytes>> {
    let kind = if status >= 400 { "application/problem+json" } else { "application/json" };
    let mut headers = headers.to_vec();
    headers.extend(body.map(|_| ("content-type", kind.to_owned())));
    let bytes = body.map(|body| serde_json::to_vec(body).unwrap_or_default());
    streamverse_stand_in::respond(status, &headers, bytes.unwrap_or_default())
}
