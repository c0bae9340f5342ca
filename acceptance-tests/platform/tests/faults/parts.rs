//! Objects, and waiting for what becomes of them.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use streamverse_acceptance::{Node, jobs};
use streamverse_model::platform::{
    Bundle, Isolation, Name, Object, ObjectStatus, Observed, Owner, Phase, Resources, ServiceObject,
};
use streamverse_sites::{Deletion, Site};

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

/// An event log of that name: a service without a port.
pub(crate) fn log(which: &str, memory_bytes: u64, isolation: Isolation) -> Bundle {
    let service = ServiceObject {
        name: name("event-log"),
        target: "event-log".to_owned(),
        spec: json!({ "name": which }),
        replicas: 1,
        ports: Vec::new(),
        credentials: Vec::new(),
        reach: Vec::new(),
        resources: Resources { memory_bytes, ..Resources::default() },
        isolation,
        drain_seconds: 5,
    };
    Bundle::new(Owner::new("test", "event-log", which).unwrap(), vec![Object::Service(service)])
}

/// A job that looks at a file.
pub(crate) fn look(which: &str, file: &str) -> Bundle {
    let job = jobs::look(json!({ "source": format!("file://{file}") }));
    Bundle::new(Owner::new("test", "look", which).unwrap(), vec![job])
}

/// The first object of an owner, once it is so.
pub(crate) async fn until(
    site: &dyn Site,
    owner: &Owner,
    what: &str,
    done: impl Fn(&ObjectStatus) -> bool,
) -> ObjectStatus {
    let mut last: Option<Observed> = None;
    for _ in 0..900 {
        last = site.observe(owner).await.unwrap();
        if let Some(status) = last.as_ref().and_then(|it| it.objects.first()).filter(|it| done(it)) {
            return status.clone();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{owner} never was {what}: {last:?}");
}

pub(crate) fn because(code: &str) -> impl Fn(&ObjectStatus) -> bool {
    move |status| status.reason.as_ref().is_some_and(|reason| reason.code == code)
}

pub(crate) fn ready(status: &ObjectStatus) -> bool {
    status.phase == Phase::Ready
}

pub(crate) async fn gone(site: &dyn Site, owner: &Owner) {
    while site.delete(owner).await.unwrap() != Deletion::Gone {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A page of the agent.
pub(crate) fn ask(node: &Node, args: &[&str], path: &str) -> String {
    let said = Command::new("curl")
        .args(["-s", "--max-time", "60", "--unix-socket"])
        .arg(node.socket())
        .args(args)
        .arg(format!("http://n{path}"))
        .output()
        .unwrap();
    String::from_utf8_lossy(&said.stdout).into_owned()
}

/// The user that services run as where the agent is root.
pub(crate) fn service_user() -> (String, String) {
    let id = |flag: &str| {
        let said = Command::new("id").args([flag, "trafficserver"]).output().unwrap();
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    };
    (id("-u"), id("-g"))
}

/// Tells it aloud: a failure in CI.
pub(crate) fn skipped(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}");
    eprintln!("SKIPPED: {what}");
}
