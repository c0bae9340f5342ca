//! One suite for both kinds of site: what the trait promises holds on a node and on a cluster.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use streamverse_acceptance::cluster::Cluster;
use streamverse_acceptance::{Node, free_port, jobs};
use streamverse_model::delivery::{AtsEdgeSpec, PlayerSpec};
use streamverse_model::platform::{
    Bundle, FilesObject, Name, Object, Observed, Owner, Phase, SecretObject, SecretValue,
};
use streamverse_sites::kubernetes::{Access, Expose, Image, KubernetesConfig, KubernetesSite};
use streamverse_sites::node::{NodeConfig, NodeSite};
use streamverse_sites::{Address, Class, Deletion, Site};

/// A site under test: clients of it, each as if from another process.
struct Bench<'a> {
    client: &'a dyn Fn() -> Box<dyn Site>,
    /// Whether an address that the site gave leads to something, seen from within.
    leads: &'a (dyn Fn(&Address) -> bool + Sync),
    /// Changes by hand what the site has of an owner's files; `false` where nobody but the site can.
    spoil: &'a (dyn Fn(&Owner) -> bool + Sync),
    /// Has what is there of an owner stay for a while although it is removed: a process that does not end, an object with
    /// somebody's finalizer. Returns a word of what the site then waits for.
    hold: &'a (dyn Fn(&Observed) -> &'static str + Sync),
    /// Ends that.
    release: &'a (dyn Fn(&Observed) + Sync),
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
        assets: None,
        channels: None,
        licence: None,
        services: None,
    };
    spec.objects(&owner("web-player", "page"), None).unwrap()
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
    engines_are_applied_checked_changed_and_removed(bench, &*site).await;
    endpoints_lead_to_what_they_are_of(bench, &*site).await;
    what_others_changed_is_told_and_put_back(bench, &*site).await;
    a_deletion_says_what_it_waits_for(bench, &*site).await;
    owners_are_apart(&*site).await;
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

/// A Traffic Server with a cache of its own.
fn edge(owner: &Owner, port: u16, memory: u64) -> Bundle {
    let spec = json!({ "port": port, "origins": [{ "url": "http://127.0.0.1:1" }], "policy": "first_live",
        "storage": "64MiB", "memory": format!("{memory}MiB") });
    let spec: AtsEdgeSpec = serde_json::from_value(spec).unwrap();
    Bundle::new(owner.clone(), spec.objects(owner, None).unwrap())
}

async fn engines_are_applied_checked_changed_and_removed(bench: &Bench<'_>, site: &dyn Site) {
    let owner = owner("ats-edge", "one");
    let port = free_port();
    let bundle = edge(&owner, port, 32);
    assert_eq!(site.rehearse(&bundle).await.unwrap().created, ["engine/ats-edge", "endpoint/http"]);
    assert_eq!(site.observe(&owner).await.unwrap(), None, "a rehearsal made something");
    site.apply(&bundle, &[]).await.unwrap();
    assert!((bench.client)().apply(&bundle, &[]).await.unwrap().created.is_empty());
    let observed = until(site, &owner, "ready", Observed::is_ready).await;
    assert!((bench.leads)(&site.address(&owner, &name("http"), port)));
    assert_eq!(observed.revision, bundle.revision());
    let changed = edge(&owner, port, 64);
    assert_eq!(site.rehearse(&changed).await.unwrap().changed, ["engine/ats-edge"]);
    site.apply(&changed, &[]).await.unwrap();
    until(site, &owner, "changed", |it| it.is_ready() && it.revision == changed.revision()).await;
    gone(site, &owner).await;
    assert_eq!(site.observe(&owner).await.unwrap(), None);
}

async fn endpoints_lead_to_what_they_are_of(bench: &Bench<'_>, site: &dyn Site) {
    let owner = owner("page", "reached");
    let port = free_port();
    let address = site.address(&owner, &name("http"), port);
    assert!(!(bench.leads)(&address), "{address:?} leads somewhere before anything was applied");
    site.apply(&Bundle::new(owner.clone(), page("reached", port)), &[]).await.unwrap();
    until(site, &owner, "ready", Observed::is_ready).await;
    assert!((bench.leads)(&address), "{address:?}");
    // An endpoint of a port that nothing has is refused, and changes nothing.
    let mut objects = page("reached", port);
    for object in &mut objects {
        if let Object::Endpoint(endpoint) = object {
            endpoint.port = name("nowhere");
        }
    }
    let error = site.apply(&Bundle::new(owner.clone(), objects), &[]).await.unwrap_err();
    assert_eq!(error.class, Class::Invalid, "{error:?}");
    assert!(error.message.contains("nowhere"), "{error}");
    assert!((bench.leads)(&address));
    gone(site, &owner).await;
    assert!(!(bench.leads)(&address), "{address:?} still leads somewhere");
}

async fn what_others_changed_is_told_and_put_back(bench: &Bench<'_>, site: &dyn Site) {
    let owner = owner("object-store", "spoiled");
    let files = BTreeMap::from([("url".to_owned(), "s3://one".to_owned())]);
    let bundle = Bundle::new(owner.clone(), vec![Object::Files(FilesObject { name: name("store"), files })]);
    site.apply(&bundle, &[]).await.unwrap();
    let before = until(site, &owner, "ready", Observed::is_ready).await;
    assert!(before.drift.is_empty() && before.revision == bundle.revision(), "{before:?}");
    if (bench.spoil)(&owner) {
        let spoiled = site.observe(&owner).await.unwrap().unwrap();
        assert_ne!(spoiled.revision, bundle.revision());
        assert!(!spoiled.drift.is_empty());
        assert_eq!(
            site.observe(&owner).await.unwrap().unwrap().revision,
            spoiled.revision,
            "not the same twice"
        );
    }
    site.apply(&bundle, &[]).await.unwrap();
    let after = site.observe(&owner).await.unwrap().unwrap();
    assert!(after.drift.is_empty() && after.revision == bundle.revision(), "{after:?}");
    gone(site, &owner).await;
}

async fn a_deletion_says_what_it_waits_for(bench: &Bench<'_>, site: &dyn Site) {
    let owner = owner("page", "held");
    site.apply(&Bundle::new(owner.clone(), page("held", free_port())), &[]).await.unwrap();
    let observed = until(site, &owner, "ready", Observed::is_ready).await;
    let word = (bench.hold)(&observed);
    let why = match site.delete(&owner).await.unwrap() {
        Deletion::Pending(why) => why,
        Deletion::Gone => panic!("{owner} is said to be gone, and it is held"),
    };
    assert!(why.contains(word), "{why}");
    assert!(site.list(&owner.deployment).await.unwrap().contains(&owner), "what is held is no longer listed");
    (bench.release)(&observed);
    gone(site, &owner).await;
    assert_eq!(site.observe(&owner).await.unwrap(), None);
}

async fn owners_are_apart(site: &dyn Site) {
    let (one, two) = (owner("object-store", "a"), owner("object-store", "a-b"));
    let other = Owner::new("another", "object-store", "a").unwrap();
    let bundle = |owner: &Owner| {
        let files = BTreeMap::from([("url".to_owned(), format!("s3://{owner}"))]);
        Bundle::new(owner.clone(), vec![Object::Files(FilesObject { name: name("store"), files })])
    };
    for owner in [&one, &two, &other] {
        site.apply(&bundle(owner), &[]).await.unwrap();
    }
    assert_eq!(site.list(&one.deployment).await.unwrap(), [one.clone(), two.clone()]);
    gone(site, &one).await;
    for owner in [&two, &other] {
        let observed = site.observe(owner).await.unwrap().unwrap();
        assert_eq!((&observed.bundle, &observed.revision), (&bundle(owner), &bundle(owner).revision()));
        gone(site, owner).await;
    }
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
        jobs::look(json!({ "source": format!("file://{}", file.display()), "allow_private": text == "two" }))
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
    let signal = |observed: &Observed, signal: &str| {
        for pid in observed.objects.iter().flat_map(|status| &status.pids) {
            let done = std::process::Command::new("kill").args([signal, &pid.to_string()]).status();
            assert!(done.is_ok_and(|status| status.success()), "{pid} is not there");
        }
    };
    let bench = Bench {
        client: &client,
        leads: &|address| std::net::TcpStream::connect((address.host.as_str(), address.port)).is_ok(),
        // The agent answers from what it was told: nobody can write beside it.
        spoil: &|_| false,
        // A stopped process does not drain.
        hold: &|observed| {
            signal(observed, "-STOP");
            "is being stopped"
        },
        release: &|observed| signal(observed, "-CONT"),
        blocked: page_of(port, 256 << 20),
        reason: "port",
    };
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
            images: BTreeMap::from([
                ("streamverse".to_owned(), image("streamverse:0.1.0")),
                ("traffic_server".to_owned(), image("trafficserver:9.2.9")),
            ]),
            expose: Expose::NodePort,
            access: Access::Kubeconfig { path: Some(cluster.kubeconfig().to_owned()), context: None },
        }))
    };
    let held =
        format!("/apis/apps/v1/namespaces/{namespace}/deployments/suite-page-held?fieldManager=kubectl-edit");
    let finalizers = |of: serde_json::Value| {
        let (status, told) = cluster.merge(&held, &json!({ "metadata": { "finalizers": of } }));
        assert_eq!(status, 200, "{told}");
    };
    let bench = Bench {
        client: &client,
        // Its name is that of a Service, whose port it has.
        leads: &|address| {
            let service = address.host.split('.').next().unwrap();
            let path = format!("/api/v1/namespaces/{namespace}/services/{service}");
            let (status, live) = cluster.request("GET", &path, None);
            status == 200 && live["spec"]["ports"][0]["port"] == address.port
        },
        spoil: &|owner| {
            let path = format!(
                "/api/v1/namespaces/{namespace}/configmaps/suite-object-store-{}-files-store?fieldManager=kubectl-edit",
                owner.name
            );
            cluster.merge(&path, &json!({ "data": { "url": "s3://mine" } })).0 == 200
        },
        hold: &|_| {
            finalizers(json!(["example.invalid/held"]));
            "example.invalid/held"
        },
        release: &|_| finalizers(json!(null)),
        blocked: page_of(8000, 8 << 40),
        reason: "Insufficient memory",
    };
    conforms(&bench).await;
}
