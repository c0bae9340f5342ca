//! The HTTP server: the API below `/v2`, and what tests steer it with below `/_control`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::faults::{Fault, Holds, What};
use crate::openapi::{Description, Operation};
use crate::pods::{self, Shared, lock};
use crate::stock::Stock;
use crate::world::{Answer, KINDS, public, refuse, title};

/// The key that it takes.
pub const KEY: &str = "rpa_planted-runpod-key-5d20";

/// What a server needs.
pub(crate) struct Server {
    pub(crate) world: Shared,
    pub(crate) description: Option<Description>,
    pub(crate) holds: Holds,
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

struct Call {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    key: bool,
    body: Option<Value>,
    /// A body that is no JSON.
    garbled: bool,
}

/// Serves until the listener breaks.
pub(crate) async fn serve(listener: TcpListener, server: Arc<Server>) -> std::io::Result<Infallible> {
    loop {
        let (stream, _) = listener.accept().await?;
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let service = service_fn(|request| one(Arc::clone(&server), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn one(server: Arc<Server>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
    let call = read(request).await;
    if let Some(rest) = call.path.strip_prefix("/_control/") {
        let (status, body) = control(&server, &call.method, rest, call.body);
        return Ok(respond(status, body.as_ref(), &[]));
    }
    if !call.key {
        let (status, body) = refuse(401, "the bearer token is missing or invalid");
        return Ok(respond(status, body.as_ref(), &[]));
    }
    let (left, seconds, admitted) = lock(&server.world).admit();
    let quota = lock(&server.world).settings.per_minute;
    let mut headers = vec![
        ("RateLimit", format!("\"minute\";r={left};t={seconds}")),
        ("RateLimit-Policy", format!("\"minute\";q={quota};w=60")),
    ];
    if !admitted {
        headers.push(("Retry-After", seconds.to_string()));
        let (status, body) = refuse(429, "too many requests");
        return Ok(told(&server, &call, (status, body), &headers));
    }
    let fault = lock(&server.world).faults.meet(&call.method, &call.path);
    match fault {
        Some(What::Drop) => {
            lock(&server.world).calls.push(format!("{} {} dropped", call.method, call.path));
            Err(Broken)
        }
        Some(What::Answer { status, detail, retry_after }) => {
            if let Some(after) = retry_after {
                headers.push(("Retry-After", after.to_string()));
            }
            let detail = if detail.is_empty() { title(status).to_owned() } else { detail };
            Ok(told(&server, &call, refuse(status, detail), &headers))
        }
        other => {
            if matches!(other, Some(What::HoldBefore)) {
                server.holds.hold().await;
            }
            let answer = answer(&server, &call);
            let held = told(&server, &call, answer, &headers);
            match other {
                Some(What::Lose) => Err(Broken),
                Some(What::DoneThen500) => {
                    Ok(respond(500, refuse(500, "internal error").1.as_ref(), &headers))
                }
                Some(What::Late(ms)) => {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    Ok(held)
                }
                Some(What::HoldAfter) => {
                    server.holds.hold().await;
                    Ok(held)
                }
                Some(What::Garbage(body)) => Ok(respond(200, Some(&body), &headers)),
                _ => Ok(held),
            }
        }
    }
}

/// An answer as it is sent, after it was held to the description.
fn told(
    server: &Server,
    call: &Call,
    (status, mut body): Answer,
    headers: &[(&'static str, String)],
) -> Response<Full<Bytes>> {
    let mut world = lock(&server.world);
    world.calls.push(format!("{} {} {status}", call.method, call.path));
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
    respond(status, body.as_ref(), headers)
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
    if call.garbled {
        return refuse(400, "the body is no JSON");
    }
    if let Some(description) = &server.description {
        let Some(operation) = description.operation(&call.method, &call.path) else {
            return refuse(404, "there is no such operation");
        };
        let wrong = faults_of(description, operation, call);
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
    dispatch(server, call)
}

fn faults_of(description: &Description, operation: Operation<'_>, call: &Call) -> Vec<String> {
    let mut wrong = description.query(operation, &call.query);
    wrong.extend(description.body(operation, call.body.as_ref()));
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

fn dispatch(server: &Server, call: &Call) -> Answer {
    let parts: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    let empty = Map::new();
    let body = call.body.as_ref().and_then(Value::as_object).unwrap_or(&empty);
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
    let told = match (method, parts.as_slice()) {
        ("PUT", ["settings"]) => match serde_json::from_value(body) {
            Ok(settings) => {
                world.settings = settings;
                Value::Null
            }
            Err(error) => return refuse(422, error.to_string()),
        },
        ("POST", ["faults"]) => match serde_json::from_value::<Vec<Fault>>(body) {
            Ok(faults) => {
                world.faults.add(faults);
                Value::Null
            }
            Err(error) => return refuse(422, error.to_string()),
        },
        ("DELETE", ["faults"]) => {
            let waiting = world.faults.waiting();
            world.faults.clear();
            json!(waiting)
        }
        ("PUT", ["stock"]) => {
            world.stock.set(&body);
            Value::Null
        }
        ("PUT", ["prices"]) => {
            world.stock.price(&body);
            Value::Null
        }
        ("GET", ["held"]) => json!(server.holds.count()),
        ("DELETE", ["held"]) => {
            server.holds.release();
            Value::Null
        }
        ("GET", ["violations"]) => json!(world.violations),
        ("DELETE", ["violations"]) => json!(std::mem::take(&mut world.violations)),
        ("GET", ["calls"]) => json!(world.calls),
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

async fn read(request: Request<Incoming>) -> Call {
    let (head, body) = request.into_parts();
    let query =
        url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let key =
        head.headers.get("authorization").and_then(|it| it.to_str().ok()) == Some(&format!("Bearer {KEY}"));
    let bytes = Limited::new(body, 8 << 20)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let body: Option<Value> = serde_json::from_slice(&bytes).ok();
    Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query,
        key,
        garbled: !bytes.is_empty() && body.is_none(),
        body,
    }
}

fn respond(status: u16, body: Option<&Value>, headers: &[(&'static str, String)]) -> Response<Full<Bytes>> {
    let kind = if status >= 400 { "application/problem+json" } else { "application/json" };
    let bytes = body.map(|body| serde_json::to_vec(body).unwrap_or_default()).unwrap_or_default();
    let mut answer = Response::builder().status(status);
    if body.is_some() {
        answer = answer.header("content-type", kind);
    }
    for (name, value) in headers {
        answer = answer.header(*name, value);
    }
    answer.body(Full::new(Bytes::from(bytes))).unwrap_or_default()
}
