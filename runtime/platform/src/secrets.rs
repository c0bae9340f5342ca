//! Values of secrets: sealed on disk under a key file that only the agent's user reads, in clear only as files of the
//! processes that may read them, in the run directory that a reboot empties.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chacha20poly1305::aead::{Aead as _, Generate as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use streamverse_core::{Error, Result};
use streamverse_model::platform::{Name, Owner};
use tracing::warn;

use crate::files::{User, make, write_whole};

const NONCE: usize = 24;

/// The sealed values of all owners.
pub(crate) struct Vault {
    folder: PathBuf,
    cipher: XChaCha20Poly1305,
    /// Values are read, joined and written: by one at a time.
    writing: Mutex<()>,
}

impl Vault {
    /// Opens the vault, making its key the first time.
    pub(crate) fn open(data: &Path) -> Result<Vault> {
        let folder = data.join("secrets");
        crate::files::make_ours(&folder)?;
        crate::files::forget_fresh(&folder);
        let path = data.join("secrets.key");
        let key = match fs::read(&path) {
            Ok(key) if key.len() == 32 => key,
            Ok(_) => {
                return Err(Error::permanent("vault", format!("{} is no key: restore it", path.display())));
            }
            Err(_) => {
                let key = Key::generate();
                write_whole(&path, &key, 0o600, None)?;
                key.to_vec()
            }
        };
        let key = Key::try_from(key.as_slice())
            .map_err(|_| Error::permanent("vault", "the vault's key has a wrong length"))?;
        Ok(Vault { folder, cipher: XChaCha20Poly1305::new(&key), writing: Mutex::new(()) })
    }

    fn path(&self, owner: &Owner) -> PathBuf {
        self.folder.join(format!("{}.{}", owner.deployment, owner.key()))
    }

    /// Seals the values of an owner's secrets, beside those that it has.
    pub(crate) fn put(&self, owner: &Owner, values: &BTreeMap<Name, String>) -> Result<()> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.get(owner).unwrap_or_else(|error| {
            warn!(%owner, error = %error.chain(), "What was sealed cannot be opened; it is replaced.");
            None
        });
        let all = all.get_or_insert_default();
        all.extend(values.clone());
        let clear = serde_json::to_vec(all)
            .map_err(|error| Error::permanent("vault", "values cannot be sealed").because(error))?;
        let nonce = XNonce::generate();
        let place = owner.to_string();
        let sealed = self.cipher.encrypt(&nonce, Payload { msg: &clear, aad: place.as_bytes() });
        let sealed = sealed.map_err(|_| Error::permanent("vault", "values cannot be sealed"))?;
        write_whole(&self.path(owner), &[nonce.as_slice(), &sealed].concat(), 0o600, None)
    }

    /// The values of an owner's secrets, if it has any.
    pub(crate) fn get(&self, owner: &Owner) -> Result<Option<BTreeMap<Name, String>>> {
        let Ok(bytes) = fs::read(self.path(owner)) else { return Ok(None) };
        let broken =
            || Error::permanent("vault", format!("the secret of {owner} cannot be opened: apply it again"));
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or_else(broken)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| broken())?;
        let place = owner.to_string();
        let clear = self
            .cipher
            .decrypt(&nonce, Payload { msg: sealed, aad: place.as_bytes() })
            .map_err(|_| broken())?;
        serde_json::from_slice(&clear).map(Some).map_err(|_| broken())
    }

    pub(crate) fn remove(&self, owner: &Owner) {
        crate::files::remove(&self.path(owner));
    }

    /// Lays those of an owner's values that `keys` names into `folder/KIND.NAME/KEY`, readable by `user` alone. False when it
    /// has none yet.
    pub(crate) fn lay(
        &self,
        owner: &Owner,
        keys: &[Name],
        folder: &Path,
        user: Option<User>,
    ) -> Result<bool> {
        let Some(values) = self.get(owner)? else { return Ok(false) };
        let place = folder.join(owner.key());
        // Ours: its reader has the files in it, and nothing to put beside them.
        make(&place, None)?;
        // What the secret has no longer.
        for there in fs::read_dir(&place).into_iter().flatten().flatten() {
            let name = there.file_name();
            let wanted = |key: &Name| name.to_str() == Some(key.as_str());
            if !keys.iter().any(wanted) {
                crate::files::remove(&there.path());
            }
        }
        for (key, value) in values {
            if !keys.contains(&key) {
                continue;
            }
            write_whole(&place.join(key.as_str()), value.as_bytes(), 0o400, user)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_torn_is_replaced_by_the_next_values() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let owner = Owner::new("d", "object-store", "main").unwrap();
        let value = |text: &str| BTreeMap::from([(Name::parse("key").unwrap(), text.to_owned())]);
        vault.put(&owner, &value("one")).unwrap();
        fs::write(vault.path(&owner), b"torn").unwrap();
        assert!(vault.get(&owner).is_err());
        vault.put(&owner, &value("two")).unwrap();
        assert_eq!(vault.get(&owner).unwrap().unwrap(), value("two"));
    }

    #[test]
    fn a_value_is_sealed_and_bound_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let owner = Owner::new("d", "object-store", "main").unwrap();
        let other = Owner::new("d", "object-store", "other").unwrap();
        vault.put(&owner, &BTreeMap::from([(Name::parse("key").unwrap(), "hunter2".to_owned())])).unwrap();
        let sealed = fs::read(vault.path(&owner)).unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("hunter2"));
        let again = Vault::open(folder.path()).unwrap();
        assert_eq!(again.get(&owner).unwrap().unwrap()[&Name::parse("key").unwrap()], "hunter2");
        // Another owner's file is no use, even where somebody copies it.
        fs::copy(vault.path(&owner), vault.path(&other)).unwrap();
        assert!(again.get(&other).is_err());
        let target = folder.path().join("run");
        let [key, own] = ["key", "own"].map(|it| Name::parse(it).unwrap());
        assert!(again.lay(&owner, &[key.clone(), own.clone()], &target, None).unwrap());
        assert_eq!(fs::read_to_string(target.join("object-store.main/key")).unwrap(), "hunter2");
        // What is the owner's alone is not laid for others.
        again.put(&owner, &BTreeMap::from([(own, "hunter3".to_owned())])).unwrap();
        let target = folder.path().join("other");
        assert!(again.lay(&owner, &[key], &target, None).unwrap());
        assert!(target.join("object-store.main/key").exists());
        assert!(!target.join("object-store.main/own").exists());
    }
}
