//! Files that are whole or not there, and whose they are.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::Path;

use streamverse_core::{Error, Result};

/// A user and group to run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// The user of that name in /etc/passwd.
    pub(crate) fn find(name: &str) -> Option<User> {
        let text = fs::read_to_string("/etc/passwd").ok()?;
        let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut parts = line.split(':').skip(2);
        Some(User { uid: parts.next()?.parse().ok()?, gid: parts.next()?.parse().ok()? })
    }
}

/// Writes a file at once, and its name durably.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32, user: Option<User>) -> Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let _ = fs::remove_file(&fresh);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        if let Some(user) = user {
            chown(&fresh, Some(user.uid), Some(user.gid))?;
        }
        fs::rename(&fresh, path)?;
        if let Some(folder) = path.parent() {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| failed(path, error))
}

/// Makes a folder, with those above it; the last one is the user's.
pub(crate) fn make(folder: &Path, user: Option<User>) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    if let Some(user) = user {
        chown(folder, Some(user.uid), Some(user.gid)).map_err(|error| failed(folder, error))?;
    }
    Ok(())
}

/// Removes a folder or file; one that is not there is removed.
pub(crate) fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "It cannot be removed.");
    }
}

pub(crate) fn failed(path: &Path, error: std::io::Error) -> Error {
    let code = if error.kind() == std::io::ErrorKind::StorageFull { "disk-full" } else { "node-io" };
    Error::passing(code, format!("{} cannot be written", path.display())).because(error)
}
