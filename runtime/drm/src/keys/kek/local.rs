//! A key-encryption key of 32 bytes that the service itself holds.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streamverse_core::{Error, Result};
use zeroize::{Zeroize as _, Zeroizing};

use super::{DataKey, KeyEncryptionKey};

/// What an ordinary key file has, and a wrong path has more of.
const LARGEST_FILE: u64 = 4096;
const AAD: &[u8] = b"streamverse data key 1";

/// A key-encryption key in memory.
pub struct LocalKey {
    id: String,
    key: RandomizedNonceKey,
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKey {{ id: {:?} }}", self.id)
    }
}

impl LocalKey {
    /// 32 bytes in base64. `place` is where they come from, for messages.
    ///
    /// # Errors
    /// Anything else, without repeating it.
    pub fn parse(text: &str, place: &str) -> Result<LocalKey> {
        let refused = || {
            Error::permanent(
                "key-encryption-key",
                format!("{place} is not 32 bytes in base64: make one with `openssl rand -base64 32`"),
            )
        };
        let mut bytes = Zeroizing::new([0_u8; 33]);
        let length = STANDARD.decode_slice(text.trim(), &mut *bytes).map_err(|_| refused())?;
        let key = bytes.get(..length).filter(|key| key.len() == 32).ok_or_else(refused)?;
        // Which key it is follows from it, and nothing of it follows from that.
        let mut id = [0; 8];
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"streamverse-kek-id-1").extract(key);
        let made = secret.expand(&[b"id"], Eight).and_then(|okm| okm.fill(&mut id));
        made.map_err(|_| refused())?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| refused())?;
        Ok(LocalKey { id: format!("local:{}", hex::encode(id)), key })
    }

    /// … in a file that is ours, and that nobody else may read.
    ///
    /// # Errors
    /// A file of somebody else, one with another mode than 0600 or 0400, one that is no key.
    pub fn of_file(path: &Path) -> Result<LocalKey> {
        let place = path.display();
        let refused = |why: String| Error::permanent("key-encryption-key", format!("{place} {why}"));
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let opened = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(path);
        let file = opened.map_err(|error| refused("cannot be opened".to_owned()).because(error))?;
        // Of what was opened, not of the path: that may mean another file by now.
        let about =
            file.metadata().map_err(|error| refused("cannot be looked at".to_owned()).because(error))?;
        if !about.is_file() || about.len() > LARGEST_FILE {
            return Err(refused("is no file with a key in it".to_owned()));
        }
        let us = rustix::process::geteuid().as_raw();
        if about.uid() != us {
            return Err(refused(format!(
                "belongs to user {}, and the key service is {us}: chown it",
                about.uid()
            )));
        }
        let mode = about.mode() & 0o7777;
        if mode != 0o600 && mode != 0o400 {
            return Err(refused(format!(
                "has the mode {mode:04o}: others must not read it, so chmod 0600 it"
            )));
        }
        let mut text = Zeroizing::new(String::with_capacity(LARGEST_FILE as usize));
        file.take(LARGEST_FILE)
            .read_to_string(&mut text)
            .map_err(|error| refused("cannot be read".to_owned()).because(error))?;
        LocalKey::parse(&text, &place.to_string())
    }

    fn open(&self, wrapped: &str) -> Result<DataKey> {
        let damaged = || {
            let text = format!(
                "a data key was not sealed under the key-encryption key {}, or was changed since",
                self.id
            );
            Error::permanent("key-damaged", text)
        };
        let mut sealed = STANDARD.decode(wrapped).map_err(|_| damaged())?;
        let (head, body) = sealed.split_at_mut_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(head).map_err(|_| damaged())?;
        let plain = self.key.open_in_place(nonce, Aad::from(AAD), body).map_err(|_| damaged())?;
        let mut key = DataKey::default();
        let fits = plain.len() == key.len();
        if fits {
            key.copy_from_slice(plain);
        }
        plain.zeroize();
        if fits { Ok(key) } else { Err(damaged()) }
    }
}

struct Eight;

impl hkdf::KeyType for Eight {
    fn len(&self) -> usize {
        8
    }
}

#[async_trait]
impl KeyEncryptionKey for LocalKey {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, data_key: &DataKey) -> Result<String> {
        let mut sealed = vec![0; NONCE_LEN];
        sealed.reserve_exact(32 + 16);
        sealed.extend_from_slice(&**data_key);
        let (head, body) = sealed.split_at_mut(NONCE_LEN);
        let Ok((nonce, tag)) = self.key.seal_in_place_separate_tag(Aad::from(AAD), body) else {
            sealed.zeroize();
            return Err(Error::passing("randomness", "the system gives no random bytes"));
        };
        head.copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        Ok(STANDARD.encode(sealed))
    }

    async fn unwrap(&self, wrapped: &[String]) -> Result<Vec<DataKey>> {
        wrapped.iter().map(|one| self.open(one)).collect()
    }

    async fn probe(&self) -> Result<()> {
        Ok(())
    }
}
