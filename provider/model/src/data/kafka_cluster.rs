//! Apache Kafka under Strimzi's operator (API `kafka.strimzi.io/v1`, the only one since Strimzi 1.0).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tfplugin_schema::{Duration, Schema, Size};

use crate::platform::{FilesObject, ManifestObject, Name, Object, Owner, SpecError};

/// A Kafka cluster.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaClusterSpec {
    /// Kafka's version, one that the installed Strimzi supports.
    #[attribute(
        default = "4.1.0",
        validate(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", says = "must be a version such as 4.1.0"))
    )]
    pub version: String,
    /// Brokers. They may become more, never fewer: their partitions would be lost.
    #[attribute(default = 3, validate(range = 1..=1000))]
    pub brokers: u32,
    /// Controllers of their own (an odd number); where none is given the brokers are controllers too.
    #[attribute(validate(range = 1..=9))]
    pub controllers: Option<u32>,
    /// Disk of each broker. It may grow, never shrink.
    #[attribute(default = "100GiB")]
    pub storage: Size,
    /// The storage class of the disks; the cluster's default where none is given.
    pub storage_class: Option<String>,
    /// Whether the disks are removed with the cluster.
    #[attribute(default = false)]
    pub delete_storage: bool,
    /// The node label that tells racks (zones) apart: copies of a partition are spread over them. Empty: no racks.
    #[attribute(default = "topology.kubernetes.io/zone")]
    pub rack_label: String,
    /// Copies of a partition, where a topic does not say otherwise.
    #[attribute(default = 3, validate(range = 1..=15))]
    pub replication: u32,
    /// Copies that must have a record before it is acknowledged.
    #[attribute(default = 2, validate(range = 1..=15))]
    pub min_in_sync: u32,
    /// Whether clients speak TLS (port 9093) or plain text (port 9092).
    #[attribute(default = true)]
    pub tls: bool,
    /// Topics by name. They may become more; their partitions may, too.
    #[serde(default)]
    pub topics: Option<BTreeMap<String, KafkaTopicSpec>>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaTopicSpec {
    /// Partitions: the most members of a group that share it.
    #[attribute(default = 12, validate(range = 1..=10000))]
    pub partitions: u32,
    /// Copies of each partition; the cluster's `replication` where none is given.
    #[attribute(validate(range = 1..=15))]
    pub replication: Option<u32>,
    /// How long records are kept.
    #[attribute(default = "7days")]
    pub retention: Duration,
    /// Bytes per second that are written to it, all producers together: what the disks are reckoned with.
    pub rate: Option<Size>,
}

impl KafkaClusterSpec {
    /// The port of clients.
    pub fn port(&self) -> u16 {
        if self.tls { 9093 } else { 9092 }
    }

    /// The name of the cluster on its site.
    pub fn cluster_name(owner: &Owner) -> String {
        format!("{}-{}", owner.deployment, owner.name)
    }

    /// `HOST:PORT` of the Service that Strimzi makes for clients (its documentation, "Bootstrap service").
    pub fn bootstrap(owner: &Owner, namespace: &str, port: u16) -> String {
        format!("{}.{namespace}.svc:{port}", Self::bootstrap_service(owner))
    }

    /// The name of that Service.
    pub(super) fn bootstrap_service(owner: &Owner) -> String {
        format!("{}-kafka-bootstrap", Self::cluster_name(owner))
    }

    /// The operator's objects, and the spec itself, from which an import reads it back.
    ///
    /// # Errors
    /// A spec that is no JSON, which does not happen.
    pub fn objects(&self, owner: &Owner) -> Result<Vec<Object>, SpecError> {
        let cluster = Self::cluster_name(owner);
        let mut objects = vec![
            Object::Files(FilesObject {
                name: Name::fixed("spec"),
                files: BTreeMap::from([("spec.json".to_owned(), serde_json::to_string(self)?)]),
            }),
            manifest("kafka", "kafkas", self.kafka(&cluster)),
        ];
        let both = ["controller", "broker"];
        let roles: &[&str] = if self.controllers.is_some() { &both[1..] } else { &both };
        objects.push(manifest(
            "brokers",
            "kafkanodepools",
            self.pool(&cluster, "brokers", self.brokers, roles),
        ));
        if let Some(count) = self.controllers {
            let body = self.pool(&cluster, "controllers", count, &both[..1]);
            objects.push(manifest("controllers", "kafkanodepools", body));
        }
        for (index, (name, topic)) in self.topics.iter().flatten().enumerate() {
            let body = self.topic(&cluster, name, topic);
            if let Ok(manifest_name) = Name::parse(&format!("topic-{index}")) {
                let manifest = ManifestObject { name: manifest_name, body, plural: "kafkatopics".to_owned() };
                objects.push(Object::Manifest(manifest));
            }
        }
        Ok(objects)
    }

    fn kafka(&self, cluster: &str) -> Value {
        let mut kafka = json!({
            "version": self.version,
            "listeners": [{
                "name": if self.tls { "tls" } else { "plain" }, "port": self.port(), "type": "internal",
                "tls": self.tls,
            }],
            "config": {
                "default.replication.factor": self.replication,
                "min.insync.replicas": self.min_in_sync,
                "offsets.topic.replication.factor": self.replication,
                "transaction.state.log.replication.factor": self.replication,
                "transaction.state.log.min.isr": self.min_in_sync,
                "auto.create.topics.enable": false,
            },
        });
        if !self.rack_label.is_empty() {
            kafka["rack"] = json!({ "topologyKey": self.rack_label });
        }
        json!({
            "apiVersion": "kafka.strimzi.io/v1",
            "kind": "Kafka",
            "metadata": { "name": cluster },
            "spec": { "kafka": kafka, "entityOperator": { "topicOperator": {} } },
        })
    }

    fn pool(&self, cluster: &str, pool: &str, replicas: u32, roles: &[&str]) -> Value {
        let mut storage = json!({
            "type": "persistent-claim",
            "size": format!("{}Ki", self.storage.0.div_ceil(1024)),
            "deleteClaim": self.delete_storage,
            "kraftMetadata": "shared",
        });
        if let Some(class) = &self.storage_class {
            storage["class"] = json!(class);
        }
        json!({
            "apiVersion": "kafka.strimzi.io/v1",
            "kind": "KafkaNodePool",
            "metadata": { "name": format!("{cluster}-{pool}"), "labels": { "strimzi.io/cluster": cluster } },
            "spec": {
                "replicas": replicas,
                "roles": roles,
                "storage": {
                    "type": "jbod",
                    "volumes": [merged(&json!({ "id": 0 }), &storage)],
                },
            },
        })
    }

    fn topic(&self, cluster: &str, name: &str, topic: &KafkaTopicSpec) -> Value {
        json!({
            "apiVersion": "kafka.strimzi.io/v1",
            "kind": "KafkaTopic",
            "metadata": { "name": format!("{cluster}-{name}"), "labels": { "strimzi.io/cluster": cluster } },
            "spec": {
                "topicName": name,
                "partitions": topic.partitions,
                "replicas": topic.replication.unwrap_or(self.replication),
                "config": { "retention.ms": u64::try_from(topic.retention.0.as_millis()).unwrap_or(u64::MAX) },
            },
        })
    }
}

fn merged(one: &Value, two: &Value) -> Value {
    let mut all = one.clone();
    for (key, value) in two.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    all
}

fn manifest(name: &'static str, plural: &str, body: Value) -> Object {
    Object::Manifest(ManifestObject { name: Name::fixed(name), body, plural: plural.to_owned() })
}
