//! From the token to the last file, with a script that stands for the work.

use std::path::Path;
use std::time::Duration;

use streamverse_fleet::workers::Workers as _;
use streamverse_model::compute::Phase;

use crate::kit::{self, ONE, Setting, Stores, real_ms};
use crate::{Container, script};

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
const TIDY: &str = r#"trap 'echo told >>"$OUT"; sleep 0.5; echo finished >>"$OUT"; exit 0' TERM
echo "began $$ $*" >>"$OUT"; while :; do sleep 0.05; done"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_enrols_once_goes_on_after_a_crash_renews_drains_by_order_in_its_seconds_and_leaves_nothing()
{
    let lifetime = Duration::from_secs(9);
    let it = Setting::with(Stores { lifetime, ..Stores::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let program = script(folder.path(), TIDY);
    let mut environment = it.environment(ONE);
    let token = environment["STREAMVERSE_TOKEN"].clone();
    // As in a pod of RunPod.
    for (name, value) in [("STREAMVERSE_NOTICES", "runpod"), ("RUNPOD_POD_ID", "9x4m2p7v")] {
        environment.insert(name.to_owned(), value.to_owned());
    }
    let mut container = Container::new(folder.path(), "one", environment.clone(), program.clone());
    container.start(PATH);
    container.until("the work begins", || container.out().contains("began")).await;
    container
        .until("it reports", || it.registry.told(ONE).is_some_and(|it| it.phase == Phase::Working))
        .await;
    assert_eq!(it.registry.instance(ONE).as_deref(), Some("9x4m2p7v"), "which pod is heard");
    // Secrets are where the work reads them, and there alone.
    let below = |path: &Path| path.components().any(|it| it.as_os_str() == "credentials");
    let secrets =
        ["event-log.main-password", "object-store.media-access-key", "object-store.media-secret-key"];
    for secret in secrets.map(|it| format!("planted-{it}")) {
        assert_eq!(container.finds(&secret, below), Vec::<String>::new());
        assert_eq!(container.finds(&secret, |_| false).len(), 1, "{secret} is where it must be");
    }
    assert_eq!(container.finds("planted-catalogue", |_| false), Vec::<String>::new());
    assert_eq!(container.finds(&token, |_| false), Vec::<String>::new());
    let kib = resident(container.pid());
    assert!(kib < 64 * 1024, "an agent has {kib} KiB resident");

    // The certificate is renewed before it runs out.
    let enrolled = |container: &Container| {
        let file = container.files().into_iter().find(|it| it.ends_with("enrolled.json"));
        std::fs::read_to_string(file.unwrap()).unwrap()
    };
    let first = enrolled(&container);
    container.until("it renews", || enrolled(&container) != first).await;

    // Killed and started again with its folder it goes on, though its token is used.
    let agent = container.pid().to_string();
    assert!(std::process::Command::new("kill").args(["-KILL", &agent]).status().unwrap().success());
    container.ends().await;
    let workers: Vec<u32> = pids(&container);
    for pid in workers {
        let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    }
    container.start(PATH);
    container.until("it goes on", || container.out().matches("began").count() == 2).await;

    // Without the folder the token is used up, and it says so.
    environment.insert("STREAMVERSE_NOTICES".to_owned(), "signal".to_owned());
    let mut other = Container::new(folder.path(), "other", environment, program);
    other.start(PATH);
    assert_eq!(other.ends().await, 77, "{}", other.log());
    let said = other.log();
    assert!(said.contains("the token was used already") && said.contains("replace the instance"), "{said}");
    assert_eq!(other.out(), "");

    // By order, with the order's seconds.
    let from = real_ms();
    it.registry.drain(ONE, 120);
    assert_eq!(container.ends().await, 0, "{}", container.log());
    assert!(container.out().ends_with("told\nfinished\n"), "{}", container.out());
    let told = it.registry.told(ONE).unwrap();
    assert_eq!((told.phase, told.preempted), (Phase::Drained, false));
    let until = told.until_ms.unwrap();
    assert!((from + 119_000..real_ms() + 121_000).contains(&until), "{until} of {from}");
    container.nothing_left();
    for secret in secrets {
        assert_eq!(container.finds(secret, |_| false), Vec::<String>::new());
    }
    assert_eq!(container.finds(&token, |_| false), Vec::<String>::new(), "in a log, for example");
    it.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_begin_says_why_with_a_code_of_its_own_and_one_that_fails_is_started_again() {
    let it = Setting::new().await;
    let folder = tempfile::tempdir().unwrap();
    let program =
        script(folder.path(), r#"echo began >>"$OUT"; [ "$(wc -l <"$OUT")" = 2 ] && exit 2; exit 1"#);
    let good = it.environment(ONE);
    let mut all = Vec::new();
    for (name, variable, value, code, said) in [
        ("wrong", "STREAMVERSE_TOKEN", "planted-token", 77, "none of this controller's"),
        ("name", "STREAMVERSE_WORKER", kit::TWO, 77, "none of this controller's"),
        ("none", "STREAMVERSE_TOKEN", "", 77, "there is no token"),
        ("environment", "STREAMVERSE_AUTHORITY", "", 64, "STREAMVERSE_AUTHORITY is missing"),
        ("away", "STREAMVERSE_CONTROLLER", "https://127.0.0.1:9", 69, "does not answer"),
        ("authority", "STREAMVERSE_AUTHORITY", &stranger(), 69, "certificate"),
    ] {
        let mut environment = good.clone();
        environment.insert(variable.to_owned(), value.to_owned());
        let mut container = Container::new(folder.path(), name, environment, program.clone());
        container.start(PATH);
        all.push((container, code, said));
    }
    for (mut container, code, said) in all {
        assert_eq!(container.ends().await, code, "{}", container.log());
        assert!(container.log().contains(said), "{said}: {}", container.log());
        assert!(!container.log().contains("planted") && container.out().is_empty());
    }
    // Its first end may pass, so it begins again; its second one would not, and it stays who it is.
    let mut container = Container::new(folder.path(), "fails", good, program);
    container.start(PATH);
    assert_eq!(container.ends().await, 2, "{}", container.log());
    assert_eq!(container.out(), "began\nbegan\n");
    let left: Vec<_> = container.files();
    assert!(left.iter().any(|it| it.ends_with("identity.pem")), "{left:?}");
    assert!(!left.iter().any(|it| it.to_string_lossy().contains("credentials")), "{left:?}");
    it.end().await;
}

/// The authority of somebody else.
fn stranger() -> String {
    let owner = streamverse_model::platform::Owner::new("prod", "fleet-controller", "other").unwrap();
    streamverse_fleet::authority::Authority::new(kit::IDENTITY, &owner).unwrap().text()
}

/// The processes that the script wrote down.
fn pids(container: &Container) -> Vec<u32> {
    container.out().lines().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect()
}

/// The most that a process had in memory, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    most.trim().trim_end_matches(" kB").parse().unwrap()
}
