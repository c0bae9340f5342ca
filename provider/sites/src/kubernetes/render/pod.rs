//! What every pod of ours is like: restricted (Pod Security Standards), spread out, with limits and probes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use streamverse_model::platform::{CredentialUse, Resources, SpecUse};

use super::{Scope, secret_name};
use crate::kubernetes::names;

/// Where a service answers about itself, for probes and metrics.
pub(super) const ADMIN: u16 = streamverse_model::platform::ADMIN_PORT;
/// Nobody in particular, above the range of any distribution's own users.
const USER: u32 = 65532;
const CREDENTIALS: &str = "/etc/streamverse/credentials";
const ORDERS: &str = "/etc/streamverse/orders";

/// A pod in the making.
pub(super) struct Pod {
    pub(super) volumes: Vec<Value>,
    pub(super) mounts: Vec<Value>,
    /// Whose secrets it reads, as labels: those who let only their readers in ask for them.
    reads: BTreeMap<String, String>,
}

impl Pod {
    /// Writable places for a read-only image, and the secrets that it reads.
    pub(super) fn new(scope: &Scope<'_>, credentials: &[CredentialUse], resources: &Resources) -> Pod {
        let reads = credentials.iter().map(|it| (names::reads(it), "true".to_owned())).collect();
        let mut pod = Pod { volumes: Vec::new(), mounts: Vec::new(), reads };
        let scratch =
            json!({ "name": "scratch", "emptyDir": { "sizeLimit": bytes(resources.scratch_bytes) } });
        pod.add(scratch, json!({ "name": "scratch", "mountPath": "/scratch" }));
        for (index, credential) in credentials.iter().enumerate() {
            let volume = format!("credential-{index}");
            let secret = secret_name(scope.owner().deployment.as_str(), credential);
            let folder = format!("{CREDENTIALS}/{}.{}", credential.kind, credential.name);
            let own = credential.kind == scope.owner().kind && credential.name == scope.owner().name;
            let mut all: Vec<String> = match own {
                true => {
                    scope.bundle.secrets().map(|it| names::name(scope.owner(), it.name.as_str())).collect()
                }
                false => Vec::new(),
            };
            let source = if all.len() > 1 {
                all.sort_unstable();
                let all: Vec<Value> =
                    all.into_iter().map(|name| json!({ "secret": { "name": name } })).collect();
                json!({ "name": volume, "projected": { "sources": all, "defaultMode": 288 } })
            } else {
                json!({ "name": volume, "secret": { "secretName": secret, "defaultMode": 288 } })
            };
            pod.add(source, json!({ "name": volume, "mountPath": folder, "readOnly": true }));
        }
        pod
    }

    pub(super) fn add(&mut self, volume: Value, mount: Value) {
        self.volumes.push(volume);
        self.mounts.push(mount);
    }

    /// Spec, context and other services' specs, out of a ConfigMap.
    pub(super) fn orders(&mut self, config_map: &str, uses: &[SpecUse]) {
        let mut items = vec![
            json!({ "key": "spec.json", "path": "spec.json" }),
            json!({ "key": "context.json", "path": "context.json" }),
        ];
        for used in uses {
            let file = format!("{}.{}.json", used.kind, used.name);
            items.push(json!({ "key": format!("specs.{file}"), "path": format!("specs/{file}") }));
        }
        self.add(
            json!({ "name": "orders", "configMap": { "name": config_map, "items": items } }),
            json!({ "name": "orders", "mountPath": ORDERS, "readOnly": true }),
        );
        for (name, path) in [("data", "/var/lib/streamverse"), ("run", "/run/streamverse")] {
            self.add(json!({ "name": name, "emptyDir": {} }), json!({ "name": name, "mountPath": path }));
        }
    }

    /// The pod's template.
    pub(super) fn template(
        self,
        scope: &Scope<'_>,
        object: &str,
        annotations: &BTreeMap<String, String>,
        containers: (Vec<Value>, Value),
        rest: &Value,
    ) -> Value {
        let (init, main) = containers;
        let mut annotations = annotations.clone();
        // Another version of a secret of its own is another pod: what reads it at its start reads it anew.
        let versions: Vec<String> = scope.bundle.secrets().map(|it| it.version.to_string()).collect();
        if !versions.is_empty() {
            annotations.insert(format!("{}/secret-version", names::PREFIX), versions.join("."));
        }
        let selected = names::selected(scope.owner(), object);
        let spread = |topology: &str| {
            json!({
                "maxSkew": 1, "topologyKey": topology, "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": { "matchLabels": selected },
            })
        };
        let mut spec = json!({
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "topologySpreadConstraints": [
                spread("topology.kubernetes.io/zone"),
                spread("kubernetes.io/hostname"),
            ],
            "containers": [main],
            "volumes": self.volumes,
        });
        if !init.is_empty() {
            spec["initContainers"] = Value::Array(init);
        }
        for (key, value) in rest.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        let mut labels = names::labels(scope.owner(), object, &scope.bundle.labels);
        labels.extend(self.reads);
        json!({
            "metadata": {
                "labels": labels,
                "annotations": annotations,
            },
            "spec": spec,
        })
    }
}

/// What no container of ours may do (Pod Security Standards, restricted).
pub(super) fn restricted() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    })
}

/// Requests, and limits of what cannot be taken back. No limit of CPU: it would throttle a pod on an idle node.
pub(super) fn resources(it: &Resources) -> Value {
    let scratch = bytes(it.scratch_bytes.saturating_add(64 << 20)); // and its own log
    json!({
        "requests": {
            "cpu": cpu(it.cpu_millis), "memory": bytes(it.memory_bytes), "ephemeral-storage": scratch,
        },
        "limits": { "memory": bytes(it.memory_bytes), "ephemeral-storage": scratch },
    })
}

fn cpu(millis: u32) -> String {
    if millis.is_multiple_of(1000) { (millis / 1000).to_string() } else { format!("{millis}m") }
}

/// The way in which the API server writes it back: in the largest binary unit that divides it.
pub(super) fn bytes(count: u64) -> String {
    for (unit, shift) in [("Gi", 30), ("Mi", 20), ("Ki", 10)] {
        if count > 0 && count.is_multiple_of(1 << shift) {
            return format!("{}{unit}", count >> shift);
        }
    }
    count.to_string()
}

/// What `streamverse run` is told about where it runs, as `runtime/core` reads it.
pub(super) fn context(scope: &Scope<'_>, object: &str) -> Value {
    json!({
        "site": scope.rendering.site,
        "owner": scope.owner(),
        "object": object,
        "data_dir": "/var/lib/streamverse",
        "scratch_dir": "/scratch",
        "run_dir": "/run/streamverse",
        "credentials_dir": CREDENTIALS,
        "specs_dir": format!("{ORDERS}/specs"),
        "bind": "0.0.0.0",
    })
}

/// `streamverse run …`.
pub(super) fn arguments(target: &str) -> Vec<String> {
    let file = |name: &str| format!("{ORDERS}/{name}");
    let args = ["run", "--target", target, "--spec", &file("spec.json"), "--context", &file("context.json")];
    let mut args: Vec<String> = args.map(str::to_owned).to_vec();
    args.extend(["--admin".to_owned(), format!("tcp:0.0.0.0:{ADMIN}")]);
    args
}
