//! A node that leaves: cordoned, and its pods evicted as their budgets allow.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use streamverse_acceptance::binaries;
use streamverse_acceptance::cluster::Cluster;
use streamverse_acceptance::stand_in::StandIn;

const NODE: &str = "node-leaves";
const SOON: Duration = Duration::from_secs(90);

fn template(app: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": app } },
        "spec": {
            "containers": [{ "name": "main", "image": "example.invalid/x:1" }],
            "nodeSelector": { "kubernetes.io/hostname": NODE },
            "tolerations": [{ "key": "streamverse.io/test", "operator": "Exists" }],
        },
    })
}

/// Pods on the node: name and whether it is a DaemonSet's.
fn pods(cluster: &Cluster) -> Vec<(String, bool)> {
    let (_, list) = cluster.request("GET", &format!("/api/v1/pods?fieldSelector=spec.nodeName={NODE}"), None);
    let of = |pod: &Value| {
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        (name, pod["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet")
    };
    list["items"].as_array().unwrap().iter().map(of).collect()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let limit = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// An agent, which ends with the test.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What people apply to their clusters.
const MANIFEST: &str = include_str!("../../../../deploy/drain-agent/drain-agent.yaml");
const ITS_NAMESPACE: &str = "streamverse-drain";

/// Applies the manifest, its DaemonSet as a rehearsal: its pods would come to all machines of this cluster. What it made, to be deleted.
fn applied(cluster: &Cluster) -> Vec<String> {
    let mut paths = Vec::new();
    for object in MANIFEST.split("\n---\n") {
        let line =
            |start: &str| object.lines().find_map(|it| it.strip_prefix(start)).unwrap().trim().to_owned();
        let (kind, name) = (line("kind: "), line("  name: "));
        let path = match kind.as_str() {
            "Namespace" => format!("/api/v1/namespaces/{name}"),
            "ServiceAccount" => format!("/api/v1/namespaces/{ITS_NAMESPACE}/serviceaccounts/{name}"),
            "ConfigMap" => format!("/api/v1/namespaces/{ITS_NAMESPACE}/configmaps/{name}"),
            "ClusterRole" => format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}"),
            "ClusterRoleBinding" => format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}"),
            "DaemonSet" => format!(
                "/apis/apps/v1/namespaces/{ITS_NAMESPACE}/daemonsets/{name}?dryRun=All&fieldValidation=Strict"
            ),
            other => panic!("{other} in the manifest"),
        };
        let (status, said) = cluster.apply(&path, object);
        assert_eq!(status, 201, "{path}: {said}");
        if kind == "DaemonSet" {
            let container = &said["spec"]["template"]["spec"]["containers"][0];
            assert_eq!(container["resources"]["limits"]["memory"], "64Mi", "{said}");
        } else {
            paths.push(path);
        }
    }
    paths
}

/// An agent with the manifest's spec and rights; what is changed is whom it hears.
fn agent(cluster: &Cluster, stand_in: &StandIn, folder: &std::path::Path) -> Agent {
    let (_, map) =
        cluster.request("GET", &format!("/api/v1/namespaces/{ITS_NAMESPACE}/configmaps/drain-agent"), None);
    let mut spec: Value = serde_json::from_str(map["data"]["drain.json"].as_str().unwrap()).unwrap();
    let kubeconfig = folder.join("kubeconfig");
    cluster.kubeconfig_of(ITS_NAMESPACE, "drain-agent", &kubeconfig);
    spec["notices"] = json!("signal");
    spec["controller"] = json!({ "url": stand_in.url() });
    spec["node"]["kubeconfig"] = json!(kubeconfig);
    let path = folder.join("drain.json");
    std::fs::write(&path, spec.to_string()).unwrap();
    let log = std::fs::File::options().create(true).append(true).open(folder.join("agent.log")).unwrap();
    let child = Command::new(binaries().join("streamverse-edge"))
        .args(["drain", "--spec"])
        .arg(path)
        .env("STREAMVERSE_NODE", NODE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    Agent(child.unwrap())
}

fn ends(mut agent: Agent) -> i32 {
    assert!(Command::new("kill").args(["-TERM", &agent.0.id().to_string()]).status().unwrap().success());
    agent.0.wait().unwrap().code().unwrap()
}

#[test]
fn a_node_that_leaves_takes_nothing_new_and_its_pods_go_as_their_budgets_allow() {
    let Some(cluster) = Cluster::shared() else { return };
    let manifest = applied(cluster);
    cluster.add_node(NODE);
    let namespace = cluster.namespace("drain");
    cluster.create_namespace(&namespace);
    let apps = format!("/apis/apps/v1/namespaces/{namespace}");
    let budget = format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/two");
    let selector = |app: &str| json!({ "matchLabels": { "app": app } });
    let made = |path: &str, body: Value| {
        let (status, said) = cluster.request("PATCH", path, Some(body));
        assert_eq!(status, 201, "{path}: {said}");
    };
    made(
        &format!("{apps}/deployments/two"),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "two" },
            "spec": { "replicas": 2, "selector": selector("two"), "template": template("two") },
        }),
    );
    made(
        &format!("{apps}/daemonsets/each"),
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "name": "each" },
            "spec": { "selector": selector("each"), "template": template("each") },
        }),
    );
    made(
        &budget,
        json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "two" },
            "spec": { "minAvailable": 1, "selector": selector("two") },
        }),
    );
    cluster.until(&budget, SOON, |it| it["status"]["disruptionsAllowed"] == 1);
    until("all pods are there", || pods(cluster).len() == 3);

    // In the time that there is, one pod of two may go, and the other is named.
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::start(env!("CARGO_BIN_EXE_metadata-stand-in"));
    stand_in.set(&json!({ "order": { "order": "drain", "seconds": 20 } }));
    let first = agent(cluster, &stand_in, folder.path());
    until("the time is over", || stand_in.reports().1["phase"] == "overrun");
    let (_, last) = stand_in.reports();
    let kept: Vec<String> =
        pods(cluster).into_iter().filter(|(_, daemon)| !daemon).map(|(name, _)| name).collect();
    assert_eq!(kept.len(), 1, "the budget keeps one of two: {last}");
    let log = || std::fs::read_to_string(folder.path().join("agent.log")).unwrap_or_default();
    assert_eq!(last["left"], json!([format!("{namespace}/{}", kept[0])]), "{}", log());
    let (_, node) = cluster.request("GET", &format!("/api/v1/nodes/{NODE}"), None);
    assert_eq!(node["spec"]["unschedulable"], true);
    assert_eq!(ends(first), 1);

    // Another agent goes on where the first one stopped, and waits for the budget.
    let stand_in = StandIn::start(env!("CARGO_BIN_EXE_metadata-stand-in"));
    stand_in.set(&json!({ "order": { "order": "drain", "seconds": 300 } }));
    let second = agent(cluster, &stand_in, folder.path());
    until("it drains", || stand_in.reports().1["phase"] == "draining");
    assert!(pods(cluster).iter().any(|(name, _)| *name == kept[0]));
    assert_eq!(cluster.request("DELETE", &budget, None).0, 200);
    until("all is finished", || stand_in.reports().1["phase"] == "drained");
    let daemons: Vec<bool> = pods(cluster).iter().map(|(_, daemon)| *daemon).collect();
    assert_eq!(daemons, [true], "what is on every node stays");
    assert_eq!(ends(second), 0);
    cluster.deletes_all_in(&namespace);
    for path in manifest.iter().rev() {
        assert_eq!(cluster.request("DELETE", path, None).0, 200, "{path}");
    }
    assert_eq!(cluster.request("DELETE", &format!("/api/v1/nodes/{NODE}"), None).0, 200);
}
