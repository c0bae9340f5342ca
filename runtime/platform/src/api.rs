//! The agent's HTTP API, as `streamverse_model::platform::node` describes it.

mod own_metrics;

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path as FilePath;
use std::sync::Arc;

use axum::extract::{MatchedPath, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use streamverse_core::Error;
use streamverse_core::run::{JobEnd, metrics_page};
use streamverse_model::media::MediaFacts;
use streamverse_model::platform::node::{
    ApiError, Applied, ApplyRequest, Looked, NodeInfo, OwnerList, ProbeRequest,
};
use streamverse_model::platform::{Name, Object, Observed, Owner, Phase};
use utoipa::OpenApi as _;

use crate::agent::{Agent, Refusal};
use crate::keeper::Keeper;

/// How long an apply waits for what it would start again to stop. Less than a client's deadline.
const SETTLE: std::time::Duration = std::time::Duration::from_secs(20);

/// The description of all this, as OpenAPI has it.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "StreamVerse node agent", description = "Holds the desired state of one host."),
    paths(node, list, observe, apply, remove, restart, look, logs, own_metrics::metrics, probe)
)]
struct Description;

pub(crate) fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ready\n" }))
        .route(
            "/metrics",
            get(|State(agent): State<Arc<Agent>>| async move { metrics_page(&agent.metrics()) }),
        )
        .route("/openapi.json", get(|| async { Json(Description::openapi()) }))
        .route("/v1/node", get(node))
        .route("/v1/deployments/{deployment}/owners", get(list))
        .route("/v1/deployments/{deployment}/owners/{kind}/{name}", get(observe).put(apply).delete(remove))
        .route("/v1/deployments/{deployment}/owners/{kind}/{name}/logs", get(logs))
        .route("/v1/deployments/{deployment}/owners/{kind}/{name}/metrics", get(own_metrics::metrics))
        .route("/v1/deployments/{deployment}/owners/{kind}/{name}/restart", post(restart))
        .route("/v1/deployments/{deployment}/owners/{kind}/{name}/look", post(look))
        .route("/v1/deployments/{deployment}/probe", post(probe))
        .fallback(|| async { Answer::not_found("there is no such path in this API") })
        .layer(axum::middleware::map_response(as_json))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&agent), measured))
        .with_state(agent)
}

/// How long each answer took, by route.
async fn measured(State(agent): State<Arc<Agent>>, request: Request, next: Next) -> Response {
    let since = std::time::Instant::now();
    // Methods that nobody has heard of are one: whoever invents some must not fill the page.
    let method = match request.method().as_str() {
        known @ ("GET" | "PUT" | "POST" | "DELETE" | "HEAD") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let answer = next.run(request).await;
    let route = route.unwrap_or_else(|| "other".to_owned());
    agent.shared.metrics.answered(&method, &route, answer.status().as_u16(), since.elapsed());
    answer
}

/// Refusals of the framework itself (a path, a query, a method that it cannot use) in the shape of all others.
async fn as_json(answer: Response) -> Response {
    let json =
        answer.headers().get("content-type").is_some_and(|it| it.as_bytes().starts_with(b"application/json"));
    let status = answer.status();
    if !status.is_client_error() || json {
        return answer;
    }
    let bytes = axum::body::to_bytes(answer.into_body(), 64 << 10).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let message = if text.is_empty() { status.to_string() } else { text };
    let code = if status == StatusCode::METHOD_NOT_ALLOWED { "method" } else { "invalid" };
    Answer(status, ApiError { code: code.to_owned(), message, next: None, field: None }).into_response()
}

/// A refusal with its status.
struct Answer(StatusCode, ApiError);

impl Answer {
    fn not_found(message: &str) -> Answer {
        let error =
            ApiError { code: "not-found".to_owned(), message: message.to_owned(), next: None, field: None };
        Answer(StatusCode::NOT_FOUND, error)
    }

    fn invalid(message: impl Into<String>) -> Answer {
        let error = ApiError { code: "invalid".to_owned(), message: message.into(), next: None, field: None };
        Answer(StatusCode::BAD_REQUEST, error)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<Error> for Answer {
    fn from(error: Error) -> Answer {
        let status =
            if error.retry { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNPROCESSABLE_ENTITY };
        Answer(
            status,
            ApiError { code: error.code.to_owned(), message: error.chain(), next: None, field: None },
        )
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        let status = match refusal.code {
            "owned-by-another" => StatusCode::CONFLICT,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let Refusal { code, message, next, field } = refusal;
        Answer(status, ApiError { code: code.to_owned(), message, next, field })
    }
}

fn owner(deployment: &str, kind: &str, name: &str) -> Result<Owner, Answer> {
    Owner::new(deployment, kind, name).map_err(|error| Answer::invalid(error.to_string()))
}

/// What is held for the owner of a path.
fn held(agent: &Agent, (d, kind, name): &(String, String, String)) -> Result<(Owner, Observed), Answer> {
    let owner = owner(d, kind, name)?;
    match agent.observe(&owner) {
        Some(observed) => Ok((owner, observed)),
        None => Err(Answer::not_found(&format!("nothing is held for {owner}"))),
    }
}

#[utoipa::path(
    get,
    path = "/v1/node",
    responses((status = 200, description = "What the agent is and can do", body = NodeInfo), (status = "4XX", body = ApiError), (status = "5XX", body = ApiError)),
)]
async fn node(State(agent): State<Arc<Agent>>) -> Json<NodeInfo> {
    let shared = &agent.shared;
    let mut engines = BTreeMap::new();
    let mut problems = shared.problems();
    for driver in shared.engines() {
        match driver.detect().await {
            Ok(Some(info)) => {
                engines.insert(driver.kind().as_str().to_owned(), info);
            }
            Ok(None) => {}
            Err(error) => problems.push(error.chain()),
        }
    }
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    let free = shared.free();
    if free < 256 << 20 {
        problems.push(format!("{} has only {} MiB left", shared.data.display(), free >> 20));
    }
    Json(NodeInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
        bind: shared.bind.to_string(),
        targets: shared.targets.iter().map(|target| target.name.to_owned()).collect(),
        engines,
        tools: shared.tools.iter().map(|(name, path)| (name.clone(), path.display().to_string())).collect(),
        cpus: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory_bytes: memory.unwrap_or(0) * 1024,
        free_bytes: free,
        problems,
    })
}

#[utoipa::path(
    get,
    path = "/v1/deployments/{deployment}/owners",
    params(("deployment" = Name, Path, description = "The deployment")),
    responses((status = 200, description = "Owners, sorted", body = OwnerList), (status = "4XX", body = ApiError), (status = "5XX", body = ApiError)),
)]
async fn list(
    State(agent): State<Arc<Agent>>,
    Path(deployment): Path<String>,
) -> Result<Json<OwnerList>, Answer> {
    let deployment = Name::parse(&deployment).map_err(|error| Answer::invalid(error.to_string()))?;
    Ok(Json(OwnerList { owners: agent.list(&deployment) }))
}

type OwnerPath = Path<(String, String, String)>;

#[utoipa::path(
    get,
    path = "/v1/deployments/{deployment}/owners/{kind}/{name}",
    params(
        ("deployment" = Name, Path, description = "The deployment"),
        ("kind" = Name, Path, description = "The owner's kind"),
        ("name" = Name, Path, description = "The owner's name"),
    ),
    responses((status = 200, description = "What is held, and how it is", body = Observed), (status = "4XX", body = ApiError), (status = "5XX", body = ApiError)),
)]
async fn observe(State(agent): State<Arc<Agent>>, Path(path): OwnerPath) -> Result<Json<Observed>, Answer> {
    Ok(Json(held(&agent, &path)?.1))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplyOptions {
    #[serde(default)]
    dry_run: bool,
}

#[utoipa::path(
    put,
    path = "/v1/deployments/{deployment}/owners/{kind}/{name}",
    params(
        ("deployment" = Name, Path, description = "The deployment"),
        ("kind" = Name, Path, description = "The owner's kind"),
        ("name" = Name, Path, description = "The owner's name"),
        ("dry_run" = Option<bool>, Query, description = "Only say what would change"),
    ),
    request_body = ApplyRequest,
    responses((status = 200, description = "What changed, or would", body = Applied), (status = "4XX", body = ApiError), (status = "5XX", body = ApiError)),
)]
async fn apply(
    State(agent): State<Arc<Agent>>,
    Path((d, kind, name)): OwnerPath,
    Query(options): Query<ApplyOptions>,
    body: Result<Json<ApplyRequest>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Applied>, Answer> {
    let (metrics, dry_run) = (&agent.shared.metrics, options.dry_run);
    let outcome = put(&agent, owner(&d, &kind, &name)?, options, body).await;
    metrics.applied(match &outcome {
        Ok(_) if dry_run => "dry_run",
        Ok(_) => "applied",
        Err(Answer(status, _)) if status.is_client_error() => "refused",
        Err(_) => "failed",
    });
    outcome
}

async fn put(
    agent: &Agent,
    owner: Owner,
    options: ApplyOptions,
    body: Result<Json<ApplyRequest>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Applied>, Answer> {
    let Json(request) = body.map_err(|rejection| Answer::invalid(rejection.body_text()))?;
    if request.bundle.owner != owner {
        return Err(Answer::invalid(format!(
            "the bundle belongs to {}, the path to {owner}",
            request.bundle.owner
        )));
    }
    let _one = agent.gate.lock().await;
    agent.judge(&request.bundle)?;
    agent.judge_engines(&request.bundle).await?;
    if options.dry_run {
        return Ok(Json(agent.compare(&request.bundle)));
    }
    // What is being stopped is let go first: two keepers of one object would fight for its folders.
    let until = tokio::time::Instant::now() + SETTLE;
    while agent.is_settling(&request.bundle) {
        let waiting = agent.let_go(&owner)?;
        if tokio::time::Instant::now() > until {
            let text = format!("{owner} is still being stopped: {}", waiting.unwrap_or_default());
            return Err(Error::passing("stopping", text).into());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let declared = |name: &Name| {
        request.bundle.objects.iter().any(|object| matches!(object, Object::Secret(it) if it.name == *name))
    };
    if let Some(name) = request.secrets.keys().find(|name| !declared(name)) {
        return Err(Answer::invalid(format!(
            "there are values for the secret {name}, which the bundle does not have"
        )));
    }
    let values: BTreeMap<Name, String> = request.secrets.into_values().flatten().collect();
    Ok(Json(agent.apply(request.bundle, &values)?))
}

#[utoipa::path(
    delete,
    path = "/v1/deployments/{deployment}/owners/{kind}/{name}",
    params(
        ("deployment" = Name, Path, description = "The deployment"),
        ("kind" = Name, Path, description = "The owner's kind"),
        ("name" = Name, Path, description = "The owner's name"),
    ),
    responses((status = 202, description = "It is being stopped: ask again", body = String), (status = 204, description = "It is gone"), (status = "4XX", body = ApiError), (status = "5XX", body = ApiError)),
)]
async fn remove(State(agent): State<Arc<Agent>>, Path(path): OwnerPath) -> Result<Response, Answer> {
    let (owner, _) = held(&agent, &path)?;
    let _one = agent.gate.lock().await;
    Ok(match agent.delete(&owner)? {
        Some(waiting) => (StatusCode::ACCEPTED, waiting).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

#[utoipa::path(
    post,
    path = "/v1/deployments/{deployment}/owners/{kind}/{name}/restart",
    params(
        ("deployment" = Name, Path, description = "The deployment"),
        ("kind" = Name, Path, description = "The owner's kind"),
        ("name" = Name, Path, description = "The owner's name"),
    ),
    responses((status = 202, description = "Its services are being started anew, with the agent's program", body = String), (status = "4XX", body = ApiError), (status = "5XX", body = ApiError)),
)]
async fn restart(
    State(agent): State<Arc<Agent>>,
    Path((d, kind, name)): OwnerPath,
) -> Result<Response, Answer> {
    let owner = owner(&d, &kind, &name)?;
    let _one = agent.gate.lock().await;
    match agent.restart(&owner).as_slice() {
        [] => Err(Answer::not_found(&format!("{owner} has no service here"))),
        services => Ok((StatusCode::ACCEPTED, format!("{}\n", services.join(", "))).into_response()),
    }
}

#[utoipa::path(
    post,
    path = "/v1/deployments/{deployment}/owners/{kind}/{name}/look",
    params(
        ("deployment" = Name, Path, description = "The deployment"),
        ("kind" = Name, Path, description = "The owner's kind"),
        ("name" = Name, Path, description = "The owner's name"),
    ),
    responses((status = 200, description = "Whether what its job made is still as it made it", body = Looked), (status = "4XX", body = ApiError), (status = "5XX", body = ApiError)),
)]
async fn look(State(agent): State<Arc<Agent>>, Path(path): OwnerPath) -> Result<Json<Looked>, Answer> {
    let (owner, observed) = held(&agent, &path)?;
    let done = |key: &str| observed.object(key).is_some_and(|it| it.phase == Phase::Succeeded);
    let job = observed.bundle.objects.iter().find_map(|object| match object {
        Object::Job(it) if done(&object.key()) => Some(it),
        _ => None,
    });
    let Some(job) = job.cloned() else { return Ok(Json(Looked::default())) };
    // Whoever asked may hang up in the middle: what was begun ends all the same, and leaves nothing behind.
    let looked = tokio::spawn(async move {
        // One at a time: it has one place.
        let _one = agent.looks.lock().await;
        crate::look::look(&agent.shared, &owner, &job).await
    });
    Ok(Json(looked.await.unwrap_or_default()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogOptions {
    object: String,
    #[serde(default = "hundred")]
    lines: usize,
}

fn hundred() -> usize {
    100
}

#[utoipa::path(
    get,
    path = "/v1/deployments/{deployment}/owners/{kind}/{name}/logs",
    params(
        ("deployment" = Name, Path, description = "The deployment"),
        ("kind" = Name, Path, description = "The owner's kind"),
        ("name" = Name, Path, description = "The owner's name"),
        ("object" = String, Query, description = "`service/origin`"),
        ("lines" = Option<usize>, Query, description = "From the end, at most 10000"),
    ),
    responses((status = 200, description = "The log's end", body = String), (status = "4XX", body = ApiError), (status = "5XX", body = ApiError)),
)]
async fn logs(
    State(agent): State<Arc<Agent>>,
    Path(path): OwnerPath,
    Query(options): Query<LogOptions>,
) -> Result<String, Answer> {
    let (owner, observed) = held(&agent, &path)?;
    if observed.object(&options.object).is_none() {
        let all: Vec<&str> = observed.objects.iter().map(|it| it.object.as_str()).collect();
        return Err(Answer::not_found(&format!(
            "{owner} has no {}; it has {}",
            options.object,
            all.join(", ")
        )));
    }
    let path = Keeper::log_of(&agent.shared, &owner, &options.object);
    let lines = options.lines.min(10_000);
    let text = tail(&path, lines).unwrap_or_default();
    // What was put aside comes before.
    let more = lines.saturating_sub(text.lines().count());
    let older = if more > 0 {
        tail(&crate::process::older_log(&path), more).unwrap_or_default()
    } else {
        String::new()
    };
    Ok(older + &text)
}

/// The last lines of a file, read from its end.
pub(crate) fn tail(path: &FilePath, lines: usize) -> Option<String> {
    let mut file = std::fs::File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(4 << 20))).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    let last = all.get(all.len().saturating_sub(lines)..).unwrap_or_default();
    Some(last.iter().flat_map(|line| [*line, "\n"]).collect())
}

#[utoipa::path(
    post,
    path = "/v1/deployments/{deployment}/probe",
    params(("deployment" = Name, Path, description = "The deployment")),
    request_body = ProbeRequest,
    responses((status = 200, description = "What the source is", body = MediaFacts), (status = "4XX", body = ApiError), (status = "5XX", body = ApiError)),
)]
async fn probe(
    State(agent): State<Arc<Agent>>,
    Path(deployment): Path<String>,
    body: Result<Json<ProbeRequest>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<serde_json::Value>, Answer> {
    let owner = owner(&deployment, "probe", "probe")?;
    let Json(request) = body.map_err(|rejection| Answer::invalid(rejection.body_text()))?;
    match crate::probe::probe(&agent.shared, owner, &request).await? {
        JobEnd::Succeeded(facts) => Ok(Json(facts)),
        JobEnd::Failed { code, message, retry } => {
            let status =
                if retry { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNPROCESSABLE_ENTITY };
            let field = ProbeRequest::field_of(&code).map(str::to_owned);
            Err(Answer(status, ApiError { code, message, next: None, field }))
        }
    }
}
