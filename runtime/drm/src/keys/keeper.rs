//! Those who look after keys, as clients of a key service: `streamverse keys …`.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use streamverse_core::stores::{ContentKey, ContentKeys as _, KeyServiceClient};
use streamverse_core::{Error, Result};
use streamverse_model::drm::KeyId;
use zeroize::Zeroizing;

use super::admin::{self, After, Clear, Imported, Page, Restored, Taken};
use super::audit::AuditEntry;
use super::store::Rotation;

pub(super) use super::admin::Kept;

/// One page may take a while: a Vault seals it anew.
const WITHIN: Duration = Duration::from_secs(60);
/// Keys that are sent at a time: half a megabyte of them are too much for a request.
const BATCH: usize = 200;

/// What there is of a key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its identifier.
    pub kid: KeyId,
    /// The asset that is encrypted with it.
    pub asset: String,
    /// What it is for.
    pub track: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// The key-encryption key that it is sealed under.
    pub kek: String,
}

/// A key as it goes to another site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portable {
    /// The key.
    pub key: ContentKey,
    /// What it is for.
    pub track: String,
}

/// Somebody who looks after the keys of a service.
#[derive(Debug)]
pub struct KeyKeeper {
    client: KeyServiceClient,
}

impl KeyKeeper {
    /// … of the service behind this client.
    pub fn new(client: KeyServiceClient) -> KeyKeeper {
        KeyKeeper { client }
    }

    /// All keys that there are, without the keys.
    ///
    /// # Errors
    /// As [`KeyServiceClient::ask`].
    pub async fn list(&self) -> Result<Vec<Listed>> {
        self.pages(admin::LIST).await
    }

    /// All keys, sealed as they are kept.
    ///
    /// # Errors
    /// As [`KeyServiceClient::ask`].
    pub async fn backup(&self) -> Result<Vec<Kept>> {
        self.pages(admin::BACKUP).await
    }

    /// The audit log, in the order of time.
    ///
    /// # Errors
    /// As [`KeyServiceClient::ask`].
    pub async fn audit(&self) -> Result<Vec<AuditEntry>> {
        self.pages(admin::AUDIT).await
    }

    /// Gives back keys of a backup; says how many were not there.
    ///
    /// # Errors
    /// As [`KeyServiceClient::ask`]; keys under another key-encryption key, and `key-conflict`.
    pub async fn restore(&self, kept: Vec<Kept>) -> Result<usize> {
        let mut new = 0;
        for part in kept.chunks(BATCH) {
            let body = Restored { keys: part.to_vec() };
            new += self.ask::<Taken>(admin::RESTORE, &body, false).await?.new;
        }
        Ok(new)
    }

    /// Seals every data key anew: under the key-encryption key that the service has now, in its newest version. It may be
    /// stopped and repeated.
    ///
    /// # Errors
    /// As [`KeyServiceClient::ask`].
    pub async fn rotate(&self) -> Result<Rotation> {
        let mut all = Rotation::default();
        let mut after = String::new();
        loop {
            let page: Rotation = self.ask(admin::ROTATE, &After { after }, false).await?;
            all.looked_at += page.looked_at;
            all.rewrapped += page.rewrapped;
            all.unknown += page.unknown;
            all.damaged += page.damaged;
            match page.next {
                Some(next) => after = next,
                None => return Ok(all),
            }
        }
    }

    /// The keys of these assets, or all, for another site.
    ///
    /// # Errors
    /// As [`KeyServiceClient::ask`]; an asset without keys.
    pub async fn export(&self, assets: &[String]) -> Result<Vec<Portable>> {
        let listed: Vec<Listed> = self
            .list()
            .await?
            .into_iter()
            .filter(|it| assets.is_empty() || assets.contains(&it.asset))
            .collect();
        if let Some(asset) = assets.iter().find(|asset| !listed.iter().any(|it| it.asset == **asset)) {
            let text = format!("the key service has no key of the asset {asset:?}");
            return Err(Error::permanent("key-missing", text));
        }
        let kids: Vec<KeyId> = listed.iter().map(|it| it.kid).collect();
        let found = self.client.find(&kids).await?;
        let with = |(key, listed): (Option<ContentKey>, Listed)| {
            let missing =
                || Error::passing("key-missing", format!("the key {} went away meanwhile", listed.kid));
            Ok(Portable { key: key.ok_or_else(missing)?, track: listed.track.clone() })
        };
        found.into_iter().zip(listed).map(with).collect()
    }

    /// Takes keys of another site; says how many were not there.
    ///
    /// # Errors
    /// As [`KeyServiceClient::ask`]; `key-conflict` for an identifier that has another key or asset here.
    pub async fn import(&self, keys: &[Portable]) -> Result<usize> {
        let mut new = 0;
        for part in keys.chunks(BATCH) {
            let clear = |it: &Portable| Clear {
                kid: it.key.kid,
                asset: it.key.asset.clone(),
                track: it.track.clone(),
                key: hex::encode(it.key.secret()),
            };
            let body = Imported { keys: part.iter().map(clear).collect() };
            new += self.ask::<Taken>(admin::IMPORT, &body, true).await?.new;
        }
        Ok(new)
    }

    async fn pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page: Page<T> = self.ask(path, &After { after }, false).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => after = next,
                None => return Ok(all),
            }
        }
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize, sealed: bool) -> Result<T> {
        let body = serde_json::to_vec(body)
            .map(Zeroizing::new)
            .map_err(|error| Error::permanent("key-service", "a request cannot be written").because(error))?;
        let answer = self.client.ask(path, &body, sealed, WITHIN).await?;
        serde_json::from_slice(&answer).map_err(|error| {
            Error::permanent("key-answer", "the key service is of another version").because(error)
        })
    }
}
