//! One thing of a name, however often it is asked for and whatever answers are lost.
//!
//! The API has no idempotency key, does not refuse a name that is taken, and its lists may miss for a while what was just made. So a
//! create first looks for the name; when its answer is lost it looks again for a while before it asks a second time; and once
//! it has made something it waits until lists show it. If they then show another of that name, made by a run whose end nobody saw,
//! what *this* call made is given back: nobody used it yet.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Kind;
use crate::client::{Client, Limit};
use crate::error::{Class, Error};
use crate::retry::{ATTEMPTS, pause};

/// So long lists may miss what was made.
const SETTLE: Duration = Duration::from_secs(20);
/// So long an answer that was lost is looked for before it is asked for again. What lists show later still is given back then.
const LOOK: Duration = Duration::from_secs(3);

/// What a create came to.
#[derive(Debug)]
pub struct Obtained<K> {
    /// The thing.
    pub thing: K,
    /// Whether it was there before this call; then it may be of another shape than what was asked for.
    pub adopted: bool,
}

impl Client {
    /// The one thing of this name: as it is where there is one, and made otherwise. The body must have the same name.
    ///
    /// # Errors
    /// Calls that fail; more than one thing of the name that none of our calls made.
    pub async fn obtain<K: Kind + DeserializeOwned + Send>(
        &self,
        name: &str,
        body: &(impl Serialize + Sync),
        limit: Limit,
    ) -> Result<Obtained<K>, Error> {
        if let Some(thing) = self.only::<K>(name, limit).await? {
            return Ok(Obtained { thing, adopted: true });
        }
        let mut attempts = 0;
        // Once an answer was lost, whatever comes after it does not say that nothing was made.
        let unsure = |error: Error, attempts: u32| match attempts {
            0 => error,
            _ => Error { class: Class::UnknownOutcome, ..error },
        };
        loop {
            let error = match self.create::<K>(body, limit).await {
                Ok(thing) => return self.settle(name, thing, limit).await,
                Err(error) => error,
            };
            if error.class != Class::UnknownOutcome {
                return Err(unsure(error, attempts));
            }
            attempts += 1;
            tracing::warn!(%error, name, "Whether RunPod made it is not known: it is looked up by its name.");
            let look = Limit::within(LOOK.min(limit.left()));
            while !look.left().is_zero() {
                let found = self.only::<K>(name, limit).await.map_err(|error| unsure(error, attempts))?;
                if let Some(thing) = found {
                    // Ours: there was none of this name, and nobody else makes this name now.
                    return Ok(Obtained { thing, adopted: false });
                }
                tokio::time::sleep(Duration::from_millis(500).min(look.left())).await;
            }
            let wait = pause(attempts, None);
            if attempts >= ATTEMPTS || wait >= limit.left() {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// The only thing of a name, if there is one.
    ///
    /// # Errors
    /// Calls that fail, and several things of that name.
    pub async fn only<K: Kind + DeserializeOwned>(
        &self,
        name: &str,
        limit: Limit,
    ) -> Result<Option<K>, Error> {
        let mut found = self.named::<K>(name, limit).await?;
        if found.len() > 1 {
            let ids: Vec<&str> = found.iter().map(Kind::id).collect();
            return Err(Error::new(
                Class::Conflict,
                &format!("GET {}", K::PATH),
                format!(
                    "there are {} things named {name:?}: {}; delete all but one",
                    ids.len(),
                    ids.join(", ")
                ),
            ));
        }
        Ok(found.pop())
    }

    /// Waits until lists show what was made, and gives it back where they show an earlier one too.
    async fn settle<K: Kind + DeserializeOwned + Send>(
        &self,
        name: &str,
        made: K,
        limit: Limit,
    ) -> Result<Obtained<K>, Error> {
        let settle = Limit::within(SETTLE.min(limit.left()));
        let mut wait = Duration::from_millis(100);
        loop {
            // That it was made is known: a list that fails now is no reason to lose that.
            let Ok(found) = self.named::<K>(name, limit).await else { break };
            let shown = found.iter().any(|thing| thing.id() == made.id());
            if let Some(other) = found.into_iter().find(|thing| thing.id() != made.id()) {
                tracing::warn!(
                    name,
                    id = made.id(),
                    other = other.id(),
                    "There was one already: ours is given back."
                );
                self.delete::<K>(made.id(), limit).await?;
                return Ok(Obtained { thing: other, adopted: true });
            }
            if shown || settle.left().is_zero() {
                break;
            }
            tokio::time::sleep(wait.min(settle.left())).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
        Ok(Obtained { thing: made, adopted: false })
    }
}
