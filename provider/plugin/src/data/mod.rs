//! Databases, logs and caches of other people that we set up.

mod kafka_cluster;

use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    parts.resource::<kafka_cluster::KafkaCluster>()
}
