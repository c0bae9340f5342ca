//! What the node agent refuses, survives and tries again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use streamverse_acceptance::{Node, is_root, jobs};
use streamverse_model::platform::{
    Bundle, Isolation, Name, Object, Observed, Owner, Phase, Resources, ServiceObject,
};
use streamverse_sites::{Class, Site};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn owner(name: &str) -> Owner {
    Owner::new("test", "event-log", name).unwrap()
}

/// An event log: a service without a port.
fn log(replicas: u32, isolation: Isolation) -> Object {
    Object::Service(ServiceObject {
        name: name("event-log"),
        target: "event-log".to_owned(),
        spec: json!({ "name": "one" }),
        replicas,
        ports: Vec::new(),
        credentials: Vec::new(),
        reach: Vec::new(),
        resources: Resources::default(),
        isolation,
        drain_seconds: 5,
    })
}

fn look(file: &str) -> Object {
    jobs::look(json!({ "source": format!("file://{file}") }))
}

async fn until(site: &dyn Site, owner: &Owner, what: &str, done: impl Fn(&Observed) -> bool) {
    let mut last = None;
    for _ in 0..200 {
        last = site.observe(owner).await.unwrap();
        if last.as_ref().is_some_and(&done) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{owner} never was {what}: {last:?}");
}

fn phase(of: Phase) -> impl Fn(&Observed) -> bool {
    move |it| it.objects.iter().all(|status| status.phase == of)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn what_a_node_cannot_do_is_refused_and_not_ignored() {
    let Some(node) = Node::start() else { return };
    run(async {
        let site = node.site();
        let mut refused = vec![(log(2, Isolation::Process), "/objects/0/replicas")];
        // As root the agent is not the user of services, and nothing may run inside of it.
        if is_root() {
            refused.push((log(1, Isolation::InProcess), "/objects/0/isolation"));
        }
        for (object, field) in refused {
            let error = site.apply(&Bundle::new(owner("one"), vec![object]), &[]).await.unwrap_err();
            assert_eq!((error.class, error.field.as_deref()), (Class::Unsupported, Some(field)), "{error}");
        }
        assert!(site.list(&name("test")).await.unwrap().is_empty());
    });
}

#[test]
fn what_a_service_tells_on_its_own_socket_is_had_from_the_agent() {
    let Some(node) = Node::start() else { return };
    run(async {
        let (site, one) = (node.site(), owner("one"));
        site.apply(&Bundle::new(one.clone(), vec![log(1, Isolation::Process)]), &[]).await.unwrap();
        until(&site, &one, "ready", phase(Phase::Ready)).await;
        let page = |path: &str| {
            let said = Command::new("curl")
                .args(["-s", "--max-time", "10", "-w", "\n%{http_code}", "--unix-socket"])
                .arg(node.socket())
                .arg(format!("http://n/v1/deployments/test/owners/{}/{}/metrics{path}", one.kind, one.name))
                .output()
                .unwrap();
            String::from_utf8_lossy(&said.stdout).into_owned()
        };
        for path in ["", "?object=service/event-log"] {
            assert!(page(path).ends_with("# EOF\n\n200"), "{}", page(path));
        }
        assert!(page("?object=service/other").ends_with("404"), "{}", page("?object=service/other"));
    });
}

#[test]
fn a_store_that_no_start_can_reach_is_told_at_once_and_not_tried_again() {
    let Some(node) = Node::start() else { return };
    run(async {
        let site = node.site();
        let service = |object_store: &str| {
            let spec = json!({ "port": node.ports[0], "replicas": 1, "object_store": object_store,
                "catalogue": "sqlite://default/main", "memory": "32MiB", "allowed_origins": ["*"],
                "manifest_max_age": "2s", "manifest_stale": "1m", "segment_max_age": "30days", "cache": null });
            Object::Service(ServiceObject {
                name: name("origin"),
                target: "origin".to_owned(),
                spec,
                replicas: 1,
                ports: Vec::new(),
                credentials: Vec::new(),
                reach: Vec::new(),
                resources: Resources::default(),
                isolation: Isolation::Process,
                drain_seconds: 5,
            })
        };
        let owner = Owner::new("test", "origin", "one").unwrap();
        for url in ["file://elsewhere/media", "kafka://a:9092"] {
            site.apply(&Bundle::new(owner.clone(), vec![service(url)]), &[]).await.unwrap();
            until(&site, &owner, "failed", phase(Phase::Failed)).await;
        }
        while site.delete(&owner).await.unwrap() != streamverse_sites::Deletion::Gone {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

#[test]
fn a_request_that_is_none_is_answered_in_the_shape_of_all_errors() {
    let Some(node) = Node::start() else { return };
    let ask = |args: &[&str]| -> (String, Value) {
        let said = Command::new("curl")
            .args(["-s", "--max-time", "10", "-w", "\n%{http_code}", "--unix-socket"])
            .arg(node.socket())
            .args(args)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.to_owned(), serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {text}")))
    };
    let owner = "http://n/v1/deployments/test/owners/origin/main";
    for (status, args) in [
        ("400", vec![format!("{owner}/logs?nothing=1")]),
        ("405", vec!["-X".to_owned(), "PATCH".to_owned(), owner.to_owned()]),
        (
            "400",
            vec![
                "-X".to_owned(),
                "PUT".to_owned(),
                "-H".to_owned(),
                "content-type: application/json".to_owned(),
                "-d".to_owned(),
                "{".to_owned(),
                owner.to_owned(),
            ],
        ),
        ("400", vec!["http://n/v1/deployments/%FF/owners".to_owned()]),
        ("404", vec!["http://n/nothing".to_owned()]),
        ("404", vec![format!("{owner}/metrics")]),
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (found, body) = ask(&args);
        assert_eq!(found, status, "{args:?} {body}");
        assert!(body["message"].is_string() && body["code"].is_string(), "{body}");
    }
}

#[test]
fn a_second_agent_on_the_same_folders_is_refused_by_name() {
    let Some(node) = Node::start() else { return };
    let said = Command::new(node.folder().join("streamverse"))
        .args(["node", "run", "--socket"])
        .arg(node.folder().join("other.sock"))
        .arg("--data")
        .arg(node.folder().join("data"))
        .arg("--run")
        .arg(node.folder().join("run"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(!said.status.success() && text.contains("another agent (process "), "{text}");
}

#[test]
fn one_torn_file_stops_nobody_else() {
    let Some(mut node) = Node::start() else { return };
    let bundle = |which: &str| Bundle::new(owner(which), Vec::new());
    run(async {
        for which in ["one", "two"] {
            node.site().apply(&bundle(which), &[]).await.unwrap();
        }
    });
    node.kill_agent();
    let torn = node.folder().join("data/owners/test.event-log.one.json");
    std::fs::write(&torn, b"{\"bundle\":").unwrap();
    node.start_agent();
    run(async {
        let site = node.site();
        assert_eq!(site.list(&name("test")).await.unwrap(), [owner("two")]);
        let info = site.describe().await.unwrap();
        assert!(info.problems.iter().any(|it| it.contains("test.event-log.one.json")), "{:?}", info.problems);
        // Applied again it is there again.
        site.apply(&bundle("one"), &[]).await.unwrap();
        assert_eq!(site.list(&name("test")).await.unwrap().len(), 2);
    });
}

#[test]
fn a_job_that_failed_for_good_runs_again_when_it_is_applied_again_and_not_before() {
    let Some(mut node) = Node::start() else { return };
    let file = node.folder().join("late.wav");
    let bundle = Bundle::new(owner("one"), vec![look(&file.display().to_string())]);
    run(async {
        let site = node.site();
        site.apply(&bundle, &[]).await.unwrap();
        until(&site, &bundle.owner, "failed", phase(Phase::Failed)).await;
    });
    let mut wav =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data".to_vec();
    wav.extend(8000_u32.to_le_bytes());
    wav.extend([128_u8; 8000]);
    std::fs::write(&file, wav).unwrap();
    node.kill_agent();
    node.start_agent();
    run(async {
        let site = node.site();
        until(&site, &bundle.owner, "failed still", phase(Phase::Failed)).await;
        site.apply(&bundle, &[]).await.unwrap();
        until(&site, &bundle.owner, "done", phase(Phase::Succeeded)).await;
        while site.delete(&bundle.owner).await.unwrap() != streamverse_sites::Deletion::Gone {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    node.nothing_left().unwrap();
}

#[test]
fn an_apply_during_a_removal_waits_for_it() {
    let Some(node) = Node::start() else { return };
    let bundle = Bundle::new(owner("one"), vec![log(1, Isolation::Process)]);
    run(async {
        let site = node.site();
        for _ in 0..5 {
            site.apply(&bundle, &[]).await.unwrap();
            until(&site, &bundle.owner, "ready", phase(Phase::Ready)).await;
            let _ = site.delete(&bundle.owner).await.unwrap();
        }
        site.apply(&bundle, &[]).await.unwrap();
        until(&site, &bundle.owner, "ready", phase(Phase::Ready)).await;
        // Who asked for it may be killed: whoever looks has it end.
        let _ = site.delete(&bundle.owner).await.unwrap();
        let asked = Instant::now();
        while site.observe(&bundle.owner).await.unwrap().is_some() {
            assert!(asked.elapsed() < Duration::from_secs(60), "the removal never ends");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    node.nothing_left().unwrap();
}

/// The process that keeps the folder.
fn agent_of(node: &Node) -> String {
    std::fs::read_to_string(node.folder().join("data/agent.lock")).unwrap_or_default().trim().to_owned()
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    for _ in 0..300 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what} never happened");
}

#[test]
fn a_supervisor_starts_the_agent_again_and_an_upgrade_leaves_what_runs_alone() {
    let Some(mut node) = Node::start() else { return };
    node.kill_agent();
    let program = node.folder().join("streamverse");
    let mut supervisor = Command::new(&program)
        .args(["node", "supervise", "--data"])
        .arg(node.folder().join("data"))
        .arg("--run")
        .arg(node.folder().join("run"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let answers = || std::os::unix::net::UnixStream::connect(node.socket()).is_ok();
    wait_for("the first agent", answers);
    let bundle = Bundle::new(owner("one"), vec![log(1, Isolation::Process)]);
    let pids = || {
        run(async {
            let site = node.site();
            until(&site, &bundle.owner, "ready", phase(Phase::Ready)).await;
            site.observe(&bundle.owner).await.unwrap().unwrap().objects[0].pids.clone()
        })
    };
    run(async { node.site().apply(&bundle, &[]).await.unwrap() });
    let (service, first) = (pids(), agent_of(&node));
    assert_eq!(service.len(), 1);
    assert!(Command::new("kill").args(["-9", &first]).status().unwrap().success());
    wait_for("an agent after the kill", || agent_of(&node) != first && answers());
    assert_eq!(pids(), service, "the service was started anew");
    // The same program under another name stands in for a newer one.
    let newer = node.folder().join("newer");
    std::fs::copy(&program, &newer).unwrap();
    let second = agent_of(&node);
    let said = Command::new(&program)
        .args(["node", "upgrade", "--binary"])
        .arg(&newer)
        .arg("--data")
        .arg(node.folder().join("data"))
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_ne!(agent_of(&node), second);
    wait_for("an agent after the upgrade", answers);
    assert_eq!(pids(), service, "the service was started anew");
    let refused = Command::new(&program)
        .args(["node", "upgrade", "--binary", "/bin/true", "--data"])
        .arg(node.folder().join("data"))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is no streamverse"));
    let stopped = Command::new("kill").arg(supervisor.id().to_string()).status().unwrap();
    assert!(stopped.success() && supervisor.wait().unwrap().success());
    wait_for("the end", || !answers());
    node.start_agent();
    run(async {
        let site = node.site();
        while site.delete(&bundle.owner).await.unwrap() != streamverse_sites::Deletion::Gone {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    node.nothing_left().unwrap();
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let Some(node) = Node::start() else { return };
    if !std::path::Path::new("/usr/bin/systemd-analyze").exists() {
        eprintln!("SKIPPED: systemd-analyze is not installed");
        return;
    }
    let unit = Command::new(node.folder().join("streamverse"))
        .args(["node", "install", "--data", "/var/lib/stream verse", "--tool", "ffmpeg=/usr/bin/ffmpeg"])
        .output()
        .unwrap();
    let file = node.folder().join("streamverse-node.service");
    std::fs::write(&file, &unit.stdout).unwrap();
    assert!(String::from_utf8_lossy(&unit.stdout).contains("KillMode=process"));
    let said = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && !text.contains("streamverse-node.service"), "{text}");
}
