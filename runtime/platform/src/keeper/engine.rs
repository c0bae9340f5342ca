//! Keeps an engine: a configuration is prepared and checked before anything is switched, a change is a reload or a drained
//! restart, and one that does not serve is rolled back.

use std::time::Duration;

use streamverse_core::engine::{Change, EngineDriver, Prepared};
use streamverse_core::{Error, Result, ServiceContext};
use streamverse_model::platform::{EngineObject, Object, Phase, Reason};
use tokio::time::Instant;
use tracing::warn;

use super::{ENGINE_FILES, Keeper, LONGEST_PAUSE, LOOK, Order, SETTLE, SHORTEST_PAUSE};
use crate::files::{make_ours, remove, write_whole};
use crate::process::Roof;

/// How long an engine that was drained may take to end.
const STOP: Duration = Duration::from_secs(5);

impl Keeper {
    pub(super) async fn engine(&mut self, driver: &dyn EngineDriver, it: &EngineObject) -> Result<()> {
        let drain = Duration::from_secs(u64::from(it.drain_seconds));
        if !self.ready_to_start(&it.spec, &it.ports, &it.credentials, &[]).await? {
            return Ok(());
        }
        let cx = self.context(&it.ports);
        let number =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |it| it.as_millis());
        let folder = self.scratch().join("configurations").join(number.to_string());
        for part in [self.scratch().join("engine"), self.scratch().join("configurations"), folder.clone()] {
            make_ours(&part)?;
        }
        let prepared = driver.prepare(&it.spec, &folder, &cx).await;
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
            // The same files in another folder. A predecessor may have died in the middle of a switch, so that what the
            // engine has read is not known: it reads again, and drops nothing by it.
            Change::None | Change::Reload => driver.reload(before, prepared, cx).await?,
            Change::Restart => {
                let text = "it is restarted with the new configuration, after draining";
                self.tell(Phase::Starting, Some(Reason::new("restart", text)));
                driver.drain(before, cx, drain).await?;
                self.end(STOP).await;
                // What served is not to be away until somebody gives up his port.
                let object = self.ordered();
                if let Some(text) = object.as_ref().and_then(|it| self.taken(&it.ports)).filter(|_| served) {
                    return Err(Error::passing("port-taken", text));
                }
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
        // It takes that over in its own time; until then it would be taken for what never served.
        let _ = self.serves(driver, &before, cx).await;
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
        let object = self.ordered();
        let ports = object.as_ref().map(|it| it.ports.as_slice()).unwrap_or_default();
        if !self.ports_are_free(ports).await {
            return Ok(());
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
        let memory = self.ordered().map_or(u64::MAX, |it| it.resources.memory_bytes);
        let roof = Roof::over(memory, ENGINE_FILES);
        self.begin_program(&prepared.program, &prepared.args, &prepared.env, roof, &prepared.digest)
    }

    /// The engine as it is ordered now.
    fn ordered(&self) -> Option<EngineObject> {
        match &*self.orders.borrow() {
            Order::Keep(object, _) => match &**object {
                Object::Engine(engine) => Some(engine.clone()),
                _ => None,
            },
            _ => None,
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
        write_whole(&self.kept().join("prepared.json"), &text, 0o600, None)
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
        let memory = self.ordered().map_or(u64::MAX, |it| it.resources.memory_bytes);
        let mut too_much = None;
        loop {
            if too_much.is_some() || !self.is_alive() {
                self.restarts += 1;
                self.shared.metrics.restarted("engine");
                let why = too_much.take().unwrap_or_else(|| self.why_it_ended());
                self.end(if why.code == "memory-limit" { Duration::ZERO } else { drain }).await;
                told = None;
                self.tell(Phase::Starting, Some(why));
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
            self.shorten_log();
            too_much = self.holds_more_than(memory, true);
        }
    }
}
