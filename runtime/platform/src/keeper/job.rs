//! Keeps a job: run until it succeeds, has failed too often, or its time is up.

use std::path::Path;
use std::time::Duration;

use streamverse_core::run::JobEnd;
use streamverse_core::{Error, JobNews, Result};
use streamverse_model::platform::{JobObject, Phase, Reason};
use tokio::time::Instant;

use super::{Keeper, LOOK, fingerprint};
use crate::files::{remove, write_whole};

impl Keeper {
    pub(super) async fn job(&mut self, job: &JobObject, turn: u64) -> Result<()> {
        let fingerprint = fingerprint(&(&job.target, &job.spec));
        let done = self.kept().join("done.json");
        if let Some((of, end)) = read_done(&done)
            && of == fingerprint
        {
            // Applied again after it failed: somebody mended what it failed of. A restart of the agent is no such turn.
            if turn == 0 || matches!(end, JobEnd::Succeeded(_)) {
                return self.settle(end);
            }
            remove(&done);
        }
        if self.process.as_ref().is_some_and(|process| process.fingerprint() != fingerprint) {
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
                let options = self.options(&job.target);
                self.begin(&options, &job.spec, job.resources.memory_bytes, &fingerprint)?;
            }
            while self.is_alive() {
                let news = match self.ask("/news").await {
                    Some(answer) => answer.json::<JobNews>().await.ok(),
                    None => None,
                };
                self.tell_news(Phase::Running, None, news.unwrap_or_default());
                self.shorten_log();
                if let Some(why) = self.holds_more_than(job.resources.memory_bytes, false) {
                    self.end(Duration::ZERO).await;
                    let end = JobEnd::Failed { code: why.code, message: why.text, retry: false };
                    return self.done(&fingerprint, end);
                }
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
            let end = self.outcome().unwrap_or_else(|| {
                let why = self.why_it_ended();
                let retry = why.code != "memory-limit";
                JobEnd::Failed { code: why.code, message: why.text, retry }
            });
            self.process = None;
            tries += 1;
            match &end {
                JobEnd::Failed { code, message, retry: true } if tries <= job.retries => {
                    self.restarts += 1;
                    self.shared.metrics.restarted("job");
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
                _ => return self.done(&fingerprint, end),
            }
        }
    }

    /// Remembers how it ended, and says so.
    fn done(&mut self, fingerprint: &str, end: JobEnd) -> Result<()> {
        let text = serde_json::to_vec(&(fingerprint, &end)).unwrap_or_default();
        write_whole(&self.kept().join("done.json"), &text, 0o600, None)?;
        self.settle(end)
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
