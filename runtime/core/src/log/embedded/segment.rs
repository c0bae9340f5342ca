//! Segment files: records one after another, each with its length and checksum, so that a torn end is found and cut.
//!
//! ```text
//! record = length u32 | CRC-32 of the rest u32 | offset u64 | milliseconds u64 | key length u16 | key | value
//! ```
//! All numbers are little-endian; `length` counts what follows the checksum. A segment's file name is its first offset.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::{Error, Result};

/// Before the checksummed part.
const HEAD: usize = 8;
/// Offset, time and key length.
const FIXED: usize = 18;
/// A record past this is no record of ours.
pub(super) const LARGEST: usize = 8 << 20;

/// A record as it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) offset: u64,
    /// When it was appended, in milliseconds of the Unix epoch.
    pub(super) time: u64,
    pub(super) key: String,
    pub(super) value: Bytes,
}

impl Stored {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let length = FIXED + self.key.len() + self.value.len();
        out.reserve(HEAD + length);
        out.extend_from_slice(&(length as u32).to_le_bytes());
        let check_at = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.time.to_le_bytes());
        out.extend_from_slice(&(self.key.len() as u16).to_le_bytes());
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(&self.value);
        let check = crc32fast::hash(out.get(check_at + 4..).unwrap_or_default());
        if let Some(place) = out.get_mut(check_at..check_at + 4) {
            place.copy_from_slice(&check.to_le_bytes());
        }
    }

    /// The record at the beginning of `bytes` and its size there; `None` when it is torn or no record.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Stored, usize)> {
        let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        if !(FIXED..=LARGEST + FIXED).contains(&length) {
            return None;
        }
        let check = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
        let body = bytes.get(HEAD..HEAD + length)?;
        if crc32fast::hash(body) != check {
            return None;
        }
        let offset = u64::from_le_bytes(body.get(..8)?.try_into().ok()?);
        let time = u64::from_le_bytes(body.get(8..16)?.try_into().ok()?);
        let key_length = u16::from_le_bytes(body.get(16..18)?.try_into().ok()?) as usize;
        let key = String::from_utf8(body.get(FIXED..FIXED + key_length)?.to_vec()).ok()?;
        let value = Bytes::copy_from_slice(body.get(FIXED + key_length..)?);
        Some((Stored { offset, time, key, value }, HEAD + length))
    }
}

/// One file of a partition.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    pub(super) base: u64,
    /// Where each record begins.
    index: Vec<u64>,
    pub(super) size: u64,
    /// Of the newest record, in milliseconds.
    pub(super) newest: u64,
}

impl Segment {
    pub(super) fn create(folder: &Path, base: u64) -> Result<Segment> {
        let path = folder.join(format!("{base:020}.log"));
        let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path);
        let file = file.map_err(|error| broken(&path, error))?;
        sync_folder(folder)?;
        Ok(Segment { path, file, base, index: Vec::new(), size: 0, newest: 0 })
    }

    /// Opens a segment and cuts what a crash left half written; `last` says that such an end may be there.
    pub(super) fn open(path: &Path, last: bool) -> Result<Segment> {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let base = name.parse().map_err(|_| damaged(path, "its name is no offset"))?;
        let mut file =
            OpenOptions::new().read(true).write(true).open(path).map_err(|error| broken(path, error))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| broken(path, error))?;
        let (mut index, mut at, mut newest) = (Vec::new(), 0_usize, 0);
        while let Some((record, length)) = bytes.get(at..).and_then(Stored::decode) {
            if record.offset != base + index.len() as u64 {
                break;
            }
            index.push(at as u64);
            newest = record.time;
            at += length;
        }
        if at < bytes.len() {
            if !last {
                return Err(damaged(path, &format!("the record at byte {at} is damaged")));
            }
            tracing::warn!(path = %path.display(), kept = at, cut = bytes.len() - at, "A torn end was cut.");
            file.set_len(at as u64).map_err(|error| broken(path, error))?;
            file.sync_data().map_err(|error| broken(path, error))?;
        }
        file.seek(SeekFrom::End(0)).map_err(|error| broken(path, error))?;
        Ok(Segment { path: path.to_owned(), file, base, index, size: at as u64, newest })
    }

    /// The offset that the next record gets.
    pub(super) fn next(&self) -> u64 {
        self.base + self.index.len() as u64
    }

    /// Appends records that follow each other. They are on disk after [`sync`](Segment::sync).
    pub(super) fn append(&mut self, records: &[Stored]) -> Result<()> {
        let mut bytes = Vec::new();
        let mut starts = Vec::with_capacity(records.len());
        for record in records {
            starts.push(self.size + bytes.len() as u64);
            record.encode(&mut bytes);
        }
        if let Err(error) = self.file.write_all(&bytes) {
            // Half a write (a full disk) must not stand before the next record.
            let _ = self.file.set_len(self.size);
            let _ = self.file.seek(SeekFrom::End(0));
            return Err(broken(&self.path, error));
        }
        self.index.extend(starts);
        self.size += bytes.len() as u64;
        self.newest = records.last().map_or(self.newest, |record| record.time);
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| broken(&self.path, error))
    }

    pub(super) fn read(&self, offset: u64) -> Result<Option<Stored>> {
        let Some(place) = offset.checked_sub(self.base).and_then(|place| usize::try_from(place).ok()) else {
            return Ok(None);
        };
        let Some(&begin) = self.index.get(place) else { return Ok(None) };
        let end = self.index.get(place + 1).copied().unwrap_or(self.size);
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, begin).map_err(|error| broken(&self.path, error))?;
        match Stored::decode(&bytes) {
            Some((record, _)) => Ok(Some(record)),
            None => Err(damaged(&self.path, &format!("the record at offset {offset} is damaged"))),
        }
    }

    pub(super) fn remove(self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(|error| broken(&self.path, error))
    }
}

/// Makes names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| broken(folder, error))
}

pub(super) fn broken(path: &Path, error: std::io::Error) -> Error {
    let code = if error.kind() == std::io::ErrorKind::StorageFull { "disk-full" } else { "log-io" };
    Error::passing(code, format!("the event log's file {} failed", path.display())).because(error)
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::permanent(
        "log-damaged",
        format!("{}: {why}; move the file away to lose its records, or restore it", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(offset: u64, key: &str, value: &[u8]) -> Stored {
        Stored { offset, time: 7, key: key.to_owned(), value: Bytes::copy_from_slice(value) }
    }

    proptest! {
        #[test]
        fn a_record_survives_and_a_torn_or_flipped_one_is_found(
            key in ".{0,40}", value in proptest::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>()
        ) {
            let one = record(3, &key, &value);
            let mut bytes = Vec::new();
            one.encode(&mut bytes);
            prop_assert_eq!(Stored::decode(&bytes), Some((one, bytes.len())));
            let at = cut.index(bytes.len());
            prop_assert_eq!(Stored::decode(&bytes[..at]), None);
            bytes[at] ^= 0x40;
            prop_assert!(Stored::decode(&bytes).is_none());
        }
    }

    #[test]
    fn a_torn_end_is_cut_and_the_next_record_follows_the_last_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut segment = Segment::create(folder.path(), 10).unwrap();
        segment.append(&[record(10, "a", b"one"), record(11, "b", b"two")]).unwrap();
        let path = segment.path.clone();
        drop(segment);
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..whole.len() {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let mut segment = Segment::open(&path, true).unwrap();
            let next = segment.next();
            assert!((10..=11).contains(&next));
            segment.append(&[record(next, "c", b"three")]).unwrap();
            assert_eq!(segment.read(next).unwrap().unwrap().value, Bytes::from_static(b"three"));
            assert_eq!(Segment::open(&path, true).unwrap().next(), next + 1);
        }
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(Segment::open(&path, false).unwrap_err().code, "log-damaged");
    }
}
