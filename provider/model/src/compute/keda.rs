//! What decides how many of a service run inside of a cluster: a ScaledObject of KEDA where a queue says it, else a
//! HorizontalPodAutoscaler. Never both: KEDA makes an autoscaler of its own, and two on one service undo each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tfplugin_schema::{Duration, Schema};

use crate::media::{TRANSCODE_GROUP, TRANSCODE_TOPIC};
use crate::platform::{
    self, CredentialUse, FilesObject, Name, Object, ScalerObject, SpecError, SpecUse, StoreUrl,
};

/// Kinds whose services may be several: the rest is one by its nature, or of engines.
pub const SCALED_KINDS: &[&str] =
    &["transcoder", "origin", "fast_channel", "epg", "licence_service", "key_service"];
/// More pods appear within this time …
const UP_SECONDS: u32 = 30;
/// … than there are, but never more than so many: with a `Min` of the two, small services double and large ones do not leap.
const UP_PERCENT: u32 = 100;
const UP_PODS: u32 = 5;
/// Fewer pods stay within this time …
const DOWN_SECONDS: u32 = 60;
/// … by this part, once the highest wish of the last five minutes allows it.
const DOWN_PERCENT: u32 = 50;
const STABLE_SECONDS: u32 = 300;

/// How many of a service run, between two numbers.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KedaScalerSpec {
    /// What is scaled. Another one is another scaler.
    #[attribute(replace)]
    pub target: ScaleTargetSpec,
    /// So many run at least. Only with a `queue` may it be 0.
    #[attribute(default = 1, validate(range = 0..=1000))]
    pub min: u32,
    /// So many run at most. With a `queue`, no more than its topic has partitions: who has none has no work. Each encode that a
    /// transcoder's worker does side by side takes a partition of its own, so there it is `max` times `concurrency` of the transcoder.
    #[attribute(validate(range = 1..=1000))]
    pub max: u32,
    /// More are started when they use more than this part of the CPU that they asked for, in percent; 0: whatever they use.
    #[attribute(default = 70, validate(range = 0..=1000))]
    pub cpu: u32,
    /// More are started when they use more than this part of the memory that they asked for, in percent; 0: whatever they use.
    #[attribute(default = 80, validate(range = 0..=100))]
    pub memory: u32,
    /// A queue that says how many are needed; it takes KEDA (API `keda.sh/v1alpha1`) in the cluster. Without one, CPU and
    /// memory alone say it, to Kubernetes itself.
    #[serde(default)]
    pub queue: Option<ScaleQueueSpec>,
}

/// A service on the same site.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleTargetSpec {
    /// Which kind: the resource type without `streamverse_`.
    #[attribute(validate(one_of = [
        "transcoder", "origin", "fast_channel", "epg", "licence_service", "key_service"
    ]))]
    pub kind: String,
    /// The `name` of that resource.
    #[attribute(validate(regex(
        "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
        says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
    )))]
    pub name: String,
}

/// A topic of Kafka whose records are work, and the group that does it.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleQueueSpec {
    /// The brokers, what begins the names, and how one logs in: the `url` of a `streamverse_event_log` with `kafka`.
    pub event_log: String,
    /// The topic, without what begins all names of the event log; that of tasks where a transcoder is scaled.
    #[serde(default)]
    pub topic: Option<String>,
    /// The consumer group, without what begins all names of the event log; that of the workers where a transcoder is scaled.
    #[serde(default)]
    pub group: Option<String>,
    /// So many records may wait for each that runs.
    #[attribute(default = 10, validate(range = 1..=1_000_000))]
    pub lag: u32,
    /// The first is started when more records than this wait. It counts only where `min` is 0.
    #[attribute(default = 0, validate(range = 0..=1_000_000))]
    pub activation: u32,
    /// Whether a group that never took a record counts as one for which nothing waits. Where it does not, all that is in the
    /// topic waits, as for our own workers, which begin with the first record.
    #[attribute(default = false)]
    pub scale_to_zero_on_invalid_offset: bool,
    /// The last is ended when nothing has waited for so long. It counts only where `min` is 0.
    #[attribute(default = "5m")]
    pub cooldown: Duration,
}

/// Names on a cluster that a scaler's objects need; the site gives them.
#[derive(Clone, Debug)]
pub struct ScaleNames {
    /// Of the scaler's own objects.
    pub own: String,
    /// Of the Deployment that is scaled.
    pub deployment: String,
    /// Of the ConfigMap that says who scales, and as whom one logs in.
    pub marker: String,
    /// Of the secrets that the queue's address names, by whose they are.
    pub secrets: BTreeMap<CredentialUse, String>,
}

/// What a queue's address says of Kafka.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaTrigger {
    brokers: String,
    prefix: String,
    /// Partitions of its topics, where the address says so.
    pub partitions: Option<u32>,
    /// Who logs in.
    pub username: Option<String>,
    sasl: Option<String>,
    tls: bool,
    password: Option<CredentialUse>,
    ca: Option<CredentialUse>,
    certificate: Option<CredentialUse>,
}

impl KafkaTrigger {
    /// Reads the `url` of an event log.
    ///
    /// # Errors
    /// What is none, or is no Kafka.
    pub fn read(text: &str) -> Result<KafkaTrigger, SpecError> {
        let read = StoreUrl::parse(text)?;
        let StoreUrl::Remote { url, secret, certificates } = &read else {
            return Err(SpecError::new(format!("{text} is no Kafka, and KEDA asks Kafka how much waits")));
        };
        if url.scheme() != "kafka" {
            return Err(SpecError::new(format!("{text} is no kafka:// address")));
        }
        let all: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let parameter = |name: &str| all.get(name).cloned();
        let username = parameter("username");
        Ok(KafkaTrigger {
            brokers: parameter("brokers").unwrap_or_default(),
            prefix: parameter("prefix").unwrap_or_default(),
            partitions: parameter("partitions").and_then(|text| text.parse().ok()),
            sasl: username.as_ref().map(|_| parameter("sasl").unwrap_or_else(|| "PLAIN".to_owned())),
            username,
            tls: parameter("tls").is_some_and(|it| it == "true"),
            password: secret.clone(),
            ca: certificates.ca.clone(),
            certificate: certificates.own.clone(),
        })
    }

    /// Whose secrets it needs.
    pub fn credentials(&self) -> impl Iterator<Item = &CredentialUse> {
        [&self.password, &self.ca, &self.certificate].into_iter().flatten()
    }

    /// What the trigger reads from secrets and from the marker, as the body of a TriggerAuthentication; none where it needs
    /// nothing.
    fn authentication(&self, names: &ScaleNames) -> Option<Value> {
        let one = |of: &Option<CredentialUse>, parameter: &str, key: &str| {
            let name = names.secrets.get(of.as_ref()?)?;
            Some(json!({ "parameter": parameter, "name": name, "key": key }))
        };
        let secrets: Vec<Value> = [
            one(&self.password.clone().filter(|_| self.username.is_some()), "password", "password"),
            one(&self.ca, "ca", "ca"),
            one(&self.certificate, "cert", "certificate"),
            one(&self.certificate, "key", "private-key"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut spec = json!({});
        if !secrets.is_empty() {
            spec["secretTargetRef"] = json!(secrets);
        }
        if self.username.is_some() {
            spec["configMapTargetRef"] =
                json!([{ "parameter": "username", "name": names.marker, "key": "username" }]);
        }
        spec.as_object().is_some_and(|it| !it.is_empty()).then(|| {
            json!({
                "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
                "metadata": { "name": names.own }, "spec": spec,
            })
        })
    }

    /// The trigger's metadata: all of it text (KEDA documentation, "Apache Kafka").
    fn metadata(&self, queue: &ScaleQueueSpec) -> BTreeMap<&'static str, String> {
        let named = |name: Option<&String>, usual: &str| {
            format!("{}{}", self.prefix, name.map_or(usual, String::as_str))
        };
        let mut metadata = BTreeMap::from([
            ("bootstrapServers", self.brokers.clone()),
            ("topic", named(queue.topic.as_ref(), TRANSCODE_TOPIC)),
            ("consumerGroup", named(queue.group.as_ref(), TRANSCODE_GROUP)),
            ("lagThreshold", queue.lag.to_string()),
            ("activationLagThreshold", queue.activation.to_string()),
            // As our own workers begin.
            ("offsetResetPolicy", "earliest".to_owned()),
            ("scaleToZeroOnInvalidOffset", queue.scale_to_zero_on_invalid_offset.to_string()),
            // More than there are partitions would have nothing to do.
            ("allowIdleConsumers", "false".to_owned()),
        ]);
        if let Some(sasl) = &self.sasl {
            let sasl = match sasl.as_str() {
                "SCRAM-SHA-256" => "scram_sha256",
                "SCRAM-SHA-512" => "scram_sha512",
                _ => "plaintext",
            };
            metadata.insert("sasl", sasl.to_owned());
        }
        if self.tls {
            metadata.insert("tls", "enable".to_owned());
        }
        metadata
    }
}

impl ScaleTargetSpec {
    /// Whose service it is, on the site.
    ///
    /// # Errors
    /// What is no name.
    pub fn used(&self) -> Result<SpecUse, SpecError> {
        let kind = Name::parse(&self.kind.replace('_', "-"))?;
        Ok(SpecUse { service: kind.clone(), kind, name: Name::parse(&self.name)? })
    }
}

impl KedaScalerSpec {
    /// What decides, and the spec itself, from which an import reads it back.
    ///
    /// # Errors
    /// What [`check_scaler_spec`](super::check_scaler_spec) refuses.
    pub fn objects(&self) -> Result<Vec<Object>, SpecError> {
        super::check_scaler_spec(self)?;
        let scaler = ScalerObject {
            name: Name::fixed("scaler"),
            of: self.target.used()?,
            spec: platform::spec_value(self)?,
        };
        let spec = FilesObject {
            name: Name::fixed("spec"),
            files: BTreeMap::from([("spec.json".to_owned(), serde_json::to_string(self)?)]),
        };
        Ok(vec![Object::Files(spec), Object::Scaler(scaler)])
    }

    /// What the marker says beside whose it is: as whom one logs in to the queue, which is no secret.
    ///
    /// # Errors
    /// An address of a queue that is none.
    pub fn marked(&self) -> Result<BTreeMap<String, String>, SpecError> {
        let kafka = self.kafka()?;
        let username = kafka.and_then(|it| it.username);
        Ok(username.map(|it| ("username".to_owned(), it)).into_iter().collect())
    }

    /// What the address of its queue says.
    ///
    /// # Errors
    /// An address that is none.
    pub fn kafka(&self) -> Result<Option<KafkaTrigger>, SpecError> {
        self.queue.as_ref().map(|it| KafkaTrigger::read(&it.event_log)).transpose()
    }

    /// The objects of a cluster, with the plural of each kind.
    ///
    /// # Errors
    /// An address of a queue that is none.
    pub fn manifests(&self, names: &ScaleNames) -> Result<Vec<(&'static str, Value)>, SpecError> {
        let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": names.deployment });
        let (Some(queue), Some(kafka)) = (&self.queue, self.kafka()?) else {
            let body = json!({
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": { "name": names.own },
                "spec": {
                    "scaleTargetRef": target,
                    "minReplicas": self.min,
                    "maxReplicas": self.max,
                    "metrics": self.used().map(|(resource, percent)| json!({ "type": "Resource", "resource": {
                        "name": resource,
                        "target": { "type": "Utilization", "averageUtilization": percent },
                    } })).collect::<Vec<_>>(),
                    "behavior": behavior(),
                },
            });
            return Ok(vec![("horizontalpodautoscalers", body)]);
        };
        let authentication = kafka.authentication(names);
        let mut trigger = json!({ "type": "kafka", "metadata": kafka.metadata(queue) });
        if authentication.is_some() {
            trigger["authenticationRef"] = json!({ "name": names.own });
        }
        let mut triggers = vec![trigger];
        triggers.extend(self.used().map(|(resource, percent)| {
            json!({ "type": resource, "metricType": "Utilization", "metadata": { "value": percent.to_string() } })
        }));
        let body = json!({
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": { "name": names.own },
            "spec": {
                "scaleTargetRef": target,
                "minReplicaCount": self.min,
                "maxReplicaCount": self.max,
                "cooldownPeriod": queue.cooldown.0.as_secs(),
                "advanced": {
                    // Who takes it away says how many stay.
                    "restoreToOriginalReplicaCount": false,
                    "horizontalPodAutoscalerConfig": { "behavior": behavior() },
                },
                "triggers": triggers,
            },
        });
        let authentication = authentication.map(|it| ("triggerauthentications", it));
        Ok(authentication.into_iter().chain([("scaledobjects", body)]).collect())
    }

    fn used(&self) -> impl Iterator<Item = (&'static str, u32)> {
        [("cpu", self.cpu), ("memory", self.memory)].into_iter().filter(|(_, percent)| *percent > 0)
    }
}

/// How fast it goes up and down (Kubernetes API reference, HorizontalPodAutoscalerBehavior).
fn behavior() -> Value {
    let policy = |kind: &str, value: u32, seconds: u32| json!({ "type": kind, "value": value, "periodSeconds": seconds });
    json!({
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Min",
            "policies": [policy("Percent", UP_PERCENT, UP_SECONDS), policy("Pods", UP_PODS, UP_SECONDS)],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": STABLE_SECONDS,
            "selectPolicy": "Max",
            "policies": [policy("Percent", DOWN_PERCENT, DOWN_SECONDS)],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> ScaleNames {
        let secret = CredentialUse { kind: Name::fixed("event-log"), name: Name::fixed("work") };
        ScaleNames {
            own: "demo-keda-scaler-it".to_owned(),
            deployment: "demo-transcoder-main".to_owned(),
            marker: "demo-transcoder-main-scaler".to_owned(),
            secrets: BTreeMap::from([(secret, "demo-event-log-work-secret".to_owned())]),
        }
    }

    pub(crate) fn spec(queue: &Value) -> KedaScalerSpec {
        serde_json::from_value(
            json!({ "target": { "kind": "transcoder", "name": "main" }, "min": 1, "max": 8, "cpu": 70,
            "memory": 80, "queue": queue }),
        )
        .unwrap()
    }

    pub(crate) fn queue(url: &str) -> Value {
        json!({ "event_log": url, "lag": 10, "activation": 2, "scale_to_zero_on_invalid_offset": false, "cooldown": "5m" })
    }

    #[test]
    fn a_queue_is_a_scaled_object_of_text_and_none_is_an_autoscaler() {
        let url = "kafka://a.example:9093,b.example:9093?prefix=demo-&partitions=12&username=u&sasl=SCRAM-SHA-512&tls=true&ca=event-log.work.00ff&secret=event-log.work";
        let all = spec(&queue(url)).manifests(&names()).unwrap();
        let plurals: Vec<&str> = all.iter().map(|(plural, _)| *plural).collect();
        assert_eq!(plurals, ["triggerauthentications", "scaledobjects"]);
        let (auth, scaled) = (&all[0].1["spec"], &all[1].1["spec"]);
        let secret = |parameter: &str, key: &str| json!({ "parameter": parameter, "name": "demo-event-log-work-secret", "key": key });
        assert_eq!(auth["secretTargetRef"], json!([secret("password", "password"), secret("ca", "ca")]));
        assert_eq!(auth["configMapTargetRef"][0]["name"], "demo-transcoder-main-scaler");
        let metadata = scaled["triggers"][0]["metadata"].as_object().unwrap();
        assert!(metadata.values().all(Value::is_string), "{metadata:?}");
        let told: Vec<(&str, &str)> = vec![
            ("bootstrapServers", "a.example:9093,b.example:9093"),
            ("topic", "demo-transcode"),
            ("consumerGroup", "demo-transcoders"),
            ("lagThreshold", "10"),
            ("activationLagThreshold", "2"),
            ("scaleToZeroOnInvalidOffset", "false"),
            ("sasl", "scram_sha512"),
            ("tls", "enable"),
        ];
        for (key, value) in told {
            assert_eq!(metadata[key], value, "{key}");
        }
        let kinds: Vec<&str> =
            scaled["triggers"].as_array().unwrap().iter().filter_map(|it| it["type"].as_str()).collect();
        assert_eq!(kinds, ["kafka", "cpu", "memory"]);
        for (trigger, percent) in [(1, "70"), (2, "80")] {
            assert_eq!(scaled["triggers"][trigger]["metadata"]["value"], percent);
            assert_eq!(scaled["triggers"][trigger]["metricType"], "Utilization");
        }
        assert_eq!(spec(&queue(url)).marked().unwrap()["username"], "u");
        let plain = spec(&Value::Null).manifests(&names()).unwrap();
        let [("horizontalpodautoscalers", hpa)] = plain.as_slice() else { panic!("{plain:?}") };
        for (metric, resource, percent) in [(0, "cpu", 70), (1, "memory", 80)] {
            let of = &hpa["spec"]["metrics"][metric]["resource"];
            assert_eq!(
                (&of["name"], &of["target"]["averageUtilization"]),
                (&json!(resource), &json!(percent))
            );
        }
        // The same pace in either.
        let pace = &scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"];
        let policy = |kind: &str, value: u32, seconds: u32| json!({ "type": kind, "value": value, "periodSeconds": seconds });
        let wanted = json!({
            "scaleUp": {
                "stabilizationWindowSeconds": 0, "selectPolicy": "Min",
                "policies": [policy("Percent", 100, 30), policy("Pods", 5, 30)],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": 300, "selectPolicy": "Max", "policies": [policy("Percent", 50, 60)],
            },
        });
        assert_eq!((&hpa["spec"]["behavior"], pace), (&wanted, &wanted));
    }

    #[test]
    fn a_queue_without_a_login_needs_no_authentication() {
        let all = spec(&queue("kafka://a.example:9092?partitions=12")).manifests(&names()).unwrap();
        let [("scaledobjects", scaled)] = all.as_slice() else { panic!("{all:?}") };
        assert!(scaled["spec"]["triggers"][0]["authenticationRef"].is_null());
        assert!(KafkaTrigger::read("embedded://default/work").is_err());
        assert!(KafkaTrigger::read("redis://a:6379").is_err());
    }
}
