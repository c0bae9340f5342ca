//! Makes topics, and brings those that are there to what is wanted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rdkafka::admin::{
    AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use tracing::{debug, warn};

use super::clients::{ANSWER, Clients, most_bytes};
use super::settings::Settings;
use crate::error::{Error, Result};

/// Brokers learn of a new topic one after the other.
const KNOWN: Duration = Duration::from_secs(15);
/// How often topics are looked at again: somebody may have changed them by hand.
const LOOK: Duration = Duration::from_secs(30);

/// What topics must be like, by name.
#[derive(Default)]
pub(super) struct Kept(Mutex<BTreeMap<String, (u32, Option<Duration>)>>);

impl Kept {
    fn all(&self) -> BTreeMap<String, (u32, Option<Duration>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this is the first one.
    pub(super) fn add(&self, name: String, partitions: u32, retention: Option<Duration>) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.is_empty();
        kept.insert(name, (partitions, retention));
        first
    }
}

/// Puts topics back that somebody changed, until the log is dropped.
pub(super) async fn watch(kept: Weak<Kept>, clients: Weak<Clients>, settings: Arc<Settings>) {
    loop {
        tokio::time::sleep(LOOK.mul_f64(rand::random_range(0.8..1.0))).await;
        let (Some(kept), Some(clients)) = (kept.upgrade(), clients.upgrade()) else { return };
        for (topic, (partitions, retention)) in kept.all() {
            match ensure(&clients, &settings, &topic, partitions, retention).await {
                Ok(false) => {}
                Ok(true) => warn!(topic, "A topic was changed by somebody else, and is put back."),
                Err(error) => debug!(topic, error = %error.chain(), "A topic cannot be looked at now."),
            }
        }
    }
}

/// Makes the topic or brings it to what is wanted; whether it was there and had to be changed.
pub(super) async fn ensure(
    clients: &Clients,
    settings: &Settings,
    name: &str,
    partitions: u32,
    retention: Option<Duration>,
) -> Result<bool> {
    let wanted = i32::try_from(settings.partitions.unwrap_or(partitions)).unwrap_or(i32::MAX);
    // Without one a topic keeps its records for ever, as in the embedded log, not for the broker's week.
    let retention =
        settings.retention.or(retention).map_or_else(|| "-1".to_owned(), |it| it.as_millis().to_string());
    let failed = |error| clients.failed(&format!("the topic {name} cannot be made as it must be"), error);
    let there = clients.shape(name).await?;
    let mut changed = there.partitions > 0 && there.partitions < wanted;
    if there.partitions == 0 {
        create(clients, settings, name, wanted, &retention).await.map_err(failed)?;
    } else {
        if changed {
            grow(clients, name, wanted).await.map_err(failed)?;
        }
        changed |= keep(clients, name, &retention).await.map_err(failed)?;
        if settings.replication.is_some_and(|wanted| there.copies < usize::from(wanted)) {
            // Moving data between brokers is for whoever runs them to decide.
            let (has, wanted) = (there.copies, settings.replication);
            warn!(topic = name, has, wanted, "A topic has too few copies: see kafka-reassign-partitions.");
        }
    }
    let until = tokio::time::Instant::now() + KNOWN;
    while clients.partitions(name).await? < wanted {
        if tokio::time::Instant::now() >= until {
            let text = format!("the topic {name} was made and is not known to all brokers yet");
            return Err(Error::passing("log-unreachable", text));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(changed)
}

async fn create(
    clients: &Clients,
    settings: &Settings,
    name: &str,
    partitions: i32,
    retention: &str,
) -> std::result::Result<(), KafkaError> {
    // -1 is the broker's own choice.
    let replication = settings.replication.map_or(-1, i32::from);
    let most = most_bytes();
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication))
        .set("retention.ms", retention)
        .set("max.message.bytes", &most);
    if replication >= 3 {
        // "On all in-sync replicas" is worth something when those are two at least.
        topic = topic.set("min.insync.replicas", "2");
    }
    let made = clients.admin.create_topics([&topic], &options()).await?;
    // Somebody else was faster.
    settled(made, RDKafkaErrorCode::TopicAlreadyExists)
}

async fn grow(clients: &Clients, name: &str, partitions: i32) -> std::result::Result<(), KafkaError> {
    let count = usize::try_from(partitions).unwrap_or(0);
    let made = clients.admin.create_partitions([&NewPartitions::new(name, count)], &options()).await?;
    settled(made, RDKafkaErrorCode::InvalidPartitions)
}

/// Sets the retention where it is another, and says so. The request replaces all settings of the topic, so the others go
/// with it.
async fn keep(clients: &Clients, name: &str, retention: &str) -> std::result::Result<bool, KafkaError> {
    let of = ResourceSpecifier::Topic(name);
    let told = clients.admin.describe_configs([&of], &options()).await?;
    let Some(told) = told.into_iter().next() else { return Ok(false) };
    let told = told.map_err(KafkaError::AdminOp)?;
    if told.get("retention.ms").and_then(|it| it.value.as_deref()) == Some(retention) {
        return Ok(false);
    }
    let own = told.entries.iter().filter(|it| it.source == ConfigSource::DynamicTopic);
    let own = own.filter_map(|it| Some((it.name.as_str(), it.value.as_deref()?)));
    let mut wanted = AlterConfig::new(of);
    for (key, value) in own.filter(|(key, _)| *key != "retention.ms") {
        wanted = wanted.set(key, value);
    }
    let done = clients.admin.alter_configs([&wanted.set("retention.ms", retention)], &options()).await?;
    match done.into_iter().next() {
        Some(Err((_, code))) => Err(KafkaError::AdminOp(code)),
        _ => Ok(true),
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER))
}

/// Refused for a reason that is a success for us, or at all.
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
