//! What those ask who look after keys: lists, backups, documents of other sites, rotation, the audit log.

use serde::{Deserialize, Serialize};
use streamverse_core::stores::ContentKey;
use streamverse_core::stores::key_wire::{Claim, Way};
use streamverse_core::{Error, Result};
use streamverse_model::drm::KeyId;
use zeroize::{Zeroize as _, Zeroizing};

use super::audit::AuditEntry;
use super::keeper::Listed;
use super::service::{Asked, Keys, PAGE, few, named, now_ms, read};
use super::store::Sealed;

pub(super) const LIST: &str = "/v1/list";
pub(super) const BACKUP: &str = "/v1/backup";
pub(super) const RESTORE: &str = "/v1/restore";
pub(super) const IMPORT: &str = "/v1/import";
pub(super) const ROTATE: &str = "/v1/rotate";
pub(super) const AUDIT: &str = "/v1/audit";
/// Entries of the audit log in one answer: each may name a thousand keys.
const ENTRIES: u32 = 40;

/// Where a page begins.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    #[serde(default)]
    pub(super) after: String,
}

/// A page, and where the next one begins; nothing at the end.
#[derive(Serialize, Deserialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

/// A key of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its identifier.
    pub kid: KeyId,
    /// The key, sealed as it is kept.
    #[serde(flatten)]
    pub sealed: Sealed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Restored {
    pub(super) keys: Vec<Kept>,
}

/// Keys in clear: only inside of something sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Imported {
    pub(super) keys: Vec<Clear>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clear {
    pub(super) kid: KeyId,
    pub(super) asset: String,
    pub(super) track: String,
    /// 32 hexadecimal digits.
    pub(super) key: String,
}

impl Drop for Clear {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) new: usize,
}

pub(super) async fn answer(
    keys: &Keys,
    claim: &Claim,
    path: &str,
    body: Vec<u8>,
    asked: &mut Asked,
) -> Result<Zeroizing<Vec<u8>>> {
    match path {
        LIST => {
            let After { after } = read(&body)?;
            asked.goes_on = !after.is_empty();
            let page = keys.store.list(&after, PAGE).await?;
            let next = next(&page, PAGE, KeyId::hex);
            let listed = |(kid, it): (KeyId, Sealed)| Listed {
                kid,
                asset: it.asset,
                track: it.track,
                made_ms: it.made_ms,
                kek: it.kek,
            };
            written(&Page { items: page.into_iter().map(listed).collect(), next })
        }
        BACKUP => {
            let After { after } = read(&body)?;
            let page = keys.store.list(&after, PAGE).await?;
            asked.kids = page.iter().map(|(kid, _)| *kid).collect();
            let next = next(&page, PAGE, KeyId::hex);
            let items: Vec<Kept> = page.into_iter().map(|(kid, sealed)| Kept { kid, sealed }).collect();
            written(&Page { items, next })
        }
        RESTORE => {
            let Restored { keys: kept } = read(&body)?;
            few(kept.len())?;
            asked.kids = kept.iter().map(|it| it.kid).collect();
            for one in &kept {
                named(&one.sealed.asset, "asset")?;
                named(&one.sealed.track, "track")?;
            }
            let kept: Vec<(KeyId, Sealed)> = kept.into_iter().map(|it| (it.kid, it.sealed)).collect();
            let new = keys.store.restore(&kept).await?;
            asked.made = new;
            written(&Taken { new })
        }
        IMPORT => {
            let body = keys.guard.access().open(Way::Request, &claim.nonce, path, body)?;
            let Imported { keys: clear } = read(&body)?;
            few(clear.len())?;
            asked.kids = clear.iter().map(|it| it.kid).collect();
            let mut all = Vec::with_capacity(clear.len());
            for one in &clear {
                named(&one.asset, "asset")?;
                named(&one.track, "track")?;
                let mut key = Zeroizing::new([0; 16]);
                hex::decode_to_slice(&one.key, &mut *key).map_err(|_| {
                    Error::permanent("request-invalid", format!("the key {} is none", one.kid))
                })?;
                all.push((ContentKey::new(one.kid, one.asset.as_str(), key), one.track.clone()));
            }
            let new = keys.store.import(&all, now_ms()).await?;
            asked.made = new;
            written(&Taken { new })
        }
        ROTATE => {
            let After { after } = read(&body)?;
            asked.goes_on = !after.is_empty();
            let done = keys.store.rewrap(&after, PAGE).await?;
            keys.counters.rewrapped.inc_by(done.rewrapped);
            written(&done)
        }
        AUDIT => {
            let After { after } = read(&body)?;
            // Looking at the log adds to it once, not with each page: it would have no end.
            asked.goes_on = !after.is_empty();
            let page = keys.audit.list(&after, ENTRIES).await?;
            let next = next(&page, ENTRIES, Clone::clone);
            let items: Vec<AuditEntry> = page.into_iter().map(|(_, entry)| entry).collect();
            written(&Page { items, next })
        }
        _ => Err(Error::permanent("not-found", format!("there is no {path}"))),
    }
}

/// Where the page after this one begins; a page that is not full is the last.
fn next<K, V>(page: &[(K, V)], size: u32, id: impl Fn(&K) -> String) -> Option<String> {
    page.last().filter(|_| page.len() >= size as usize).map(|(key, _)| id(key))
}

fn written(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>> {
    serde_json::to_vec(value)
        .map(Zeroizing::new)
        .map_err(|error| Error::permanent("key-service", "an answer cannot be written").because(error))
}
