//! An API server that fails in the middle of an apply, and a provider that is killed at a random moment of one: what is
//! then there is judged on the cluster itself.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::Value;
use streamverse_acceptance::cluster::Cluster;
use streamverse_acceptance::crash::{Dice, hit, kill_providers_of};
use streamverse_acceptance::faults::{Asked, Fault, Proxy};

use crate::fleet::{job, no_rights_left, rented};
use crate::hcl::{POSTGRES_SECRET, S3_SECRET, asset, binary, block, platform, scaler, stores};
use crate::lifecycle::nothing_left;
use crate::scaler::{KEDA, Over, keda};

/// A folder with a configuration, in which the real command line runs.
struct Work {
    folder: tempfile::TempDir,
    terraform: PathBuf,
}

impl Work {
    fn new() -> Option<Work> {
        let terraform = std::env::var_os("TFPLUGIN_TERRAFORM").map(PathBuf::from);
        let Some(terraform) = terraform else {
            assert!(std::env::var_os("CI").is_none(), "TFPLUGIN_TERRAFORM is not set");
            eprintln!("SKIPPED: TFPLUGIN_TERRAFORM is not set");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let overrides = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"streamverse/streamverse\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
            binary("").display()
        );
        std::fs::write(folder.path().join("cli.tfrc"), overrides).unwrap();
        Some(Work { folder, terraform })
    }

    fn write(&self, config: &str) {
        std::fs::write(self.folder.path().join("main.tf"), config).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.terraform);
        command
            .args(words)
            .args(["-input=false", "-no-color"])
            .current_dir(self.folder.path())
            .env("TF_CLI_CONFIG_FILE", self.folder.path().join("cli.tfrc"))
            .env("TF_IN_AUTOMATION", "1")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> (bool, String) {
        let said = self.command(words).output().unwrap();
        (said.status.success(), text(&said))
    }

    fn must(&self, words: &[&str]) -> String {
        let (done, said) = self.run(words);
        assert!(done, "terraform {words:?}: {said}");
        said
    }

    fn apply(&self) -> String {
        self.must(&["apply", "-auto-approve"])
    }

    /// Runs until `delay` is over, then kills its providers.
    fn killed(&self, words: &[&str], delay: Duration) {
        hit(&mut self.command(words), delay, kill_providers_of);
    }
}

fn text(said: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr))
}

/// What the deployment has in a namespace: `kind/name`, but for what the controllers make of it, and for orders of the
/// last roll-out, which stay until the next.
fn made(cluster: &Cluster, namespace: &str) -> BTreeSet<String> {
    let of_controllers = ["pods/", "replicasets/", "controllerrevisions/", "endpoints/", "endpointslices/"];
    let all = cluster.left_in(namespace).into_iter();
    all.filter(|it| !of_controllers.iter().any(|kind| it.starts_with(kind))).collect()
}

/// The generation of a workload: it counts the changes of its spec.
fn generation(cluster: &Cluster, namespace: &str, path: &str) -> Value {
    cluster.request("GET", &format!("/apis/apps/v1/namespaces/{namespace}/{path}"), None).1["metadata"]["generation"].clone()
}

/// What the fleet's job hands over.
fn definition(cluster: &Cluster, namespace: &str) -> String {
    let name = job(cluster, namespace)["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/{name}");
    let data = cluster.request("GET", &path, None).1["data"].take();
    let all = data.as_object().into_iter().flatten().filter_map(|(_, text)| text.as_str());
    all.collect::<String>().replace(' ', "")
}

fn swept(cluster: &Cluster, namespace: &str) -> String {
    let said = Command::new(binary("streamverse"))
        .args(["sweep", "--deployment", "test", "--dry-run", "--namespace", namespace, "--kubeconfig"])
        .arg(cluster.kubeconfig())
        .output()
        .unwrap();
    text(&said).trim().to_owned()
}

#[test]
fn a_provider_that_is_killed_at_any_moment_leaves_nothing_that_the_next_apply_does_not_take_up() {
    let Some(cluster) = Cluster::shared() else { return };
    let Some(work) = Work::new() else { return };
    if !cluster.load_crds(KEDA) {
        return;
    }
    let namespace = &cluster.namespace("kill");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&stop);
        scope.spawn(|| keda(cluster, namespace, &stop));
        killed_at_any_moment(cluster, &work, namespace);
    });
}

fn killed_at_any_moment(cluster: &Cluster, work: &Work, namespace: &str) {
    const TIMES: u32 = 10;
    // A fleet's jobs take their time: it is made in one of these rounds, taken away and made again in the next, and then gone.
    let rents = |time: u32| (6..8).contains(&time);
    let config = |replicas, digit, rents: bool| {
        let scaler = scaler(3 + replicas);
        let rented = if rents { rented("main", replicas, 3 + replicas) } else { String::new() };
        format!(
            "{}{}{}{}{scaler}{rented}",
            block(cluster, namespace),
            stores(1),
            platform(replicas, ""),
            asset(digit)
        )
    };
    let named_by_content = ["-orders-", "-vod-asset-"];
    let of_fleet = ["-fleet-controller-", "-runpod-fleet-"];
    let mut dice = Dice::new("kill -9 on a cluster");
    // What an apply without a fault makes, and how long that takes.
    work.write(&config(1, 'a', false));
    let started = Instant::now();
    work.apply();
    let span = u64::try_from(started.elapsed().as_millis()).unwrap_or(10_000);
    let whole = made(cluster, namespace);
    assert!(whole.len() > 25, "{whole:?}");
    work.must(&["destroy", "-auto-approve"]);
    assert_eq!(nothing_left(cluster, namespace), Ok(()));
    for time in 0..TIMES {
        let delay = Duration::from_millis(dice.below(if rents(time) { 2 * span } else { span }));
        let replicas = 1 + u32::try_from(dice.below(3)).unwrap();
        work.write(&config(replicas, if dice.below(2) == 0 { 'a' } else { 'b' }, rents(time)));
        let verb = if time % 4 == 3 { "destroy" } else { "apply" };
        work.killed(&[verb, "-auto-approve"], delay);
        work.apply();
        work.must(&["plan", "-detailed-exitcode"]);
        let live = cluster
            .request(
                "GET",
                &format!("/apis/apps/v1/namespaces/{namespace}/deployments/test-origin-main"),
                None,
            )
            .1;
        assert_eq!(live["spec"]["replicas"], replicas, "round {time}");
        let path =
            format!("/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects/test-keda-scaler-main");
        let scaled = cluster.request("GET", &path, None).1;
        assert_eq!(scaled["spec"]["maxReplicaCount"], 3 + replicas, "round {time}: {scaled}");
        let jobs = made(cluster, namespace).into_iter().filter(|it| it.starts_with("jobs/")).count();
        // The asset's, and the one that handed the fleet over.
        assert_eq!(jobs, if rents(time) { 2 } else { 1 }, "round {time}: {:?}", made(cluster, namespace));
        if rents(time) {
            let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/test-fleet-controller-main");
            let controller = cluster.request("GET", &path, None).1;
            assert_eq!(controller["spec"]["replicas"], replicas, "round {time}");
            let handed = definition(cluster, namespace);
            assert!(handed.contains(&format!("\"max\":{}", 3 + replicas)), "round {time}: {handed}");
        } else {
            assert_eq!(no_rights_left(cluster, namespace), Ok(()), "round {time}");
        }
        let extra: Vec<String> = made(cluster, namespace)
            .into_iter()
            .filter(|it| !whole.contains(it) && !named_by_content.iter().any(|of| it.contains(of)))
            .filter(|it| !rents(time) || !of_fleet.iter().any(|of| it.contains(of)))
            .collect();
        assert!(extra.is_empty(), "round {time}: {extra:?}");
    }
    work.must(&["destroy", "-auto-approve"]);
    assert_eq!(nothing_left(cluster, namespace), Ok(()));
    assert_eq!(no_rights_left(cluster, namespace), Ok(()));
    assert_eq!(swept(cluster, namespace), "0 would be removed");
}

/// A configuration whose way to the cluster is the proxy.
fn through(proxy: &Proxy, cluster: &Cluster, namespace: &str, rest: &str) -> String {
    let direct = cluster.kubeconfig().display().to_string();
    format!("{}{rest}", block(cluster, namespace)).replace(&direct, &proxy.kubeconfig().display().to_string())
}

#[test]
fn faults_that_pass_are_not_noticed_and_nothing_is_made_twice() {
    const ROUNDS: u64 = 8;
    let Some(cluster) = Cluster::shared() else { return };
    let Some(work) = Work::new() else { return };
    let namespace = &cluster.namespace("faults");
    let proxy = Proxy::start(cluster).unwrap();
    let config =
        |replicas| through(&proxy, cluster, namespace, &format!("{}{}", stores(1), platform(replicas, "")));
    let mut dice = Dice::new("faults");
    work.write(&config(1));
    proxy.judge(|_| None);
    work.apply();
    let whole = made(cluster, namespace);
    let (requests, _) = proxy.relent();
    for round in 0..ROUNDS {
        // Every so many'th request meets a fault, in one round on an empty namespace, in the other on what is there.
        let (every, first) = (7 + dice.below(6), dice.below(7));
        let kinds = [
            Fault::AnswerLost,
            Fault::Reset,
            Fault::Refused(429, Some(1)),
            Fault::Refused(500, None),
            Fault::Refused(503, None),
            Fault::Torn,
        ];
        let mut turn = usize::try_from(round).unwrap_or_default();
        let judge = move |asked: &Asked| {
            let hit = u64::try_from(asked.number).is_ok_and(|number| number % every == first % every);
            if hit {
                turn += 1;
            }
            hit.then(|| kinds[turn % kinds.len()])
        };
        if round % 2 == 0 {
            work.must(&["destroy", "-auto-approve"]);
            assert_eq!(nothing_left(cluster, namespace), Ok(()));
        }
        work.write(&config(u32::try_from(round % 3).unwrap_or_default() + 1));
        proxy.judge(judge);
        let said = work.apply();
        let (asked, done) = proxy.relent();
        assert!(done.len() >= 3, "{asked} requests (without faults {requests}), {done:?}");
        assert!(!said.contains("not ready") && !said.contains("not looked at"), "{said}");
        work.must(&["plan", "-detailed-exitcode"]);
        let now: BTreeSet<String> =
            made(cluster, namespace).into_iter().filter(|it| !it.contains("-orders-")).collect();
        let then: BTreeSet<String> = whole.iter().filter(|it| !it.contains("-orders-")).cloned().collect();
        assert_eq!(now, then, "round {round}: {done:?}");
        if round % 2 == 0 {
            let changes = generation(cluster, namespace, "deployments/test-origin-main");
            assert_eq!(
                changes, 1,
                "round {round}: an answer was lost, and the object was changed by the repetition"
            );
        }
    }
    // A destroy under the same faults.
    proxy.judge(|asked| {
        (asked.number % 9 == 4).then_some(if asked.writes() { Fault::AnswerLost } else { Fault::Reset })
    });
    work.must(&["destroy", "-auto-approve"]);
    proxy.relent();
    assert_eq!(nothing_left(cluster, namespace), Ok(()));
    assert_eq!(swept(cluster, namespace), "0 would be removed");
}

#[test]
fn an_api_server_that_goes_away_in_the_middle_is_an_error_that_the_next_apply_repairs() {
    let Some(cluster) = Cluster::shared() else { return };
    let Some(work) = Work::new() else { return };
    let namespace = &cluster.namespace("away");
    let proxy = Proxy::start(cluster).unwrap();
    let mut dice = Dice::new("an API server that goes away");
    let config = through(&proxy, cluster, namespace, &format!("{}{}", stores(1), platform(1, "")));
    work.write(&config.replace("\n  name", "\n  timeouts = { create = \"40s\" }\n  name"));
    for (fault, word) in
        [(Fault::Reset, "does not answer"), (Fault::Refused(429, Some(1)), "not able to handle")]
    {
        let from = usize::try_from(10 + dice.below(25)).unwrap();
        proxy.judge(move |asked| (asked.number >= from).then_some(fault));
        let (done, said) = work.run(&["apply", "-auto-approve"]);
        let (_, faults) = proxy.relent();
        assert!(!done && !faults.is_empty(), "from request {from}: {said}");
        assert!(said.contains(word), "{fault:?} from request {from}: {said}");
        assert!(!said.contains(S3_SECRET) && !said.contains(POSTGRES_SECRET), "{said}");
        // What had been applied by then is a warning, and stays as it is.
        assert!(!said.contains("was not finished within"), "{fault:?} from request {from}: {said}");
        work.apply();
        work.must(&["plan", "-detailed-exitcode"]);
        // What is there is not forgotten while nobody can look.
        proxy.judge(move |_| Some(fault));
        let (_, said) = work.run(&["plan", "-refresh-only"]);
        assert!(!said.contains("has been deleted"), "{said}");
        proxy.relent();
        work.must(&["destroy", "-auto-approve"]);
        assert_eq!(nothing_left(cluster, namespace), Ok(()));
    }
}
