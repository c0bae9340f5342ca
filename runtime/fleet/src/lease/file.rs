//! A lock file, for the controllers of one machine. The kernel lets go of it when its holder is gone, however it went.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use streamverse_core::{Error, Result};
use tokio::time::Instant;

use super::Lease;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// Somebody may have removed the file: what was locked is then no longer what others lock.
const HOLDS: Duration = Duration::from_secs(30);

/// A lock file.
#[derive(Debug)]
pub struct FileLease {
    path: PathBuf,
    held: Mutex<Option<(File, Instant)>>,
}

impl FileLease {
    /// … at this path, whose folder is made where it is missing.
    pub fn new(path: impl Into<PathBuf>) -> FileLease {
        FileLease { path: path.into(), held: Mutex::new(None) }
    }

    fn try_lock(&self) -> Result<bool> {
        let failed = |error: std::io::Error| {
            let text = format!("the lock file {} cannot be used", self.path.display());
            Error::passing("lease", text).because(error)
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((file, until)) = held.as_mut() {
            if is_at(file, &self.path) {
                *until = Instant::now() + HOLDS;
                return Ok(true);
            }
            *held = None;
        }
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&self.path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(&file, &self.path) => {
                *held = Some((file, Instant::now() + HOLDS));
                Ok(true)
            }
            // The file was replaced in between: the next look sees the new one.
            Ok(()) => Ok(false),
            Err(error) if error == Errno::WOULDBLOCK => Ok(false),
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// Whether the path still is this very file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[async_trait]
impl Lease for FileLease {
    async fn renew(&self) -> Result<bool> {
        self.try_lock()
    }

    fn held_until(&self) -> Option<Instant> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, until)| *until)
    }

    async fn release(&self) {
        // The lock goes with the file's description.
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn every(&self) -> Duration {
        EVERY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_two_that_want_a_lock_file_one_holds_it_until_it_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet").join("one.lock");
        let (first, second) = (FileLease::new(&path), FileLease::new(&path));
        assert!(first.renew().await.unwrap() && first.held());
        assert!(!second.renew().await.unwrap() && !second.held());
        assert!(first.renew().await.unwrap());
        first.release().await;
        assert!(!first.held());
        assert!(second.renew().await.unwrap() && !first.renew().await.unwrap());
    }

    #[tokio::test]
    async fn who_locked_a_file_that_was_removed_since_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.lock");
        let (first, second) = (FileLease::new(&path), FileLease::new(&path));
        assert!(first.renew().await.unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(second.renew().await.unwrap());
        assert!(!first.renew().await.unwrap() && !first.held(), "two hold it");
    }
}
