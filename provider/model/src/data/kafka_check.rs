//! What a Kafka cluster refuses: copies without brokers to hold them, disks that its own topics overflow, changes that
//! lose data.

use tfplugin_schema::{Diagnostics, Maybe, Path};

use super::kafka_cluster::{KafkaClusterSpec, KafkaClusterSpecView};
use crate::platform::Owner;

/// The part of a disk that may be planned for: segments are removed whole, and a broker that fills its disk stops.
const USABLE_PERCENT: u128 = 80;

/// How much of its disk a broker needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KafkaNeed {
    /// Bytes on each broker, if partitions are spread evenly.
    pub bytes: u64,
    /// Topics of which no rate is known: they are not in it.
    pub unknown: usize,
}

/// Rate × retention × copies of all topics, over the brokers.
pub fn storage_needed(spec: &KafkaClusterSpec) -> KafkaNeed {
    let (mut all, mut unknown) = (0_u128, 0);
    for topic in spec.topics.iter().flat_map(|topics| topics.values()) {
        let Some(rate) = topic.rate else {
            unknown += 1;
            continue;
        };
        let copies = u128::from(topic.replication.unwrap_or(spec.replication));
        all = all.saturating_add(
            u128::from(rate.0).saturating_mul(topic.retention.0.as_millis()).saturating_mul(copies) / 1000,
        );
    }
    let bytes = all.div_ceil(u128::from(spec.brokers.max(1)));
    KafkaNeed { bytes: u64::try_from(bytes).unwrap_or(u64::MAX), unknown }
}

/// Refuses what cannot work. What is not known yet is not judged.
pub fn check(view: &KafkaClusterSpecView, out: &mut Diagnostics) {
    let or = |value: &Maybe<u32>, usual: u32| match value {
        Maybe::Known(value) => Some(*value),
        Maybe::Null => Some(usual),
        Maybe::Unknown => None,
    };
    let (brokers, replication, in_sync) =
        (or(&view.brokers, 3), or(&view.replication, 3), or(&view.min_in_sync, 2));
    let copies = |at: Path, wanted: Option<u32>, out: &mut Diagnostics| {
        if let (Some(brokers), Some(wanted)) = (brokers, wanted)
            && wanted > brokers
        {
            out.error_at(
                at,
                "More copies than brokers",
                format!("{wanted} copies of a partition need {wanted} brokers; there are {brokers}. Raise `brokers` or lower it."),
            );
        }
    };
    copies(KafkaClusterSpec::replication().into(), replication, out);
    if let Some(topics) = view.topics.known() {
        for (name, topic) in topics {
            let at = Path::attribute("topics").key(name.as_str()).attr("replication");
            copies(at, topic.known().and_then(|topic| topic.replication.known().copied()), out);
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
            // Names of Kubernetes objects begin and end with a letter or digit, and so does each part between dots (RFC
            // 1123); ours are CLUSTER-TOPIC.
            let part = |part: &str| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-');
            if name.len() > 200 || !name.chars().all(legal) || !name.split('.').all(part) {
                out.error_at(
                    Path::attribute("topics").key(name.as_str()),
                    "No name of a topic",
                    "Topics are Kubernetes objects too: 1 to 200 characters of a-z, 0-9, inner - and inner .",
                );
            }
        }
    }
    if let (Some(replication), Some(in_sync)) = (replication, in_sync) {
        if in_sync > replication {
            out.error_at(
                KafkaClusterSpec::min_in_sync(),
                "Nothing could be written",
                format!("{in_sync} copies must acknowledge, and there are {replication}. Make it smaller than `replication`."),
            );
        } else if in_sync == replication && replication > 1 {
            out.warning_at(
                KafkaClusterSpec::min_in_sync(),
                "One broker down stops writing",
                format!("All {replication} copies must acknowledge, so any broker that restarts stops producers. {} is usual.", replication - 1),
            );
        }
    }
    if view.controllers.known().is_some_and(|count| count % 2 == 0) {
        out.error_at(
            KafkaClusterSpec::controllers(),
            "An even number of controllers",
            "A quorum of 4 survives no more than one of 3. Give 1, 3, 5, 7 or 9.",
        );
    }
}

/// The longest name of a Service: a DNS label (RFC 1035).
const LONGEST: usize = 63;

/// Refuses a name from which the operator cannot make its Service.
pub fn check_name(owner: &Owner, out: &mut Diagnostics) {
    let service = KafkaClusterSpec::bootstrap_service(owner);
    if service.len() > LONGEST {
        out.error_at(
            Path::attribute("name"),
            "Too long a name for Strimzi",
            format!("Its Service would be called {service:?}, which has {} characters, and {LONGEST} is the most. Shorten `name` by {}, or the deployment's name.", service.len(), service.len() - LONGEST),
        );
    }
}

/// Refuses a cluster whose topics do not fit its disks.
pub fn check_storage(spec: &KafkaClusterSpec, out: &mut Diagnostics) {
    let need = storage_needed(spec);
    let usable = u128::from(spec.storage.0) * USABLE_PERCENT / 100;
    if u128::from(need.bytes) > usable {
        out.error_at(
            KafkaClusterSpec::storage(),
            "Disks too small for what is kept",
            format!(
                "Rate × retention × copies of all topics is {} GiB on each of {} brokers, and of {} GiB only {USABLE_PERCENT} % may be planned for. Enlarge `storage`, add brokers, or keep records for a shorter time.",
                need.bytes.div_ceil(1 << 30), spec.brokers, spec.storage.0 >> 30,
            ),
        );
    }
}

/// Refuses what cannot be made of what is there. Where it is made anew, nothing is: another name or site is another
/// cluster, which has nothing to lose.
pub fn check_plan(there: Option<&KafkaClusterSpec>, wanted: &KafkaClusterSpec, out: &mut Diagnostics) {
    match there {
        Some(there) => check_change(there, wanted, out),
        None => check_storage(wanted, out),
    }
}

/// Refuses changes that lose data or that the operator refuses: fewer brokers, smaller disks, fewer partitions.
pub fn check_change(before: &KafkaClusterSpec, after: &KafkaClusterSpec, out: &mut Diagnostics) {
    check_storage(after, out);
    if after.brokers < before.brokers {
        out.error_at(
            KafkaClusterSpec::brokers(),
            "Fewer brokers would lose partitions",
            format!("{} brokers hold partitions. Move those of the last {} away first (Cruise Control, mode remove-brokers), outside of this resource; Strimzi refuses it otherwise.", before.brokers, before.brokers - after.brokers),
        );
    }
    if after.storage.0 < before.storage.0 {
        out.error_at(
            KafkaClusterSpec::storage(),
            "Disks cannot shrink",
            format!("They have {} GiB. A volume claim may only grow (Kubernetes, \"Expanding Persistent Volumes Claims\").", before.storage.0 >> 30),
        );
    }
    if after.storage_class != before.storage_class {
        out.error_at(
            KafkaClusterSpec::storage_class(),
            "The class of a disk cannot change",
            "Strimzi ignores it for disks that are there. Make another cluster and mirror the topics.",
        );
    }
    if after.controllers != before.controllers {
        out.error_at(
            KafkaClusterSpec::controllers(),
            "The quorum of controllers cannot change here",
            "Kafka's controllers are not scaled by this resource: make another cluster and mirror the topics.",
        );
    }
    let old = before.topics.clone().unwrap_or_default();
    for (name, topic) in after.topics.iter().flatten() {
        let Some(was) = old.get(name) else { continue };
        let at = |attribute: &str| Path::attribute("topics").key(name.as_str()).attr(attribute);
        if topic.partitions < was.partitions {
            out.error_at(
                at("partitions"),
                "Partitions cannot become fewer",
                format!("{name} has {}. Kafka only adds partitions: make another topic.", was.partitions),
            );
        }
        let copies = |topic: &super::KafkaTopicSpec, spec: &KafkaClusterSpec| {
            topic.replication.unwrap_or(spec.replication)
        };
        if copies(topic, after) != copies(was, before) {
            out.error_at(at("replication"), "Copies of a topic cannot change here", "The topic operator needs Cruise Control for it, which this resource does not set up. Leave it, or make another topic.");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::data::KafkaTopicSpec;

    fn spec(storage: &str) -> KafkaClusterSpec {
        let topic = KafkaTopicSpec {
            partitions: 12,
            replication: None,
            retention: "1day".parse().unwrap(),
            rate: Some("1MiB".parse().unwrap()),
        };
        KafkaClusterSpec {
            version: "4.1.0".to_owned(),
            brokers: 3,
            controllers: None,
            storage: storage.parse().unwrap(),
            storage_class: None,
            delete_storage: false,
            rack_label: String::new(),
            replication: 3,
            min_in_sync: 2,
            tls: true,
            topics: Some(BTreeMap::from([("work".to_owned(), topic)])),
        }
    }

    fn refused(before: &KafkaClusterSpec, after: &KafkaClusterSpec) -> Vec<String> {
        let mut out = Diagnostics::new();
        check_change(before, after, &mut out);
        out.iter().map(|it| it.summary.clone()).collect()
    }

    #[test]
    fn what_a_day_writes_must_fit() {
        // 1 MiB/s for a day is 84.4 GiB; three copies on three brokers: as much on each.
        assert_eq!(storage_needed(&spec("1GiB")).bytes, 86_400 << 20);
        assert!(refused(&spec("106GiB"), &spec("106GiB")).is_empty());
        assert_eq!(refused(&spec("100GiB"), &spec("100GiB")), ["Disks too small for what is kept"]);
    }

    #[test]
    fn the_operators_service_has_a_name_that_dns_takes() {
        let found = |name: &str| {
            let mut out = Diagnostics::new();
            check_name(&Owner::new("demo", "kafka-cluster", name).unwrap(), &mut out);
            out.iter().count()
        };
        // demo- and -kafka-bootstrap are 21 characters.
        assert_eq!(found(&"a".repeat(40)), 0);
        let long = Owner::new(&"d".repeat(24), "kafka-cluster", &"a".repeat(23)).unwrap();
        let mut out = Diagnostics::new();
        check_name(&long, &mut out);
        assert_eq!(out.iter().count(), 1, "24 + 1 + 23 + 16 is 64");
    }

    #[test]
    fn a_topic_is_a_name_of_kubernetes_too() {
        use tfplugin_schema::Field as _;
        let found = |name: &str| {
            let mut spec = spec("1TiB");
            let topic = spec.topics.as_mut().unwrap().remove("work").unwrap();
            spec.topics = Some(BTreeMap::from([(name.to_owned(), topic)]));
            let view = KafkaClusterSpec::view(&KafkaClusterSpec::write(&spec)).unwrap();
            let mut out = Diagnostics::new();
            check(view.known().unwrap(), &mut out);
            out.iter().map(|it| it.summary.clone()).collect::<Vec<_>>()
        };
        for name in ["work-", "-work", "work.", ".work", "a..b", "a.-b", "Work", ""] {
            assert_eq!(found(name), ["No name of a topic"], "{name:?}");
        }
        for name in ["work", "a.b-c", "1"] {
            assert_eq!(found(name), [""; 0], "{name:?}");
        }
    }

    #[test]
    fn what_loses_data_is_refused() {
        let before = spec("200GiB");
        let mut after = spec("150GiB");
        after.brokers = 2;
        after.topics.as_mut().unwrap().get_mut("work").unwrap().partitions = 6;
        let found = refused(&before, &after);
        for expected in
            ["Fewer brokers would lose partitions", "Disks cannot shrink", "Partitions cannot become fewer"]
        {
            assert!(found.iter().any(|it| it == expected), "{found:?}");
        }
    }

    #[test]
    fn absurd_rates_are_refused_without_a_panic() {
        let mut absurd = spec("1GiB");
        absurd.topics.as_mut().unwrap().get_mut("work").unwrap().rate = Some(tfplugin_schema::Size(u64::MAX));
        absurd.brokers = 0;
        assert_eq!(storage_needed(&absurd).bytes, u64::MAX);
        assert!(!refused(&absurd, &absurd).is_empty());
    }
}
