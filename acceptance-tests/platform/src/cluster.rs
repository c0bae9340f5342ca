//! A Kubernetes cluster for tests: a real API server with its store, controllers and scheduler, and two nodes without a
//! machine whose pods run, become ready and complete by the rules in `stages/fast.yaml` (kwok).
//!
//! One cluster serves all tests of a process, so each takes a namespace of its own.

mod client;
mod parts;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use client::Client;
use parts::Parts;

/// From the first process to two nodes that take pods.
const BOOT: Duration = Duration::from_secs(90);
/// The nodes, and the zone of each.
const NODES: [(&str, &str); 2] = [("node-a", "a"), ("node-b", "b")];
/// Who changes things here, where a request does not say it.
const MANAGER: &str = "acceptance";
/// What every namespace has without anybody's doing.
const OF_EVERY_NAMESPACE: [&str; 2] = ["configmaps/kube-root-ca.crt", "serviceaccounts/default"];
/// What goes before its namespace: what makes pods, the maker of a maker first, the pods, and what their volumes are held by.
const FIRST: [(&str, &str); 8] = [
    ("/apis/batch/v1", "cronjobs"),
    ("/apis/batch/v1", "jobs"),
    ("/apis/apps/v1", "deployments"),
    ("/apis/apps/v1", "daemonsets"),
    ("/apis/apps/v1", "statefulsets"),
    ("/apis/apps/v1", "replicasets"),
    ("/api/v1", "pods"),
    ("/api/v1", "persistentvolumeclaims"),
];

/// A running cluster. It ends with the test process, however that ends, and takes its folder along.
pub struct Cluster {
    folder: PathBuf,
    kubeconfig: PathBuf,
    client: Client,
    parts: Mutex<Parts>,
    namespaces: AtomicUsize,
    booted: Duration,
}

impl Cluster {
    /// The cluster of this process, started by whoever asks first. `None`, told aloud, where a program is missing.
    ///
    /// # Panics
    /// When the cluster does not start; with `CI` set, when a program is missing.
    pub fn shared() -> Option<&'static Cluster> {
        static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let program = |variable: &str| std::env::var_os(variable).filter(|path| !path.is_empty());
        let programs = ["STREAMVERSE_KUBE_CLUSTER", "STREAMVERSE_KWOK"];
        let [Some(control), Some(kwok)] = programs.map(program) else {
            let what = format!("{} are not set: `cargo xtask tools` prints them", programs.join(" and "));
            assert!(std::env::var_os("CI").is_none(), "{what}");
            eprintln!("SKIPPED: {what}");
            return None;
        };
        let started = SHARED.get_or_init(|| boot(Path::new(&control), Path::new(&kwok)));
        let why = started.as_ref().err();
        assert!(why.is_none(), "the cluster does not start: {}", why.map_or("", String::as_str));
        started.as_ref().ok()
    }

    /// A kubeconfig with the whole truth in it: address, certificate authority, the administrator's token.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `https://127.0.0.1:PORT`.
    pub fn server(&self) -> String {
        self.client.server().to_owned()
    }

    /// The administrator's bearer token.
    pub fn token(&self) -> String {
        self.client.token().to_owned()
    }

    /// The certificate authority of the API server.
    pub fn ca_pem(&self) -> String {
        self.client.ca_pem().to_owned()
    }

    /// How long it took until pods could be placed.
    pub fn booted(&self) -> Duration {
        self.booted
    }

    /// A namespace that nobody has used, by name; it is not created.
    pub fn namespace(&self, prefix: &str) -> String {
        format!("{prefix}-{}", self.namespaces.fetch_add(1, Ordering::Relaxed))
    }

    /// Loads definitions of custom resources by their path below the shared folder's `crds`, such as `strimzi/kafka.yaml`,
    /// and waits until the API server serves them. `false`, told aloud, where a file is missing.
    ///
    /// # Panics
    /// When the API server refuses one, or does not serve it in time; when a file is missing in the folder that the variable names.
    #[must_use]
    pub fn load_crds(&self, files: &[&str]) -> bool {
        let folder = crds();
        for file in files {
            let path = folder.join(file);
            let Ok(text) = std::fs::read_to_string(&path) else {
                assert!(
                    std::env::var_os("STREAMVERSE_SHARED").is_none(),
                    "{} is not in the folder that STREAMVERSE_SHARED names",
                    path.display()
                );
                eprintln!("SKIPPED: {} is not there: set STREAMVERSE_SHARED", path.display());
                return false;
            };
            for document in text.split("\n---") {
                if let Some((kind, name)) = kind_and_name(document) {
                    self.load(&path, kind, name, document);
                }
            }
        }
        true
    }

    fn load(&self, file: &Path, kind: &str, name: &str, document: &str) {
        let collection = match kind {
            "CustomResourceDefinition" => "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "ValidatingAdmissionPolicy" => {
                "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
            }
            _ => "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
        };
        let path = format!("{collection}/{name}");
        let (status, said) = self.client.send(
            "PATCH",
            &format!("{path}?fieldManager={MANAGER}&force=true"),
            client::APPLY,
            Some(document.trim_start_matches("---").as_bytes().to_vec()),
        );
        assert!(matches!(status, 200 | 201), "{}: {status} {said}", file.display());
        if kind != "CustomResourceDefinition" {
            return;
        }
        let about = self.until(&path, Duration::from_secs(30), |crd| has_condition(crd, "Established"));
        let spec = &about["spec"];
        for version in spec["versions"].as_array().into_iter().flatten() {
            if version["served"] == true {
                let list = format!(
                    "/apis/{}/{}/{}?limit=1",
                    text(&spec["group"]),
                    text(&version["name"]),
                    text(&spec["names"]["plural"])
                );
                self.until(&list, Duration::from_secs(30), |_| true);
            }
        }
    }

    /// Asks the API server: status and body, a body that is not JSON as a string; 0 when nobody answers.
    ///
    /// A PATCH is a server-side apply; the field manager is `acceptance` where the path's query names none.
    pub fn request(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map(|body| body.to_string().into_bytes());
        if method != "PATCH" {
            return self.client.send(method, path, client::JSON, body);
        }
        self.client.send(method, &managed(path), client::APPLY, body)
    }

    /// Server-side apply of an object as it stands in a file, in YAML.
    pub fn apply(&self, path: &str, yaml: &str) -> (u16, Value) {
        self.client.send("PATCH", &managed(path), client::APPLY, Some(yaml.as_bytes().to_vec()))
    }

    /// A kubeconfig with a service account's rights and no others, at `file`.
    ///
    /// # Panics
    /// When there is no token for it.
    pub fn kubeconfig_of(&self, namespace: &str, account: &str, file: &Path) {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let (status, said) =
            self.request("POST", &path, Some(json!({ "spec": { "expirationSeconds": 3600 } })));
        assert!(status == 201, "{path}: {status} {said}");
        let token = said["status"]["token"].as_str().unwrap_or_default();
        let written = parts::write_kubeconfig(file, &self.client, token);
        assert!(written.is_ok(), "{}: {written:?}", file.display());
    }

    /// A JSON merge patch (RFC 7386), as somebody's edit by hand.
    pub fn merge(&self, path: &str, body: &Value) -> (u16, Value) {
        self.client.send("PATCH", &managed(path), client::MERGE, Some(body.to_string().into_bytes()))
    }

    /// Adds a machine that takes only pods which tolerate `streamverse.io/test=NAME`.
    ///
    /// # Panics
    /// When it is not taken, or not ready in time.
    pub fn add_node(&self, name: &str) {
        let mut body = node(name, "a");
        let taint = json!({ "key": "streamverse.io/test", "value": name, "effect": "NoSchedule" });
        body["spec"] = json!({ "taints": [taint] });
        let (status, said) = self.request("POST", "/api/v1/nodes", Some(body));
        assert_eq!(status, 201, "{said}");
        self.until(&format!("/api/v1/nodes/{name}"), BOOT, |node| has_condition(node, "Ready"));
    }

    /// Creates a namespace and waits until pods may be made in it.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub fn create_namespace(&self, namespace: &str) {
        let body = json!({ "metadata": { "name": namespace } });
        let (status, said) = self.request("POST", "/api/v1/namespaces", Some(body));
        assert!(status == 201, "namespace {namespace}: {status} {said}");
        let account = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
        self.until(&account, Duration::from_secs(30), |_| true);
    }

    /// Reads a path until it answers 200 and the check holds, and returns that answer.
    ///
    /// # Panics
    /// When time is over, with the last answer.
    pub fn until(&self, path: &str, limit: Duration, check: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + limit;
        loop {
            let (status, said) = self.request("GET", path, None);
            if status == 200 && check(&said) {
                return said;
            }
            let late = Instant::now() >= until;
            assert!(!late, "{path} after {limit:?}: {status} {said}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What is in a namespace, as `plural/name`, but for events and for what every namespace has.
    ///
    /// # Panics
    /// When the API server does not list it.
    pub fn left_in(&self, namespace: &str) -> Vec<String> {
        let listed = self.client.all_in(namespace);
        assert!(listed.is_ok(), "{listed:?}");
        let listed = listed.unwrap_or_default().into_iter().map(|(plural, item)| named(&plural, &item));
        let mut left: Vec<String> =
            listed.filter(|one| !OF_EVERY_NAMESPACE.contains(&one.as_str())).collect();
        left.sort();
        left
    }

    /// Deletes a namespace with everything in it, and waits until it is gone.
    ///
    /// # Panics
    /// When something stays, such as what a finalizer of nobody holds.
    pub fn deletes_all_in(&self, namespace: &str) {
        let path = format!("/api/v1/namespaces/{namespace}");
        let until = Instant::now() + Duration::from_secs(60);
        // The namespace controller comes back for pods after half of their grace, 16 s: so they go first, with their makers.
        // Empty, a namespace takes it five seconds.
        let now = json!({ "gracePeriodSeconds": 0, "propagationPolicy": "Background" });
        while self.pods_in(namespace) > 0 && Instant::now() < until {
            for (group, name) in FIRST {
                self.request("DELETE", &format!("{group}/namespaces/{namespace}/{name}"), Some(now.clone()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let (mut status, mut said) = self.request("DELETE", &path, None);
        while status != 404 {
            let late = Instant::now() >= until;
            assert!(!late, "{namespace} is still there: {status} {said}: {:?}", self.left_in(namespace));
            std::thread::sleep(Duration::from_millis(100));
            (status, said) = self.request("GET", &path, None);
        }
    }

    fn pods_in(&self, namespace: &str) -> usize {
        let (_, list) = self.request("GET", &format!("/api/v1/namespaces/{namespace}/pods"), None);
        list["items"].as_array().map_or(0, Vec::len)
    }

    /// Resident memory of every process, in MiB.
    pub fn memory(&self) -> Vec<(&'static str, u64)> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).memory()
    }

    /// The folder of everything: `NAME.log` of each process.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The end of every log.
    pub fn logs(&self) -> String {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).logs()
    }
}

/// What is in a namespace of the cluster that a kubeconfig of ours leads to, one line each: what it is, its name, and how
/// far it is where it runs something.
///
/// # Errors
/// A file that is none of ours, an API server that does not answer.
pub fn objects(kubeconfig: &Path, namespace: &str) -> Result<Vec<String>, String> {
    let client = Client::of(kubeconfig)?;
    let mut lines = Vec::new();
    for (plural, item) in client.all_in(namespace)? {
        let status = &item["status"];
        let number = |name: &str| status[name].as_u64().unwrap_or(0);
        let how = match plural.as_str() {
            "deployments" => {
                format!("{} of {} available", number("availableReplicas"), item["spec"]["replicas"])
            }
            "daemonsets" => {
                format!("{} of {} available", number("numberAvailable"), number("desiredNumberScheduled"))
            }
            "jobs" => format!("{} succeeded, {} active", number("succeeded"), number("active")),
            "pods" => format!("{} on {}", text(&status["phase"]), text(&item["spec"]["nodeName"])),
            // What controllers write for themselves says nothing to a person.
            "replicasets" | "controllerrevisions" | "endpoints" | "endpointslices" => continue,
            _ => String::new(),
        };
        let name = named(&plural, &item);
        if !OF_EVERY_NAMESPACE.contains(&name.as_str()) {
            lines.push(format!("{name}  {how}").trim_end().to_owned());
        }
    }
    lines.sort();
    Ok(lines)
}

fn named(plural: &str, item: &Value) -> String {
    format!("{plural}/{}", text(&item["metadata"]["name"]))
}

/// A cluster that takes pods. Ports are found free and may be taken until they are used: then it is tried again.
fn boot(control: &Path, kwok: &Path) -> Result<Cluster, String> {
    let mut last = String::new();
    for _ in 0..3 {
        match boot_once(control, kwok) {
            Err(why) if why.contains("address already in use") => last = why,
            done => return done,
        }
    }
    Err(last)
}

fn boot_once(control: &Path, kwok: &Path) -> Result<Cluster, String> {
    let started = Instant::now();
    let folder = tempfile::Builder::new()
        .prefix("sv-cluster")
        .tempdir()
        .map_err(|error| format!("no temporary folder: {error}"))?
        .keep(); // the broom takes it away
    let mut parts = Parts::new(&folder)?;
    let client = parts.start_server(control)?;
    wait(started, &mut parts, "the API server is not ready", || {
        client.send("GET", "/readyz", client::JSON, None).0 == 200
    })?;
    parts.start_others(control, kwok)?;
    for (name, zone) in NODES {
        let body = node(name, zone).to_string().into_bytes();
        let (status, said) = client.send("POST", "/api/v1/nodes", client::JSON, Some(body));
        if status != 201 {
            return Err(format!("node {name}: {status} {said}"));
        }
    }
    let body = storage_class().to_string().into_bytes();
    let (status, said) =
        client.send("POST", "/apis/storage.k8s.io/v1/storageclasses", client::JSON, Some(body));
    if status != 201 {
        return Err(format!("the storage class: {status} {said}"));
    }
    wait(started, &mut parts, "the nodes are not ready", || {
        let (_, list) = client.send("GET", "/api/v1/nodes", client::JSON, None);
        let nodes = list["items"].as_array();
        nodes.is_some_and(|nodes| {
            nodes.len() == NODES.len()
                && nodes.iter().all(|node| has_condition(node, "Ready") && node["spec"]["taints"].is_null())
        })
    })?;
    wait(started, &mut parts, "the controllers do not work", || {
        let account = "/api/v1/namespaces/default/serviceaccounts/default";
        client.send("GET", account, client::JSON, None).0 == 200
    })?;
    let booted = started.elapsed();
    eprintln!("kube-cluster: takes pods after {:.1} s", booted.as_secs_f32());
    let kubeconfig = parts::kubeconfig(&folder);
    Ok(Cluster {
        folder,
        kubeconfig,
        client,
        parts: Mutex::new(parts),
        namespaces: AtomicUsize::new(0),
        booted,
    })
}

fn wait(
    started: Instant,
    parts: &mut Parts,
    otherwise: &str,
    check: impl Fn() -> bool,
) -> Result<(), String> {
    while !check() {
        parts.all_run()?;
        if started.elapsed() >= BOOT {
            return Err(format!("{otherwise} after {BOOT:?}\n{}", parts.logs()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn node(name: &str, zone: &str) -> Value {
    let room = json!({ "cpu": "32", "memory": "128Gi", "ephemeral-storage": "1Ti", "pods": "250" });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "topology.kubernetes.io/region": "test",
                "topology.kubernetes.io/zone": zone,
            },
        },
        "status": { "allocatable": room, "capacity": room },
    })
}

/// The default one, whose volumes `stages/fast.yaml` provides.
fn storage_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "kwok-volume",
            "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
        },
        "provisioner": "kwok.x-k8s.io/volume",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    })
}

/// Whether a condition of an object's status is true.
pub fn has_condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == kind && one["status"] == "True")
}

/// The path with a field manager in its query.
fn managed(path: &str) -> String {
    if path.contains("fieldManager=") {
        return path.to_owned();
    }
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}fieldManager={MANAGER}")
}

/// The folder of definitions: below `STREAMVERSE_SHARED`, or below `shared` beside the checkout.
fn crds() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os("STREAMVERSE_SHARED").map_or_else(beside, PathBuf::from).join("crds")
}

/// What a YAML document of a definition is. `kind` stands at the margin, and the name is two spaces in: as every tool
/// that generates definitions writes them.
fn kind_and_name(document: &str) -> Option<(&str, &str)> {
    let kind = document.lines().find_map(|line| line.strip_prefix("kind: "))?.trim();
    let name = document
        .lines()
        .skip_while(|line| line.trim_end() != "metadata:")
        .find_map(|line| line.strip_prefix("  name: "))?;
    Some((kind, name.trim().trim_matches(['"', '\''])))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
