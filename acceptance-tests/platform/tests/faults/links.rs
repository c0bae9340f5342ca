//! A service that was taken over may write in its own folders, and nowhere that root writes, reads or gives away.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use streamverse_acceptance::{Node, is_root};
use streamverse_model::platform::Isolation;
use streamverse_sites::Site as _;

use crate::parts::{gone, log, ready, run, service_user, skipped, until};

/// A shell as the service user; whether it succeeded.
fn as_service(words: &str) -> bool {
    let (user, group) = service_user();
    let done = Command::new("setpriv")
        .args(["--reuid", &user, "--regid", &group, "--clear-groups", "sh", "-c", words])
        .stderr(Stdio::null())
        .status();
    done.unwrap().success()
}

fn folders(below: &Path) -> Vec<PathBuf> {
    let mut found = vec![below.to_owned()];
    let mut at = 0;
    while let Some(folder) = found.get(at).cloned() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !path.is_symlink()));
        at += 1;
    }
    found
}

#[test]
fn links_that_a_service_plants_lead_root_nowhere() {
    if !is_root() {
        return skipped("only root runs services as somebody else");
    }
    let Some(mut node) = Node::start() else { return };
    let bundle = log("one", 256 << 20, Isolation::Process);
    let first = run(async {
        let site = node.site();
        site.apply(&bundle, &[]).await.unwrap();
        until(&site, &bundle.owner, "ready", ready).await
    });
    let (data, place) = (node.folder().join("data"), node.folder().join("run"));
    // Its own are few, and each of them lies in one of ours: none can be put in another's place.
    let mut own = Vec::new();
    for folder in [folders(&data), folders(&place)].concat() {
        if as_service(&format!("touch '{}/planted' 2>/dev/null", folder.display())) {
            own.push(folder.strip_prefix(node.folder()).unwrap().display().to_string());
        }
    }
    own.retain(|it| !it.starts_with("data/test/logs/"));
    own.sort();
    let short = own
        .iter()
        .find(|it| it.starts_with("run/test/") && it.ends_with("/s") && it.len() > 12)
        .unwrap()
        .clone();
    let mut expected = vec![
        "data/test/catalogues".to_owned(),
        "data/test/leases".to_owned(),
        "data/test/logs".to_owned(),
        "data/test/scratch/event-log.one.service.event-log".to_owned(),
        "data/test/stores".to_owned(),
        short,
        "run/test/s".to_owned(),
    ];
    expected.sort();
    assert_eq!(own, expected);
    // In them, links to what only root may see, change, own or end.
    let victim = node.folder().join("victim");
    std::fs::write(&victim, "{\"failed\":{\"code\":\"stolen\",\"message\":\"hunter2\",\"retry\":true}}")
        .unwrap();
    Command::new("chmod").arg("600").arg(&victim).status().unwrap();
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    let scratch = data.join("test/scratch/event-log.one.service.event-log");
    let sockets = place.join(
        expected
            .iter()
            .find(|it| it.starts_with("run/test/") && it.len() > 12)
            .unwrap()
            .strip_prefix("run/")
            .unwrap(),
    );
    let plant = |folder: &Path, name: &str| {
        let words =
            format!("rm -rf '{0}/{1}'; ln -s '{2}' '{0}/{1}'", folder.display(), name, victim.display());
        assert!(as_service(&words), "{name} could not be planted");
    };
    for name in ["end.json", "process.json", "done.json", "prepared.json", "pid", "engine", "configurations"]
    {
        plant(&scratch, name);
    }
    plant(&sockets, "admin.sock");
    plant(&data.join("test/stores"), "one");
    assert!(Command::new("kill").args(["-9", &first.pids[0].to_string()]).status().unwrap().success());
    let status = run(async {
        until(&node.site(), &bundle.owner, "started again", |it| it.restarts == 1 && ready(it)).await
    });
    let told = serde_json::to_string(&status).unwrap();
    assert!(!told.contains("hunter2") && !told.contains("stolen"), "{told}");
    node.kill_agent();
    node.start_agent();
    run(async {
        let site = node.site();
        assert_eq!(until(&site, &bundle.owner, "found again", ready).await.pids, status.pids);
        gone(&site, &bundle.owner).await;
    });
    let about = std::fs::metadata(&victim).unwrap();
    assert_eq!((about.uid(), about.mode() & 0o777), (0, 0o600));
    assert!(std::fs::read_to_string(&victim).unwrap().contains("hunter2"), "it was overwritten");
    assert!(bystander.try_wait().unwrap().is_none(), "somebody else's process was ended");
    let _ = bystander.kill();
    let _ = bystander.wait();
    node.nothing_left().unwrap();
}
