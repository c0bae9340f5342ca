//! An event log in Apache Kafka: `kafka://HOST:PORT,HOST:PORT?prefix=…&partitions=…&replication=…&retention_ms=…`, with
//! `username` and the password from the credential.
//!
//! Logging in is SASL PLAIN, without TLS: librdkafka is built without OpenSSL. Use it inside of a private network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use streamverse_model::platform::CredentialUse;
use tracing::debug;

use super::{EventLog, Member, Position, Record};
use crate::context::ServiceContext;
use crate::error::{Error, Result};

/// One question to a broker.
const ANSWER: Duration = Duration::from_secs(15);
/// A record that no in-sync replica took within this time is an error.
const DELIVERY: Duration = Duration::from_secs(60);
/// Without a heartbeat for this long a member is gone.
const SESSION_MS: u32 = 10_000;
/// The longest that Kafka allows a member to work on one record: a day.
const WORK_MS: u32 = 86_400_000;

/// A log in Kafka. Clients are made at once and connect when they are first used.
pub(super) struct KafkaLog {
    config: ClientConfig,
    producer: FutureProducer,
    settings: Settings,
}

#[derive(Clone, Debug, Default)]
struct Settings {
    prefix: String,
    partitions: Option<u32>,
    replication: Option<i32>,
    retention: Option<Duration>,
    brokers: String,
}

impl KafkaLog {
    pub(super) fn open(
        url: &url::Url,
        secret: Option<&CredentialUse>,
        cx: &ServiceContext,
    ) -> Result<KafkaLog> {
        let mut settings = Settings::default();
        let mut username = None;
        for (key, value) in url.query_pairs() {
            let number = || {
                value.parse::<u32>().map_err(|_| {
                    Error::permanent(
                        "store-url",
                        format!("`{key}` of a kafka:// store is no number: {value:?}"),
                    )
                })
            };
            match key.as_ref() {
                "brokers" => settings.brokers = value.into_owned(),
                "prefix" => settings.prefix = value.into_owned(),
                "partitions" => settings.partitions = Some(number()?),
                "replication" => settings.replication = i32::try_from(number()?).ok(),
                "retention_ms" => {
                    let ms = value.parse().map_err(|_| {
                        Error::permanent("store-url", format!("`retention_ms` is no number: {value:?}"))
                    })?;
                    settings.retention = Some(Duration::from_millis(ms));
                }
                "username" => username = Some(value.into_owned()),
                other => {
                    let text = format!(
                        "a kafka:// store has no parameter {other:?}: prefix, partitions, replication, retention_ms, username and secret are those that it has"
                    );
                    return Err(Error::permanent("store-url", text));
                }
            }
        }
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &settings.brokers)
            .set("client.id", format!("streamverse-{}", cx.owner.key()))
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "10000")
            .set_log_level(RDKafkaLogLevel::Error);
        if let (Some(username), Some(secret)) = (username, secret) {
            config
                .set("security.protocol", "SASL_PLAINTEXT")
                .set("sasl.mechanism", "PLAIN")
                .set("sasl.username", username)
                .set("sasl.password", cx.credential(secret, "password")?);
        }
        let producer = config
            .clone()
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // As Java's clients place keys, so that a topic may be written by both.
            .set("partitioner", "murmur2_random")
            .set("delivery.timeout.ms", DELIVERY.as_millis().to_string())
            .create()
            .map_err(|error| settings.failed("a client of it cannot be made", error))?;
        Ok(KafkaLog { config, producer, settings })
    }

    fn topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.settings.prefix)
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        self.config.create().map_err(|error| self.settings.failed("a client of it cannot be made", error))
    }

    /// A consumer that belongs to a group without joining it, or to none.
    fn reader(&self, group: &str) -> Result<BaseConsumer> {
        self.config
            .clone()
            .set("group.id", format!("{}{group}", self.settings.prefix))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()
            .map_err(|error| self.settings.failed("a client of it cannot be made", error))
    }

    /// How many partitions a topic has; none where it is not there.
    async fn partitions(&self, topic: &str) -> Result<Option<usize>> {
        let (reader, topic) = (self.reader("none")?, topic.to_owned());
        let asked = blocking(move || {
            reader.fetch_metadata(Some(&topic), ANSWER).map(|all| {
                all.topics().iter().find(|it| it.name() == topic).map_or(0, |it| it.partitions().len())
            })
        });
        match asked.await? {
            Ok(0) => Ok(None),
            Ok(count) => Ok(Some(count)),
            Err(KafkaError::MetadataFetch(
                RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition,
            )) => Ok(None),
            Err(error) => Err(self.settings.failed("it does not answer", error)),
        }
    }
}

impl Settings {
    /// What went wrong with the brokers. Brokers that are away come back; a refused login does not.
    fn failed(&self, what: &str, error: KafkaError) -> Error {
        let refused = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::SaslAuthenticationFailed
                    | RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::GroupAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed
            )
        );
        let code = if refused { "store-credentials" } else { "store-unreachable" };
        Error::passing(code, format!("the event log at {}: {what}", self.brokers)).because(error)
    }
}

/// librdkafka's calls wait in a thread of their own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::permanent("panicked", "a question to Kafka panicked").because(error))
}

/// A result of the admin API: refused for a reason that is a success for us, or at all.
fn settled(
    results: Vec<std::result::Result<String, (String, RDKafkaErrorCode)>>,
    fine: RDKafkaErrorCode,
) -> std::result::Result<(), KafkaError> {
    for result in results {
        if let Err((_, code)) = result
            && code != fine
        {
            return Err(KafkaError::AdminOp(code));
        }
    }
    Ok(())
}

#[async_trait]
impl EventLog for KafkaLog {
    async fn ensure_topic(&self, topic: &str, partitions: u32, retention: Option<Duration>) -> Result<()> {
        let name = self.topic(topic);
        let wanted = i32::try_from(self.settings.partitions.unwrap_or(partitions)).unwrap_or(i32::MAX);
        let retention = self.settings.retention.or(retention).map(|it| it.as_millis().to_string());
        let failed = |error| self.settings.failed(&format!("the topic {name} cannot be made"), error);
        let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
        let admin = self.admin()?;
        match self.partitions(&name).await? {
            None => {
                let replication = TopicReplication::Fixed(self.settings.replication.unwrap_or(-1));
                let mut fresh = NewTopic::new(&name, wanted, replication);
                if let Some(ms) = &retention {
                    fresh = fresh.set("retention.ms", ms);
                }
                let made = admin.create_topics([&fresh], &options).await.map_err(failed)?;
                settled(made, RDKafkaErrorCode::TopicAlreadyExists).map_err(failed)
            }
            Some(there) if there < usize::try_from(wanted).unwrap_or(0) => {
                let more = NewPartitions::new(&name, usize::try_from(wanted).unwrap_or(there));
                let made = admin.create_partitions([&more], &options).await.map_err(failed)?;
                // Somebody else was faster.
                settled(made, RDKafkaErrorCode::InvalidPartitions).map_err(failed)
            }
            Some(_) => Ok(()),
        }
    }

    async fn append(&self, topic: &str, key: &str, value: Bytes) -> Result<Position> {
        let name = self.topic(topic);
        let record = FutureRecord::to(&name).key(key).payload(value.as_ref());
        let delivery = self.producer.send(record, DELIVERY).await.map_err(|(error, _)| {
            self.settings.failed(&format!("a record of {name} was not taken"), error)
        })?;
        Ok(position(delivery.partition, delivery.offset))
    }

    async fn join(&self, group: &str, topic: &str) -> Result<Box<dyn Member>> {
        let name = self.topic(topic);
        let failed = |error| self.settings.failed(&format!("the group {group} cannot be joined"), error);
        let consumer: StreamConsumer = self
            .config
            .clone()
            .set("group.id", format!("{}{group}", self.settings.prefix))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", SESSION_MS.to_string())
            .set("heartbeat.interval.ms", (SESSION_MS / 4).to_string())
            .set("max.poll.interval.ms", WORK_MS.to_string())
            // Few and long works: what is fetched ahead by one member is not there for another.
            .set("queued.min.messages", "1")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .create()
            .map_err(failed)?;
        consumer.subscribe(&[&name]).map_err(failed)?;
        Ok(Box::new(KafkaMember {
            consumer: Some(Arc::new(consumer)),
            topic: name,
            settings: self.settings.clone(),
        }))
    }

    async fn read_all(&self, topic: &str) -> Result<Vec<Record>> {
        let name = self.topic(topic);
        let Some(count) = self.partitions(&name).await? else { return Ok(Vec::new()) };
        let reader = self.reader("none")?;
        let topic = name.clone();
        let read = blocking(move || read_partitions(&reader, &topic, count)).await?;
        read.map_err(|error| self.settings.failed(&format!("{name} cannot be read"), error))
    }

    async fn lag(&self, group: &str, topic: &str) -> Result<u64> {
        let name = self.topic(topic);
        let Some(count) = self.partitions(&name).await? else { return Ok(0) };
        let reader = self.reader(group)?;
        let topic = name.clone();
        let asked = blocking(move || lag_of(&reader, &topic, count)).await?;
        asked.map_err(|error| self.settings.failed(&format!("the lag of {group} cannot be seen"), error))
    }

    async fn probe(&self) -> Result<()> {
        let reader = self.reader("none")?;
        let asked = blocking(move || reader.fetch_metadata(None, Duration::from_secs(5)).map(|_| ())).await?;
        asked.map_err(|error| self.settings.failed("it does not answer", error))
    }
}

fn position(partition: i32, offset: i64) -> Position {
    Position { partition: u32::try_from(partition).unwrap_or(0), offset: u64::try_from(offset).unwrap_or(0) }
}

fn record_of(message: &impl Message) -> Record {
    Record {
        position: position(message.partition(), message.offset()),
        key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
        value: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    }
}

fn read_partitions(
    reader: &BaseConsumer,
    topic: &str,
    count: usize,
) -> std::result::Result<Vec<Record>, KafkaError> {
    let mut wanted = TopicPartitionList::new();
    let mut open = std::collections::BTreeMap::new();
    for partition in 0..i32::try_from(count).unwrap_or(0) {
        let (low, high) = reader.fetch_watermarks(topic, partition, ANSWER)?;
        if high > low {
            wanted.add_partition_offset(topic, partition, Offset::Offset(low))?;
            open.insert(partition, high);
        }
    }
    let mut records = Vec::new();
    if open.is_empty() {
        return Ok(records);
    }
    reader.assign(&wanted)?;
    while !open.is_empty() {
        match reader.poll(ANSWER) {
            Some(Ok(message)) => {
                let end = open.get(&message.partition()).copied();
                if end.is_some_and(|end| message.offset() < end) {
                    records.push(record_of(&message));
                }
                if end.is_none_or(|end| message.offset() + 1 >= end) {
                    open.remove(&message.partition());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => return Err(error),
            None => return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut)),
        }
    }
    records.sort_by_key(|record| record.position);
    Ok(records)
}

fn lag_of(reader: &BaseConsumer, topic: &str, count: usize) -> std::result::Result<u64, KafkaError> {
    let mut wanted = TopicPartitionList::new();
    for partition in 0..i32::try_from(count).unwrap_or(0) {
        wanted.add_partition(topic, partition);
    }
    let committed = reader.committed_offsets(wanted, ANSWER)?;
    let mut lag = 0_u64;
    for element in committed.elements() {
        let (low, high) = reader.fetch_watermarks(topic, element.partition(), ANSWER)?;
        let from = match element.offset() {
            Offset::Offset(offset) => offset.max(low),
            _ => low,
        };
        lag = lag.saturating_add(u64::try_from(high - from).unwrap_or(0));
    }
    Ok(lag)
}

/// A member of a group.
struct KafkaMember {
    /// Some until it is dropped.
    consumer: Option<Arc<StreamConsumer>>,
    topic: String,
    settings: Settings,
}

#[async_trait]
impl Member for KafkaMember {
    async fn next(&mut self) -> Result<Record> {
        let Some(consumer) = &self.consumer else {
            return Err(Error::permanent("left", "the group was left"));
        };
        loop {
            match consumer.recv().await {
                Ok(message) => return Ok(record_of(&message)),
                // The topic may be younger than what brokers told last.
                Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic,
                )) => {
                    debug!(topic = self.topic, "The topic is not known yet.");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    return Err(self.settings.failed(&format!("{} cannot be read", self.topic), error));
                }
            }
        }
    }

    async fn commit(&mut self, record: &Record) -> Result<()> {
        let Some(consumer) = self.consumer.clone() else {
            return Err(Error::permanent("left", "the group was left"));
        };
        let failed =
            |error| self.settings.failed(&format!("what is done of {} cannot be noted", self.topic), error);
        let partition = i32::try_from(record.position.partition).unwrap_or(i32::MAX);
        let next = i64::try_from(record.position.offset.saturating_add(1)).unwrap_or(i64::MAX);
        let mut done = TopicPartitionList::new();
        done.add_partition_offset(&self.topic, partition, Offset::Offset(next)).map_err(failed)?;
        blocking(move || consumer.commit(&done, CommitMode::Sync)).await?.map_err(failed)
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        // Leaving asks the brokers, and waits: not in a thread that others work in.
        if let Some(consumer) = self.consumer.take() {
            std::thread::spawn(move || drop(consumer));
        }
    }
}
