//! The ledger: a line of JSON for each thing that happened. It only grows.

use std::fs::File;
use std::io::Write as _;
use std::marker::PhantomData;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes it. `E` is a line.
#[derive(Debug)]
pub struct Ledger<E>(File, PhantomData<fn(E)>);

impl<E: Serialize> Ledger<E> {
    /// One in a file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn new(path: &Path) -> std::io::Result<Ledger<E>> {
        Ok(Ledger(File::options().create(true).append(true).open(path)?, PhantomData))
    }

    /// Adds a line.
    ///
    /// # Panics
    /// When it cannot be written. A ledger with a hole is worth nothing: the test must fail, and does, since this call is never
    /// answered.
    pub fn write(&mut self, entry: &E) {
        let mut line = serde_json::to_vec(entry).unwrap_or_default();
        line.push(b'\n');
        let written = self.0.write_all(&line);
        assert!(written.is_ok(), "the ledger cannot be written: {:?}", written.err());
    }
}

/// All lines, in order. A last line that is still being written is left out.
pub fn read_ledger<E: DeserializeOwned>(path: &Path) -> Vec<E> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
