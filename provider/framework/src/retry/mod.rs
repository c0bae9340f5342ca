//! Trying again and waiting, with jitter, a bound, the operation's deadline and cancellation.

use std::future::Future;
use std::time::Duration;

use tracing::{debug, info};

use crate::error::{Class, Error, Result};
use crate::request::Request;

/// How often and how long to try.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The first pause; each next is longer.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// How often to try in all.
    pub attempts: u32,
}

impl Default for Backoff {
    /// Eight attempts, from 200 ms up to 20 s apart: about a minute.
    fn default() -> Backoff {
        Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(20), attempts: 8 }
    }
}

impl Backoff {
    // Full jitter: anything between nothing and the exponential bound, so that many waiters spread out.
    fn pause(&self, attempt: u32) -> Duration {
        let bound =
            self.first.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.longest);
        bound.mul_f64(rand::random::<f64>())
    }
}

/// What a condition says that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// Done, with this.
    Done(T),
    /// Not yet, because of this. Logged when it changes, and named when the time is up.
    Waiting(String),
}

impl Request {
    /// Calls until it succeeds, fails for good, or attempts and time run out. Only errors of class `Retry` and
    /// `Throttle` are tried again, so the call must be repeatable. The last error says how often it was tried.
    pub async fn retry<T, F>(&self, backoff: Backoff, mut call: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut attempt = 0;
        loop {
            let error = tokio::select! {
                biased;
                () = self.cancelled() => return Err(self.interruption()),
                outcome = call() => match outcome {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                },
            };
            attempt += 1;
            if !error.class().is_retryable() {
                return Err(error);
            }
            if attempt >= backoff.attempts {
                return Err(error.context(format!("tried {attempt} times in {}", seconds(self.elapsed()))));
            }
            let pause = match error.class() {
                // What the remote side asks for, and a little more, so that not all come back at once.
                Class::Throttle(Some(after)) => after.saturating_add(backoff.pause(0)),
                _ => backoff.pause(attempt),
            };
            if self.time_left().is_some_and(|left| left <= pause) {
                return Err(error.context(format!("no time was left after {attempt} attempts")));
            }
            debug!(attempt, retry_in_ms = pause.as_millis() as u64, error = %error, "Trying again.");
            self.sleep(pause).await?;
        }
    }

    /// Asks every `interval` (with jitter) until the condition is met, the time is up or the person
    /// interrupts. Errors that may pass do not end the wait. Progress goes to the log.
    pub async fn wait_until<T, F>(
        &self,
        what: &str,
        interval: Duration,
        mut ask: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<Progress<T>>>,
    {
        let mut said = String::new();
        loop {
            let answer = tokio::select! {
                biased;
                () = self.cancelled() => return Err(self.stopped_waiting(what, &said)),
                answer = ask() => answer,
            };
            let now = match answer {
                Ok(Progress::Done(value)) => return Ok(value),
                Ok(Progress::Waiting(why)) => why,
                Err(error) if error.class().is_retryable() => error.to_string(),
                Err(error) => return Err(error.context(format!("waiting for {what}"))),
            };
            if now != said {
                info!(waiting_for = what, status = %now, elapsed_s = self.elapsed().as_secs(), "Waiting.");
                said = now;
            }
            let pause = interval.mul_f64(0.8 + 0.4 * rand::random::<f64>());
            if self.sleep(pause).await.is_err() {
                return Err(self.stopped_waiting(what, &said));
            }
        }
    }

    /// Sleeps, unless the work is cancelled or its time is up first.
    pub async fn sleep(&self, duration: Duration) -> Result<()> {
        tokio::select! {
            biased;
            () = self.cancelled() => Err(self.interruption()),
            () = tokio::time::sleep(duration) => Ok(()),
        }
    }

    fn stopped_waiting(&self, what: &str, said: &str) -> Error {
        let last = if said.is_empty() { String::new() } else { format!(" (last seen: {said})") };
        self.interruption().context(format!("waiting for {what}{last}"))
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests;
