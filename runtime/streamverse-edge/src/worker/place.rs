//! The private folder of a rented worker: its key and certificate, its work, and the secrets of that. In memory where there
//! is a file system for that, readable by this user alone, and gone when the worker is.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use rustix::fs::{FlockOperation, flock, statfs};
use streamverse_core::{Error, Result};
use tracing::warn;

/// `statfs(2)`: TMPFS_MAGIC.
const TMPFS: u64 = 0x0102_1994;
/// What survives the worker's process, so that a container that is started again goes on: key and certificate.
const KEPT: &[&str] = &["identity.pem", "enrolled.json"];

/// The folder, and a lock on it. What is secret in it is wiped when this is dropped.
pub(super) struct Place {
    folder: PathBuf,
    /// Scratch space, on a disk.
    scratch: PathBuf,
    /// Whether key and certificate go too.
    pub(super) for_good: bool,
    _lock: File,
}

fn failed(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::permanent("folder", format!("the worker's folder {} cannot be used", path.display()))
        .because(error)
}

impl Place {
    /// Makes or takes over the folder of this worker, and its scratch space, below `private` and `scratch` where those are
    /// given.
    ///
    /// # Errors
    /// A folder that is somebody else's, or that another agent works in.
    pub(super) fn open(worker: &str, private: Option<PathBuf>, scratch: Option<PathBuf>) -> Result<Place> {
        // A name may be longer than the address of a socket can be.
        let short = digest(&SHA256, worker.as_bytes());
        let short: String = short.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("streamverse-worker-{short}");
        let folder = private.unwrap_or_else(in_memory).join(&name);
        make(&folder)?;
        let lock = folder.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .map_err(|error| failed(&lock, error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| failed(&folder, error))?;
        let scratch = scratch.unwrap_or_else(std::env::temp_dir).join(format!("{name}-scratch"));
        make(&scratch)?;
        let place = Place { folder, scratch, for_good: false, _lock: lock };
        // What a killed predecessor left.
        place.wipe(false);
        make(&place.scratch)?;
        Ok(place)
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// What was kept, if it was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.at(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, error)),
        }
    }

    /// Writes a file that this user alone may read; whoever reads it meanwhile sees the old or the new one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.at(name);
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.make(parent)?;
        }
        let fresh = path.with_extension("new");
        let written = || {
            let _ = std::fs::remove_file(&fresh);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)
        };
        written().map_err(|error| failed(&path, error))
    }

    /// Makes a folder in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn make(&self, name: &str) -> Result<PathBuf> {
        let mut path = self.folder.clone();
        for part in name.split('/') {
            path.push(part);
            make(&path)?;
        }
        Ok(path)
    }

    fn wipe(&self, all: bool) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let kept = entry.file_name().to_str().is_some_and(|it| KEPT.contains(&it) || it == "lock");
            if all || !kept {
                remove(&entry.path(), true);
            }
        }
        remove(&self.scratch, false);
        if all {
            remove(&self.folder, true);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.wipe(self.for_good);
    }
}

/// Where files are in memory alone, if there is such a place.
fn in_memory() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let places = [Some(PathBuf::from("/dev/shm")), runtime];
    let usable = |path: &PathBuf| {
        statfs(path.as_path()).is_ok_and(|it| u64::try_from(it.f_type).is_ok_and(|it| it == TMPFS))
            && rustix::fs::access(path.as_path(), rustix::fs::Access::WRITE_OK).is_ok()
    };
    places.into_iter().flatten().find(usable).unwrap_or_else(|| {
        warn!("There is no file system in memory: the worker's secrets lie on a disk until it ends.");
        std::env::temp_dir()
    })
}

/// A folder of this user alone. One that is there already must be.
fn make(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(path, error)),
    }
    // Not what a link points to.
    let is = std::fs::symlink_metadata(path).map_err(|error| failed(path, error))?;
    let ours = is.is_dir() && is.uid() == rustix::process::geteuid().as_raw() && is.mode() & 0o077 == 0;
    if ours {
        return Ok(());
    }
    let text =
        format!("{} is not a folder of this user alone: remove it, or name another one", path.display());
    Err(Error::permanent("folder", text))
}

/// Removes, and overwrites before where it is `secret`. On a disk that keeps old blocks the latter is no promise.
fn remove(path: &Path, secret: bool) {
    let Ok(is) = std::fs::symlink_metadata(path) else { return };
    let gone = if is.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            remove(&entry.path(), secret);
        }
        std::fs::remove_dir(path)
    } else {
        if secret
            && is.is_file()
            && let Ok(length @ 1..=0x10_0000) = usize::try_from(is.len())
            && let Ok(mut file) = OpenOptions::new().write(true).open(path)
        {
            let _ = file.write_all(&vec![0; length]).and_then(|()| file.sync_data());
        }
        std::fs::remove_file(path)
    };
    if let Err(error) = gone {
        warn!(%error, path = %path.display(), "Something of this worker stays.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const NAME: &str = "sv--prod--encode--a--1";

    fn open(folder: &Path) -> Result<Place> {
        Place::open(NAME, Some(folder.to_owned()), Some(folder.to_owned()))
    }

    #[test]
    fn what_is_kept_survives_the_process_and_nothing_survives_the_worker() {
        let folder = tempfile::tempdir().unwrap();
        let place = open(folder.path()).unwrap();
        place.write("identity.pem", b"key").unwrap();
        place.write("credentials/object-store.media/secret-key", b"planted").unwrap();
        let mode = |name: &str| std::fs::metadata(place.at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("credentials"), mode("identity.pem")), (0o700, 0o700, 0o600));
        assert_eq!(mode("credentials/object-store.media/secret-key"), 0o600);
        assert!(open(folder.path()).is_err(), "another agent works in it");
        std::fs::write(place.scratch().join("segment.ts"), [1; 100]).unwrap();
        drop(place);
        let mut place = open(folder.path()).unwrap();
        assert_eq!(place.read("identity.pem").unwrap().as_deref(), Some(b"key".as_slice()));
        assert!(!place.at("credentials").exists());
        place.for_good = true;
        drop(place);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_others_may_read_or_that_is_a_link_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mut made = open(folder.path()).unwrap();
        let open_to_all = made.folder.clone();
        made.for_good = true;
        drop(made);
        std::fs::create_dir(&open_to_all).unwrap();
        std::fs::set_permissions(&open_to_all, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(open(folder.path()).is_err());
        std::fs::remove_dir(&open_to_all).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &open_to_all).unwrap();
        assert!(open(folder.path()).is_err());
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}
