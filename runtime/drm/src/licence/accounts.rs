//! Accounts: one document each, replaced only by whoever has seen the one before.

use std::sync::Arc;
use std::time::Duration;

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

/// All accounts.
#[derive(Clone)]
pub(super) struct Accounts {
    records: Arc<dyn Records>,
}

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
        Accounts { records }
    }

    /// An account, if there is one.
    pub(super) async fn get(&self, id: &str) -> Result<Option<Account>> {
        let record = self.records.get(ACCOUNTS, id).await?;
        Ok(record.map(|it| read(id, it.value)).transpose()?.flatten())
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
            let found = self.records.get(ACCOUNTS, id).await.map_err(failed)?;
            let version = found.as_ref().map(|it| it.version);
            let account = found.map(|it| read(id, it.value)).transpose().map_err(failed)?.flatten();
            let (value, next) = change(account.as_ref()).map_err(Unchanged::Refused)?;
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
