//! Accounts: one document each, replaced only by whoever has seen the one before.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use serde_json::{Value, json};
use streamverse_core::stores::Records;
use streamverse_core::{Error, Result};
use streamverse_model::drm::entitlement::Account;

/// The collection.
const ACCOUNTS: &str = "entitlement-accounts";
/// What is left of an account that was removed.
const REMOVED: &str = "removed";
/// How often a change is tried again because somebody else was quicker.
const TRIES: u32 = 40;

/// Bytes of accounts that are remembered at most.
const REMEMBERED: u64 = 64 << 20;

/// All accounts.
#[derive(Clone)]
pub(super) struct Accounts {
    records: Arc<dyn Records>,
    /// What the last version was that we saw, and the store's stamp from before we looked. While nothing in the store changed,
    /// it holds. Otherwise the store is asked for the version: one that is still the same need not be sent and read again.
    seen: Cache<String, (Option<i64>, Seen)>,
}

type Seen = (u64, Option<Arc<Account>>);

/// What becomes of an account.
pub(super) enum Next {
    /// It stays as it is.
    Same,
    /// It becomes this.
    Changed(Account),
    /// It is removed.
    Gone,
}

/// Why there is no change.
pub(super) enum Unchanged<E> {
    /// The change itself said so.
    Refused(E),
    /// Others were quicker, again and again.
    Busy,
    /// The store failed.
    Failed(Error),
}

impl Accounts {
    pub(super) fn new(records: Arc<dyn Records>) -> Accounts {
        let weigh = |id: &String, (_, (_, account)): &(Option<i64>, Seen)| {
            let account = account.as_deref();
            let parts = account.map_or(0, |it| {
                let limited: usize = it.streams.iter().map(|it| it.limited.len()).sum();
                it.grants.len() + it.devices.len() + it.streams.len() + limited
            });
            u32::try_from(id.len() + 200 + parts * 250).unwrap_or(u32::MAX)
        };
        Accounts { records, seen: Cache::builder().max_capacity(REMEMBERED).weigher(weigh).build() }
    }

    /// The version and the account of an id, as they are now; no account where there is none any more.
    async fn now(&self, id: &str) -> Result<Option<Seen>> {
        let stamp = self.records.stamp();
        let known = self.seen.get(id).await;
        if let (Some(stamp), Some((Some(then), seen))) = (stamp, &known)
            && stamp == *then
        {
            return Ok(Some(seen.clone()));
        }
        let Some(version) = self.records.version(ACCOUNTS, id).await? else { return Ok(None) };
        let seen = match known {
            Some((_, seen)) if seen.0 == version => seen,
            _ => {
                let Some(record) = self.records.get(ACCOUNTS, id).await? else { return Ok(None) };
                (record.version, read(id, record.value)?.map(Arc::new))
            }
        };
        self.seen.insert(id.to_owned(), (stamp, seen.clone())).await;
        Ok(Some(seen))
    }

    /// An account, if there is one.
    pub(super) async fn get(&self, id: &str) -> Result<Option<Arc<Account>>> {
        Ok(self.now(id).await?.and_then(|(_, account)| account))
    }

    /// Changes an account. `change` may be called several times; what it said last is what holds, of exactly the account
    /// that it was given.
    pub(super) async fn change<T, E>(
        &self,
        id: &str,
        mut change: impl FnMut(Option<&Account>) -> Result<(T, Next), E>,
    ) -> Result<T, Unchanged<E>> {
        let failed = Unchanged::Failed;
        for round in 0..TRIES {
            let found = self.now(id).await.map_err(failed)?;
            let version = found.as_ref().map(|(version, _)| *version);
            let account = found.and_then(|(_, account)| account);
            let (value, next) = change(account.as_deref()).map_err(Unchanged::Refused)?;
            let next = match next {
                Next::Same => return Ok(value),
                Next::Gone if account.is_none() => return Ok(value),
                // Its document stays: one that was made anew would have the versions of the old one again, and who still
                // holds that would bring it back.
                Next::Gone => json!({ REMOVED: true }),
                Next::Changed(account) => write(&account).map_err(failed)?,
            };
            let done = match version {
                None => self.records.insert(ACCOUNTS, id, &next).await,
                Some(version) => self.records.replace(ACCOUNTS, id, version, &next).await,
            };
            let done = done.map_err(failed)?;
            if done {
                return Ok(value);
            }
            let pause = Duration::from_millis(u64::from(round.min(8)));
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.0..1.0))).await;
        }
        Err(Unchanged::Busy)
    }

    /// Whether they can be read.
    pub(super) async fn probe(&self) -> Result<()> {
        self.records.get(ACCOUNTS, "").await.map(|_| ())
    }
}

fn read(id: &str, value: Value) -> Result<Option<Account>> {
    if value[REMOVED] == true {
        return Ok(None);
    }
    serde_json::from_value(value).map(Some).map_err(|error| {
        Error::permanent("catalogue", format!("the account {id:?} is of another version")).because(error)
    })
}

fn write(account: &Account) -> Result<Value> {
    serde_json::to_value(account)
        .map_err(|error| Error::permanent("catalogue", "an account cannot be written").because(error))
}
