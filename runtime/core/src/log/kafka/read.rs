//! Reads outside of a group: whole topics, and what a group has not done yet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::clients::{ANSWER, Reader};
use super::position;
use crate::log::{Progress, Record};

type Result<T> = std::result::Result<T, KafkaError>;

pub(super) fn record_of(message: &impl Message) -> Record {
    Record {
        position: position(message.partition(), message.offset()),
        key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
        value: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    }
}

/// What the topic holds now, by partition.
pub(super) fn all(reader: &Reader, topic: &str, count: i32) -> Result<Vec<Record>> {
    let mut wanted = TopicPartitionList::new();
    let mut open = BTreeMap::new();
    for partition in 0..count {
        let (low, high) = reader.fetch_watermarks(topic, partition, ANSWER)?;
        if high > low {
            wanted.add_partition_offset(topic, partition, Offset::Offset(low))?;
            open.insert(partition, high);
        }
    }
    if open.is_empty() {
        return Ok(Vec::new());
    }
    reader.assign(&wanted)?;
    let records = until_ends(reader, open);
    // What the next caller reads must not be mixed with the rest of this.
    reader.unassign()?;
    let mut records = records?;
    records.sort_by_key(|record| record.position);
    Ok(records)
}

fn until_ends(reader: &Reader, mut open: BTreeMap<i32, i64>) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut last = Instant::now();
    while !open.is_empty() {
        if last.elapsed() > ANSWER {
            return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
        }
        match reader.poll(Duration::from_millis(500)) {
            Some(Ok(message)) => {
                let end = open.get(&message.partition()).copied();
                if end.is_some_and(|end| message.offset() < end) {
                    records.push(record_of(&message));
                }
                if end.is_some_and(|end| message.offset() + 1 >= end) {
                    open.remove(&message.partition());
                }
            }
            // The end of what is there: records before it may have been removed in the meantime.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
            // Broken connections are made anew; the time above ends it.
            Some(Err(_)) | None => continue,
        }
        last = Instant::now();
    }
    Ok(records)
}

/// How far the group is in each partition.
pub(super) fn progress(group: &Reader, topic: &str, count: i32) -> Result<Vec<Progress>> {
    let mut wanted = TopicPartitionList::new();
    for partition in 0..count {
        wanted.add_partition(topic, partition);
    }
    let mut partitions = Vec::new();
    for element in group.committed_offsets(wanted, ANSWER)?.elements() {
        element.error()?;
        let (low, high) = group.fetch_watermarks(topic, element.partition(), ANSWER)?;
        let from = match element.offset() {
            Offset::Offset(offset) => offset.max(low),
            _ => low,
        };
        let offset = |it: i64| u64::try_from(it).unwrap_or(0);
        partitions.push(Progress { done: offset(from), end: offset(high) });
    }
    Ok(partitions)
}
