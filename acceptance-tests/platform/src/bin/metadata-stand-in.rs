//! A stand-in for what a rented instance can ask: the metadata services of EC2, Compute Engine and Azure, and the controller
//! of a fleet. A process of its own, which ends when its input is closed. Its first line is its address.
//!
//! | path | what |
//! |---|---|
//! | `/latest/…` | EC2, version 2: nothing without a token; tokens can be made to run out |
//! | `/computeMetadata/…` | Compute Engine: `wait_for_change` holds the request |
//! | `/metadata/…` | Azure: the instance `vm-1`, scheduled events, `StartRequests` |
//! | `/v1/workers/…` | the controller: orders, reports |
//! | `/control` | `PUT` sets fields of what is below; `GET` says what was set and what was asked for |

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify};

/// `action` and `rebalance` of EC2, `state` of its group, `preempted` of Compute Engine, `events` of Azure, `order` of the
/// controller; `fail`: how many of the next requests are answered with 503; `tokens`: the only good token's number.
#[derive(Clone)]
struct World(Arc<(Mutex<Value>, Notify)>);

impl World {
    /// Counts a request, and says whether it fails.
    async fn asked(&self, what: &str) -> Option<StatusCode> {
        let mut world = self.0.0.lock().await;
        let count = world["asked"][what].as_u64().unwrap_or_default();
        world["asked"][what] = json!(count + 1);
        let fail = world["fail"].as_u64().unwrap_or_default();
        world["fail"] = json!(fail.saturating_sub(1));
        (fail > 0).then_some(StatusCode::SERVICE_UNAVAILABLE)
    }

    async fn field(&self, name: &str) -> Value {
        self.0.0.lock().await[name].clone()
    }
}

type Said = Result<String, StatusCode>;

async fn ec2_token(State(world): State<World>, headers: HeaderMap) -> Said {
    if let Some(failure) = world.asked("token").await {
        return Err(failure);
    }
    if !headers.contains_key("x-aws-ec2-metadata-token-ttl-seconds") {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(format!("token-{}", world.field("tokens").await))
}

async fn ec2_item(State(world): State<World>, Path(path): Path<String>, headers: HeaderMap) -> Said {
    if let Some(failure) = world.asked(&path).await {
        return Err(failure);
    }
    let good = format!("token-{}", world.field("tokens").await);
    if headers.get("x-aws-ec2-metadata-token").is_none_or(|token| token != good.as_str()) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let field = match path.as_str() {
        "spot/instance-action" => "action",
        "events/recommendations/rebalance" => "rebalance",
        "autoscaling/target-lifecycle-state" => "state",
        _ => return Err(StatusCode::NOT_FOUND),
    };
    match world.field(field).await {
        Value::Null => Err(StatusCode::NOT_FOUND),
        Value::String(text) => Ok(text),
        other => Ok(other.to_string()),
    }
}

#[derive(serde::Deserialize)]
struct Wait {
    #[serde(default)]
    wait_for_change: bool,
    timeout_sec: Option<u64>,
    last_etag: Option<String>,
}

async fn preempted(
    State(world): State<World>,
    Query(wait): Query<Wait>,
    headers: HeaderMap,
) -> impl IntoResponse {
    if let Some(failure) = world.asked("preempted").await {
        return Err(failure);
    }
    if headers.get("metadata-flavor").is_none_or(|it| it != "Google") {
        return Err(StatusCode::FORBIDDEN);
    }
    let until = tokio::time::Instant::now() + Duration::from_secs(wait.timeout_sec.unwrap_or(3600));
    loop {
        let changed = world.0.1.notified();
        let now = if world.field("preempted").await == true { "TRUE" } else { "FALSE" };
        let etag = format!("{now}0123");
        if !wait.wait_for_change || wait.last_etag.as_deref().is_some_and(|last| last != etag) {
            return Ok(([("etag", etag), ("metadata-flavor", "Google".to_owned())], now.to_owned()));
        }
        if tokio::time::timeout_at(until, changed).await.is_err() {
            return Ok(([("etag", etag), ("metadata-flavor", "Google".to_owned())], now.to_owned()));
        }
    }
}

fn is_azure(headers: &HeaderMap) -> Result<(), StatusCode> {
    headers.get("metadata").filter(|it| *it == "true").map(|_| ()).ok_or(StatusCode::BAD_REQUEST)
}

async fn azure_name(headers: HeaderMap) -> Said {
    is_azure(&headers).map(|()| "vm-1".to_owned())
}

async fn azure_events(State(world): State<World>, headers: HeaderMap) -> Said {
    if let Some(failure) = world.asked("events").await {
        return Err(failure);
    }
    is_azure(&headers)?;
    let events = world.field("events").await;
    let count = events.as_array().map_or(0, Vec::len);
    Ok(json!({ "DocumentIncarnation": count, "Events": events }).to_string())
}

async fn azure_start(State(world): State<World>, headers: HeaderMap, body: Bytes) -> Said {
    is_azure(&headers)?;
    let body: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    world.0.0.lock().await["started"] = body["StartRequests"].clone();
    Ok(String::new())
}

async fn orders(State(world): State<World>) -> impl IntoResponse {
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let changed = world.0.1.notified();
        match world.field("order").await {
            Value::Null if tokio::time::timeout_at(until, changed).await.is_err() => {
                return (StatusCode::NO_CONTENT, String::new());
            }
            Value::Null => {}
            order => return (StatusCode::OK, order.to_string()),
        }
    }
}

async fn report(State(world): State<World>, Path(name): Path<String>, body: Bytes) -> StatusCode {
    let Ok(mut told) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    told["worker"] = json!(name);
    match world.0.0.lock().await["reports"].as_array_mut() {
        Some(reports) => reports.push(told),
        None => return StatusCode::INTERNAL_SERVER_ERROR,
    }
    StatusCode::OK
}

async fn set(State(world): State<World>, body: Bytes) -> StatusCode {
    let Ok(Value::Object(fields)) = serde_json::from_slice(&body) else { return StatusCode::BAD_REQUEST };
    for (name, value) in fields {
        world.0.0.lock().await[&name] = value;
    }
    world.0.1.notify_waiters();
    StatusCode::OK
}

async fn show(State(world): State<World>) -> String {
    world.0.0.lock().await.to_string()
}

async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let world = World(Arc::new((
        Mutex::new(json!({ "tokens": 1, "fail": 0, "events": [], "reports": [], "asked": {} })),
        Notify::new(),
    )));
    let router = Router::new()
        .route("/latest/api/token", put(ec2_token))
        .route("/latest/meta-data/{*path}", get(ec2_item))
        .route("/computeMetadata/v1/instance/preempted", get(preempted))
        .route("/metadata/instance/compute/name", get(azure_name))
        .route("/metadata/scheduledevents", get(azure_events).post(azure_start))
        .route("/v1/workers/{name}/orders", get(orders))
        .route("/v1/workers/{name}/report", post(report))
        .route("/control", put(set).get(show))
        .with_state(world);
    axum::serve(listener, router).await
}

fn main() -> ExitCode {
    streamverse_stand_in::main_with("metadata-stand-in", |[]| streamverse_stand_in::run(1, serve, || {}))
}
