//! The event log: topics of partitions of records, kept on disk, read by groups.
//!
//! The semantics are Kafka's, so that the embedded log and Kafka are exchangeable: a record's partition follows from
//! its key; records of a partition are in order; each partition of a topic belongs to one member of a group at a time;
//! a record that was not committed is given again after its member is gone. Delivery is at least once.

mod embedded;
#[cfg(feature = "kafka")]
mod kafka;

pub use embedded::EVENT_LOG;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use streamverse_model::platform::StoreUrl;

use crate::context::ServiceContext;
use crate::error::Result;

/// An event log.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Makes the topic, or adds partitions to it; never takes any away. Repeatable.
    async fn ensure_topic(&self, topic: &str, partitions: u32, retention: Option<Duration>) -> Result<()>;
    /// Appends a record; it is on disk (Kafka: on all in-sync replicas) when this returns.
    async fn append(&self, topic: &str, key: &str, value: Bytes) -> Result<Position>;
    /// Joins a group. Records begin at what the group committed, or at the oldest.
    async fn join(&self, group: &str, topic: &str) -> Result<Box<dyn Member>>;
    /// Reads a whole topic as it is now, outside of any group, oldest first per partition.
    async fn read_all(&self, topic: &str) -> Result<Vec<Record>>;
    /// How far the group is in each of the topic's partitions, in their order.
    async fn progress(&self, group: &str, topic: &str) -> Result<Vec<Progress>>;
    /// Records in the topic that the group has not committed.
    async fn lag(&self, group: &str, topic: &str) -> Result<u64> {
        Ok(Progress::undone_of(&self.progress(group, topic).await?))
    }
    /// How many partitions the topic has, 0 where there is no such topic; `None` where the log cannot say.
    async fn partitions(&self, _topic: &str) -> Result<Option<u32>> {
        Ok(None)
    }
    /// Whether it answers.
    async fn probe(&self) -> Result<()>;
}

/// A member of a group. Dropping it leaves the group; a member that is killed leaves it after some seconds.
#[async_trait]
pub trait Member: Send {
    /// The next record of this member's partitions; waits for one. May be dropped at its await without losing a record.
    /// Working on a record for hours is fine: the member stays in the group in the meantime.
    async fn next(&mut self) -> Result<Record>;
    /// Resolves when the record's partition is about to be another member's: whoever heeds it stops where another can go on, and asks for
    /// the next record. For that the partition stays, for a bounded time. It never resolves where partitions do not move from under a member.
    async fn moving(&mut self, _record: &Record) {
        std::future::pending::<()>().await;
    }
    /// Everything up to and with this record of its partition is done.
    async fn commit(&mut self, record: &Record) -> Result<()>;
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The partition.
    pub partition: u32,
    /// Counts from 0 in each partition.
    pub offset: u64,
}

/// How far a group is in a partition. Both only grow, unless the topic is made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// The next offset that the group commits: what was removed by retention counts as done.
    pub done: u64,
    /// The next offset that is written.
    pub end: u64,
}

impl Progress {
    /// How many records the group has not committed.
    pub fn undone(&self) -> u64 {
        self.end.saturating_sub(self.done)
    }

    /// How many records of all these partitions the group has not committed.
    pub fn undone_of(partitions: &[Progress]) -> u64 {
        partitions.iter().fold(0, |sum, it| sum.saturating_add(it.undone()))
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it is.
    pub position: Position,
    /// Its key.
    pub key: String,
    /// Its content.
    pub value: Bytes,
}

/// Opens the log of a URL (`embedded:`, `kafka:`).
///
/// # Errors
/// A URL of another site or scheme, a missing credential.
pub async fn open_log(url: &str, cx: &ServiceContext) -> Result<Arc<dyn EventLog>> {
    match crate::stores::read_url(url, cx)? {
        StoreUrl::Local { scheme, name, .. } if scheme == "embedded" => {
            Ok(Arc::new(embedded::EmbeddedLog::open(cx, name.as_str())?))
        }
        #[cfg(feature = "kafka")]
        StoreUrl::Remote { url, secret, certificates } if url.scheme() == "kafka" => {
            Ok(Arc::new(kafka::KafkaLog::open(&url, secret.as_ref(), &certificates, cx)?))
        }
        _ => Err(crate::stores::wrong_scheme(url, "embedded:// or kafka://")),
    }
}
