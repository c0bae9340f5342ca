//! Controllers as processes of their own, which a test starts, kills and starts again. They share a catalogue and what keeps
//! them single.
#![allow(clippy::expect_used, reason = "a test stops at the first thing that is not as it must be")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use streamverse_core::stores::{Records, open_records};
use streamverse_core::{Ready, ServiceContext, Stop};
use streamverse_fleet::{Clock, Controller, FileLease, KubernetesLease, Lease, Queues};
use streamverse_model::compute::{CloudKind, fleet_collection};

use crate::process::{StandIn, binary};
use crate::rig::{CONTROLLER, DEPLOYMENT, TICK_MS, Topics, clouds, controller_spec, parts};
use crate::verdict::Account;
use crate::wire::Wire;

/// How long anything may take that is not the virtual clock's.
const PATIENCE: Duration = Duration::from_secs(60);
const CLOUDS: [CloudKind; 3] = [CloudKind::Aws, CloudKind::Gcp, CloudKind::Azure];

/// Where a controller's catalogue is.
fn context(folder: &Path) -> ServiceContext {
    let at = |name: &str| folder.join(name);
    serde_json::from_value(json!({
        "site": "here", "owner": { "deployment": DEPLOYMENT, "kind": "fleet-controller", "name": CONTROLLER },
        "object": format!("fleet-controller/{CONTROLLER}"), "data_dir": at("data"), "scratch_dir": at("scratch"),
        "run_dir": at("run"), "credentials_dir": at("credentials"), "specs_dir": at("specs"), "bind": "127.0.0.1",
    }))
    .expect("a context as the core has it")
}

/// The catalogue that controllers in a folder share.
///
/// # Panics
/// When it cannot be opened.
pub async fn records(folder: &Path) -> Arc<dyn Records> {
    open_records("sqlite://here/fleet", &context(folder)).await.expect("the catalogue opens")
}

/// The stand-in's clock, from another process.
struct Distant {
    now: AtomicU64,
    wire: Wire,
}

#[async_trait]
impl Clock for Distant {
    fn now_ms(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    async fn sleep(&self, time: Duration) {
        let body = json!({ "ms": u64::try_from(time.as_millis()).unwrap_or(u64::MAX) });
        let slept = self.wire.call("POST", "/clock/sleep", Some(&body), Duration::from_secs(3600)).await;
        match slept.ok().and_then(|it| it.body["now_ms"].as_u64()) {
            Some(now) => self.now.store(now, Ordering::Relaxed),
            // Nobody turns the clock any more: the process is about to be ended.
            None => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

/// A Lease of a cluster, in its namespace `default`.
#[derive(Clone, Debug)]
pub struct InCluster {
    /// The way to the cluster.
    pub kubeconfig: PathBuf,
    /// The Lease's name.
    pub name: String,
    /// For how long it is held by who does not renew it.
    pub lasts: Duration,
}

/// What keeps controllers in a folder single: that Lease, or else a lock file.
async fn lease(folder: &Path, cluster: Option<&InCluster>) -> std::io::Result<Arc<dyn Lease>> {
    let Some(InCluster { kubeconfig, name, lasts }) = cluster else {
        return Ok(Arc::new(FileLease::new(folder.join("controller.lock"))));
    };
    let holder = format!("controller-{}", std::process::id());
    let lease = KubernetesLease::by_kubeconfig(kubeconfig, "default", name, &holder, *lasts).await;
    Ok(Arc::new(lease.map_err(|error| std::io::Error::other(error.chain()))?))
}

/// Runs a controller until standard input ends.
///
/// # Errors
/// When no runtime can be made or the stand-in does not answer.
pub fn run(endpoint: &str, folder: &Path, limit: u32, cluster: Option<&InCluster>) -> std::io::Result<()> {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("controller.log"))?;
    tracing_subscriber::fmt().with_ansi(false).with_writer(log).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (ready, mut leads) = Ready::new();
    let stop = Stop::new();
    let controller = runtime.block_on(async {
        let wire = Wire::new(endpoint, "");
        let told = wire.call("GET", "/clock", None, PATIENCE).await;
        let told = told.map_err(|error| std::io::Error::other(format!("no clock: {error:?}")))?;
        let clock = Distant { now: AtomicU64::new(told.body["now_ms"].as_u64().unwrap_or(0)), wire };
        let lease = lease(folder, cluster).await?;
        let queues: Arc<dyn Queues> = Arc::new(Topics::default());
        let (clouds, spec) = (clouds(endpoint, &CLOUDS), controller_spec(limit));
        Ok::<_, std::io::Error>(Controller::new(parts(
            clouds,
            spec,
            records(folder).await,
            queues,
            lease,
            Arc::new(clock),
        )))
    })?;
    let running = runtime.spawn(controller.run(ready, stop.clone()));
    runtime.spawn(async move {
        while leads.changed().await.is_ok() {
            let line = if *leads.borrow() { "leads" } else { "stands by" };
            let mut stdout = std::io::stdout();
            let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
        }
    });
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    stop.stop();
    let _ = runtime.block_on(tokio::time::timeout(Duration::from_secs(15), running));
    runtime.shutdown_background();
    Ok(())
}

/// A controller that runs. It is killed when this is dropped.
pub struct Process {
    child: Child,
    leads: Arc<AtomicBool>,
}

impl Process {
    /// Starts one that a lock file keeps single.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(stand_in: &StandIn, limit: u32) -> Process {
        Process::start_with(stand_in, limit, None)
    }

    /// … or a Lease.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_with(stand_in: &StandIn, limit: u32, cluster: Option<&InCluster>) -> Process {
        let mut command = Command::new(binary("zones-controller"));
        command.arg(&stand_in.endpoint).arg(folder(stand_in)).arg(limit.to_string());
        if let Some(InCluster { kubeconfig, name, lasts }) = cluster {
            command.arg(kubeconfig).arg(name).arg(lasts.as_secs().to_string());
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the controller starts");
        let leads = Arc::new(AtomicBool::new(false));
        if let Some(stdout) = child.stdout.take() {
            let leads = Arc::clone(&leads);
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    leads.store(line == "leads", Ordering::Relaxed);
                }
                leads.store(false, Ordering::Relaxed);
            });
        }
        Process { child, leads }
    }

    /// Whether it said that it acts, and is alive.
    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What controllers on a stand-in share.
pub fn folder(stand_in: &StandIn) -> PathBuf {
    stand_in.folder().join("controllers")
}

/// A controller in a process that is killed whenever one of its calls is held, and started again.
pub struct Killed {
    /// The clouds.
    pub stand_in: StandIn,
    records: Arc<dyn Records>,
    process: Option<Process>,
    limit: u32,
    /// How often it was killed.
    pub kills: u32,
}

impl Killed {
    /// One that has not looked yet.
    pub async fn new(stand_in: StandIn, limit: u32) -> Killed {
        let records = records(&folder(&stand_in)).await;
        Killed { stand_in, records, process: None, limit, kills: 0 }
    }

    /// Describes a fleet, or describes it anew.
    ///
    /// # Panics
    /// When the catalogue does not take it.
    pub async fn put(&self, fleet: &Value) {
        let name = fleet["definition"]["name"].as_str().unwrap_or_default();
        let collection = fleet_collection("", CONTROLLER);
        let there = self.records.version(&collection, name).await.expect("the catalogue answers");
        let taken = match there {
            Some(version) => self.records.replace(&collection, name, version, fleet).await,
            None => self.records.insert(&collection, name, fleet).await,
        };
        assert!(taken.expect("the catalogue takes it"), "another wrote the record of {name}");
    }

    /// Time passes until the ledger is as it must be.
    ///
    /// # Panics
    /// When it is not after so many looks.
    pub async fn until(&mut self, what: &str, most: u32, done: impl Fn(&Account, u64) -> bool) {
        for _ in 0..most {
            self.settle();
            let (account, now) = (self.stand_in.account(), self.stand_in.now());
            if done(&account, now) {
                return;
            }
            self.stand_in.advance(TICK_MS);
        }
        let (left, said) = (self.stand_in.account().left(), self.decisions().await);
        let log = std::fs::read_to_string(folder(&self.stand_in).join("controller.log")).unwrap_or_default();
        let log: Vec<String> = log.lines().map(str::to_owned).collect();
        let last = |all: &[String]| all.iter().rev().take(30).rev().cloned().collect::<Vec<_>>().join("\n");
        assert!(
            most == 0,
            "{what}: {left:#?}\n{}\n{}\n{}",
            last(&log),
            last(&said),
            last(&self.stand_in.calls())
        );
    }

    /// What was decided, line by line.
    async fn decisions(&self) -> Vec<String> {
        let collection = fleet_collection("why", CONTROLLER);
        let all = self.records.list(&collection, "", 100_000).await.unwrap_or_default();
        all.iter().map(|(_, it)| it.value.to_string()).collect()
    }

    /// The lines that say what was decided, and why.
    pub async fn whys(&self) -> Vec<String> {
        let collection = fleet_collection("why", CONTROLLER);
        let all = self.records.list(&collection, "", 100_000).await.unwrap_or_default();
        all.iter().filter_map(|(_, it)| Some(it.value["line"].as_str()?.to_owned())).collect()
    }

    /// Waits until the controller has done all that it has to, and kills it as often as one of its calls is held.
    fn settle(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(
                Instant::now() < until,
                "the controller does not come to rest: {:#?}",
                self.stand_in.calls()
            );
            if self.process.is_none() {
                self.process = Some(Process::start(&self.stand_in, self.limit));
            }
            let (held, asleep) = self.stand_in.held_and_asleep();
            if held > 0 {
                self.kills += 1;
                self.process = None;
                // The stand-in must have seen it go: what is held before it was done is never done.
                while self.stand_in.is_held() {
                    assert!(Instant::now() < until, "the stand-in does not see that its caller is gone");
                    std::thread::sleep(Duration::from_millis(2));
                }
                continue;
            }
            if asleep > 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Waits for something that is not the virtual clock's.
///
/// # Panics
/// When it does not come.
pub fn wait(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
