//! Makes topics, and brings those that are there to what is wanted.

use std::time::Duration;

use rdkafka::admin::{
    AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::clients::{ANSWER, Clients, most_bytes};
use super::settings::Settings;
use crate::error::{Error, Result};

/// Brokers learn of a new topic one after the other.
const KNOWN: Duration = Duration::from_secs(15);

pub(super) async fn ensure(
    clients: &Clients,
    settings: &Settings,
    name: &str,
    partitions: u32,
    retention: Option<Duration>,
) -> Result<()> {
    let wanted = i32::try_from(settings.partitions.unwrap_or(partitions)).unwrap_or(i32::MAX);
    // Without one a topic keeps its records for ever, as in the embedded log, not for the broker's week.
    let retention =
        settings.retention.or(retention).map_or_else(|| "-1".to_owned(), |it| it.as_millis().to_string());
    let failed = |error| clients.failed(&format!("the topic {name} cannot be made as it must be"), error);
    match clients.partitions(name).await? {
        0 => create(clients, settings, name, wanted, &retention).await.map_err(failed)?,
        there => {
            if there < wanted {
                grow(clients, name, wanted).await.map_err(failed)?;
            }
            keep(clients, name, &retention).await.map_err(failed)?;
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
    Ok(())
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

/// Sets the retention where it is another. The request replaces all settings of the topic, so the others go with it.
async fn keep(clients: &Clients, name: &str, retention: &str) -> std::result::Result<(), KafkaError> {
    let of = ResourceSpecifier::Topic(name);
    let told = clients.admin.describe_configs([&of], &options()).await?;
    let Some(told) = told.into_iter().next() else { return Ok(()) };
    let told = told.map_err(KafkaError::AdminOp)?;
    if told.get("retention.ms").and_then(|it| it.value.as_deref()) == Some(retention) {
        return Ok(());
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
        _ => Ok(()),
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
