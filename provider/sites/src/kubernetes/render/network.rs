//! Who reaches whom: addresses (Services) and network policies that deny the rest.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use streamverse_model::platform::{CredentialUse, EndpointObject, Object, Peer, Port, Protocol, Reach};

use super::pod::ADMIN;
use super::{Rendered, Scope};
use crate::error::Result;
use crate::kubernetes::names;
use crate::site::port_of;

/// The address of one port.
pub(super) fn endpoint(scope: &Scope<'_>, it: &EndpointObject) -> Result<Rendered> {
    let object = format!("endpoint/{}", it.name);
    let port = port_of(scope.bundle, it)?;
    let kind = if it.public { scope.rendering.expose.as_str() } else { "ClusterIP" };
    let mut spec = json!({
        "type": kind,
        "selector": names::selected(scope.owner(), &it.of),
        "ports": [{
            "name": port.name, "port": port.number, "targetPort": port.name.as_str(),
            "protocol": protocol(port),
        }],
    });
    if it.public && kind != "ClusterIP" {
        // Viewers' addresses reach logs and rules only if no other node stands between.
        spec["externalTrafficPolicy"] = json!("Local");
    }
    let body = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": scope.metadata(&object, &names::name(scope.owner(), it.name.as_str())),
        "spec": spec,
    });
    Ok(Rendered { object, plural: "services".to_owned(), body })
}

fn protocol(port: &Port) -> &'static str {
    match port.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}

/// The labels of the pods behind a Service of the same deployment. Names that were cut cannot be read back; their ports are
/// open to all.
fn pods_of(scope: &Scope<'_>, service: &str, namespace: &str) -> Option<BTreeMap<String, String>> {
    let deployment = &scope.owner().deployment;
    let ours = namespace == scope.rendering.namespace && service.starts_with(&format!("{deployment}-"));
    let instance = ["-http", "-https"].iter().find_map(|part| service.strip_suffix(part)).filter(|_| ours)?;
    Some(BTreeMap::from([
        (names::INSTANCE.to_owned(), instance.to_owned()),
        (format!("{}/deployment", names::PREFIX), deployment.to_string()),
    ]))
}

/// Denies everything that the object did not declare: in from its deployment (from everywhere for a public port, from those
/// who read its secret where it is guarded), out to name service and what it reaches.
pub(super) fn policy(scope: &Scope<'_>, object: &str, ports: &[Port], reach: &[Reach]) -> Rendered {
    let deployment = format!("{}/deployment", names::PREFIX);
    let mut peers = json!({ deployment: scope.owner().deployment });
    if scope.bundle.is_guarded() {
        let of = CredentialUse { kind: scope.owner().kind.clone(), name: scope.owner().name.clone() };
        peers[names::reads(&of)] = json!("true");
    }
    let same = json!({ "podSelector": { "matchLabels": peers } });
    let public = |port: &&Port| {
        port.public
            || scope.bundle.objects.iter().any(|other| {
                matches!(other, Object::Endpoint(it) if it.public && it.of == object && it.port == port.name)
            })
    };
    let rule = |port: &Port| json!({ "port": port.number, "protocol": protocol(port) });
    let (open, inner): (Vec<&Port>, Vec<&Port>) = ports.iter().partition(public);
    let mut ingress = Vec::new();
    if !open.is_empty() {
        ingress.push(json!({ "ports": open.into_iter().map(rule).collect::<Vec<_>>() }));
    }
    if !inner.is_empty() {
        ingress.push(json!({ "from": [same], "ports": inner.into_iter().map(rule).collect::<Vec<_>>() }));
    }
    if !object.starts_with("engine/") {
        // Whoever collects metrics says so by a label of its namespace. An engine has no such port: Traffic Server tells its
        // figures to its own host only.
        let collector = json!({ format!("{}/metrics", names::PREFIX): "true" });
        ingress.push(json!({
            "from": [{ "namespaceSelector": { "matchLabels": collector } }],
            "ports": [{ "port": ADMIN, "protocol": "TCP" }],
        }));
    }
    // To wherever names are resolved: a cluster's own pods, or a cache on the node, which no selector means.
    let mut egress = vec![json!({ "ports": [
        { "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "TCP" },
    ] })];
    let mut anywhere: Vec<u16> = Vec::new();
    for one in reach {
        match &one.peer {
            Peer::Anywhere => anywhere.push(one.port),
            Peer::Service { name, namespace } => match pods_of(scope, name, namespace) {
                Some(labels) => egress.push(json!({
                    "to": [{ "podSelector": { "matchLabels": labels } }],
                    "ports": [{ "port": one.port, "protocol": "TCP" }],
                })),
                None => anywhere.push(one.port),
            },
        }
    }
    anywhere.sort_unstable();
    anywhere.dedup();
    if !anywhere.is_empty() {
        let ports: Vec<Value> =
            anywhere.iter().map(|port| json!({ "port": port, "protocol": "TCP" })).collect();
        egress.push(json!({ "ports": ports }));
    }
    let body = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": scope.metadata(object, &names::name(scope.owner(), "")),
        "spec": {
            "podSelector": { "matchLabels": names::selected(scope.owner(), object) },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    });
    Rendered { object: object.to_owned(), plural: "networkpolicies".to_owned(), body }
}
