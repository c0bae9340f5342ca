//! Keeps one service, job or engine: started, watched, started again with back-off, changed, stopped.

mod engine;
pub(crate) mod folders;
mod job;
mod running;
mod service;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use streamverse_core::engine::Prepared;
use streamverse_core::http::{Holder, holder_of};
use streamverse_core::run::{JobEnd, RunOptions};
use streamverse_core::{Error, JobNews, Result};
use streamverse_model::platform::{
    CredentialUse, Object, ObjectStatus, Owner, Phase, Port, Protocol, Reason, SpecUse,
};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::agent::Shared;
use crate::files::{remove, write_whole};
use crate::inside::Inside;
use crate::keeper::running::Running;
use crate::open_log::OpenLog;
use crate::process::{Identity, Process, Roof, Start};

/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(250);
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A process that lived this long begins again with the shortest pause.
const STEADY: Duration = Duration::from_secs(60);
/// Something that is missing on the host is looked for again so often, for nobody tells us that it was installed.
const LOOK_FOR_MISSING: Duration = Duration::from_secs(15);
/// How long a service inside of the agent may drain when the agent ends.
const LEAVING: Duration = Duration::from_secs(10);
/// Open files of a service: 4096 connections, and what each of them may read.
pub(crate) const SERVICE_FILES: u64 = 16 << 10;
/// Open files of an engine, which holds two sockets for each viewer.
const ENGINE_FILES: u64 = 64 << 10;
/// How long a new engine configuration may take to serve before it is rolled back.
const SETTLE: Duration = Duration::from_secs(20);

/// What starting a service again does not mend: another spec does.
const PERMANENT: &[&str] =
    &["spec-invalid", "unknown-target", "binary-missing", "store-url", "store-elsewhere"];

/// What a keeper is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// Keep this object.
    Keep(Box<Object>, Turn),
    /// Stop it, remove its folders, and end.
    Remove,
    /// End, and leave the process to the next agent.
    Leave,
}

/// Which turn of the same object this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Another one: a job that failed runs again, secrets are laid anew.
    pub(crate) again: u64,
    /// Another one: a service is started anew.
    pub(crate) restart: u64,
}

/// Where statuses are read.
pub(crate) type Board = Arc<Mutex<BTreeMap<String, ObjectStatus>>>;

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    owner: Owner,
    key: String,
    board: Board,
    orders: watch::Receiver<Order>,
    process: Option<Running>,
    running: Option<Prepared>,
    restarts: u32,
    /// The last restart that was asked for.
    restarted: Option<u64>,
    /// Of the process's own socket; made when it is first asked.
    client: OnceLock<reqwest::Client>,
    log: OpenLog,
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
            restarted: None,
            client: OnceLock::new(),
            log: OpenLog::default(),
        }
    }

    /// Follows orders until told to end.
    pub(crate) async fn run(mut self) {
        self.adopt();
        let mut pause = SHORTEST_PAUSE;
        loop {
            let order = self.orders.borrow_and_update().clone();
            match order {
                Order::Leave => {
                    if matches!(self.process, Some(Running::Inside(_))) {
                        self.end(LEAVING).await;
                    }
                    return;
                }
                Order::Remove => {
                    self.tell(Phase::Stopping, None);
                    self.end(Duration::from_secs(30)).await;
                    for folder in [self.scratch(), self.kept(), self.place()] {
                        remove(&folder);
                    }
                    self.board(|board| board.remove(&self.key));
                    return;
                }
                Order::Keep(object, turn) => {
                    let outcome = match &*object {
                        Object::Service(it) => self.service(it, turn.restart).await,
                        Object::Job(it) => self.job(it, turn.again).await,
                        Object::Engine(it) => {
                            let driver = self.shared.driver(it.engine);
                            match driver {
                                Some(driver) => self.engine(&*driver, it).await,
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
                        Err(error) => {
                            self.failed(&error);
                            if ["binary-missing", "plugin-missing"].contains(&error.code) {
                                let pause = LOOK_FOR_MISSING.mul_f64(rand::random_range(0.75..1.25));
                                if !self.ordered_within(pause).await {
                                    continue;
                                }
                            }
                        }
                        Ok(()) => {}
                    }
                    pause = SHORTEST_PAUSE;
                    // Done or failed for good: nothing until the next order.
                    match self.orders.has_changed() {
                        Ok(true) => {}
                        Ok(false) if self.orders.changed().await.is_ok() => {}
                        // Nobody orders anything any more.
                        _ => return,
                    }
                }
            }
        }
    }

    // -- status ------------------------------------------------------------------------------------------------------

    fn board<T>(&self, with: impl FnOnce(&mut BTreeMap<String, ObjectStatus>) -> T) -> T {
        with(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, phase: Phase, reason: Option<Reason>) {
        self.tell_news(phase, reason, JobNews::default());
    }

    fn tell_news(&self, phase: Phase, reason: Option<Reason>, news: JobNews) {
        let pids = self.process.iter().map(Running::pid).collect();
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
        self.kept().join("process.json")
    }

    /// What an earlier agent started, if it still runs.
    fn adopt(&mut self) {
        let identity = std::fs::read(self.identity_file()).ok();
        let identity = identity.and_then(|text| serde_json::from_slice::<Identity>(&text).ok());
        self.process = identity.and_then(Process::adopt).map(Running::Process);
        if let Some(process) = &self.process {
            info!(owner = %self.owner, object = self.key, pid = process.pid(), "Found again.");
            let prepared = std::fs::read(self.kept().join("prepared.json")).ok();
            self.running = prepared.and_then(|text| serde_json::from_slice(&text).ok());
        }
    }

    /// Starts a process of our own program.
    fn begin(
        &mut self,
        options: &RunOptions,
        spec: &serde_json::Value,
        memory: u64,
        fingerprint: &str,
    ) -> Result<()> {
        let program = self.shared.program.clone();
        let args = folders::run_args(options);
        // Of our environment only what the spec names: one that is not there is for the service to tell.
        let names = streamverse_model::drm::environment(&options.target, spec);
        let env =
            names.into_iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?))).collect();
        self.begin_program(&program, &args, &env, Roof::over(memory, SERVICE_FILES), fingerprint)
    }

    fn begin_program(
        &mut self,
        program: &Path,
        args: &[String],
        env: &BTreeMap<String, String>,
        roof: Roof,
        fingerprint: &str,
    ) -> Result<()> {
        let log = Self::log_of(&self.shared, &self.owner, &self.key);
        let dir = self.scratch();
        let orphan = self.key.starts_with("engine/");
        let start = Start { program, args, env, dir: &dir, log: &log, user: self.shared.user, roof, orphan };
        let mut process = Process::start(&start, fingerprint)?;
        let text = serde_json::to_vec(&process.identity).unwrap_or_default();
        if let Err(error) = write_whole(&self.identity_file(), &text, 0o600, None) {
            // The next agent could not know of it, and would start another one.
            process.kill();
            return Err(error);
        }
        self.process = Some(Running::Process(process));
        Ok(())
    }

    fn begin_inside(&mut self, options: RunOptions, fingerprint: &str) -> Result<()> {
        let log = Self::log_of(&self.shared, &self.owner, &self.key);
        let inside = Inside::start(options, self.shared.targets, &log, fingerprint)?;
        self.process = Some(Running::Inside(inside));
        Ok(())
    }

    fn limit(&self, memory: u64) {
        if let Some(Running::Process(process)) = &self.process {
            process.limit(Roof::over(memory, SERVICE_FILES));
        }
    }

    /// Its log is not for ever.
    fn shorten_log(&mut self) {
        let log = Self::log_of(&self.shared, &self.owner, &self.key);
        self.log.shorten(&log, crate::process::LARGEST_LOG);
    }

    /// Whether a process holds more memory than it may, in words.
    fn holds_more_than(&self, memory: u64, whole: bool) -> Option<Reason> {
        let Some(Running::Process(process)) = &self.process else { return None };
        let held = process.holds(whole);
        (held > memory).then(|| {
            Reason::new(
                "memory-limit",
                format!(
                    "it held {} MiB of memory and was ended: its limit is {} MiB",
                    held >> 20,
                    memory >> 20
                ),
            )
        })
    }

    /// Waits while somebody else listens on a port of ours, and names him; false when an order came meanwhile.
    async fn ports_are_free(&mut self, ports: &[Port]) -> bool {
        while let Some(text) = self.taken(ports) {
            self.tell(Phase::Waiting, Some(Reason::new("port-taken", text)));
            if self.ordered_within(4 * LOOK).await {
                return false;
            }
        }
        true
    }

    /// Which of the ports somebody else has, and who.
    fn taken(&self, ports: &[Port]) -> Option<String> {
        let bind = self.context(ports).bind;
        ports.iter().filter(|port| port.protocol == Protocol::Tcp).find_map(|port| {
            let port = port.number;
            let who = match holder_of(bind, port)? {
                Holder::Process(pid) => {
                    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                    format!("process {pid} ({})", name.trim())
                }
                Holder::Unseen => "a process that this agent may not look into".to_owned(),
            };
            Some(format!("port {port} is taken by {who}: end it, or choose another port"))
        })
    }

    async fn end(&mut self, patience: Duration) {
        if let Some(process) = &mut self.process
            && !process.stop(patience).await
        {
            error!(owner = %self.owner, object = self.key, "It does not stop, and cannot be ended from outside.");
        }
        self.process = None;
        self.running = None;
        remove(&self.identity_file());
    }

    fn is_alive(&mut self) -> bool {
        self.process.as_mut().is_some_and(Running::is_alive)
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

    async fn ask(&self, path: &str) -> Option<reqwest::Response> {
        if self.client.get().is_none() {
            let client =
                reqwest::Client::builder().unix_socket(self.socket()).timeout(Duration::from_secs(2)).build();
            let _ = self.client.set(client.ok()?);
        }
        let client = self.client.get()?;
        client.get(format!("http://admin{path}")).send().await.ok()
    }

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

    /// How it says that it ended. The file lies where it may put anything.
    fn outcome(&self) -> Option<JobEnd> {
        let text = crate::files::read_theirs(&self.scratch().join("end.json"), 64 << 10)?;
        serde_json::from_slice(&text).ok()
    }

    fn why_it_ended(&self) -> Reason {
        if let Some(JobEnd::Failed { code, message, .. }) = self.outcome() {
            return Reason { code, text: message };
        }
        let log = Self::log_of(&self.shared, &self.owner, &self.key);
        let last = crate::api::tail(&log, 1).unwrap_or_default();
        let last = last.trim();
        // What Rust says when it gets no memory, before it aborts.
        if last.contains("memory allocation of ") {
            let text = format!("it asked for more memory than it may have, and ended: {last}");
            return Reason::new("memory-limit", text);
        }
        let how = self.process.as_ref().and_then(Running::ended).map(|how| format!(" ({how})"));
        let text = format!("it ended by itself{}; its log ends with: {last}", how.unwrap_or_default());
        Reason::new("crashed", text)
    }
}

fn fingerprint(of: &impl serde::Serialize) -> String {
    let text = serde_json::to_value(of).map(|value| value.to_string()).unwrap_or_default();
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}
