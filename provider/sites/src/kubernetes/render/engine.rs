//! Apache Traffic Server: a DaemonSet. A change is a new ConfigMap and a rolling update, one node after the other; the
//! engine's own check runs before it, in an init container, so a configuration that is refused stops at the first pod.

use serde_json::json;
use streamverse_model::delivery::AtsEdgeSpec;
use streamverse_model::delivery::ats::{self, Paths, Version};
use streamverse_model::platform::{EngineKind, EngineObject};

use super::pod::{self, Pod};
use super::{Rendered, Scope, network, service};
use crate::error::{Class, Error, Result};
use crate::kubernetes::names;

/// The folder of everything that Traffic Server writes.
const ROOT: &str = "/scratch/ats";
/// Lays the folders that the runroot names, and the configuration beside them.
const LAY: &str = "set -e; mkdir -p /scratch/ats/config /scratch/ats/cache /scratch/ats/log /scratch/ats/run; \
cp /etc/streamverse/engine/* /scratch/ats/config/; exec traffic_server -C verify_config";

pub(super) fn render(scope: &Scope<'_>, it: &EngineObject) -> Result<Vec<Rendered>> {
    let EngineKind::TrafficServer = it.engine;
    let invalid = |why: String| Error::new(Class::Invalid, why);
    let object = format!("engine/{}", it.name);
    let spec: AtsEdgeSpec = serde_json::from_value(it.spec.clone())
        .map_err(|error| invalid("this is no spec of an edge".to_owned()).because(error))?;
    let image = scope.rendering.image(it.engine.as_str())?;
    let version = image.tag().and_then(Version::parse).ok_or_else(|| {
        invalid(format!("the image of {} does not say its version", it.engine.as_str()))
            .next("Write it as its tag, NAME:9.2.9@sha256:…: the configuration is rendered for it.")
    })?;
    let paths = Paths {
        config: format!("{ROOT}/config"),
        cache: format!("{ROOT}/cache"),
        bind: "0.0.0.0".to_owned(),
        tls_key: it.credentials.first().map(|credential| {
            format!("/etc/streamverse/credentials/{}.{}/private-key", credential.kind, credential.name)
        }),
        // No agent is in the pod that would purge.
        purge_guard: None,
    };
    let mut files = ats::configuration(&spec, version, &paths).map_err(invalid)?.files;
    if let Some(rules) = files.get("ip_allow.yaml") {
        ats::check_ip_allow(rules).map_err(invalid)?;
    }
    files.insert("runroot.yaml".to_owned(), runroot());
    let digest = names::short(&serde_json::to_string(&files).unwrap_or_default());
    let config = names::name(scope.owner(), &format!("config-{digest}"));
    let name = names::name(scope.owner(), "");
    let mut pod = Pod::new(scope, &it.credentials, &it.resources);
    pod.add(
        json!({ "name": "engine", "configMap": { "name": config } }),
        json!({ "name": "engine", "mountPath": "/etc/streamverse/engine", "readOnly": true }),
    );
    let env = json!([{ "name": "TS_RUNROOT", "value": format!("{ROOT}/config") }]);
    let container = |name: &str, command: &[&str]| {
        json!({
            "name": name, "image": image.as_str(), "command": command, "env": env,
            "securityContext": pod::restricted(), "resources": pod::resources(&it.resources),
            "volumeMounts": pod.mounts,
        })
    };
    let check = container("check", &["sh", "-c", LAY]);
    let mut main = container("main", &["traffic_server"]);
    main["ports"] = it.ports.iter().map(service::port).collect();
    if let Some(port) = it.ports.first() {
        let probe = json!({ "port": port.name });
        main["startupProbe"] = json!({ "tcpSocket": probe, "periodSeconds": 2, "failureThreshold": 60 });
        main["livenessProbe"] = json!({ "tcpSocket": probe, "periodSeconds": 10, "failureThreshold": 3 });
        main["readinessProbe"] = json!({ "tcpSocket": probe, "periodSeconds": 5, "failureThreshold": 2 });
    }
    // Readiness ends at once, connections go on until they are done.
    let drain = json!(["sh", "-c", format!("sleep {}", it.drain_seconds)]);
    main["lifecycle"] = json!({ "preStop": { "exec": { "command": drain } } });
    let rest = json!({ "terminationGracePeriodSeconds": it.drain_seconds + 20 });
    let template = pod.template(scope, &object, &scope.secrets(&it.credentials), (vec![check], main), &rest);
    let selected = names::selected(scope.owner(), &object);
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": scope.metadata(&object, &name),
        "spec": {
            "revisionHistoryLimit": 2,
            "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 1, "maxSurge": 0 } },
            "selector": { "matchLabels": selected },
            "template": template,
        },
    });
    Ok(vec![
        scope.config_map(&object, &config, &files, true),
        Rendered { object: object.clone(), plural: "daemonsets".to_owned(), body: set },
        network::policy(scope, &object, &it.ports, &it.reach),
    ])
}

/// Where an image that follows Traffic Server's own layout, or Debian's, has its programs is on its PATH; what it writes
/// lies in scratch space.
fn runroot() -> String {
    let folder = |key: &str, of: &str| format!("{key}: {ROOT}/{of}\n");
    [
        format!("prefix: {ROOT}\n"),
        folder("sysconfdir", "config"),
        folder("cachedir", "cache"),
        folder("datadir", "cache"),
        folder("localstatedir", "run"),
        folder("runtimedir", "run"),
        folder("logdir", "log"),
    ]
    .concat()
}
