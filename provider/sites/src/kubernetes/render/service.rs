//! A service of ours: a Deployment with its orders, its budget of disruptions and its network policy.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use streamverse_model::platform::{Port, Protocol, ServiceObject, is_leased};

use super::pod::{self, Pod};
use super::{Rendered, Scope, lease, network, scaler};
use crate::error::Result;
use crate::kubernetes::names;

pub(super) fn render(scope: &Scope<'_>, it: &ServiceObject) -> Result<Vec<Rendered>> {
    let object = format!("service/{}", it.name);
    let name = names::name(scope.owner(), "");
    let orders = BTreeMap::from([
        ("spec.json".to_owned(), it.spec.to_string()),
        ("context.json".to_owned(), pod::context(scope, &object).to_string()),
    ]);
    // A new name for new orders: pods of the last roll-out keep theirs until they are gone.
    let digest = names::short(&serde_json::to_string(&orders).unwrap_or_default());
    let orders_name = names::name(scope.owner(), &format!("orders-{digest}"));
    let mut pod = Pod::new(scope, &it.credentials, &it.resources);
    pod.orders(&orders_name, &[]);
    let probe = |path: &str| json!({ "path": path, "port": "admin" });
    let main = json!({
        "name": "main",
        "image": scope.rendering.image("streamverse")?.as_str(),
        "args": pod::arguments(&it.target),
        "ports": ports(&it.ports),
        "securityContext": pod::restricted(),
        "resources": pod::resources(&it.resources),
        "startupProbe": { "httpGet": probe("/livez"), "periodSeconds": 2, "failureThreshold": 60 },
        "livenessProbe": { "httpGet": probe("/livez"), "periodSeconds": 10, "failureThreshold": 3 },
        "readinessProbe": { "httpGet": probe("/readyz"), "periodSeconds": 5, "failureThreshold": 2 },
        "volumeMounts": pod.mounts,
    });
    let selected = names::selected(scope.owner(), &object);
    let mut rest = json!({ "terminationGracePeriodSeconds": it.drain_seconds + 10 });
    let leased = is_leased(scope.owner().kind.as_str());
    if leased {
        lease::pod(scope, &mut rest);
    }
    let template = pod.template(scope, &object, &scope.secrets(&it.credentials), (Vec::new(), main), &rest);
    let mut deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": scope.metadata(&object, &name),
        "spec": {
            "replicas": it.replicas,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": 600,
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
            "selector": { "matchLabels": selected },
            "template": template,
        },
    });
    if leased {
        // A new pod is ready when it holds the lease, which an old one holds until it ends.
        deployment["spec"]["strategy"] = json!({ "type": "Recreate" });
    }
    if scope.others.scaler.is_some() {
        scaler::left_open(&mut deployment);
    }
    let reach = if leased { lease::reach(&it.reach) } else { it.reach.clone() };
    let mut all = vec![
        scope.config_map(&object, &orders_name, &orders, true),
        Rendered { object: object.clone(), plural: "deployments".to_owned(), body: deployment },
        network::policy(scope, &object, &it.ports, &reach),
    ];
    if leased {
        all.extend(lease::render(scope, &object));
        // A budget would count those that stand by as missing, and never let the one that acts leave its node.
        return Ok(all);
    }
    let budget = json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": scope.metadata(&object, &name),
        "spec": { "maxUnavailable": 1, "selector": { "matchLabels": selected } },
    });
    all.push(Rendered { object, plural: "poddisruptionbudgets".to_owned(), body: budget });
    Ok(all)
}

/// A container's ports, with the one for probes.
fn ports(declared: &[Port]) -> Vec<Value> {
    let mut ports: Vec<Value> = declared.iter().map(port).collect();
    ports.push(json!({ "name": "admin", "containerPort": pod::ADMIN, "protocol": "TCP" }));
    ports
}

pub(super) fn port(it: &Port) -> Value {
    let protocol = match it.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    };
    json!({ "name": it.name, "containerPort": it.number, "protocol": protocol })
}
