//! Databases, logs and caches of other people that we set up.

mod kafka_check;
mod kafka_cluster;

pub use kafka_check::{
    KafkaNeed, check, check_change, check_name, check_plan, check_storage, storage_needed,
};
pub use kafka_cluster::{
    KafkaClusterSpec, KafkaClusterSpecPath, KafkaClusterSpecView, KafkaTopicSpec, KafkaTopicSpecPath,
    KafkaTopicSpecView,
};
