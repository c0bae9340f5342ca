//! Network policies as a cluster's network obeys them (Kubernetes API reference, NetworkPolicy): a pod that no policy means
//! may speak to everybody; where one does, only what some policy of it says; and both ends have to agree.
//!
//! Nothing here forwards a packet: that is what is computed. What the evaluation does not know is a panic, so that it is never
//! taken for "denied".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Somebody on the network: a pod, or, without labels, an address outside of the cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// How messages name it.
    pub(crate) name: String,
    /// Labels of the pod; none outside of the cluster.
    labels: Option<BTreeMap<String, String>>,
    /// Whether it is in the namespace of the policies.
    inside: bool,
    /// Labels of its namespace.
    namespace: BTreeMap<String, String>,
    /// TCP ports that its containers declare.
    pub(crate) ports: Vec<u16>,
}

impl Peer {
    /// A pod, or the template of one, in the namespace of the policies.
    pub(crate) fn of(pod: &Value) -> Peer {
        let labels = strings(&pod["metadata"]["labels"]);
        let label = |name: &str| labels.get(&format!("streamverse.io/{name}")).cloned().unwrap_or_default();
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let ports = containers.flat_map(|it| it["ports"].as_array().into_iter().flatten());
        let ports = ports.filter_map(|it| u16::try_from(it["containerPort"].as_u64()?).ok());
        let ports: BTreeSet<u16> = ports.collect();
        Peer {
            name: format!("{}/{}", label("kind"), label("name")),
            labels: Some(labels),
            inside: true,
            namespace: BTreeMap::new(),
            ports: ports.into_iter().collect(),
        }
    }

    /// An address outside of the cluster.
    pub(crate) fn outside() -> Peer {
        Peer { name: "outside".to_owned(), ..Peer::default() }
    }

    /// The same pod in another namespace, which has these labels.
    pub(crate) fn elsewhere(&self, namespace: &[(&str, &str)]) -> Peer {
        let namespace = namespace.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Peer { inside: false, namespace: namespace.collect(), ..self.clone() }
    }

    /// The same pod with another value of a label.
    pub(crate) fn with(&self, label: &str, value: &str) -> Peer {
        let mut other = self.clone();
        other.labels.get_or_insert_default().insert(label.to_owned(), value.to_owned());
        other
    }
}

/// The policies of a namespace.
pub(crate) struct Policies(pub(crate) Vec<Value>);

impl Policies {
    /// Whether one may open a TCP connection to a port of the other.
    pub(crate) fn allow(&self, from: &Peer, to: &Peer, port: u16) -> bool {
        self.one_way("Egress", from, to, port, "TCP") && self.one_way("Ingress", to, from, port, "TCP")
    }

    /// Whether one may send to a port outside of the cluster.
    pub(crate) fn lets_out(&self, from: &Peer, port: u16, protocol: &str) -> bool {
        self.one_way("Egress", from, &Peer::outside(), port, protocol)
    }

    fn one_way(&self, direction: &str, of: &Peer, other: &Peer, port: u16, protocol: &str) -> bool {
        // Nobody but pods of the namespace is meant by its policies.
        let Some(labels) = of.labels.as_ref().filter(|_| of.inside) else { return true };
        let directs = |it: &Value| it["spec"]["policyTypes"].as_array().unwrap().contains(&direction.into());
        let meant = |it: &&Value| selects(&it["spec"]["podSelector"], labels) && directs(it);
        let mut own = self.0.iter().filter(meant).peekable();
        if own.peek().is_none() {
            return true;
        }
        let (rules, peers) = match direction {
            "Ingress" => ("ingress", "from"),
            _ => ("egress", "to"),
        };
        own.flat_map(|it| it["spec"][rules].as_array().into_iter().flatten())
            .any(|rule| is_peer(&rule[peers], other) && is_port(&rule["ports"], port, protocol))
    }
}

/// None at all is everybody.
fn is_peer(peers: &Value, other: &Peer) -> bool {
    let Some(peers) = peers.as_array().filter(|it| !it.is_empty()) else { return true };
    peers.iter().any(|peer| {
        let known = |key: &String| ["podSelector", "namespaceSelector"].contains(&key.as_str());
        assert!(peer.as_object().unwrap().keys().all(known), "a peer that is not evaluated: {peer}");
        let Some(labels) = &other.labels else { return false };
        let place = match &peer["namespaceSelector"] {
            Value::Null => other.inside,
            selector => selects(selector, &other.namespace),
        };
        place && (peer["podSelector"].is_null() || selects(&peer["podSelector"], labels))
    })
}

/// None at all is every port.
fn is_port(ports: &Value, port: u16, protocol: &str) -> bool {
    let Some(ports) = ports.as_array().filter(|it| !it.is_empty()) else { return true };
    ports.iter().any(|it| {
        assert!(it["port"].is_u64() && it["endPort"].is_null(), "a port that is not evaluated: {it}");
        it["port"] == port && it["protocol"] == protocol
    })
}

fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    assert!(selector["matchExpressions"].is_null(), "a selector that is not evaluated: {selector}");
    strings(&selector["matchLabels"]).iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    let members = value.as_object().into_iter().flatten();
    members.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Every way from one to another that is open, as `FROM → TO:PORT`.
pub(crate) fn ways(policies: &Policies, peers: &[Peer]) -> BTreeSet<String> {
    let mut open = BTreeSet::new();
    for from in peers {
        for to in peers.iter().filter(|it| it.name != from.name) {
            let ports = to.ports.iter().filter(|port| policies.allow(from, to, **port));
            open.extend(ports.map(|port| format!("{} → {}:{port}", from.name, to.name)));
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_ends_have_to_agree_and_who_is_not_meant_may_do_all() {
        let pod = |name: &str| {
            Peer::of(
                &json!({ "metadata": { "labels": { "streamverse.io/kind": "a", "streamverse.io/name": name } },
                "spec": { "containers": [{ "ports": [{ "containerPort": 80 }] }] } }),
            )
        };
        let policy = |of: &str, rest: Value| {
            let mut spec = json!({ "podSelector": { "matchLabels": { "streamverse.io/name": of } } });
            spec.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            json!({ "spec": spec })
        };
        let peer =
            |name: &str| json!([{ "podSelector": { "matchLabels": { "streamverse.io/name": name } } }]);
        let (one, two, free) = (pod("one"), pod("two"), pod("free"));
        let closed = policy(
            "one",
            json!({ "policyTypes": ["Ingress", "Egress"], "egress": [
            { "to": peer("two"), "ports": [{ "port": 80, "protocol": "TCP" }] }] }),
        );
        let guarded = policy(
            "two",
            json!({ "policyTypes": ["Ingress"], "ingress": [
            { "from": peer("one"), "ports": [{ "port": 80, "protocol": "TCP" }] },
            { "from": [{ "namespaceSelector": { "matchLabels": { "watch": "true" } } }],
              "ports": [{ "port": 9900, "protocol": "TCP" }] }] }),
        );
        let all = Policies(vec![closed.clone(), guarded]);
        assert_eq!(
            ways(&all, &[one.clone(), two.clone(), free.clone()]),
            BTreeSet::from(["a/one → a/two:80".to_owned(), "a/two → a/free:80".to_owned()])
        );
        assert!(
            !all.allow(&one, &two, 81) && !all.lets_out(&one, 80, "TCP") && all.lets_out(&two, 80, "TCP")
        );
        // Another namespace, outside, and the one that says that it watches.
        assert!(!all.allow(&one.elsewhere(&[]), &two, 80) && !all.allow(&Peer::outside(), &two, 80));
        let watch = free.elsewhere(&[("watch", "true")]);
        assert!(all.allow(&watch, &two, 9900) && !all.allow(&watch, &two, 80));
        assert!(!all.allow(&free.elsewhere(&[("watch", "no")]), &two, 9900));
        // One end alone is not enough.
        assert!(!Policies(vec![closed]).allow(&one, &free, 80));
    }
}
