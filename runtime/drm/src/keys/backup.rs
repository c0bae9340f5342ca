//! Backups: a file with keys as they are kept, sealed. It is of use only with the key-encryption key.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use streamverse_core::{Error, Result};

use super::keeper::Kept;

const FORMAT: &str = "streamverse-keys-backup-1";
/// A backup of a million keys.
const LARGEST: u64 = 1 << 30;

/// A backup.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    format: String,
    /// The keys.
    pub keys: Vec<Kept>,
}

impl Backup {
    /// A backup of these keys.
    pub fn new(keys: Vec<Kept>) -> Backup {
        Backup { format: FORMAT.to_owned(), keys }
    }

    /// Writes it to a new file.
    ///
    /// # Errors
    /// A file that is there, a folder that cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::permanent("backup", "the backup cannot be written").because(error))?;
        write_private(path, &text)
    }

    /// Reads it again.
    ///
    /// # Errors
    /// A file that is no backup of ours.
    pub fn read(path: &Path) -> Result<Backup> {
        let text = read_file(path, LARGEST)?;
        let backup: Backup = serde_json::from_slice(&text).map_err(|error| {
            Error::permanent("backup", format!("{} is no backup of keys", path.display())).because(error)
        })?;
        match backup.format == FORMAT {
            true => Ok(backup),
            false => {
                Err(Error::permanent("backup", format!("{} is a backup of another version", path.display())))
            }
        }
    }
}

/// Writes a new file that nobody else may read; it is there whole or not at all.
///
/// # Errors
/// A file that is there, a folder that cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::permanent("file", format!("{} cannot be written", path.display())).because(error)
    };
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}.new", std::process::id()));
    let fresh = Path::new(&fresh);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh).map_err(failed)?;
    // A link does not replace what is there, as a rename would.
    let done =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::hard_link(fresh, path));
    let removed = std::fs::remove_file(fresh);
    done.and(removed).map_err(failed)
}

/// Reads a file that has no more than so many bytes.
///
/// # Errors
/// One that cannot be read, or has more.
pub fn read_file(path: &Path, largest: u64) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        Error::permanent("file", format!("{} cannot be read", path.display())).because(error)
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(largest.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > largest {
        true => Err(Error::permanent("file", format!("{} has more than {largest} bytes", path.display()))),
        false => Ok(bytes),
    }
}
