//! Measures the providers and writes rows. Each part is a module; all of them run on a machine that is otherwise
//! idle, or the row of the load average says that it was not.

pub mod cli;
pub mod collections;
pub mod plugin;
pub mod rebuild;
pub mod row;
pub mod scale;
pub mod size;
pub mod start;
pub mod watch;

use std::path::{Path, PathBuf};

/// What any part returns. The text is for the person at the terminal.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What to measure with.
pub struct Setup {
    /// Where the measured binaries are: beside the driver's own.
    pub binaries: PathBuf,
    /// The checkout.
    pub root: PathBuf,
    /// Fewer repetitions.
    pub quick: bool,
    /// What takes an hour, too.
    pub long: bool,
}

impl Setup {
    /// Of this process.
    pub fn here(quick: bool, long: bool) -> Outcome<Setup> {
        let driver = std::env::current_exe()?;
        let binaries = driver.parent().ok_or("the driver lies in no directory")?.to_owned();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("no checkout")?.to_owned();
        Ok(Setup { binaries, root, quick, long })
    }

    /// A binary of ours.
    pub fn binary(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.binaries.join(name);
        match path.is_file() {
            true => Ok(path),
            false => {
                Err(format!("{} is not built: use `cargo xtask bench framework`", path.display()).into())
            }
        }
    }

    /// This many times, or fewer in a hurry.
    pub fn repetitions(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(3) } else { full }
    }
}

/// Tells the person who waits.
pub fn tell(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}
