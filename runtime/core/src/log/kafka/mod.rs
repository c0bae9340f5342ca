//! An event log in Apache Kafka: `kafka://HOST:PORT,HOST:PORT?prefix=…&partitions=…&replication=…&retention_ms=…`, with
//! `username`, `sasl` (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512) and the password from the credential; with `tls=true` by TLS.
//!
//! Clients are made once and shared; librdkafka keeps their connections and makes them anew, with growing pauses and
//! jitter. A partition that moves waits half a minute for a member that heeds it (`Member::moving`). What another one
//! has in hand then is given to the new owner too: Kafka cannot wait for it as the embedded log does. The first one's commit is then
//! refused.

mod clients;
mod member;
mod read;
mod settings;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::producer::{FutureRecord, Producer as _};
use streamverse_model::platform::{Certificates, CredentialUse};

use self::clients::{ANSWER, Clients};
use self::settings::Settings;
use super::{EventLog, Member, Position, Progress, Record};
use crate::context::ServiceContext;
use crate::error::{Error, Result};
use crate::stores::tls::Pems;

/// How long brokers may be away before a call fails: as with the embedded log.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of key and value, as in the embedded log.
const LARGEST: usize = 8 << 20;

/// A log in Kafka. It connects when it is first used.
pub(super) struct KafkaLog {
    settings: Arc<Settings>,
    clients: Arc<Clients>,
    kept: Arc<topics::Kept>,
}

impl KafkaLog {
    pub(super) fn open(
        url: &url::Url,
        secret: Option<&CredentialUse>,
        certificates: &Certificates,
        cx: &ServiceContext,
    ) -> Result<KafkaLog> {
        let settings = Settings::read(url)?;
        let password = match (&settings.username, secret) {
            (Some(_), Some(secret)) => Some(cx.credential(secret, "password")?),
            (None, None) => None,
            _ => {
                let text = "a kafka:// store has both `username` and `secret`, or neither";
                return Err(Error::permanent("store-url", text));
            }
        };
        let pems = Pems::read(certificates, settings.tls, cx)?;
        let clients = Clients::new(&settings, password, pems, &cx.owner.key())?;
        let (settings, clients) = (Arc::new(settings), Arc::new(clients));
        Ok(KafkaLog { settings, clients, kept: Arc::default() })
    }

    fn topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.settings.prefix)
    }

    fn unknown(&self, topic: &str) -> Error {
        let place = &self.settings.brokers;
        let text = format!("there is no topic {topic:?} at {place}: it is made by ensure_topic");
        Error::permanent("no-topic", text)
    }

    /// Partitions of a topic that must be there.
    async fn present(&self, topic: &str) -> Result<i32> {
        match self.clients.partitions(topic).await? {
            0 => Err(self.unknown(topic)),
            count => Ok(count),
        }
    }
}

#[async_trait]
impl EventLog for KafkaLog {
    async fn ensure_topic(&self, topic: &str, partitions: u32, retention: Option<Duration>) -> Result<()> {
        let name = self.topic(topic);
        topics::ensure(&self.clients, &self.settings, &name, partitions, retention).await?;
        if self.kept.add(name, partitions, retention) {
            let (kept, clients) = (Arc::downgrade(&self.kept), Arc::downgrade(&self.clients));
            tokio::spawn(topics::watch(kept, clients, Arc::clone(&self.settings)));
        }
        Ok(())
    }

    async fn append(&self, topic: &str, key: &str, value: Bytes) -> Result<Position> {
        if key.len() > 1024 || value.len() + key.len() > LARGEST {
            return Err(Error::permanent("log-request", "a key has 1 KiB at most, a record 8 MiB"));
        }
        let name = self.topic(topic);
        let record = FutureRecord::to(&name).key(key).payload(value.as_ref());
        // The producer repeats it until its own deadline; this one is for a full queue.
        let sent = self.clients.producer.send(record, PATIENCE);
        let delivered = self.clients.unless_refused(async { Ok(sent.await) }).await?;
        match delivered {
            Ok(delivery) => Ok(position(delivery.partition, delivery.offset)),
            Err((error, _)) if clients::is_unknown_topic(&error) => Err(self.unknown(&name)),
            Err((error, _)) => Err(self.clients.failed(&format!("a record of {name} was not taken"), error)),
        }
    }

    async fn join(&self, group: &str, topic: &str) -> Result<Box<dyn Member>> {
        let name = self.topic(topic);
        self.present(&name).await?;
        let group = format!("{}{group}", self.settings.prefix);
        Ok(Box::new(member::KafkaMember::join(&self.clients, &group, &name)?))
    }

    async fn read_all(&self, topic: &str) -> Result<Vec<Record>> {
        let name = self.topic(topic);
        let count = self.present(&name).await?;
        // A reader reads one topic at a time; who comes in the meantime waits for it rather than for a new connection.
        let reader = self.clients.reader().await?;
        let what = format!("{name} cannot be read");
        self.clients.blocking(&what, move || read::all(&reader, &name, count)).await
    }

    async fn progress(&self, group: &str, topic: &str) -> Result<Vec<Progress>> {
        let name = self.topic(topic);
        let count = self.present(&name).await?;
        let group = self.clients.group(&format!("{}{group}", self.settings.prefix))?;
        let what = format!("the lag of {name} cannot be seen");
        self.clients.blocking(&what, move || read::progress(&group, &name, count)).await
    }

    async fn partitions(&self, topic: &str) -> Result<Option<u32>> {
        Ok(u32::try_from(self.clients.partitions(&self.topic(topic)).await?).ok())
    }

    async fn probe(&self) -> Result<()> {
        let producer = self.clients.producer.clone();
        let asked = move || producer.client().fetch_metadata(Some("probe"), ANSWER).map(|_| ());
        self.clients.blocking("it does not answer", asked).await
    }
}

fn position(partition: i32, offset: i64) -> Position {
    Position { partition: u32::try_from(partition).unwrap_or(0), offset: u64::try_from(offset).unwrap_or(0) }
}
