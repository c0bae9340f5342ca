//! The process that owns a log: target `event-log`.
//!
//! Appends that arrive together are written together and synced once. Requests are HTTP on a Unix socket:
//! `POST /topics`, `/append`, `/poll`, `/alive`, `/leave`, `/commit`, `GET /read`, `/lag`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::warn;

use super::groups::Group;
use super::topics::{Append, Topics};
use crate::context::ServiceContext;
use crate::error::{Error, Result};
use crate::http::{self, Limits};
use crate::lifecycle::{Ready, Service, Stop};
use crate::log::{Position, Progress};
use crate::target::{Start, Target};

/// The target `event-log`: the owner of an embedded log.
pub const EVENT_LOG: Target =
    Target { name: "event-log", start: Start::Service(|spec, cx| Box::pin(start(spec, cx))) };

/// How many appends are written and synced together at most.
const BATCH: usize = 4096;
/// How long a poll waits for a record.
const POLL: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLogSpec {
    name: String,
}

async fn start(spec: serde_json::Value, cx: ServiceContext) -> Result<Box<dyn Service>> {
    let spec: EventLogSpec = serde_json::from_value(spec).map_err(|error| {
        Error::permanent("spec-invalid", "this is no spec of an event log").because(error)
    })?;
    super::topics::valid(&spec.name, "log")?;
    let folder = cx.data_dir.join("logs").join(&spec.name);
    let topics = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder).map_err(|error| super::segment::broken(&folder, error))?;
        let lock = std::fs::File::create(folder.join("lock"))
            .map_err(|error| super::segment::broken(&folder, error))?;
        if lock.try_lock().is_err() {
            return Err(Error::passing(
                "log-owned",
                format!("another process owns the log in {}", folder.display()),
            ));
        }
        Ok((Topics::open(&folder)?, lock))
    });
    let (topics, lock) =
        topics.await.map_err(|error| Error::passing("log-io", "the log was not opened").because(error))??;
    Ok(Box::new(Owner { topics, _lock: lock, socket: super::socket(&cx, &spec.name) }))
}

struct Owner {
    topics: Topics,
    _lock: std::fs::File,
    socket: std::path::PathBuf,
}

#[async_trait]
impl Service for Owner {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        let listener = crate::run::listen_unix(&self.socket)?;
        let (sender, receiver) = mpsc::channel(BATCH);
        let shared = Shared {
            topics: Arc::new(Mutex::new(self.topics)),
            groups: Arc::default(),
            appends: sender,
            grown: Arc::new(Notify::new()),
            stop: stop.clone(),
        };
        let writer = tokio::spawn(write(receiver, Arc::clone(&shared.topics), Arc::clone(&shared.grown)));
        let expiry = tokio::spawn(expire(Arc::clone(&shared.topics)));
        let router = Router::new()
            .route("/topics", post(ensure))
            .route("/append", post(append))
            .route("/poll", post(poll))
            .route("/alive", post(alive))
            .route("/leave", post(leave))
            .route("/commit", post(commit))
            .route("/read", get(read))
            .route("/progress", get(progress))
            .with_state(shared)
            .layer(DefaultBodyLimit::max(9 << 20));
        ready.set(true);
        let limits = Limits { body: 9 << 20, ..Limits::default() };
        http::serve_unix(listener, router, limits, &stop).await;
        ready.set(false);
        expiry.abort();
        // The last sender went with the router: the writer ends when everything is on disk.
        let _ = writer.await;
        let _ = std::fs::remove_file(&self.socket);
        Ok(())
    }
}

type Appending = (Append, oneshot::Sender<Result<Position>>);

#[derive(Clone)]
struct Shared {
    topics: Arc<Mutex<Topics>>,
    groups: Arc<Mutex<BTreeMap<(String, String), Group>>>,
    appends: mpsc::Sender<Appending>,
    grown: Arc<Notify>,
    stop: Stop,
}

impl Shared {
    fn topics<T>(&self, with: impl FnOnce(&mut Topics) -> T) -> T {
        with(&mut self.topics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn group<T>(&self, of: &MemberRequest, with: impl FnOnce(&mut Group) -> T) -> T {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        with(groups.entry((of.group.clone(), of.topic.clone())).or_default())
    }
}

async fn write(mut receiver: mpsc::Receiver<Appending>, topics: Arc<Mutex<Topics>>, grown: Arc<Notify>) {
    let mut batch: Vec<Appending> = Vec::new();
    while receiver.recv_many(&mut batch, BATCH).await > 0 {
        let (records, answers): (Vec<Append>, Vec<_>) = batch.drain(..).unzip();
        let (topics, now) = (Arc::clone(&topics), now());
        let written = tokio::task::spawn_blocking(move || {
            topics.lock().unwrap_or_else(PoisonError::into_inner).append(&records, now)
        });
        let Ok(places) = written.await else { continue };
        for (answer, place) in answers.into_iter().zip(places) {
            let _ = answer.send(place);
        }
        grown.notify_waiters();
    }
}

async fn expire(topics: Arc<Mutex<Topics>>) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let topics = Arc::clone(&topics);
        let done = tokio::task::spawn_blocking(move || {
            topics.lock().unwrap_or_else(PoisonError::into_inner).expire(now())
        });
        if let Ok(Err(error)) = done.await {
            warn!(error = %error.chain(), "Old records were not removed.");
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EnsureRequest {
    pub(super) topic: String,
    pub(super) partitions: u32,
    pub(super) retention_ms: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AppendRequest {
    pub(super) topic: String,
    pub(super) key: String,
    /// Base64.
    pub(super) value: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MemberRequest {
    pub(super) group: String,
    pub(super) topic: String,
    pub(super) member: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PollRequest {
    #[serde(flatten)]
    pub(super) member: MemberRequest,
    /// The next offset that the member wants of each partition it knows.
    pub(super) positions: BTreeMap<u32, u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PollAnswer {
    pub(super) record: Option<RecordMessage>,
    /// The member's partitions.
    pub(super) partitions: Vec<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RecordMessage {
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) key: String,
    /// Base64.
    pub(super) value: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CommitRequest {
    #[serde(flatten)]
    pub(super) member: MemberRequest,
    pub(super) partition: u32,
    pub(super) offset: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReadRequest {
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) offset: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProgressRequest {
    pub(super) group: String,
    pub(super) topic: String,
}

/// What a failed request is answered with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = if self.retry { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST };
        (status, Json(Failure { code: self.code.to_owned(), message: self.chain() })).into_response()
    }
}

async fn ensure(State(shared): State<Shared>, Json(request): Json<EnsureRequest>) -> Result<Json<()>> {
    let retention = request.retention_ms.map(Duration::from_millis);
    shared.topics(|topics| topics.ensure(&request.topic, request.partitions, retention)).map(Json)
}

async fn append(State(shared): State<Shared>, Json(request): Json<AppendRequest>) -> Result<Json<Position>> {
    let value = STANDARD
        .decode(&request.value)
        .map_err(|_| Error::permanent("log-request", "the value is no base64"))?;
    let record = Append { topic: request.topic, key: request.key, value: Bytes::from(value) };
    let (sender, receiver) = oneshot::channel();
    let stopping = || Error::passing("log-stopping", "the event log is being stopped");
    shared.appends.send((record, sender)).await.map_err(|_| stopping())?;
    receiver.await.map_err(|_| stopping())?.map(Json)
}

async fn poll(State(shared): State<Shared>, Json(request): Json<PollRequest>) -> Result<Json<PollAnswer>> {
    let until = tokio::time::Instant::now() + POLL;
    loop {
        let grown = shared.grown.notified();
        tokio::pin!(grown);
        grown.as_mut().enable();
        let answer = look(&shared, &request)?;
        let waited =
            answer.record.is_some() || shared.stop.is_stopped() || tokio::time::Instant::now() >= until;
        if waited {
            return Ok(Json(answer));
        }
        tokio::select! {
            () = grown => {}
            () = tokio::time::sleep_until(until) => {}
            () = shared.stop.stopped() => {}
        }
    }
}

fn look(shared: &Shared, request: &PollRequest) -> Result<PollAnswer> {
    let of = &request.member;
    super::topics::valid(&of.group, "group")?;
    let count = shared.topics(|topics| topics.partitions(&of.topic))?;
    let partitions = shared.group(of, |group| {
        group.alive(&of.member, now());
        group.partitions(&of.member, count, now())
    });
    for &partition in &partitions {
        let found = shared.topics(|topics| {
            let committed = topics.committed(&of.group, &of.topic, partition);
            let position = request.positions.get(&partition).copied().unwrap_or(committed).max(committed);
            topics.read(&of.topic, partition, position)
        })?;
        if let Some(record) = found {
            shared.group(of, |group| group.handed_out(partition, record.offset));
            let value = STANDARD.encode(&record.value);
            let message = RecordMessage { partition, offset: record.offset, key: record.key, value };
            return Ok(PollAnswer { record: Some(message), partitions });
        }
    }
    Ok(PollAnswer { record: None, partitions })
}

async fn alive(State(shared): State<Shared>, Json(of): Json<MemberRequest>) -> Result<Json<()>> {
    super::topics::valid(&of.group, "group")?;
    shared.group(&of, |group| group.alive(&of.member, now()));
    Ok(Json(()))
}

async fn leave(State(shared): State<Shared>, Json(of): Json<MemberRequest>) -> Result<Json<()>> {
    shared.group(&of, |group| group.leave(&of.member));
    shared.grown.notify_waiters();
    Ok(Json(()))
}

async fn commit(State(shared): State<Shared>, Json(request): Json<CommitRequest>) -> Result<Json<()>> {
    let of = &request.member;
    let position = Position { partition: request.partition, offset: request.offset };
    // Somebody who lost the partition must not commit what its new owner works on.
    if !shared.group(of, |group| group.owns(&of.member, request.partition)) {
        return Err(Error::passing("log-moved", "the partition belongs to another member by now"));
    }
    shared.topics(|topics| topics.commit(&of.group, &of.topic, position))?;
    shared.group(of, |group| group.committed(request.partition, request.offset));
    Ok(Json(()))
}

async fn read(
    State(shared): State<Shared>,
    Query(request): Query<ReadRequest>,
) -> Result<Json<Vec<RecordMessage>>> {
    let mut found = Vec::new();
    let mut size = 0;
    let mut offset = request.offset;
    while size < 4 << 20 && found.len() < 1000 {
        let record = shared.topics(|topics| {
            if request.partition >= topics.partitions(&request.topic)? {
                return Ok(None);
            }
            topics.read(&request.topic, request.partition, offset)
        })?;
        let Some(record) = record else { break };
        offset = record.offset + 1;
        size += record.value.len();
        let value = STANDARD.encode(&record.value);
        found.push(RecordMessage {
            partition: request.partition,
            offset: record.offset,
            key: record.key,
            value,
        });
    }
    Ok(Json(found))
}

async fn progress(
    State(shared): State<Shared>,
    Query(request): Query<ProgressRequest>,
) -> Result<Json<Vec<Progress>>> {
    shared.topics(|topics| topics.progress(&request.group, &request.topic)).map(Json)
}
