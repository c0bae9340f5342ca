//! Files that are whole or not there, and whose they are.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

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

/// A name beside the file that nobody else has: two writers of one folder must never share theirs.
fn fresh(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{count}{FRESH}", std::process::id()))
}

/// How the name of a file ends that is not whole yet.
const FRESH: &str = ".new";

/// Removes what a crash left half written.
pub(crate) fn forget_fresh(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && name.ends_with(FRESH) {
            remove(&entry.path());
        }
    }
}

/// Writes a file at once, and its name durably.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32, user: Option<User>) -> Result<()> {
    let fresh = fresh(path);
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        if let Some(user) = user {
            lchown(&fresh, Some(user.uid), Some(user.gid))?;
        }
        fs::rename(&fresh, path)?;
        if let Some(folder) = path.parent() {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&fresh);
        failed(path, error)
    })
}

/// Makes a folder, with those above it; the last one is the user's.
pub(crate) fn make(folder: &Path, user: Option<User>) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    // A link in its place would have us give away, or fill, what it leads to.
    if fs::symlink_metadata(folder).is_ok_and(|about| about.is_symlink()) {
        let error = std::io::Error::other("it is a link, which nobody of ours made");
        return Err(failed(folder, error));
    }
    if let Some(user) = user {
        lchown(folder, Some(user.uid), Some(user.gid)).map_err(|error| failed(folder, error))?;
    }
    Ok(())
}

/// Makes a folder that is ours alone below one that is: nobody else can put a link, or anything, in the place of what we
/// write there. A folder that an earlier version gave away is taken back.
pub(crate) fn make_ours(folder: &Path) -> Result<()> {
    make(folder, None)?;
    let us = rustix::process::geteuid().as_raw();
    let theirs = fs::symlink_metadata(folder).is_ok_and(|about| about.uid() != us);
    if us == 0 && theirs {
        lchown(folder, Some(0), Some(0)).map_err(|error| failed(folder, error))?;
    }
    Ok(())
}

/// Reads a file that somebody else wrote where he may put anything: no link is followed, nothing but a plain file is read
/// and no more of it than `most`.
pub(crate) fn read_theirs(path: &Path, most: u64) -> Option<Vec<u8>> {
    use rustix::fs::OFlags;
    use std::io::Read as _;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = fs::OpenOptions::new().read(true).custom_flags(i32::try_from(flags).ok()?).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Removes a folder or file; one that is not there is removed.
pub(crate) fn remove(path: &Path) {
    let folder = fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
    let removed = if folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_whose_names_differ_in_their_ends_alone_are_written_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for end in ["one", "two", "new", "three"] {
                let folder = folder.path();
                scope.spawn(move || {
                    for _ in 0..50 {
                        write_whole(&folder.join(format!("d.store.{end}")), end.as_bytes(), 0o600, None)
                            .unwrap();
                    }
                });
            }
        });
        for end in ["one", "two", "new", "three"] {
            assert_eq!(fs::read_to_string(folder.path().join(format!("d.store.{end}"))).unwrap(), end);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "something half written is left");
    }

    #[test]
    fn what_others_wrote_is_read_only_where_it_is_a_plain_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("plain"), b"0123456789").unwrap();
        std::os::unix::fs::symlink(at("plain"), at("link")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        assert_eq!(read_theirs(&at("plain"), 4).unwrap(), b"0123");
        for name in ["link", "pipe", ".", "nothing"] {
            assert!(read_theirs(&at(name), 4).is_none(), "{name}");
        }
    }

    #[test]
    fn a_link_in_the_place_of_a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("link")).unwrap();
        assert!(make(&folder.path().join("link"), None).is_err());
        remove(&folder.path().join("link"));
        assert!(target.is_dir(), "what a link leads to was removed");
    }
}
