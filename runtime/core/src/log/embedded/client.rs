//! Reaches the process that owns a log, and goes on when that process is started again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use super::server::{
    AppendRequest, CommitRequest, EnsureRequest, Failure, MemberRequest, PollAnswer, PollRequest,
    ProgressRequest, ReadRequest, RecordMessage,
};
use crate::context::ServiceContext;
use crate::error::{Error, Result};
use crate::log::{EventLog, Member, Position, Progress, Record};

/// How long a request may take: an append waits for the disk.
const LIMIT: Duration = Duration::from_secs(20);
/// How long the owner may be away before a call fails: it is being started again.
const PATIENCE: Duration = Duration::from_secs(30);

/// A log on this machine.
pub(in crate::log) struct EmbeddedLog {
    wire: Wire,
}

#[derive(Clone)]
struct Wire {
    http: reqwest::Client,
    socket: PathBuf,
}

impl EmbeddedLog {
    pub(in crate::log) fn open(cx: &ServiceContext, name: &str) -> Result<EmbeddedLog> {
        let socket = super::socket(cx, name);
        let http = reqwest::Client::builder().unix_socket(socket.clone()).timeout(LIMIT).build();
        let http = http
            .map_err(|error| Error::permanent("log-client", "no client for the event log").because(error))?;
        Ok(EmbeddedLog { wire: Wire { http, socket } })
    }
}

impl Wire {
    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.patiently(|| self.http.post(format!("http://log{path}")).json(body)).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T> {
        self.patiently(|| self.http.get(format!("http://log{path}")).query(query)).await
    }

    // Every request is repeatable but `append`, whose repetition is the at-least-once that everyone must expect.
    async fn patiently<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> reqwest::RequestBuilder,
    ) -> Result<T> {
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(50);
        loop {
            let failure = match self.once(request()).await {
                Err(error) if error.retry => error,
                settled => return settled,
            };
            if tokio::time::Instant::now() + pause >= until {
                return Err(failure);
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    async fn once<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T> {
        let unreachable = |error: reqwest::Error| {
            let place = self.socket.display();
            Error::passing("log-unreachable", format!("the event log does not answer at {place}"))
                .because(error.without_url())
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                Error::permanent("log-answer", "the event log's answer is not understood").because(error)
            });
        }
        let failure: Failure = serde_json::from_slice(&body).unwrap_or_else(|_| Failure {
            code: "log".to_owned(),
            message: format!("the event log answered {status}"),
        });
        if failure.code == "no-topic" {
            return Err(Error::permanent("no-topic", failure.message));
        }
        let moved = failure.code == "log-moved";
        let code = if moved { "log-moved" } else { "log-refused" };
        let retry = status == reqwest::StatusCode::SERVICE_UNAVAILABLE && !moved;
        Err(if retry {
            Error::passing(code, failure.message)
        } else {
            Error::permanent(code, failure.message)
        })
    }
}

#[async_trait]
impl EventLog for EmbeddedLog {
    async fn ensure_topic(&self, topic: &str, partitions: u32, retention: Option<Duration>) -> Result<()> {
        let retention_ms = retention.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.wire.post("/topics", &EnsureRequest { topic: topic.to_owned(), partitions, retention_ms }).await
    }

    async fn append(&self, topic: &str, key: &str, value: Bytes) -> Result<Position> {
        let value = STANDARD.encode(&value);
        self.wire
            .post("/append", &AppendRequest { topic: topic.to_owned(), key: key.to_owned(), value })
            .await
    }

    async fn join(&self, group: &str, topic: &str) -> Result<Box<dyn Member>> {
        let member = format!("{:016x}", rand::random::<u64>());
        let of = MemberRequest { group: group.to_owned(), topic: topic.to_owned(), member };
        self.wire.post::<()>("/alive", &of).await?;
        let (wire, told) = (self.wire.clone(), of.clone());
        let heart = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(2)).await;
                let _: Result<()> = wire.once(wire.http.post("http://log/alive").json(&told)).await;
            }
        });
        Ok(Box::new(EmbeddedMember { wire: self.wire.clone(), of, positions: BTreeMap::new(), heart }))
    }

    async fn read_all(&self, topic: &str) -> Result<Vec<Record>> {
        let mut all = Vec::new();
        for partition in 0.. {
            let mut offset = 0;
            let mut there = false;
            loop {
                let request = ReadRequest { topic: topic.to_owned(), partition, offset };
                let some: Vec<RecordMessage> = self.wire.get("/read", &request).await?;
                let Some(last) = some.last() else { break };
                there = true;
                offset = last.offset + 1;
                for message in some {
                    all.push(record(message)?);
                }
            }
            // Partitions without records are rare and few: sixteen empty ones in a row are the end.
            if !there
                && partition >= 16 + all.iter().map(|it: &Record| it.position.partition).max().unwrap_or(0)
            {
                break;
            }
        }
        Ok(all)
    }

    async fn progress(&self, group: &str, topic: &str) -> Result<Vec<Progress>> {
        self.wire
            .get("/progress", &ProgressRequest { group: group.to_owned(), topic: topic.to_owned() })
            .await
    }

    async fn probe(&self) -> Result<()> {
        let request = ProgressRequest { group: "probe".to_owned(), topic: "probe".to_owned() };
        match self.wire.once::<Vec<Progress>>(self.wire.http.get("http://log/progress").query(&request)).await
        {
            Err(error) if error.code != "no-topic" => Err(error),
            _ => Ok(()),
        }
    }
}

struct EmbeddedMember {
    wire: Wire,
    of: MemberRequest,
    /// The next offset of each partition that is ours.
    positions: BTreeMap<u32, u64>,
    heart: JoinHandle<()>,
}

#[async_trait]
impl Member for EmbeddedMember {
    async fn next(&mut self) -> Result<Record> {
        loop {
            let request = PollRequest { member: self.of.clone(), positions: self.positions.clone() };
            let answer: PollAnswer = self.wire.post("/poll", &request).await?;
            self.positions.retain(|partition, _| answer.partitions.contains(partition));
            if let Some(message) = answer.record {
                let record = record(message)?;
                self.positions.insert(record.position.partition, record.position.offset + 1);
                return Ok(record);
            }
        }
    }

    async fn commit(&mut self, record: &Record) -> Result<()> {
        let Position { partition, offset } = record.position;
        self.wire.post("/commit", &CommitRequest { member: self.of.clone(), partition, offset }).await
    }
}

impl Drop for EmbeddedMember {
    fn drop(&mut self) {
        self.heart.abort();
        let (wire, of) = (self.wire.clone(), self.of.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _: Result<()> = wire.once(wire.http.post("http://log/leave").json(&of)).await;
            });
        }
    }
}

fn record(message: RecordMessage) -> Result<Record> {
    let value = STANDARD.decode(&message.value).map_err(|error| {
        Error::permanent("log-answer", "the event log's answer is not understood").because(error)
    })?;
    let position = Position { partition: message.partition, offset: message.offset };
    Ok(Record { position, key: message.key, value: Bytes::from(value) })
}
