//! The tokens that a process took, in a file that outlives it but not the machine: what the kernel was given is there for
//! the next process, though nothing is forced to the disk. After a reboot it counts for nothing.
//!
//! The file is locked while its process lives, so whoever gets the lock knows that nothing more is taken. It begins with
//! whose turn it was; then come tokens, 24 bytes each, in parts that are used again once all their tokens are over.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use streamverse_model::drm::entitlement::{Clock, Refusal};
use tracing::warn;

use super::window::MOST;
use super::{digest, hex};

/// What it begins with: a word with a version, the boot, the holder of the turn (32 digits), its cut and the skew.
const HEAD: usize = 96;
const WORD: &[u8; 16] = b"sv-used-tokens-1";
/// A token's digest, and when it expires.
const ENTRY: usize = 24;
/// Tokens of a part.
const PART: u64 = 4096;
/// Twice what may be remembered: parts are used again only when all of one is over.
const LARGEST: u64 = HEAD as u64 + 2 * (MOST as u64) * ENTRY as u64;

/// What there was of the process before.
#[derive(Default)]
pub(super) struct Left {
    /// Its turn and cut, where all tokens of that turn are here.
    pub(super) holder: Option<(String, u64)>,
    pub(super) tokens: Vec<(u128, u64)>,
}

pub(super) enum Found {
    /// The lock is ours.
    Ours(Journal, Left),
    /// Another process has it.
    Taken,
    /// There can be no file.
    Unusable,
}

/// The file.
pub(super) struct Journal {
    file: File,
    boot: u128,
    room: Mutex<Room>,
}

/// Where the next token goes.
struct Room {
    part: u64,
    used: u64,
    latest: u64,
    /// Parts that are full, in the order in which they were filled, and when the last of their tokens expires.
    full: VecDeque<(u64, u64)>,
    parts: u64,
    /// Something could not be written: the next process must not rely on it.
    is_broken: bool,
    /// The next process may have it.
    is_released: bool,
    skew_s: u64,
}

impl Journal {
    /// Opens and locks the file of an audience.
    pub(super) async fn open(folder: &Path, scope: u128) -> Found {
        let path = folder.join(format!("used-tokens-{}", hex(scope)));
        let opened = tokio::task::spawn_blocking(move || opened(&path)).await;
        match opened.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(found) => found,
            Err(error) => {
                warn!(%error, "No file remembers used tokens: after a crash, tokens will be waited for.");
                Found::Unusable
            }
        }
    }

    /// Writes down whose turn it is: of nobody, where not all that is taken is here.
    pub(super) fn claim(&self, turn: Option<(&str, u64)>, skew_ms: u64) {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.skew_s = skew_ms.div_ceil(1000);
        if let Err(error) = self.file.write_all_at(&head(self.boot, turn), 0) {
            warn!(%error, "The file of used tokens cannot be written: after a crash, tokens will be waited for.");
            room.is_broken = true;
        }
    }

    /// Adds a token. What cannot be kept is given all the same if the next process can be told.
    pub(super) fn add(&self, id: u128, expires: u64, clock: Clock) -> Result<(), Refusal> {
        let mut entry = [0; ENTRY];
        entry[..16].copy_from_slice(&id.to_be_bytes());
        entry[16..].copy_from_slice(&expires.to_be_bytes());
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if room.is_released {
            // The next process has read it by now: what it does not know of is for it.
            return Err(Refusal::TokenBeforeStart);
        }
        if room.is_broken {
            return Ok(());
        }
        let written = room.next(expires, clock).and_then(|at| self.file.write_all_at(&entry, at));
        if let Err(error) = written {
            warn!(%error, "The file of used tokens cannot be written: after a crash, tokens will be waited for.");
            // These bytes are there already, and can be written where others cannot.
            if self.file.write_all_at(&head(self.boot, None), 0).is_err() {
                return Err(Refusal::ReplayWindowUnavailable);
            }
            room.is_broken = true;
        }
        Ok(())
    }

    /// Lets the next process have it. Nothing may be added any more.
    pub(super) fn release(&self) {
        self.room.lock().unwrap_or_else(PoisonError::into_inner).is_released = true;
        if let Err(error) = self.file.unlock() {
            warn!(%error, "The file of used tokens stays locked until this process is gone.");
        }
    }
}

impl Room {
    fn next(&mut self, expires: u64, clock: Clock) -> std::io::Result<u64> {
        if self.used == PART {
            self.full.push_back((self.part, self.latest));
            // A later clock may be behind this one by twice the skew.
            let over = (clock.earliest_ms / 1000).saturating_sub(2 * self.skew_s + 1);
            match self.full.front() {
                Some((part, latest)) if *latest < over => {
                    self.part = *part;
                    self.full.pop_front();
                }
                _ => {
                    self.part = self.parts;
                    self.parts += 1;
                }
            }
            (self.used, self.latest) = (0, 0);
        }
        let at = HEAD as u64 + (self.part * PART + self.used) * ENTRY as u64;
        if at >= LARGEST {
            return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
        }
        self.used += 1;
        self.latest = self.latest.max(expires);
        Ok(at)
    }
}

fn opened(path: &PathBuf) -> std::io::Result<Found> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let boot = digest(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim());
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Found::Taken),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let length = file.metadata()?.len();
    let mut all = Vec::new();
    if length <= LARGEST {
        all.resize(usize::try_from(length).unwrap_or_default(), 0);
        file.read_exact_at(&mut all, 0)?;
    }
    let left = read(&all, boot);
    let parts = match &left {
        Some(left) => (left.tokens.len() as u64).div_ceil(PART),
        None => {
            // Of another boot, or of nobody.
            file.set_len(0)?;
            0
        }
    };
    let left = left.unwrap_or_default();
    // All that is there counts as one full part each: they are used again when the last token of all is over.
    let latest = left.tokens.iter().map(|(_, expires)| *expires).max().unwrap_or_default();
    let full = (0..parts).map(|part| (part, latest)).collect();
    let (is_broken, is_released) = (false, false);
    let room =
        Room { part: parts, used: 0, latest: 0, full, parts: parts + 1, is_broken, is_released, skew_s: 0 };
    Ok(Found::Ours(Journal { file, boot, room: Mutex::new(room) }, left))
}

fn head(boot: u128, turn: Option<(&str, u64)>) -> Vec<u8> {
    let (holder, cut_ms) = turn.unwrap_or_default();
    let mut head = Vec::with_capacity(HEAD);
    head.extend_from_slice(WORD);
    head.extend_from_slice(&boot.to_be_bytes());
    head.extend_from_slice(&cut_ms.to_be_bytes());
    head.extend_from_slice(holder.as_bytes().get(..32).unwrap_or_default());
    head.resize(HEAD, 0);
    head
}

/// What a file of this boot holds.
fn read(all: &[u8], boot: u128) -> Option<Left> {
    let (head, rest) = all.split_at_checked(HEAD)?;
    let rest_of_head = head.strip_prefix(WORD)?.strip_prefix(&boot.to_be_bytes())?;
    let (cut_ms, holder) = rest_of_head.split_first_chunk::<8>()?;
    let holder = std::str::from_utf8(holder.get(..32)?).ok()?;
    let is_held = holder.bytes().all(|it| it.is_ascii_hexdigit());
    let entry = |it: &[u8]| {
        let (id, expires) = it.split_first_chunk::<16>()?;
        Some((u128::from_be_bytes(*id), u64::from_be_bytes(expires.try_into().ok()?)))
    };
    // What was never written is zero, and what was half written was never answered.
    let tokens = rest.chunks_exact(ENTRY).filter_map(entry).collect();
    Some(Left { holder: is_held.then(|| (holder.to_owned(), u64::from_be_bytes(*cut_ms))), tokens })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Clock {
        Clock::around(seconds * 1000, 0)
    }

    async fn ours(folder: &Path) -> (Journal, Left) {
        match Journal::open(folder, 7).await {
            Found::Ours(journal, left) => (journal, left),
            Found::Taken => panic!("it is taken"),
            Found::Unusable => panic!("it is unusable"),
        }
    }

    #[tokio::test]
    async fn what_a_process_took_is_there_for_the_next_one_and_for_nobody_while_it_lives() {
        let folder = tempfile::tempdir().unwrap();
        let holder = hex(3);
        let (journal, left) = ours(folder.path()).await;
        assert!(left.holder.is_none() && left.tokens.is_empty());
        journal.claim(Some((&holder, 17)), 2000);
        for id in 0..5000 {
            journal.add(id, 1060, at(1000)).unwrap();
        }
        assert!(matches!(Journal::open(folder.path(), 7).await, Found::Taken));
        // It is killed.
        drop(journal);
        let (journal, left) = ours(folder.path()).await;
        assert_eq!(left.holder, Some((holder, 17)));
        let ids: std::collections::BTreeSet<u128> = left.tokens.iter().map(|it| it.0).collect();
        assert!((0..5000).all(|id| ids.contains(&id)), "{}", ids.len());
        // What the next one takes comes beside it.
        journal.add(9000, 1061, at(1000)).unwrap();
        journal.claim(None, 2000);
        drop(journal);
        let (_journal, left) = ours(folder.path()).await;
        assert!(left.holder.is_none(), "of nobody");
        assert!([0, 4999, 9000].iter().all(|id| left.tokens.iter().any(|it| it.0 == *id)));
    }

    #[tokio::test]
    async fn a_file_grows_no_further_than_what_has_not_expired() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = ours(folder.path()).await;
        journal.claim(Some((&hex(3), 0)), 2000);
        for id in 0..20 * u128::from(PART) {
            let second = 1000 + u64::try_from(id).unwrap() / 1000;
            journal.add(id, second + 10, at(second)).unwrap();
        }
        let length = journal.file.metadata().unwrap().len();
        drop(journal);
        let (_journal, left) = ours(folder.path()).await;
        // A thousand a second for 10 s and twice the skew, and the parts that they begin and end in.
        assert!(length < HEAD as u64 + 8 * PART * ENTRY as u64, "{length}");
        let newest = 20 * u128::from(PART) - 1;
        assert!((newest - 10_000..=newest).all(|id| left.tokens.iter().any(|it| it.0 == id)));
    }

    #[test]
    fn a_file_of_another_boot_or_of_something_else_holds_nothing() {
        let mut good = head(5, Some((&hex(3), 17)));
        good.extend_from_slice(&[1; ENTRY + 3]);
        let left = read(&good, 5).unwrap();
        assert_eq!((left.holder, left.tokens.len()), (Some((hex(3), 17)), 1));
        assert!(read(&good, 6).is_none());
        for length in 0..HEAD {
            assert!(read(&good[..length], 5).is_none());
        }
        assert!(read(&[0; 200], 0).is_none());
        assert!(read(&head(5, None), 5).unwrap().holder.is_none());
    }
}
