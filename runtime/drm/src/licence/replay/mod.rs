//! Which tokens were used: each gives a licence at most once.
//!
//! Whoever takes tokens of an audience has a *turn*, which is written down in the catalogue ([`Turn`]): a process by itself,
//! or all replicas that share a cache. Whoever takes over writes down a *cut* a little ahead of all clocks; tokens from
//! before it are for those who were there before, those from after it for the new ones. So no change of what remembers
//! tokens (a cache that is added, taken away, exchanged or emptied) gives a token twice.
//!
//! A process without a cache remembers tokens in memory ([`Window`]) and in a file that outlives it ([`Journal`]): where the
//! next one finds that file it goes on as if nothing had happened. Otherwise it starts after the newest token of one that
//! ended in order, and a little ahead of all clocks after a crash. Replicas share a cache that inserts what nobody inserted
//! before ([`Shared`]).

mod journal;
mod shared;
mod turn;
mod window;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use streamverse_core::stores::{Cache, Records, key_wire};
use streamverse_core::{Error, Result};
use streamverse_model::drm::entitlement::{Clock, Refusal};

use super::licensor::Now;
use super::token::Token;
use journal::{Found, Journal, Left};
use shared::Shared;
use turn::{Claim, Turn};
use window::Window;

/// What it takes to remember tokens.
pub(super) struct Memory<'a> {
    pub(super) records: Arc<dyn Records>,
    pub(super) cache: Option<Arc<dyn Cache>>,
    /// Where a file outlives this process, and not the machine.
    pub(super) folder: Option<&'a Path>,
    /// Whose tokens: issuer and audience.
    pub(super) scope: String,
    /// How far apart clocks may be.
    pub(super) skew_ms: u64,
    /// How old what is known of a turn may be.
    pub(super) fresh: Duration,
    pub(super) now: Now,
}

/// What remembers the tokens that were used.
pub(super) struct Replay {
    kind: Kind,
    /// Held as long as we are there, so that the next process of this host knows.
    journal: Option<Journal>,
    /// Another process of this host takes tokens of this audience.
    has_rival: bool,
}

enum Kind {
    /// In this process.
    Own(Box<(Window, Turn)>),
    /// In a cache, with other replicas.
    Shared(Box<Shared>),
}

impl Replay {
    /// Takes over the tokens of an audience.
    pub(super) async fn begin(memory: Memory<'_>) -> Result<Replay> {
        let found = match memory.folder {
            Some(folder) => Journal::open(folder, digest(&memory.scope)).await,
            None => Found::Unusable,
        };
        let has_rival = matches!(found, Found::Taken);
        let (journal, left) = match found {
            Found::Ours(journal, left) => (Some(journal), left),
            Found::Taken | Found::Unusable => (None, Left::default()),
        };
        if let Some(cache) = memory.cache {
            let shared =
                Shared::begin(cache, memory.records, memory.scope, memory.skew_ms, memory.fresh, memory.now);
            return Ok(Replay { kind: Kind::Shared(Box::new(shared.await?)), journal, has_rival });
        }
        let holder = fresh_id()?;
        let claim = Claim {
            scope: &memory.scope,
            holder: &holder,
            inherits: left.holder,
            follows: None,
            fresh: memory.fresh,
        };
        let turn = Turn::begin(memory.records, claim, memory.skew_ms, &memory.now).await?;
        let window = Window::new();
        for (id, expires) in &left.tokens {
            window.remember(*id, *expires);
        }
        if let Some(journal) = &journal {
            journal.claim(Some((&holder, turn.cut_ms())), memory.skew_ms);
        }
        Ok(Replay { kind: Kind::Own(Box::new((window, turn))), journal, has_rival })
    }

    /// Refuses a token that comes too early, without using it.
    pub(super) fn is_open(&self, token: &Token, clock: Clock) -> Result<(), Refusal> {
        match &self.kind {
            Kind::Own(own) => own.1.is_past_cut(token, clock),
            Kind::Shared(shared) => shared.turn().is_past_cut(token, clock),
        }
    }

    /// Uses a token: whoever is told `Ok` is the only one ever.
    pub(super) async fn take(&self, token: &Token, clock: Clock) -> Result<(), Refusal> {
        match &self.kind {
            Kind::Own(own) => {
                let (window, turn) = &**own;
                turn.is_ours(token, clock).await?;
                let id = digest(&token.id);
                window.take(id, token, clock)?;
                match &self.journal {
                    Some(journal) => journal.add(id, token.expires, clock),
                    None => Ok(()),
                }
            }
            Kind::Shared(shared) => shared.take(token, clock).await,
        }
    }

    /// From when on tokens are taken; milliseconds since the Unix epoch.
    pub(super) fn opens_ms(&self) -> u64 {
        match &self.kind {
            Kind::Own(own) => own.1.cut_ms(),
            Kind::Shared(shared) => shared.opens_ms(),
        }
    }

    /// Whether another process of this host still takes what came before.
    pub(super) fn has_rival(&self) -> bool {
        self.has_rival
    }

    /// Writes down that nothing more is taken.
    pub(super) async fn close(&self) -> Result<()> {
        let done = match &self.kind {
            Kind::Own(own) => own.1.close(own.0.close()).await,
            Kind::Shared(_) => Ok(()),
        };
        if let Some(journal) = &self.journal {
            journal.release();
        }
        done
    }
}

/// Tokens and audiences as they are remembered.
fn digest(text: &str) -> u128 {
    let digest = Sha256::digest(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(bytes)
}

fn hex(id: u128) -> String {
    format!("{id:032x}")
}

fn fresh_id() -> Result<String> {
    Ok(hex(u128::from_be_bytes(*key_wire::fresh::<16>()?)))
}

fn broken() -> Error {
    Error::permanent("catalogue", "the turn of a licence service is of another version")
}
