//! Keeps a service: started, watched, started again with back-off; as a process, or inside of the agent.

use std::time::Duration;

use streamverse_core::{Error, Result};
use streamverse_model::platform::{Isolation, Phase, Reason, ServiceObject};
use tokio::time::Instant;

use super::{Keeper, LONGEST_PAUSE, LOOK, PERMANENT, SHORTEST_PAUSE, STEADY, fingerprint};
use crate::files::remove;

impl Keeper {
    pub(super) async fn service(&mut self, it: &ServiceObject, restart: u64) -> Result<()> {
        let drain = Duration::from_secs(u64::from(it.drain_seconds));
        let memory = it.resources.memory_bytes;
        let inside = it.isolation == Isolation::InProcess;
        let secrets = self.shared.secret_versions(&self.owner, &it.credentials);
        let public = it.ports.iter().map(|port| port.public).collect::<Vec<_>>();
        let mut print = fingerprint(&(&it.target, &it.spec, public, secrets));
        if inside {
            print.push_str("-inside");
        }
        let mut pause = SHORTEST_PAUSE;
        let other = self.process.as_ref().is_some_and(|process| process.fingerprint() != print);
        if other || self.restarted.replace(restart).is_some_and(|before| before != restart) {
            self.tell(Phase::Starting, None);
            self.end(drain).await;
        }
        // Another limit is no other process.
        self.limit(memory);
        let mut before: Option<Reason> = None;
        loop {
            if !self.is_alive() {
                self.process = None;
                if !self.ready_to_start(&it.spec, &it.ports, &it.credentials, &[]).await? {
                    return Ok(());
                }
                if !self.ports_are_free(&it.ports).await {
                    return Ok(());
                }
                remove(&self.scratch().join("end.json"));
                let options = self.options(&it.target);
                if inside {
                    self.begin_inside(options, &print)?;
                } else {
                    self.begin(&options, &it.spec, memory, &print)?;
                }
            } else if !self.place().join("context.json").exists()
                && self.ready_to_start(&it.spec, &it.ports, &it.credentials, &[]).await?
            {
                // The run directory was emptied under a living process, its socket too: it is started anew.
                self.end(drain).await;
                continue;
            }
            let since = Instant::now();
            let mut last = None;
            let mut too_much = None;
            while self.is_alive() {
                let ready = self.ask("/readyz").await.is_some_and(|answer| answer.status().is_success());
                let note = self.note(before.as_ref().filter(|_| since.elapsed() < STEADY));
                if last.as_ref() != Some(&(ready, note.clone())) {
                    let reason = if ready { note.clone() } else { before.clone() };
                    self.tell(if ready { Phase::Ready } else { Phase::Starting }, reason);
                    last = Some((ready, note));
                }
                if self.ordered_within(if ready { 4 * LOOK } else { LOOK }).await {
                    return Ok(());
                }
                self.shorten_log();
                too_much = self.holds_more_than(memory, false);
                if too_much.is_some() {
                    break;
                }
            }
            if since.elapsed() > STEADY {
                pause = SHORTEST_PAUSE;
            }
            self.restarts += 1;
            self.shared.metrics.restarted("service");
            let why = too_much.unwrap_or_else(|| self.why_it_ended());
            if why.code == "memory-limit" {
                self.end(Duration::ZERO).await;
            }
            self.process = None;
            if PERMANENT.contains(&why.code.as_str()) {
                return Err(Error::permanent("service-refused", why.text));
            }
            self.tell(Phase::Starting, Some(why.clone()));
            before = Some(why);
            if self.ordered_within(pause.mul_f64(rand::random_range(0.75..1.25))).await {
                return Ok(());
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What is worth knowing of a service that is ready: why it was started again, or that it is of an older version.
    fn note(&self, before: Option<&Reason>) -> Option<Reason> {
        if let Some(why) = before {
            let text = format!(
                "it serves again; it was started {} times anew, the last time because: {}",
                self.restarts, why.text
            );
            return Some(Reason { code: why.code.clone(), text });
        }
        let older = self.process.as_ref().is_some_and(|it| it.is_older_than(&self.shared.program));
        older.then(|| {
            Reason::new(
                "older-program",
                format!(
                    "it runs the program from before the upgrade: `streamverse node restart {}/{}` starts it with the new one, after draining",
                    self.owner.kind, self.owner.name
                ),
            )
        })
    }
}
