//! Keeps an engine: a configuration is prepared and checked before anything is switched, a change is a reload or a drained
//! restart, and one that does not serve is rolled back.

use std::path::Path;
use std::time::Duration;

use streamverse_core::engine::{Change, EngineDriver, Prepared};
use streamverse_core::{Error, Result, ServiceContext};
use streamverse_model::platform::{CredentialUse, Object, Phase, Port, Reason};
use tokio::time::Instant;
use tracing::warn;

use super::{Keeper, LONGEST_PAUSE, LOOK, Order, SETTLE, SHORTEST_PAUSE};
use crate::files::{make, remove, write_whole};

/// How long an engine that was drained may take to end.
const STOP: Duration = Duration::from_secs(5);

impl Keeper {
    pub(super) async fn engine(
        &mut self,
        driver: &dyn EngineDriver,
        spec: &serde_json::Value,
        ports: &[Port],
        credentials: &[CredentialUse],
        drain: u32,
    ) -> Result<()> {
        let drain = Duration::from_secs(u64::from(drain));
        if !self.ready_to_start(spec, ports, credentials, &[]).await? {
            return Ok(());
        }
        let cx = self.context(ports);
        let number =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |it| it.as_millis());
        let folder = self.scratch().join("configurations").join(number.to_string());
        for part in [self.scratch().join("engine"), self.scratch().join("configurations"), folder.clone()] {
            make(&part, self.shared.user)?;
        }
        let prepared = driver.prepare(spec, &folder, &cx).await;
        let alive = self.is_alive();
        let prepared = match (prepared, self.running.clone()) {
            (Ok(prepared), _) => prepared,
            // What runs goes on.
            (Err(error), Some(running)) if alive => {
                let text =
                    format!("the new configuration was refused, the last good one serves: {}", error.chain());
                self.tell(Phase::Degraded, Some(Reason::new(error.code, text)));
                return self.watch_engine(driver, running, &cx, drain, true).await;
            }
            (Err(error), _) => return Err(error),
        };
        self.own(&self.scratch().join("engine"));
        self.own(&self.scratch().join("configurations"));
        match (self.running.clone(), self.is_alive()) {
            (Some(before), true) => {
                // What did not serve before is nothing to go back to.
                let served = driver.health(&before, &cx).await.is_ok();
                if let Err(error) = self.switch(driver, &before, &prepared, &cx, drain, served).await {
                    if !served {
                        return Err(error);
                    }
                    return self.roll_back(driver, (before, &prepared), &cx, drain, error).await;
                }
            }
            _ => {
                self.end(drain).await;
                self.start_engine(driver, &prepared, &cx).await?;
            }
        }
        self.remember(&prepared)?;
        self.forget_configurations(&prepared);
        self.watch_engine(driver, prepared, &cx, drain, false).await
    }

    /// Gets what runs to another configuration, and sees that it serves if it `served` before.
    async fn switch(
        &mut self,
        driver: &dyn EngineDriver,
        before: &Prepared,
        prepared: &Prepared,
        cx: &ServiceContext,
        drain: Duration,
        served: bool,
    ) -> Result<()> {
        match driver.change(before, prepared) {
            // The same files in another folder: the one before is removed.
            Change::None => return driver.before_start(prepared, cx).await,
            Change::Reload => driver.reload(before, prepared, cx).await?,
            Change::Restart => {
                let text = "it is restarted with the new configuration, after draining";
                self.tell(Phase::Starting, Some(Reason::new("restart", text)));
                driver.drain(before, cx, drain).await?;
                self.end(STOP).await;
                self.start_engine(driver, prepared, cx).await?;
            }
        }
        if served { self.serves(driver, prepared, cx).await } else { Ok(()) }
    }

    async fn roll_back(
        &mut self,
        driver: &dyn EngineDriver,
        (before, prepared): (Prepared, &Prepared),
        cx: &ServiceContext,
        drain: Duration,
        error: Error,
    ) -> Result<()> {
        warn!(owner = %self.owner, error = %error.chain(), "The new configuration does not serve; rolling back.");
        if driver.change(prepared, &before) == Change::Restart || !self.is_alive() {
            self.end(STOP).await;
            self.launch(driver, &before, cx).await?;
        } else {
            driver.reload(prepared, &before, cx).await?;
        }
        self.remember(&before)?;
        let text = format!("the new configuration did not serve, the last good one does: {}", error.chain());
        self.tell(Phase::Degraded, Some(Reason::new("rolled-back", text)));
        self.watch_engine(driver, before, cx, drain, true).await
    }

    async fn start_engine(
        &mut self,
        driver: &dyn EngineDriver,
        prepared: &Prepared,
        cx: &ServiceContext,
    ) -> Result<()> {
        for port in self.ports() {
            if let Some(pid) = streamverse_core::http::holder_of(port) {
                self.tell(
                    Phase::Waiting,
                    Some(Reason::new("port-taken", format!("port {port} is taken by process {pid}"))),
                );
                return Err(Error::passing(
                    "port-taken",
                    format!("port {port} is taken by process {pid}: end it, or choose another port"),
                ));
            }
        }
        self.launch(driver, prepared, cx).await
    }

    async fn launch(
        &mut self,
        driver: &dyn EngineDriver,
        prepared: &Prepared,
        cx: &ServiceContext,
    ) -> Result<()> {
        driver.before_start(prepared, cx).await?;
        self.own(&self.scratch().join("engine"));
        self.own(&self.place());
        self.begin(&prepared.program, &prepared.args, &prepared.env, &prepared.digest)
    }

    fn ports(&self) -> Vec<u16> {
        match &*self.orders.borrow() {
            Order::Keep(object, _) => match &**object {
                Object::Engine(engine) => engine.ports.iter().map(|it| it.number).collect(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Everything below belongs to the service user: an engine refuses root.
    fn own(&self, folder: &Path) {
        let Some(user) = self.shared.user else { return };
        let mut todo = vec![folder.to_owned()];
        while let Some(next) = todo.pop() {
            let _ = std::os::unix::fs::lchown(&next, Some(user.uid), Some(user.gid));
            if next.is_dir() && !next.is_symlink() {
                todo.extend(
                    std::fs::read_dir(&next).into_iter().flatten().flatten().map(|entry| entry.path()),
                );
            }
        }
    }

    async fn serves(
        &mut self,
        driver: &dyn EngineDriver,
        prepared: &Prepared,
        cx: &ServiceContext,
    ) -> Result<()> {
        let until = Instant::now() + SETTLE;
        loop {
            let outcome = driver.health(prepared, cx).await;
            if outcome.is_ok() || Instant::now() > until {
                return outcome;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn remember(&mut self, prepared: &Prepared) -> Result<()> {
        self.running = Some(prepared.clone());
        let text = serde_json::to_vec(prepared).unwrap_or_default();
        write_whole(&self.scratch().join("prepared.json"), &text, 0o600, None)
    }

    fn forget_configurations(&self, current: &Prepared) {
        for entry in std::fs::read_dir(self.scratch().join("configurations")).into_iter().flatten().flatten()
        {
            if entry.path() != current.folder {
                remove(&entry.path());
            }
        }
    }

    /// Watches a running engine, and starts it again when it ends, until an order comes.
    async fn watch_engine(
        &mut self,
        driver: &dyn EngineDriver,
        prepared: Prepared,
        cx: &ServiceContext,
        drain: Duration,
        degraded: bool,
    ) -> Result<()> {
        let mut pause = SHORTEST_PAUSE;
        let mut told = None;
        loop {
            if !self.is_alive() {
                self.restarts += 1;
                self.end(drain).await;
                told = None;
                self.tell(Phase::Starting, Some(self.why_it_ended()));
                if self.ordered_within(pause.mul_f64(rand::random_range(0.75..1.25))).await {
                    return Ok(());
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                // The ports that are declared are not those of what was rolled back to.
                match degraded {
                    true => self.launch(driver, &prepared, cx).await?,
                    false => self.start_engine(driver, &prepared, cx).await?,
                }
                self.remember(&prepared)?;
            }
            let healthy = driver.health(&prepared, cx).await;
            if told != Some(healthy.is_ok()) && !degraded {
                match &healthy {
                    Ok(()) => {
                        pause = SHORTEST_PAUSE;
                        let warning =
                            prepared.warnings.first().map(|text| Reason::new("warning", text.clone()));
                        self.tell(Phase::Ready, warning);
                    }
                    Err(error) => self.tell(Phase::Starting, Some(Reason::new(error.code, error.chain()))),
                }
                told = Some(healthy.is_ok());
            }
            let wait = if healthy.is_ok() { Duration::from_secs(2) } else { LOOK };
            if self.ordered_within(wait).await {
                return Ok(());
            }
        }
    }
}
