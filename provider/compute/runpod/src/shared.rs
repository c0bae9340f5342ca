//! Lists that are asked for once for all who wait for one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::Kind;
use crate::client::{Client, Limit};
use crate::error::{Class, Error};
use crate::list::read_as;

/// A list, or why there is none, and the moment at which it was asked for.
type Listed = Option<(Instant, Result<Arc<Vec<Value>>, Error>)>;
type Turn = Arc<Mutex<Listed>>;

/// The last list of each kind. Whoever has the lock asks; the others wait for it.
#[derive(Clone, Default)]
pub(crate) struct Lists(Arc<std::sync::Mutex<BTreeMap<&'static str, Turn>>>);

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lists")
    }
}

impl Lists {
    fn of(&self, path: &'static str) -> Turn {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_default())
    }
}

impl Client {
    /// As [`Client::list`]: a list that was asked for after this was called, by whomever. Who asks waits for others first, for as long as
    /// `gather` says.
    pub(crate) async fn list_with_others<K: Kind + DeserializeOwned>(
        &self,
        gather: Duration,
        limit: Limit,
    ) -> Result<Vec<K>, Error> {
        let (turn, since, call) = (self.lists.of(K::PATH), Instant::now(), format!("GET {}", K::PATH));
        let Ok(mut last) = timeout(limit.left(), turn.lock()).await else {
            return Err(Error::new(Class::Unavailable, &call, "the time for it is up"));
        };
        let told = last.take().filter(|(asked, _)| *asked >= since);
        let (asked, told) = match told {
            Some(told) => told,
            None => {
                sleep(gather.min(limit.left())).await;
                let asked = Instant::now();
                let told = self.list_at::<Value>(K::PATH, K::LIST, &[], limit).await.map(Arc::new);
                (asked, told)
            }
        };
        // Whoever is refused is refused for all who wait; whose time was up speaks for itself alone.
        let for_all =
            told.as_ref().err().is_none_or(|it| matches!(it.class, Class::Throttle(_) | Class::Auth));
        *last = for_all.then(|| (asked, told.clone()));
        drop(last);
        told?.iter().map(|thing| read_as(&call, K::LIST, thing)).collect()
    }
}
