//! One thing of a name, however often it is asked for and whatever answers are lost.
//!
//! The API has no idempotency key, does not refuse a name that is taken, and its lists may miss for a while what was just made, and
//! show what was just deleted. So a create first looks for the name, and looks at what a list shows of it; when its answer is lost
//! it looks again for a while before it asks a second time; and once it has made something it waits until lists show it. Where
//! they then show several of that name, all who look keep the same one ([`elder`]) and give the others back: nobody was told of
//! them, or is told by the same rule that they lost. What may be at work already is not given back here ([`Client::keep`]).
//!
//! All that looking is calls, and an account may make some 60 a minute. Who makes many at a time shares what is looked at, and waits for
//! lists only where something is in doubt ([`Client::obtain_one_of_many`]).

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Kind;
use crate::client::{Client, Limit};
use crate::error::{Class, Error};
use crate::list::is_named;
use crate::retry::{ATTEMPTS, pause};

/// So long lists may miss what was made.
const SETTLE: Duration = Duration::from_secs(20);
/// So long an answer that was lost is looked for before it is asked for again. What lists show later still is given back then.
const LOOK: Duration = Duration::from_secs(3);

/// Those who begin within so long look at one list.
const GATHER: Duration = Duration::from_millis(200);

/// Whether a create waits until lists show what it made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Settle {
    Always,
    /// Where an answer was lost before: there may be two.
    InDoubt,
}

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
    /// Calls that fail; more than one thing of the name that none of our calls made, where they keep data.
    pub async fn obtain<K: Kind + DeserializeOwned + Send>(
        &self,
        name: &str,
        body: &(impl Serialize + Sync),
        limit: Limit,
    ) -> Result<Obtained<K>, Error> {
        let found = self.there::<K>(|it| is_named(it, name), limit).await?;
        if found.len() > 1 && K::KEEPS_DATA {
            return Err(several(name, &found));
        }
        if let Some(thing) = self.keep_one(name, found, limit).await? {
            return Ok(Obtained { thing, adopted: true });
        }
        self.make(name, body, limit).await
    }

    /// As [`Client::obtain`], where many are asked for at a time: those of one moment look at one list, and none waits until lists show what it
    /// made. It is for who lists them all the time, waits for what is not listed yet, and gives back what is there twice: two that are asked
    /// for under one name at one time are both made.
    ///
    /// # Errors
    /// As [`Client::obtain`].
    pub async fn obtain_one_of_many<K: Kind + DeserializeOwned + Send>(
        &self,
        name: &str,
        body: &(impl Serialize + Sync),
        limit: Limit,
    ) -> Result<Obtained<K>, Error> {
        let listed = self.list_with_others::<K>(GATHER, limit).await?;
        let found = self.there_of(listed, |it| is_named(it, name), limit).await?;
        if found.len() > 1 && K::KEEPS_DATA {
            return Err(several(name, &found));
        }
        if let Some(thing) = self.keep_one(name, found, limit).await? {
            return Ok(Obtained { thing, adopted: true });
        }
        self.make_and(name, body, limit, Settle::InDoubt).await
    }

    /// As [`Client::obtain`], where it was looked for already and is not there.
    ///
    /// # Errors
    /// Calls that fail.
    pub async fn make<K: Kind + DeserializeOwned + Send>(
        &self,
        name: &str,
        body: &(impl Serialize + Sync),
        limit: Limit,
    ) -> Result<Obtained<K>, Error> {
        self.make_and(name, body, limit, Settle::Always).await
    }

    async fn make_and<K: Kind + DeserializeOwned + Send>(
        &self,
        name: &str,
        body: &(impl Serialize + Sync),
        limit: Limit,
        settle: Settle,
    ) -> Result<Obtained<K>, Error> {
        let mut attempts = 0;
        // Once an answer was lost, whatever comes after it does not say that nothing was made.
        let unsure = |error: Error, attempts: u32| match attempts {
            0 => error,
            _ => error.unsure(),
        };
        loop {
            let error = match self.create::<K>(body, limit).await {
                Ok(thing) if attempts == 0 && settle == Settle::InDoubt => {
                    return Ok(Obtained { thing, adopted: false });
                }
                Ok(thing) => return self.settle(name, thing, limit).await,
                Err(error) => error,
            };
            if error.class != Class::UnknownOutcome {
                return Err(unsure(error, attempts));
            }
            attempts += 1;
            tracing::warn!(%error, name, "Whether RunPod made it is not known: it is looked up by its name.");
            // After two calls there may be two, of which lists show one first.
            let look = Limit::within(if attempts > 1 { SETTLE } else { LOOK }.min(limit.left()));
            let mut found = Vec::new();
            while !look.left().is_zero() {
                // What ends many calls at once has many look at once.
                let seen = self.there_with_others::<K>(name, limit).await;
                found = seen.map_err(|error| unsure(error, attempts))?;
                if found.len() >= usize::try_from(attempts).unwrap_or(usize::MAX) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(500).min(look.left())).await;
            }
            let kept = self.keep_one(name, found, limit).await.map_err(Error::unsure)?;
            if let Some(thing) = kept {
                // Ours: there was none of this name, and nobody else makes this name now.
                return Ok(Obtained { thing, adopted: false });
            }
            let wait = pause(attempts, None);
            if attempts >= ATTEMPTS || wait >= limit.left() {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// What really is there of the things whose names fit: a list may still show what was just deleted.
    ///
    /// # Errors
    /// Calls that fail.
    pub async fn there<K: Kind + DeserializeOwned>(
        &self,
        fits: impl Fn(&str) -> bool,
        limit: Limit,
    ) -> Result<Vec<K>, Error> {
        let listed = self.list::<K>(limit).await?;
        self.there_of(listed, fits, limit).await
    }

    async fn there_with_others<K: Kind + DeserializeOwned>(
        &self,
        name: &str,
        limit: Limit,
    ) -> Result<Vec<K>, Error> {
        let listed = self.list_with_others::<K>(Duration::ZERO, limit).await?;
        self.there_of(listed, |it| is_named(it, name), limit).await
    }

    async fn there_of<K: Kind + DeserializeOwned>(
        &self,
        listed: Vec<K>,
        fits: impl Fn(&str) -> bool,
        limit: Limit,
    ) -> Result<Vec<K>, Error> {
        let mut there = Vec::new();
        for listed in listed.into_iter().filter(|it| fits(it.name())) {
            let it = self.get::<K>(listed.id(), limit).await?;
            there.extend(it.filter(|it| !it.is_over() && fits(it.name())));
        }
        Ok(there)
    }

    /// The one of these that all who look keep; the others are given back.
    ///
    /// # Errors
    /// Another one that could not be deleted: it is still there.
    pub async fn keep_one<K: Kind>(
        &self,
        name: &str,
        found: Vec<K>,
        limit: Limit,
    ) -> Result<Option<K>, Error> {
        Ok(self.keep(name, found, limit).await?.into_iter().next())
    }

    /// As [`Client::keep_one`], and with it those that may be at work besides: two of one name share what they were started with, and which of
    /// them a controller heard is not seen from here. None of these is ended under its work: who keeps the size has one too many.
    ///
    /// # Errors
    /// One that could not be deleted: it is still there.
    pub async fn keep<K: Kind>(&self, name: &str, mut found: Vec<K>, limit: Limit) -> Result<Vec<K>, Error> {
        found.sort_by(|a, b| elder(a).cmp(&elder(b)));
        let mut kept: Vec<K> = Vec::new();
        for it in found {
            let Some(first) = kept.first() else {
                kept.push(it);
                continue;
            };
            if it.is_at_work() {
                tracing::warn!(name, kept = first.id(), id = it.id(), "There are two that may be at work.");
                kept.push(it);
            } else {
                tracing::warn!(name, kept = first.id(), id = it.id(), "There are two: one is given back.");
                self.delete::<K>(it.id(), limit).await?;
            }
        }
        Ok(kept)
    }

    /// Waits until lists show what was made, and keeps one where they show others too.
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
            let Ok(mut found) = self.list_with_others::<K>(Duration::ZERO, limit).await else { break };
            found.retain(|it| is_named(it.name(), name));
            if found.iter().any(|thing| thing.id() != made.id()) {
                let mut found =
                    self.there::<K>(|it| is_named(it, name), limit).await.map_err(Error::unsure)?;
                // Lists may show the other well before ours.
                if found.iter().all(|it| it.id() != made.id()) {
                    found.extend(self.get::<K>(made.id(), limit).await.map_err(Error::unsure)?);
                }
                // Whoever else made one at the same time may have given ours back by the same rule.
                let kept = self.keep(name, found, limit).await.map_err(Error::unsure)?;
                if kept.iter().any(|it| it.id() == made.id()) {
                    return Ok(Obtained { thing: made, adopted: false });
                }
                if let Some(thing) = kept.into_iter().next() {
                    return Ok(Obtained { thing, adopted: true });
                }
            }
            let shown = found.iter().any(|thing| thing.id() == made.id());
            if shown || settle.left().is_zero() {
                break;
            }
            tokio::time::sleep(wait.min(settle.left())).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
        Ok(Obtained { thing: made, adopted: false })
    }
}

/// Which of several is kept: the least. Who may be at work before who is not; the eldest, where the API says when it was made; and of one moment, or
/// where it does not say, the one whose identifier is the least.
fn elder<K: Kind>(it: &K) -> (bool, &str, &str) {
    (!it.is_at_work(), it.created_at().unwrap_or_default(), it.id())
}

fn several<K: Kind>(name: &str, found: &[K]) -> Error {
    let ids: Vec<&str> = found.iter().map(Kind::id).collect();
    let says =
        format!("there are {} things named {name:?}: {}; delete all but one", ids.len(), ids.join(", "));
    Error::new(Class::Conflict, &format!("GET {}", K::PATH), says)
}
