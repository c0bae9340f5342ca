//! Keeps one service, job or engine: started, watched, started again with back-off, changed, stopped.

mod engine;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use streamverse_core::engine::Prepared;
use streamverse_core::run::JobEnd;
use streamverse_core::{Error, JobNews, Metrics, Result, ServiceContext};
use streamverse_model::platform::{
    CredentialUse, JobObject, Name, Object, ObjectStatus, Owner, Phase, Port, Reason, SpecUse,
};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::agent::Shared;
use crate::files::{make, remove, write_whole};
use crate::process::{Identity, Process, Start};

/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(250);
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A process that lived this long begins again with the shortest pause.
const STEADY: Duration = Duration::from_secs(60);
/// How long a new engine configuration may take to serve before it is rolled back.
const SETTLE: Duration = Duration::from_secs(20);

/// What starting a service again does not mend: another spec does.
const PERMANENT: &[&str] =
    &["spec-invalid", "unknown-target", "binary-missing", "store-url", "store-elsewhere"];

/// What a keeper is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// Keep this object. Another turn of the same object: a job that failed runs again, secrets are laid anew.
    Keep(Box<Object>, u64),
    /// Stop it, remove its folders, and end.
    Remove,
    /// End, and leave the process to the next agent.
    Leave,
}

/// Where statuses are read.
pub(crate) type Board = Arc<Mutex<BTreeMap<String, ObjectStatus>>>;

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    owner: Owner,
    key: String,
    board: Board,
    orders: watch::Receiver<Order>,
    process: Option<Process>,
    running: Option<Prepared>,
    restarts: u32,
    /// Of the process's own socket; made when it is first asked.
    client: OnceLock<reqwest::Client>,
}

impl Keeper {
    pub(crate) fn new(
        shared: Arc<Shared>,
        owner: Owner,
        key: String,
        board: Board,
        orders: watch::Receiver<Order>,
    ) -> Keeper {
        Keeper {
            shared,
            owner,
            key,
            board,
            orders,
            process: None,
            running: None,
            restarts: 0,
            client: OnceLock::new(),
        }
    }

    /// Follows orders until told to end.
    pub(crate) async fn run(mut self) {
        self.adopt();
        let mut pause = SHORTEST_PAUSE;
        loop {
            let order = self.orders.borrow_and_update().clone();
            match order {
                Order::Leave => return,
                Order::Remove => {
                    self.tell(Phase::Stopping, None);
                    self.end(Duration::from_secs(30)).await;
                    remove(&self.scratch());
                    remove(&self.place());
                    self.board(|board| board.remove(&self.key));
                    return;
                }
                Order::Keep(object, turn) => {
                    let outcome = match &*object {
                        Object::Service(it) => {
                            self.service(&it.target, &it.spec, &it.ports, &it.credentials, it.drain_seconds)
                                .await
                        }
                        Object::Job(it) => self.job(it, turn).await,
                        Object::Engine(it) => {
                            let driver = self.shared.driver(it.engine);
                            match driver {
                                Some(driver) => {
                                    self.engine(
                                        &*driver,
                                        &it.spec,
                                        &it.ports,
                                        &it.credentials,
                                        it.drain_seconds,
                                    )
                                    .await
                                }
                                None => Err(Error::permanent(
                                    "unsupported",
                                    "this agent has no driver for the engine",
                                )),
                            }
                        }
                        _ => Ok(()),
                    };
                    match outcome {
                        // A full disk, a taken port: it may pass without anybody changing the order.
                        Err(error) if error.retry => {
                            warn!(owner = %self.owner, object = self.key, code = error.code, error = %error.chain(), "It waits.");
                            self.tell(Phase::Waiting, Some(Reason::new(error.code, error.chain())));
                            if !self.ordered_within(pause.mul_f64(rand::random_range(0.75..1.25))).await {
                                pause = (pause * 2).min(LONGEST_PAUSE);
                                continue;
                            }
                        }
                        Err(error) => self.failed(&error),
                        Ok(()) => {}
                    }
                    pause = SHORTEST_PAUSE;
                    // Done or failed for good: nothing until the next order.
                    if !self.orders.has_changed().unwrap_or(true) && self.orders.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    // -- folders -----------------------------------------------------------------------------------------------------

    fn short(&self) -> String {
        hex::encode(&Sha256::digest(format!("{}/{}", self.owner.key(), self.key))[..6])
    }

    /// Socket, spec, context and credentials: short, for a socket's path has 108 bytes.
    fn place(&self) -> PathBuf {
        self.shared.run.join(self.owner.deployment.as_str()).join(self.short())
    }

    fn scratch(&self) -> PathBuf {
        self.shared.data.join(self.owner.deployment.as_str()).join("scratch").join(format!(
            "{}.{}",
            self.owner.key(),
            self.key.replace('/', ".")
        ))
    }

    fn socket(&self) -> PathBuf {
        self.place().join("admin.sock")
    }

    pub(crate) fn log_of(shared: &Shared, owner: &Owner, key: &str) -> PathBuf {
        let name = format!("{}.{}.log", owner.key(), key.replace('/', "."));
        shared.data.join(owner.deployment.as_str()).join("log").join(name)
    }

    fn context(&self, ports: &[Port]) -> ServiceContext {
        let deployment = self.owner.deployment.as_str();
        let public = ports.iter().any(|port| port.public);
        ServiceContext {
            site: self.shared.site.clone(),
            owner: self.owner.clone(),
            object: self.key.clone(),
            data_dir: self.shared.data.join(deployment),
            scratch_dir: self.scratch(),
            run_dir: self.shared.run.join(deployment),
            credentials_dir: self.place().join("credentials"),
            specs_dir: self.place().join("specs"),
            tools: self.shared.tools.clone(),
            bind: if public { [0, 0, 0, 0].into() } else { [127, 0, 0, 1].into() },
            metrics: Metrics::new(),
        }
    }

    fn make_folders(&self) -> Result<()> {
        let user = self.shared.user;
        let deployment = self.owner.deployment.as_str();
        for root in [&self.shared.data, &self.shared.run] {
            make(&root.join(deployment), user)?;
        }
        for name in ["scratch", "log", "stores", "logs", "catalogues"] {
            make(&self.shared.data.join(deployment).join(name), user)?;
        }
        for folder in
            [self.scratch(), self.place(), self.place().join("credentials"), self.place().join("specs")]
        {
            make(&folder, user)?;
        }
        Ok(())
    }

    /// Lays credentials and specs; says what is still missing.
    fn lay(&self, credentials: &[CredentialUse], uses: &[SpecUse]) -> Result<Option<Reason>> {
        let user = self.shared.user;
        let folder = self.place().join("credentials");
        for one in credentials {
            let owner = self.other(&one.kind, &one.name);
            if !self.shared.vault.lay(&owner, &folder, user)? {
                return Ok(Some(Reason::new(
                    "secret-missing",
                    format!("the secret of {owner} is not here yet"),
                )));
            }
        }
        for one in uses {
            let owner = self.other(&one.kind, &one.name);
            let Some((spec, credentials)) = self.shared.spec_of(&owner, &one.service) else {
                return Ok(Some(Reason::new("owner-missing", format!("{owner} is not here yet"))));
            };
            let path = self.place().join("specs").join(format!("{}.json", owner.key()));
            write_whole(&path, spec.to_string().as_bytes(), 0o600, user)?;
            if let Some(missing) = self.lay(&credentials, &[])? {
                return Ok(Some(missing));
            }
        }
        Ok(None)
    }

    fn other(&self, kind: &Name, name: &Name) -> Owner {
        Owner { deployment: self.owner.deployment.clone(), kind: kind.clone(), name: name.clone() }
    }

    // -- status ------------------------------------------------------------------------------------------------------

    fn board<T>(&self, with: impl FnOnce(&mut BTreeMap<String, ObjectStatus>) -> T) -> T {
        with(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, phase: Phase, reason: Option<Reason>) {
        self.tell_news(phase, reason, JobNews::default());
    }

    fn tell_news(&self, phase: Phase, reason: Option<Reason>, news: JobNews) {
        let pids = self.process.iter().map(|process| process.identity.pid).collect();
        let status = ObjectStatus {
            object: self.key.clone(),
            phase,
            reason,
            restarts: self.restarts,
            pids,
            progress: news.progress,
            result: news.result,
        };
        self.board(|board| board.insert(self.key.clone(), status));
    }

    fn failed(&self, error: &Error) {
        warn!(owner = %self.owner, object = self.key, code = error.code, error = %error.chain(), "It failed.");
        let news = self.board(|board| {
            board
                .get(&self.key)
                .map(|it| JobNews { progress: it.progress.clone(), result: it.result.clone() })
        });
        self.tell_news(Phase::Failed, Some(Reason::new(error.code, error.chain())), news.unwrap_or_default());
    }

    // -- processes ---------------------------------------------------------------------------------------------------

    fn identity_file(&self) -> PathBuf {
        self.scratch().join("process.json")
    }

    /// What an earlier agent started, if it still runs.
    fn adopt(&mut self) {
        let identity = std::fs::read(self.identity_file()).ok();
        let identity = identity.and_then(|text| serde_json::from_slice::<Identity>(&text).ok());
        self.process = identity.and_then(Process::adopt);
        if let Some(process) = &self.process {
            info!(owner = %self.owner, object = self.key, pid = process.identity.pid, "Found again.");
            let prepared = std::fs::read(self.scratch().join("prepared.json")).ok();
            self.running = prepared.and_then(|text| serde_json::from_slice(&text).ok());
        }
    }

    fn begin(
        &mut self,
        program: &Path,
        args: &[String],
        env: &BTreeMap<String, String>,
        fingerprint: &str,
    ) -> Result<()> {
        let log = Self::log_of(&self.shared, &self.owner, &self.key);
        let dir = self.scratch();
        let orphan = self.key.starts_with("engine/");
        let start = Start { program, args, env, dir: &dir, log: &log, user: self.shared.user, orphan };
        let process = Process::start(&start, fingerprint)?;
        if let Some(user) = self.shared.user {
            let _ = std::os::unix::fs::chown(&log, Some(user.uid), Some(user.gid));
        }
        let text = serde_json::to_vec(&process.identity).unwrap_or_default();
        self.process = Some(process);
        write_whole(&self.identity_file(), &text, 0o600, None)
    }

    async fn end(&mut self, patience: Duration) {
        if let Some(mut process) = self.process.take() {
            process.stop(patience).await;
        }
        self.running = None;
        remove(&self.identity_file());
    }

    fn is_alive(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_alive)
    }

    /// Waits, unless an order comes; whether one came.
    async fn ordered_within(&mut self, time: Duration) -> bool {
        match tokio::time::timeout(time, self.orders.changed()).await {
            Ok(_) => {
                self.orders.mark_changed();
                true
            }
            Err(_) => false,
        }
    }

    fn run_args(&self, target: &str) -> Vec<String> {
        let file = |name: &str| self.place().join(name).to_string_lossy().into_owned();
        let words =
            ["run", "--target", target, "--spec", &file("spec.json"), "--context", &file("context.json")];
        let mut args: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
        args.extend(["--admin".to_owned(), format!("unix:{}", self.socket().display())]);
        args.extend(["--outcome".to_owned(), self.scratch().join("end.json").to_string_lossy().into_owned()]);
        args
    }

    fn write_orders(&self, spec: &serde_json::Value, cx: &ServiceContext) -> Result<()> {
        let user = self.shared.user;
        write_whole(&self.place().join("spec.json"), spec.to_string().as_bytes(), 0o600, user)?;
        let context = serde_json::to_vec(cx)
            .map_err(|error| Error::permanent("node", "the context cannot be written").because(error))?;
        write_whole(&self.place().join("context.json"), &context, 0o600, user)
    }

    async fn ask(&self, path: &str) -> Option<reqwest::Response> {
        if self.client.get().is_none() {
            let client =
                reqwest::Client::builder().unix_socket(self.socket()).timeout(Duration::from_secs(2)).build();
            let _ = self.client.set(client.ok()?);
        }
        let client = self.client.get()?;
        client.get(format!("http://admin{path}")).send().await.ok()
    }

    // -- kinds -------------------------------------------------------------------------------------------------------

    /// Prepares folders, credentials and the spec; waits for what is missing. False when an order came meanwhile.
    async fn ready_to_start(
        &mut self,
        spec: &serde_json::Value,
        ports: &[Port],
        credentials: &[CredentialUse],
        uses: &[SpecUse],
    ) -> Result<bool> {
        loop {
            self.make_folders()?;
            match self.lay(credentials, uses)? {
                None => break,
                Some(reason) => self.tell(Phase::Waiting, Some(reason)),
            }
            if self.ordered_within(Duration::from_millis(500)).await {
                return Ok(false);
            }
        }
        self.write_orders(spec, &self.context(ports))?;
        Ok(true)
    }

    async fn service(
        &mut self,
        target: &str,
        spec: &serde_json::Value,
        ports: &[Port],
        credentials: &[CredentialUse],
        drain: u32,
    ) -> Result<()> {
        let drain = Duration::from_secs(u64::from(drain));
        let secrets = self.shared.secret_versions(&self.owner, credentials);
        let fingerprint =
            fingerprint(&(target, spec, ports.iter().map(|it| it.public).collect::<Vec<_>>(), secrets));
        let mut pause = SHORTEST_PAUSE;
        if self.process.as_ref().is_some_and(|process| process.identity.fingerprint != fingerprint) {
            self.tell(Phase::Starting, None);
            self.end(drain).await;
        }
        loop {
            if !self.is_alive() {
                if !self.ready_to_start(spec, ports, credentials, &[]).await? {
                    return Ok(());
                }
                remove(&self.scratch().join("end.json"));
                self.begin(
                    &self.shared.program.clone(),
                    &self.run_args(target),
                    &BTreeMap::new(),
                    &fingerprint,
                )?;
            } else if !self.place().join("context.json").exists()
                && self.ready_to_start(spec, ports, credentials, &[]).await?
            {
                // The run directory was emptied under a living process, its socket too: it is started anew.
                self.end(drain).await;
                continue;
            }
            let since = Instant::now();
            let mut last = None;
            while self.is_alive() {
                let ready = self.ask("/readyz").await.is_some_and(|answer| answer.status().is_success());
                if last != Some(ready) {
                    self.tell(if ready { Phase::Ready } else { Phase::Starting }, None);
                    last = Some(ready);
                }
                if self.ordered_within(if ready { 4 * LOOK } else { LOOK }).await {
                    return Ok(());
                }
            }
            if since.elapsed() > STEADY {
                pause = SHORTEST_PAUSE;
            }
            self.restarts += 1;
            let why = self.why_it_ended();
            let permanent = PERMANENT.contains(&why.code.as_str());
            self.process = None;
            if permanent {
                return Err(Error::permanent("service-refused", why.text));
            }
            self.tell(Phase::Starting, Some(why));
            if self.ordered_within(pause.mul_f64(rand::random_range(0.75..1.25))).await {
                return Ok(());
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn why_it_ended(&self) -> Reason {
        let end = std::fs::read(self.scratch().join("end.json")).ok();
        match end.and_then(|text| serde_json::from_slice::<JobEnd>(&text).ok()) {
            Some(JobEnd::Failed { code, message, .. }) => Reason { code, text: message },
            _ => {
                let log = Self::log_of(&self.shared, &self.owner, &self.key);
                let last = crate::api::tail(&log, 1).unwrap_or_default();
                Reason::new("crashed", format!("it ended by itself; its log ends with: {}", last.trim()))
            }
        }
    }

    async fn job(&mut self, job: &JobObject, turn: u64) -> Result<()> {
        let fingerprint = fingerprint(&(&job.target, &job.spec));
        let done = self.scratch().join("done.json");
        if let Some((of, end)) = read_done(&done)
            && of == fingerprint
        {
            // Applied again after it failed: somebody mended what it failed of. A restart of the agent is no such turn.
            if turn == 0 || matches!(end, JobEnd::Succeeded(_)) {
                return self.settle(end);
            }
            remove(&done);
        }
        if self.process.as_ref().is_some_and(|process| process.identity.fingerprint != fingerprint) {
            self.end(Duration::from_secs(10)).await;
        }
        let until = Instant::now() + Duration::from_secs(job.deadline_seconds);
        let mut tries = 0;
        loop {
            if !self.is_alive() {
                if !self.ready_to_start(&job.spec, &[], &job.credentials, &job.uses).await? {
                    return Ok(());
                }
                remove(&self.scratch().join("end.json"));
                self.begin(
                    &self.shared.program.clone(),
                    &self.run_args(&job.target),
                    &BTreeMap::new(),
                    &fingerprint,
                )?;
            }
            while self.is_alive() {
                let news = match self.ask("/news").await {
                    Some(answer) => answer.json::<JobNews>().await.ok(),
                    None => None,
                };
                self.tell_news(Phase::Running, None, news.unwrap_or_default());
                if self.ordered_within(LOOK).await {
                    return Ok(());
                }
                if Instant::now() > until {
                    self.end(Duration::from_secs(5)).await;
                    return Err(Error::permanent(
                        "deadline",
                        format!("it was not done within {} s", job.deadline_seconds),
                    ));
                }
            }
            self.process = None;
            let end = std::fs::read(self.scratch().join("end.json"))
                .ok()
                .and_then(|text| serde_json::from_slice(&text).ok());
            let end = end.unwrap_or_else(|| {
                let why = self.why_it_ended();
                JobEnd::Failed { code: why.code, message: why.text, retry: true }
            });
            tries += 1;
            match &end {
                JobEnd::Failed { code, message, retry: true } if tries <= job.retries => {
                    self.restarts += 1;
                    self.tell(
                        Phase::Running,
                        Some(Reason { code: code.clone(), text: format!("try {tries} failed: {message}") }),
                    );
                    let pause =
                        Duration::from_secs(1 << tries.min(6)).mul_f64(rand::random_range(0.75..1.25));
                    if self.ordered_within(pause).await {
                        return Ok(());
                    }
                }
                _ => {
                    let text = serde_json::to_vec(&(&fingerprint, &end)).unwrap_or_default();
                    write_whole(&done, &text, 0o600, None)?;
                    return self.settle(end);
                }
            }
        }
    }

    fn settle(&mut self, end: JobEnd) -> Result<()> {
        match end {
            JobEnd::Succeeded(result) => {
                let before = self.board(|board| board.get(&self.key).and_then(|it| it.progress.clone()));
                self.tell_news(Phase::Succeeded, None, JobNews { progress: before, result: Some(result) });
            }
            JobEnd::Failed { code, message, .. } => {
                self.tell(Phase::Failed, Some(Reason { code, text: message }));
            }
        }
        Ok(())
    }
}

fn read_done(path: &Path) -> Option<(String, JobEnd)> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn fingerprint(of: &impl serde::Serialize) -> String {
    let text = serde_json::to_value(of).map(|value| value.to_string()).unwrap_or_default();
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}
