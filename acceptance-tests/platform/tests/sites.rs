//! One suite for both kinds of site: what the trait promises holds on a node and on a cluster.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use streamverse_acceptance::cluster::Cluster;
use streamverse_acceptance::{Node, free_port};
use streamverse_model::delivery::PlayerSpec;
use streamverse_model::platform::{
    Bundle, FilesObject, JobObject, Name, Object, Observed, Owner, Phase, Resources, SecretObject,
    SecretValue,
};
use streamverse_sites::kubernetes::{Access, Expose, Image, KubernetesConfig, KubernetesSite};
use streamverse_sites::node::{NodeConfig, NodeSite};
use streamverse_sites::{Class, Deletion, Site};

/// A site under test: clients of it, each as if from another process.
struct Bench<'a> {
    client: &'a dyn Fn() -> Box<dyn Site>,
    /// What does not run here: an amount of memory that no node has, or a port that is taken.
    blocked: Object,
    /// A word of the reason that is then given.
    reason: &'static str,
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn owner(kind: &str, name: &str) -> Owner {
    Owner::new("suite", kind, name).unwrap()
}

/// A page: a service and its address, with no store that must be there.
fn page(title: &str, port: u16) -> Vec<Object> {
    let spec = PlayerSpec {
        port,
        title: title.to_owned(),
        catalogue: "sqlite://default/none".to_owned(),
        delivery: "http://127.0.0.1:1".to_owned(),
        services: None,
    };
    spec.objects().unwrap()
}

async fn until(site: &dyn Site, owner: &Owner, what: &str, done: impl Fn(&Observed) -> bool) -> Observed {
    let mut last = None;
    for _ in 0..300 {
        if let Some(observed) = site.observe(owner).await.unwrap() {
            if done(&observed) {
                return observed;
            }
            last = Some(observed);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{owner} never was {what}: {last:?}");
}

async fn gone(site: &dyn Site, owner: &Owner) {
    for _ in 0..300 {
        if site.delete(owner).await.unwrap() == Deletion::Gone {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{owner} was never gone");
}

async fn conforms(bench: &Bench<'_>) {
    let site = (bench.client)();
    let deployment = name("suite");
    assert!(site.describe().await.unwrap().healthy);
    assert_eq!(site.observe(&owner("page", "one")).await.unwrap(), None);
    services_are_applied_repeated_changed_and_adopted(bench, &*site).await;
    secrets_are_held_and_never_answered(&*site).await;
    files_are_held(&*site).await;
    jobs_end(&*site).await;
    what_is_pending_says_why(bench, &*site).await;
    assert_eq!(site.list(&deployment).await.unwrap(), Vec::new(), "something is left");
    assert!(site.list(&name("another")).await.unwrap().is_empty());
}

async fn services_are_applied_repeated_changed_and_adopted(bench: &Bench<'_>, site: &dyn Site) {
    let owner = owner("page", "one");
    let port = free_port();
    let bundle = Bundle::new(owner.clone(), page("one", port));
    let would = site.rehearse(&bundle).await.unwrap();
    assert_eq!(would.created, ["service/web-player", "endpoint/http"]);
    assert_eq!(site.observe(&owner).await.unwrap(), None, "a rehearsal made something");
    let first = site.apply(&bundle, &[]).await.unwrap();
    assert_eq!((first.revision.as_str(), first.created.len()), (bundle.revision().as_str(), 2));
    // A create whose answer was lost is repeated by another process: what is there is adopted.
    let again = (bench.client)().apply(&bundle, &[]).await.unwrap();
    assert!(again.created.is_empty() && again.removed.is_empty(), "{again:?}");
    assert_eq!(again.revision, first.revision);
    let observed = until(site, &owner, "ready", Observed::is_ready).await;
    assert_eq!((&observed.bundle, &observed.revision), (&bundle, &first.revision));
    assert_eq!(site.list(&owner.deployment).await.unwrap(), std::slice::from_ref(&owner));
    let changed = Bundle::new(owner.clone(), page("two", port));
    let would = site.rehearse(&changed).await.unwrap();
    assert!(would.changed.contains(&"service/web-player".to_owned()), "{would:?}");
    assert_eq!(site.observe(&owner).await.unwrap().unwrap().revision, first.revision);
    site.apply(&changed, &[]).await.unwrap();
    until(site, &owner, "changed", |it| it.is_ready() && it.revision == changed.revision()).await;
    let fewer = Bundle::new(owner.clone(), page("two", port).into_iter().take(1).collect());
    assert_eq!(site.apply(&fewer, &[]).await.unwrap().removed, ["endpoint/http"]);
    gone(site, &owner).await;
    assert_eq!(site.delete(&owner).await.unwrap(), Deletion::Gone, "a second deletion is a success");
    assert_eq!(site.observe(&owner).await.unwrap(), None);
}

async fn secrets_are_held_and_never_answered(site: &dyn Site) {
    let owner = owner("catalogue", "one");
    let secret = |version| {
        Object::Secret(SecretObject { name: name("secret"), keys: vec![name("password")], version })
    };
    let value = |text: &str| {
        let values = BTreeMap::from([(name("password"), text.to_owned())]);
        vec![SecretValue { name: name("secret"), values }]
    };
    let bundle = |version| Bundle::new(owner.clone(), vec![secret(version)]);
    site.apply(&bundle(1), &value("planted-one")).await.unwrap();
    site.apply(&bundle(1), &[]).await.unwrap();
    site.apply(&bundle(2), &value("planted-two")).await.unwrap();
    let observed = until(site, &owner, "ready", Observed::is_ready).await;
    let answer = serde_json::to_string(&observed).unwrap();
    assert!(!answer.contains("planted"), "{answer}");
    gone(site, &owner).await;
}

async fn files_are_held(site: &dyn Site) {
    let owner = owner("object-store", "one");
    let set = |text: &str| {
        let files = BTreeMap::from([("url".to_owned(), text.to_owned())]);
        Object::Files(FilesObject { name: name("store"), files })
    };
    site.apply(&Bundle::new(owner.clone(), vec![set("s3://one")]), &[]).await.unwrap();
    let changed = Bundle::new(owner.clone(), vec![set("s3://two")]);
    site.apply(&changed, &[]).await.unwrap();
    let observed = until(site, &owner, "ready", Observed::is_ready).await;
    assert_eq!(observed.bundle, changed);
    gone(site, &owner).await;
}

async fn jobs_end(site: &dyn Site) {
    let owner = owner("look", "one");
    let file = std::env::temp_dir().join(format!("sv-suite-{}.wav", std::process::id()));
    // A second of silence, as RIFF/WAVE says it: what any probe can read.
    let mut wav =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data".to_vec();
    wav.extend(8000_u32.to_le_bytes());
    wav.extend([128_u8; 8000]);
    std::fs::write(&file, wav).unwrap();
    let job = |text: &str| {
        Object::Job(JobObject {
            name: name("look"),
            target: "probe".to_owned(),
            spec: json!({ "source": format!("file://{}", file.display()), "allow_private": text == "two" }),
            uses: Vec::new(),
            credentials: Vec::new(),
            reach: Vec::new(),
            resources: Resources::default(),
            retries: 0,
            deadline_seconds: 60,
        })
    };
    let ended = |it: &Observed| it.objects.iter().all(|status| status.phase == Phase::Succeeded);
    for text in ["one", "two"] {
        let bundle = Bundle::new(owner.clone(), vec![job(text)]);
        site.apply(&bundle, &[]).await.unwrap();
        let observed = until(site, &owner, "done", ended).await;
        assert_eq!(observed.revision, bundle.revision());
    }
    gone(site, &owner).await;
    std::fs::remove_file(&file).unwrap();
}

async fn what_is_pending_says_why(bench: &Bench<'_>, site: &dyn Site) {
    let owner = owner("page", "stuck");
    let stuck = Bundle::new(owner.clone(), vec![bench.blocked.clone()]);
    match site.apply(&stuck, &[]).await {
        Ok(_) => {
            let said = |it: &Observed| it.why_not().iter().any(|line| line.contains(bench.reason));
            let observed = until(site, &owner, "waiting with a reason", said).await;
            assert!(!observed.is_ready());
        }
        // A site may refuse at once what it sees cannot work.
        Err(error) => {
            assert!(matches!(error.class, Class::Conflict | Class::Invalid), "{error:?}");
            assert!(error.message.contains(bench.reason), "{error}");
        }
    }
    gone(site, &owner).await;
}

fn page_of(port: u16, memory_bytes: u64) -> Object {
    match page("stuck", port).remove(0) {
        Object::Service(mut service) => {
            service.resources.memory_bytes = memory_bytes;
            Object::Service(service)
        }
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_conforms() {
    let Some(node) = tokio::task::spawn_blocking(Node::start).await.unwrap() else { return };
    let socket = node.socket();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = || -> Box<dyn Site> { Box::new(NodeSite::new(NodeConfig::socket("default", &socket))) };
    let port = taken.local_addr().unwrap().port();
    let bench = Bench { client: &client, blocked: page_of(port, 256 << 20), reason: "port" };
    conforms(&bench).await;
    tokio::task::spawn_blocking(move || drop(node)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_conforms() {
    let Some(cluster) = tokio::task::spawn_blocking(Cluster::shared).await.unwrap() else { return };
    let namespace = cluster.namespace("suite");
    let image = |of: &str| Image::parse(&format!("registry.example/{of}@sha256:{}", "0".repeat(64))).unwrap();
    let client = || -> Box<dyn Site> {
        Box::new(KubernetesSite::new(KubernetesConfig {
            site: name("default"),
            namespace: namespace.clone(),
            images: BTreeMap::from([("streamverse".to_owned(), image("streamverse:0.1.0"))]),
            expose: Expose::NodePort,
            access: Access::Kubeconfig { path: Some(cluster.kubeconfig().to_owned()), context: None },
        }))
    };
    let bench = Bench { client: &client, blocked: page_of(8000, 8 << 40), reason: "Insufficient memory" };
    conforms(&bench).await;
}
