//! Sealed content keys in the records of a catalogue.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use streamverse_core::stores::{ContentKey, KeyWanted, Record, Records, key_wire};
use streamverse_core::{Error, Result};
use streamverse_model::drm::KeyId;
use tracing::warn;
use zeroize::{Zeroize as _, Zeroizing};

use super::kek::{DataKey, KeyEncryptionKey};

const COLLECTION: &str = "content-keys";
/// Records that are read at a time.
const PAGE: u32 = 500;
/// Reads under way at a time.
const ABREAST: usize = 8;
/// Data keys that are kept open, and how long: so long a key-encryption key that was taken away is still of use.
const OPEN_KEYS: u64 = 10_000;
const OPEN_FOR: Duration = Duration::from_secs(300);

/// A content key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The asset that is encrypted with it, for ever.
    pub asset: String,
    /// What it is for.
    pub track: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// The key-encryption key that its data key is sealed under.
    pub kek: String,
    /// The sealed data key.
    pub data_key: String,
    /// The content key, sealed under the data key and bound to its identifier and asset; base64.
    pub sealed: String,
}

/// The code of what was sealed, and does not open under the right key.
const DAMAGED: &str = "key-damaged";
/// How many records are tried before it is the key-encryption key that is wrong, not they.
const TRIED: u32 = 16;

/// What a pass over the records did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Records that were looked at.
    pub looked_at: u64,
    /// Records whose data keys were sealed anew.
    pub rewrapped: u64,
    /// Records under a key-encryption key that is not known here.
    pub unknown: u64,
    /// Records that cannot be read, or whose data keys do not open: left as they are.
    #[serde(default)]
    pub damaged: u64,
    /// Where the next pass begins; `None` at the end.
    pub next: Option<String>,
}

/// The content keys of a catalogue.
pub struct KeyStore {
    records: Arc<dyn Records>,
    kek: Arc<dyn KeyEncryptionKey>,
    previous: Option<Arc<dyn KeyEncryptionKey>>,
    open: Cache<String, Arc<DataKey>>,
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyStore {{ kek: {:?} }}", self.kek.id())
    }
}

impl KeyStore {
    /// Keys in these records, sealed under the first key, and read under either.
    pub fn new(
        records: Arc<dyn Records>,
        kek: Arc<dyn KeyEncryptionKey>,
        previous: Option<Arc<dyn KeyEncryptionKey>>,
    ) -> KeyStore {
        let previous = previous.filter(|previous| previous.id() != kek.id());
        let open = Cache::builder().max_capacity(OPEN_KEYS).time_to_live(OPEN_FOR).build();
        KeyStore { records, kek, previous, open }
    }

    /// Refuses records that none of the keys opens: nothing is made under a wrong key beside them.
    ///
    /// # Errors
    /// `key-encryption-key`, naming the one that is missing.
    pub async fn check(&self) -> Result<BTreeMap<String, u64>> {
        self.kek.probe().await?;
        let (mut counts, mut after): (BTreeMap<String, u64>, String) = Default::default();
        // Why none was opened yet, by key-encryption key, and how many were tried.
        let mut closed: BTreeMap<String, (Error, u32)> = BTreeMap::new();
        loop {
            let page = self.records.list(COLLECTION, &after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            for (id, record) in page {
                let (kid, sealed) = match read(&id, record) {
                    Ok(read) => read,
                    // The others are as good as ever.
                    Err(error) => {
                        warn!(error = %error.chain(), record = id, "A content key's record is damaged.");
                        continue;
                    }
                };
                let tried = closed.get(&sealed.kek).map(|(_, tried)| *tried);
                if !counts.contains_key(&sealed.kek) || tried.is_some_and(|tried| tried < TRIED) {
                    // One of each is opened: a key may have the right name and be another one.
                    match self.open_all(&[(kid, sealed.clone())]).await {
                        Ok(_) => drop(closed.remove(&sealed.kek)),
                        Err(error) if error.code == DAMAGED => {
                            closed.insert(sealed.kek.clone(), (error, tried.unwrap_or(0) + 1));
                        }
                        Err(error) => return Err(error),
                    }
                }
                *counts.entry(sealed.kek).or_default() += 1;
            }
        }
        match closed.into_values().next() {
            Some((error, _)) => Err(error),
            None => Ok(counts),
        }
    }

    /// The keys, made where they are missing, and how many were.
    ///
    /// # Errors
    /// `key-of-another-asset`, before anything is made; whatever the store or the key-encryption key says.
    pub async fn obtain(&self, wanted: &[KeyWanted], now_ms: u64) -> Result<(Vec<ContentKey>, usize)> {
        let mut assets: HashMap<KeyId, &str> = HashMap::new();
        for one in wanted {
            if *assets.entry(one.kid).or_insert(&one.asset) != one.asset {
                return Err(of_another(one.kid));
            }
        }
        let kids: Vec<KeyId> = wanted.iter().map(|it| it.kid).collect();
        let mut found = self.read_all(&kids).await?;
        for (one, there) in wanted.iter().zip(&found) {
            if there.as_ref().is_some_and(|there| there.asset != one.asset) {
                return Err(of_another(one.kid));
            }
        }
        let mut made = 0;
        if found.iter().any(Option::is_none) {
            let data_key = key_wire::fresh::<32>()?;
            let wrapped = self.kek.wrap(&data_key).await?;
            for (one, there) in wanted.iter().zip(&mut found).filter(|(_, there)| there.is_none()) {
                let key = ContentKey::new(one.kid, one.asset.as_str(), key_wire::fresh::<16>()?);
                let sealed = self.seal(&key, &one.track, now_ms, &data_key, &wrapped)?;
                let (kept, is_new) = self.keep(one.kid, sealed).await?;
                if kept.asset != one.asset {
                    return Err(of_another(one.kid));
                }
                made += usize::from(is_new);
                *there = Some(kept);
            }
        }
        let sealed: Vec<(KeyId, Sealed)> =
            kids.into_iter().zip(found).filter_map(|(kid, sealed)| Some((kid, sealed?))).collect();
        Ok((self.open_all(&sealed).await?, made))
    }

    /// Those that are there, in the order asked for.
    ///
    /// # Errors
    /// Whatever the store or the key-encryption key says.
    pub async fn find(&self, kids: &[KeyId]) -> Result<Vec<Option<ContentKey>>> {
        let found = self.read_all(kids).await?;
        let sealed: Vec<(KeyId, Sealed)> =
            kids.iter().zip(&found).filter_map(|(kid, sealed)| Some((*kid, sealed.clone()?))).collect();
        let mut opened = self.open_all(&sealed).await?.into_iter();
        Ok(found.into_iter().map(|there| there.and_then(|_| opened.next())).collect())
    }

    /// Keeps keys that come from elsewhere; says how many are new.
    ///
    /// # Errors
    /// `key-conflict` for an identifier that has another key or asset here, before anything is kept.
    pub async fn import(&self, keys: &[(ContentKey, String)], now_ms: u64) -> Result<usize> {
        let kids: Vec<KeyId> = keys.iter().map(|(key, _)| key.kid).collect();
        let there = self.find(&kids).await?;
        for ((key, _), there) in keys.iter().zip(&there) {
            if there.as_ref().is_some_and(|there| there != key) {
                return Err(conflict(key.kid));
            }
        }
        let data_key = key_wire::fresh::<32>()?;
        let wrapped = self.kek.wrap(&data_key).await?;
        let mut made = 0;
        for ((key, track), _) in keys.iter().zip(&there).filter(|(_, there)| there.is_none()) {
            let sealed = self.seal(key, track, now_ms, &data_key, &wrapped)?;
            let (kept, is_new) = self.keep(key.kid, sealed).await?;
            // Somebody else may have been first.
            if !is_new && self.open_all(&[(key.kid, kept)]).await?.first() != Some(key) {
                return Err(conflict(key.kid));
            }
            made += usize::from(is_new);
        }
        Ok(made)
    }

    /// A page of what is kept, sealed as it is.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<(KeyId, Sealed)>> {
        let page = self.records.list(COLLECTION, after, limit.min(PAGE)).await?;
        page.into_iter().map(|(id, record)| read(&id, record)).collect()
    }

    /// Keeps sealed keys of a backup; says how many are new.
    ///
    /// # Errors
    /// Keys that the key-encryption key does not open, and `key-conflict` for an identifier that has another key here,
    /// before anything is kept.
    pub async fn restore(&self, sealed: &[(KeyId, Sealed)]) -> Result<usize> {
        if let Some((_, other)) = sealed.iter().find(|(_, it)| self.kek(&it.kek).is_err()) {
            let text = format!(
                "the backup is sealed under the key-encryption key {}, and the service has {}: give it that one, or as \
                 `previous_key_encryption_key` beside another",
                other.kek,
                self.kek.id()
            );
            return Err(Error::permanent("backup-key", text));
        }
        let opened = self.open_all(sealed).await?;
        let kids: Vec<KeyId> = sealed.iter().map(|(kid, _)| *kid).collect();
        for (key, there) in opened.iter().zip(self.find(&kids).await?) {
            if there.is_some_and(|there| there != *key) {
                return Err(conflict(key.kid));
            }
        }
        let mut made = 0;
        for (kid, one) in sealed {
            made += usize::from(self.keep(*kid, one.clone()).await?.1);
        }
        Ok(made)
    }

    /// Seals the data keys of a page of records under the key-encryption key that is to be used now: those under the
    /// previous one, and those under an older version of this one. Content keys stay as they are. It may be stopped
    /// anywhere, repeated, and done by several at a time.
    ///
    /// # Errors
    /// Whatever the store or a key-encryption key says; what was done until then stays done.
    pub async fn rewrap(&self, after: &str, limit: u32) -> Result<Rotation> {
        let page = self.records.list(COLLECTION, after, limit.min(PAGE)).await?;
        let mut rotation = Rotation { looked_at: page.len() as u64, ..Rotation::default() };
        rotation.next = page.last().map(|(id, _)| id.clone());
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for (id, record) in page {
            let version = record.version;
            let sealed = match read(&id, record) {
                Ok((_, sealed)) => sealed,
                Err(error) => {
                    warn!(error = %error.chain(), record = id, "A content key's record is damaged.");
                    rotation.damaged += 1;
                    continue;
                }
            };
            if sealed.kek == self.kek.id() {
                ours.push((id, version, sealed));
            } else if self.previous.as_ref().is_some_and(|previous| previous.id() == sealed.kek) {
                others.push((id, version, sealed));
            } else {
                rotation.unknown += 1;
            }
        }
        let renewed = self.kek.renew(&distinct(&ours)).await?;
        rotation.rewrapped += self.replace(&ours, distinct(&ours).into_iter().zip(renewed)).await?;
        if let Some(previous) = self.previous.as_ref().filter(|_| !others.is_empty()) {
            let old = distinct(&others);
            let mut fresh = Vec::with_capacity(old.len());
            for data_key in opened(&**previous, &old).await? {
                fresh.push(match data_key {
                    Some(data_key) => Some(self.kek.wrap(&data_key).await?),
                    None => None,
                });
            }
            let lost = others.iter().filter(|(_, _, sealed)| {
                old.iter().zip(&fresh).any(|(key, fresh)| *key == sealed.data_key && fresh.is_none())
            });
            rotation.damaged += lost.count() as u64;
            rotation.rewrapped += self.replace(&others, old.into_iter().zip(fresh)).await?;
        }
        Ok(rotation)
    }

    /// Whether something may still be sealed under a previous key.
    pub fn has_previous(&self) -> bool {
        self.previous.is_some()
    }

    async fn replace(
        &self,
        those: &[(String, u64, Sealed)],
        fresh: impl Iterator<Item = (String, Option<String>)>,
    ) -> Result<u64> {
        let fresh: HashMap<String, Option<String>> = fresh.collect();
        let mut count = 0;
        for (id, version, sealed) in those {
            let Some(Some(data_key)) = fresh.get(&sealed.data_key) else { continue };
            let next = Sealed { kek: self.kek.id().to_owned(), data_key: data_key.clone(), ..sealed.clone() };
            // Where somebody else was faster it is done.
            count += u64::from(self.records.replace(COLLECTION, id, *version, &written(&next)?).await?);
        }
        Ok(count)
    }

    /// Keeps a sealed key, unless there is one: what is kept then, and whether it is this one.
    async fn keep(&self, kid: KeyId, sealed: Sealed) -> Result<(Sealed, bool)> {
        let id = kid.hex();
        if self.records.insert(COLLECTION, &id, &written(&sealed)?).await? {
            return Ok((sealed, true));
        }
        match self.records.get(COLLECTION, &id).await? {
            Some(record) => Ok((read(&id, record)?.1, false)),
            None => Err(Error::passing("catalogue", format!("the key {kid} was there and is gone"))),
        }
    }

    async fn read_all(&self, kids: &[KeyId]) -> Result<Vec<Option<Sealed>>> {
        let each = kids.iter().map(KeyId::hex).map(|id| {
            let records = Arc::clone(&self.records);
            async move {
                let found = records.get(COLLECTION, &id).await?;
                found.map(|record| read(&id, record).map(|(_, sealed)| sealed)).transpose()
            }
        });
        let each: Vec<_> = each.collect();
        stream::iter(each).buffered(ABREAST).try_collect().await
    }

    async fn open_all(&self, sealed: &[(KeyId, Sealed)]) -> Result<Vec<ContentKey>> {
        let mut data_keys: HashMap<&str, Arc<DataKey>> = HashMap::new();
        let mut closed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (_, one) in sealed {
            if data_keys.contains_key(one.data_key.as_str()) {
                continue;
            }
            match self.open.get(&format!("{} {}", one.kek, one.data_key)).await {
                Some(open) => {
                    data_keys.insert(&one.data_key, open);
                }
                None => {
                    let of = closed.entry(&one.kek).or_default();
                    if !of.contains(&one.data_key) {
                        of.push(one.data_key.clone());
                    }
                }
            }
        }
        let mut opened = Vec::new();
        for (kek, wrapped) in closed {
            let keys = self.kek(kek)?.unwrap(&wrapped).await?;
            for (wrapped, key) in wrapped.into_iter().zip(keys) {
                let key = Arc::new(key);
                self.open.insert(format!("{kek} {wrapped}"), Arc::clone(&key)).await;
                opened.push((wrapped, key));
            }
        }
        data_keys.extend(opened.iter().map(|(wrapped, key)| (wrapped.as_str(), Arc::clone(key))));
        let open = |(kid, one): &(KeyId, Sealed)| {
            let data_key = data_keys.get(one.data_key.as_str()).ok_or_else(|| damaged(*kid))?;
            unseal(*kid, one, data_key)
        };
        sealed.iter().map(open).collect()
    }

    fn kek(&self, id: &str) -> Result<&Arc<dyn KeyEncryptionKey>> {
        let known = [Some(&self.kek), self.previous.as_ref()];
        known.into_iter().flatten().find(|it| it.id() == id).ok_or_else(|| {
            Error::passing(
                "key-encryption-key",
                format!(
                    "there are content keys under the key-encryption key {id}, and the service has {}: give it that one, \
                     or as `previous_key_encryption_key` beside another",
                    self.kek.id()
                ),
            )
        })
    }

    fn seal(
        &self,
        key: &ContentKey,
        track: &str,
        now_ms: u64,
        data_key: &DataKey,
        wrapped: &str,
    ) -> Result<Sealed> {
        let mut sealed = vec![0; NONCE_LEN];
        sealed.reserve_exact(16 + 16);
        sealed.extend_from_slice(key.secret());
        let (head, body) = sealed.split_at_mut(NONCE_LEN);
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &**data_key).map_err(|_| no_randomness())?;
        let Ok((nonce, tag)) = cipher.seal_in_place_separate_tag(Aad::from(bound(key.kid, &key.asset)), body)
        else {
            sealed.zeroize();
            return Err(no_randomness());
        };
        head.copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        Ok(Sealed {
            asset: key.asset.clone(),
            track: track.to_owned(),
            made_ms: now_ms,
            kek: self.kek.id().to_owned(),
            data_key: wrapped.to_owned(),
            sealed: STANDARD.encode(sealed),
        })
    }
}

fn unseal(kid: KeyId, one: &Sealed, data_key: &DataKey) -> Result<ContentKey> {
    let mut sealed = STANDARD.decode(&one.sealed).map_err(|_| damaged(kid))?;
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, &**data_key).map_err(|_| damaged(kid))?;
    let (head, body) = sealed.split_at_mut_checked(NONCE_LEN).ok_or_else(|| damaged(kid))?;
    let nonce = Nonce::try_assume_unique_for_key(head).map_err(|_| damaged(kid))?;
    let plain =
        cipher.open_in_place(nonce, Aad::from(bound(kid, &one.asset)), body).map_err(|_| damaged(kid))?;
    let mut key = Zeroizing::new([0; 16]);
    let fits = plain.len() == key.len();
    if fits {
        key.copy_from_slice(plain);
    }
    plain.zeroize();
    if fits { Ok(ContentKey::new(kid, one.asset.as_str(), key)) } else { Err(damaged(kid)) }
}

/// What a sealed key is bound to: one that is put under another identifier or asset does not open.
fn bound(kid: KeyId, asset: &str) -> Vec<u8> {
    format!("streamverse content key 1\n{kid}\n{asset}").into_bytes()
}

fn distinct(those: &[(String, u64, Sealed)]) -> Vec<String> {
    let mut all: Vec<String> = those.iter().map(|(_, _, sealed)| sealed.data_key.clone()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Data keys opened; `None` for one that does not, which must not keep the others from being opened.
async fn opened(kek: &dyn KeyEncryptionKey, all: &[String]) -> Result<Vec<Option<DataKey>>> {
    match kek.unwrap(all).await {
        Ok(opened) => return Ok(opened.into_iter().map(Some).collect()),
        Err(error) if error.code != DAMAGED => return Err(error),
        Err(_) => {}
    }
    let mut opened = Vec::with_capacity(all.len());
    for one in all {
        match kek.unwrap(std::slice::from_ref(one)).await {
            Ok(mut key) => opened.push(key.pop()),
            Err(error) if error.code != DAMAGED => return Err(error),
            Err(error) => {
                warn!(error = %error.chain(), "A data key does not open.");
                opened.push(None);
            }
        }
    }
    Ok(opened)
}

fn read(id: &str, record: Record) -> Result<(KeyId, Sealed)> {
    let broken =
        || Error::permanent(DAMAGED, format!("the record {id:?} holds no content key of this version"));
    let kid = KeyId::parse(id).map_err(|_| broken())?;
    serde_json::from_value(record.value).map(|sealed| (kid, sealed)).map_err(|error| broken().because(error))
}

fn written(sealed: &Sealed) -> Result<serde_json::Value> {
    serde_json::to_value(sealed)
        .map_err(|error| Error::permanent("catalogue", "a key's record cannot be written").because(error))
}

fn of_another(kid: KeyId) -> Error {
    Error::permanent("key-of-another-asset", format!("the key {kid} belongs to another asset, for ever"))
}

fn conflict(kid: KeyId) -> Error {
    Error::permanent("key-conflict", format!("{kid} has another key, or belongs to another asset here"))
}

fn damaged(kid: KeyId) -> Error {
    Error::permanent(
        "key-damaged",
        format!("the record of the key {kid} was changed, or is not of this catalogue"),
    )
}

fn no_randomness() -> Error {
    Error::passing("randomness", "the system gives no random bytes")
}
