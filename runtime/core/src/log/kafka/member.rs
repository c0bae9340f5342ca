//! A member of a group: a thread of its own asks the brokers, so that the group goes on while a record is worked on.
//!
//! librdkafka serves assignments to whoever polls. If only `next` did, a member at work for an hour would keep every
//! other one from joining for that hour.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::Notify;
use tracing::debug;

use super::clients::{self, ANSWER, Clients, Watch};
use super::{PATIENCE, read};
use crate::error::{Error, Result};
use crate::log::{Member, Record};

/// A member without a sign of life for so long is gone.
const SESSION: Duration = Duration::from_secs(10);
/// The longest that Kafka allows between two polls; our thread polls always.
const POLLS: Duration = Duration::from_secs(24 * 3600);
/// How long a partition that moves waits for who heeds it: its new owner would begin anew what is almost done.
const HEEDED: Duration = Duration::from_secs(30);
/// How many records are held ready. They stay ours until they are committed, so few are fair.
const READY: usize = 32;

/// What the thread and the member share.
#[derive(Default)]
struct Hand {
    owned: BTreeSet<u32>,
    /// Those that are about to be another's.
    leaving: BTreeSet<u32>,
    /// The partition of the record that is worked on by who heeds that it moves.
    heeded: Option<u32>,
    ready: VecDeque<Record>,
    paused: bool,
    failure: Option<Error>,
}

struct Group {
    watch: Watch,
    topic: String,
    hand: Mutex<Hand>,
    grown: Notify,
    moved: Notify,
    gone: AtomicBool,
}

impl Group {
    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more of these partitions is begun, and who heeds that one moves has time to stop. The group waits for these partitions
    /// alone.
    fn leave(&self, lost: &BTreeSet<u32>) {
        {
            let mut hand = self.hand();
            // Their new owner gets them.
            hand.ready.retain(|record| !lost.contains(&record.position.partition));
            hand.leaving.clone_from(lost);
        }
        self.moved.notify_waiters();
        let until = Instant::now() + HEEDED;
        let busy = || self.hand().heeded.is_some_and(|it| lost.contains(&it));
        while busy() && !self.gone.load(Ordering::Relaxed) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn fail(&self, failure: Error) {
        self.hand().failure = Some(failure);
        self.grown.notify_one();
    }
}

/// The same, as librdkafka's callbacks see it.
#[derive(Clone)]
struct Callbacks(Arc<Group>);

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, about: &str, text: &str) {
        self.0.watch.log(level, about, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.watch.error(error, reason);
    }
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, change: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = change {
            self.0.leave(&numbers(list).collect());
        }
        let mut hand = self.0.hand();
        match change {
            Rebalance::Assign(list) => hand.owned.extend(numbers(list)),
            Rebalance::Revoke(list) => {
                let lost: BTreeSet<u32> = numbers(list).collect();
                hand.owned.retain(|it| !lost.contains(it));
                hand.leaving.clear();
            }
            Rebalance::Error(error) => {
                debug!(%error, "The group could not be put together; it is tried again.");
            }
        }
        debug!(topic = self.0.topic, partitions = ?hand.owned, "The partitions of a member changed.");
    }
}

fn numbers(list: &TopicPartitionList) -> impl Iterator<Item = u32> {
    let all: Vec<u32> = list.elements().iter().filter_map(|it| u32::try_from(it.partition()).ok()).collect();
    all.into_iter()
}

pub(super) struct KafkaMember {
    group: Arc<Group>,
    consumer: Arc<BaseConsumer<Callbacks>>,
}

impl KafkaMember {
    pub(super) fn join(clients: &Clients, group: &str, topic: &str) -> Result<KafkaMember> {
        let mut config = clients.config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            // Only what has to move moves.
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", SESSION.as_millis().to_string())
            .set("heartbeat.interval.ms", (SESSION / 5).as_millis().to_string())
            .set("max.poll.interval.ms", POLLS.as_millis().to_string())
            .set("queued.max.messages.kbytes", "16384")
            // How soon partitions that were added are seen.
            .set("topic.metadata.refresh.interval.ms", "10000");
        let watch = clients.watch().clone();
        let group = Arc::new(Group {
            watch,
            topic: topic.to_owned(),
            hand: Mutex::default(),
            grown: Notify::new(),
            moved: Notify::new(),
            gone: AtomicBool::new(false),
        });
        let failed = |error| clients.failed(&format!("the group of {topic} cannot be joined"), error);
        let consumer = BaseConsumer::from_config_and_context(&config, Callbacks(Arc::clone(&group)));
        let consumer = Arc::new(consumer.map_err(failed)?);
        consumer.subscribe(&[topic]).map_err(failed)?;
        let (polled, shared) = (Arc::clone(&consumer), Arc::clone(&group));
        std::thread::Builder::new()
            .name("kafka-member".to_owned())
            .spawn(move || poll(&polled, &shared))
            .map_err(|error| Error::passing("log-client", "no thread for a group's member").because(error))?;
        Ok(KafkaMember { group, consumer })
    }
}

/// Runs until the member is dropped; then the group is left.
fn poll(consumer: &BaseConsumer<Callbacks>, group: &Group) {
    let mut away: Option<Instant> = None;
    while !group.gone.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                away = None;
                let record = read::record_of(&message);
                let mut hand = group.hand();
                if !hand.owned.contains(&record.position.partition) {
                    debug!(partition = message.partition(), "A record came late, and is another's.");
                    continue;
                }
                hand.failure = None;
                hand.ready.push_back(record);
                // Polling goes on, for the group's sake; records stop.
                if hand.ready.len() >= READY && !hand.paused {
                    hand.paused = consumer.pause(&list(&group.topic, &hand.owned)).is_ok();
                }
                group.grown.notify_one();
            }
            Some(Err(error)) => {
                let code = error.rdkafka_error_code();
                let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
                group.watch.error(error.clone(), "");
                match code {
                    _ if fatal => {
                        group.fail(group.watch.failed(&format!("{} cannot be read", group.topic), error));
                        break;
                    }
                    Some(
                        RDKafkaErrorCode::Authentication
                        | RDKafkaErrorCode::SaslAuthenticationFailed
                        | RDKafkaErrorCode::SSL,
                    ) => {
                        group.fail(group.watch.refusal());
                    }
                    Some(RDKafkaErrorCode::AllBrokersDown) => away = away.or(Some(Instant::now())),
                    _ => {}
                }
            }
            None => {}
        }
        // Nothing tells when brokers are back, so they are asked before a caller is told that they are not.
        if away.is_some_and(|since| since.elapsed() > PATIENCE) {
            away = None;
            if let Err(error) = consumer.fetch_metadata(Some(&group.topic), Duration::from_secs(5)) {
                group.fail(group.watch.failed("no broker answers", error));
            }
        }
    }
    // Who drops the consumer last waits for the brokers: that must be this thread.
    while !group.gone.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn list(topic: &str, partitions: &BTreeSet<u32>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, i32::try_from(*partition).unwrap_or(i32::MAX));
    }
    list
}

#[async_trait]
impl Member for KafkaMember {
    async fn next(&mut self) -> Result<Record> {
        loop {
            {
                let mut hand = self.group.hand();
                hand.heeded = None;
                if let Some(record) = hand.ready.pop_front() {
                    if hand.paused && hand.ready.len() <= READY / 4 {
                        hand.paused = self.consumer.resume(&list(&self.group.topic, &hand.owned)).is_err();
                    }
                    return Ok(record);
                }
                if let Some(failure) = hand.failure.take() {
                    return Err(failure);
                }
            }
            // It remembers a notice that came in between.
            self.group.grown.notified().await;
        }
    }

    async fn moving(&mut self, record: &Record) {
        let partition = record.position.partition;
        self.group.hand().heeded = Some(partition);
        loop {
            let moved = self.group.moved.notified();
            tokio::pin!(moved);
            // From here on no notice is missed.
            moved.as_mut().enable();
            {
                let hand = self.group.hand();
                if hand.leaving.contains(&partition) || !hand.owned.contains(&partition) {
                    return;
                }
            }
            moved.await;
        }
    }

    async fn commit(&mut self, record: &Record) -> Result<()> {
        let settled = self.committed(record).await;
        self.group.hand().heeded = None;
        settled
    }
}

impl KafkaMember {
    /// Commits, in the next generation too: a group that is put together anew meanwhile refuses what was sent before, and where the
    /// partition stayed here nobody else is given the record, which would wait for ever.
    async fn committed(&self, record: &Record) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.commits(record).await {
                Err(error) if error.code == "log-moved" && self.owns(record) => {
                    if Instant::now() >= until {
                        let text = format!("{} cannot be committed", self.group.topic);
                        return Err(Error::passing("log-client", text).because(error));
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                settled => return settled,
            }
        }
    }

    fn owns(&self, record: &Record) -> bool {
        self.group.hand().owned.contains(&record.position.partition)
    }

    async fn commits(&self, record: &Record) -> Result<()> {
        let moved = || Error::permanent("log-moved", "the partition belongs to another member by now");
        if !self.owns(record) {
            return Err(moved());
        }
        let failed = |error: KafkaError| {
            use RDKafkaErrorCode as Code;
            match error.rdkafka_error_code() {
                Some(
                    Code::IllegalGeneration
                    | Code::RebalanceInProgress
                    | Code::UnknownMemberId
                    | Code::FencedInstanceId,
                ) => moved().because(error),
                _ => self.group.watch.failed(&format!("{} cannot be committed", self.group.topic), error),
            }
        };
        let partition = i32::try_from(record.position.partition).unwrap_or(i32::MAX);
        let next = i64::try_from(record.position.offset.saturating_add(1)).unwrap_or(i64::MAX);
        let mut done = TopicPartitionList::new();
        done.add_partition_offset(&self.group.topic, partition, Offset::Offset(next)).map_err(failed)?;
        let consumer = Arc::clone(&self.consumer);
        let until = Instant::now() + PATIENCE;
        let commit = move || clients::patiently(until, || consumer.commit(&done, CommitMode::Sync));
        let work = tokio::time::timeout(PATIENCE + ANSWER, tokio::task::spawn_blocking(commit));
        match work.await {
            Ok(Ok(settled)) => settled.map_err(failed),
            Ok(Err(error)) => Err(Error::permanent("panicked", "a commit to Kafka panicked").because(error)),
            Err(_) => Err(failed(KafkaError::ConsumerCommit(RDKafkaErrorCode::OperationTimedOut))),
        }
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        // The last one that holds the consumer leaves the group, which asks the brokers and waits: that is the thread.
        self.group.gone.store(true, Ordering::Relaxed);
    }
}
