//! Topics and partitions on disk: `TOPIC/PARTITION/OFFSET.log`, and what groups committed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::segment::{LARGEST, Segment, Stored, broken, sync_folder};
use crate::error::{Error, Result};
use crate::log::{Position, Progress};

/// A new segment begins after so many bytes.
const SEGMENT_BYTES: u64 = 64 << 20;
const MOST_PARTITIONS: u32 = 1024;

/// What is kept about a topic besides its records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Settings {
    retention_ms: Option<u64>,
}

#[derive(Debug)]
struct Topic {
    settings: Settings,
    partitions: Vec<Partition>,
}

#[derive(Debug)]
struct Partition {
    folder: PathBuf,
    segments: Vec<Segment>,
}

/// All topics below a folder.
#[derive(Debug)]
pub(super) struct Topics {
    folder: PathBuf,
    topics: BTreeMap<String, Topic>,
    /// By group and topic: the next offset of each partition.
    committed: BTreeMap<(String, String), BTreeMap<u32, u64>>,
}

/// A record to be appended.
#[derive(Clone, Debug)]
pub(super) struct Append {
    pub(super) topic: String,
    pub(super) key: String,
    pub(super) value: bytes::Bytes,
}

impl Topics {
    pub(super) fn open(folder: &Path) -> Result<Topics> {
        let mut all =
            Topics { folder: folder.to_owned(), topics: BTreeMap::new(), committed: BTreeMap::new() };
        let (topics, groups) = (folder.join("topics"), folder.join("groups"));
        for place in [&topics, &groups] {
            fs::create_dir_all(place).map_err(|error| broken(place, error))?;
        }
        for name in names(&topics)? {
            all.topics.insert(name.clone(), Topic::open(&topics.join(&name))?);
        }
        for name in names(&groups)? {
            let Some((group, topic)) = name.strip_suffix(".json").and_then(|name| name.split_once('@'))
            else {
                continue;
            };
            let path = groups.join(&name);
            let text = fs::read(&path).map_err(|error| broken(&path, error))?;
            // Written whole or not at all; a damaged one only means that work is done again.
            let offsets = serde_json::from_slice(&text).unwrap_or_default();
            all.committed.insert((group.to_owned(), topic.to_owned()), offsets);
        }
        Ok(all)
    }

    pub(super) fn ensure(&mut self, name: &str, partitions: u32, retention: Option<Duration>) -> Result<()> {
        valid(name, "topic")?;
        if !(1..=MOST_PARTITIONS).contains(&partitions) {
            return Err(Error::permanent(
                "log-request",
                format!("a topic has 1 to {MOST_PARTITIONS} partitions"),
            ));
        }
        let folder = self.folder.join("topics").join(name);
        let topic = self
            .topics
            .entry(name.to_owned())
            .or_insert_with(|| Topic { settings: Settings::default(), partitions: Vec::new() });
        let settings = Settings {
            retention_ms: retention.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        };
        for number in topic.partitions.len()..partitions as usize {
            topic.partitions.push(Partition::create(&folder.join(number.to_string()))?);
        }
        let path = folder.join("settings.json");
        if topic.settings != settings || !path.exists() {
            write_whole(&path, &serde_json::to_vec(&settings).unwrap_or_default())?;
            topic.settings = settings;
        }
        sync_folder(&self.folder.join("topics"))
    }

    /// Appends records, syncs each file once, and says where they are.
    pub(super) fn append(&mut self, records: &[Append], now: u64) -> Vec<Result<Position>> {
        let mut touched: BTreeMap<(String, u32), Option<String>> = BTreeMap::new();
        let mut places: Vec<Result<Position>> = records.iter().map(|one| self.append_one(one, now)).collect();
        for (record, place) in records.iter().zip(&places) {
            if let Ok(position) = place {
                touched.insert((record.topic.clone(), position.partition), None);
            }
        }
        for ((topic, partition), failure) in &mut touched {
            let segment = self.topics.get(topic).and_then(|topic| topic.partitions.get(*partition as usize));
            let synced =
                segment.and_then(|partition| partition.segments.last()).map_or(Ok(()), Segment::sync);
            *failure = synced.err().map(|error| error.chain());
        }
        for (record, place) in records.iter().zip(&mut places) {
            let Ok(position) = place else { continue };
            if let Some(Some(failure)) = touched.get(&(record.topic.clone(), position.partition)) {
                *place = Err(Error::passing("log-io", failure.clone()));
            }
        }
        places
    }

    fn append_one(&mut self, record: &Append, now: u64) -> Result<Position> {
        if record.key.len() > 1024 || record.value.len() + record.key.len() > LARGEST {
            return Err(Error::permanent("log-request", "a key has 1 KiB at most, a record 8 MiB"));
        }
        let topic = self.topics.get_mut(&record.topic).ok_or_else(|| unknown(&record.topic))?;
        let partition = partition_of(&record.key, topic.partitions.len());
        let place = topic.partitions.get_mut(partition).ok_or_else(|| unknown(&record.topic))?;
        let offset = place.append(now, &record.key, &record.value)?;
        Ok(Position { partition: partition as u32, offset })
    }

    pub(super) fn read(&self, topic: &str, partition: u32, offset: u64) -> Result<Option<Stored>> {
        let topic = self.topics.get(topic).ok_or_else(|| unknown(topic))?;
        let Some(partition) = topic.partitions.get(partition as usize) else { return Ok(None) };
        // What retention removed is skipped, as Kafka does from the oldest.
        let offset = offset.max(partition.oldest());
        let segment = partition.segments.iter().rev().find(|segment| segment.base <= offset);
        segment.map_or(Ok(None), |segment| segment.read(offset))
    }

    pub(super) fn partitions(&self, topic: &str) -> Result<u32> {
        self.topics.get(topic).map(|topic| topic.partitions.len() as u32).ok_or_else(|| unknown(topic))
    }

    pub(super) fn committed(&self, group: &str, topic: &str, partition: u32) -> u64 {
        let offsets = self.committed.get(&(group.to_owned(), topic.to_owned()));
        let committed = offsets.and_then(|offsets| offsets.get(&partition)).copied().unwrap_or(0);
        let oldest = self.topics.get(topic).and_then(|topic| topic.partitions.get(partition as usize));
        committed.max(oldest.map_or(0, Partition::oldest))
    }

    pub(super) fn commit(&mut self, group: &str, topic: &str, position: Position) -> Result<()> {
        valid(group, "group")?;
        valid(topic, "topic")?;
        let offsets = self.committed.entry((group.to_owned(), topic.to_owned())).or_default();
        let next = position.offset + 1;
        let place = offsets.entry(position.partition).or_default();
        if *place >= next {
            return Ok(());
        }
        *place = next;
        let path = self.folder.join("groups").join(format!("{group}@{topic}.json"));
        write_whole(&path, &serde_json::to_vec(offsets).unwrap_or_default())
    }

    pub(super) fn progress(&self, group: &str, topic: &str) -> Result<Vec<Progress>> {
        let of = |one: u32| Progress { done: self.committed(group, topic, one), end: self.next(topic, one) };
        Ok((0..self.partitions(topic)?).map(of).collect())
    }

    pub(super) fn next(&self, topic: &str, partition: u32) -> u64 {
        let partition = self.topics.get(topic).and_then(|topic| topic.partitions.get(partition as usize));
        partition.and_then(|partition| partition.segments.last()).map_or(0, Segment::next)
    }

    /// Removes segments whose newest record is older than the topic keeps.
    pub(super) fn expire(&mut self, now: u64) -> Result<()> {
        for topic in self.topics.values_mut() {
            let Some(retention) = topic.settings.retention_ms else { continue };
            for partition in &mut topic.partitions {
                let is_old = |segment: &Segment| segment.newest.saturating_add(retention) < now;
                while partition.segments.len() > 1 && partition.segments.first().is_some_and(is_old) {
                    partition.segments.remove(0).remove()?;
                }
            }
        }
        Ok(())
    }
}

impl Topic {
    fn open(folder: &Path) -> Result<Topic> {
        let settings = fs::read(folder.join("settings.json")).ok();
        let settings = settings.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let mut partitions = Vec::new();
        while folder.join(partitions.len().to_string()).is_dir() {
            partitions.push(Partition::open(&folder.join(partitions.len().to_string()))?);
        }
        Ok(Topic { settings, partitions })
    }
}

impl Partition {
    fn create(folder: &Path) -> Result<Partition> {
        fs::create_dir_all(folder).map_err(|error| broken(folder, error))?;
        let partition = Partition { folder: folder.to_owned(), segments: vec![Segment::create(folder, 0)?] };
        if let Some(topic) = folder.parent() {
            sync_folder(topic)?;
        }
        Ok(partition)
    }

    fn open(folder: &Path) -> Result<Partition> {
        let mut files: Vec<String> =
            names(folder)?.into_iter().filter(|name| name.ends_with(".log")).collect();
        files.sort();
        let last = files.len().saturating_sub(1);
        let open = |(at, name): (usize, &String)| Segment::open(&folder.join(name), at == last);
        let mut segments = files.iter().enumerate().map(open).collect::<Result<Vec<_>>>()?;
        if segments.is_empty() {
            segments.push(Segment::create(folder, 0)?);
        }
        Ok(Partition { folder: folder.to_owned(), segments })
    }

    fn oldest(&self) -> u64 {
        self.segments.first().map_or(0, |segment| segment.base)
    }

    fn append(&mut self, now: u64, key: &str, value: &bytes::Bytes) -> Result<u64> {
        if self.segments.last().is_none_or(|segment| segment.size >= SEGMENT_BYTES) {
            let next = self.segments.last().map_or(0, Segment::next);
            if let Some(full) = self.segments.last() {
                full.sync()?;
            }
            self.segments.push(Segment::create(&self.folder, next)?);
        }
        let segment = self
            .segments
            .last_mut()
            .ok_or_else(|| Error::permanent("log-io", "a partition has no segment"))?;
        let offset = segment.next();
        segment.append(&[Stored { offset, time: now, key: key.to_owned(), value: value.clone() }])?;
        Ok(offset)
    }
}

/// As Kafka: the same key, the same partition.
fn partition_of(key: &str, partitions: usize) -> usize {
    crc32fast::hash(key.as_bytes()) as usize % partitions.max(1)
}

/// Names become files: Kafka's rule for topics (`[a-zA-Z0-9._-]`, 1 to 249), without a leading dot.
pub(super) fn valid(name: &str, what: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.bytes().all(fits) {
        let name: String = name.chars().take(60).collect();
        return Err(Error::permanent(
            "log-request",
            format!("{name:?} is no {what}'s name: 1 to 200 characters of a-z, A-Z, 0-9, . _ and -"),
        ));
    }
    Ok(())
}

fn unknown(topic: &str) -> Error {
    Error::permanent("no-topic", format!("there is no topic {topic:?}: it is made by ensure_topic"))
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(|error| broken(folder, error))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let file = fs::File::create(&fresh)?;
        std::io::Write::write_all(&mut &file, bytes)?;
        file.sync_data()?;
        fs::rename(&fresh, path)
    };
    write().map_err(|error| broken(path, error))?;
    path.parent().map_or(Ok(()), sync_folder)
}
