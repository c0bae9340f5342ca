//! What a service needs so that one of its pods acts at a time: a Lease, and a service account that may read and change that one, and
//! nothing else. The Lease is made here, so that no pod need be allowed to create any (`create` cannot be restricted to a name: Kubernetes
//! documentation, "Using RBAC authorization").

use serde_json::{Value, json};
use streamverse_model::platform::{Peer, Reach, lease_name};

use super::{Rendered, Scope};
use crate::kubernetes::names;

/// Where API servers listen: behind their Service, network policies see the server's own port.
const API_SERVER: [u16; 2] = [443, 6443];

/// What lets the service's pods at its Lease.
pub(super) fn render(scope: &Scope<'_>, object: &str) -> Vec<Rendered> {
    let (name, lease) = (names::name(scope.owner(), ""), lease_name(scope.owner()));
    let one =
        |plural: &str, body: Value| Rendered { object: object.to_owned(), plural: plural.to_owned(), body };
    let rbac = "rbac.authorization.k8s.io";
    vec![
        one(
            "serviceaccounts",
            json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": scope.metadata(object, &name),
                "automountServiceAccountToken": false,
            }),
        ),
        one(
            "leases",
            json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": scope.metadata(object, &lease),
            }),
        ),
        one(
            "roles",
            json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": scope.metadata(object, &name),
                "rules": [{
                    "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [lease],
                    "verbs": ["get", "update", "patch"],
                }],
            }),
        ),
        one(
            "rolebindings",
            json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": scope.metadata(object, &name),
                "roleRef": { "apiGroup": rbac, "kind": "Role", "name": name },
                "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": scope.rendering.namespace }],
            }),
        ),
    ]
}

/// What a pod's spec says of it.
pub(super) fn pod(scope: &Scope<'_>, rest: &mut Value) {
    rest["serviceAccountName"] = json!(names::name(scope.owner(), ""));
    rest["automountServiceAccountToken"] = json!(true);
}

/// What the service reaches, with the API server.
pub(super) fn reach(declared: &[Reach]) -> Vec<Reach> {
    let server = API_SERVER.map(|port| Reach { peer: Peer::Anywhere, port });
    let mut all = declared.to_vec();
    all.extend(server.into_iter().filter(|it| !declared.contains(it)));
    all
}
