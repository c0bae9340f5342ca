//! Measures the runtime. Each part is a module; whatever is measured has a peer or a floor that is measured in the same
//! run, in turns, so that a slow or busy machine slows both.

pub mod apply;
pub mod ask;
pub mod channel;
pub mod channels;
pub mod children;
pub mod edge;
pub mod events;
pub mod figures;
pub mod licences;
pub mod load;
pub mod machine;
pub mod origin;
pub mod packages;
pub mod place;
pub mod platform;
pub mod play;
pub mod quickstart;

use std::path::{Path, PathBuf};

use children::Cores;

/// What any part returns. The text is for the person at the terminal.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What to measure with.
#[derive(Debug)]
pub struct Setup {
    /// Where the measured binaries are: beside the driver's own.
    pub binaries: PathBuf,
    /// Terraform or OpenTofu.
    pub terraform: PathBuf,
    /// The workspace's own tasks, for the quickstart.
    pub xtask: PathBuf,
    /// Node, for what is played in a browser; no Node, and nothing is played.
    pub node: Option<PathBuf>,
    /// Fewer and shorter rounds.
    pub quick: bool,
    /// Which processors serve and which ask.
    pub cores: Cores,
}

impl Setup {
    /// A binary of ours.
    ///
    /// # Errors
    /// When it is not built.
    pub fn binary(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.binaries.join(name);
        match path.is_file() {
            true => Ok(path),
            false => Err(format!("{} is not built: use `cargo xtask bench runtime`", path.display()).into()),
        }
    }

    /// How many rounds: an odd number, so that the median is one of them.
    pub fn rounds(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(3) | 1 } else { full | 1 }
    }

    /// Seconds of load in a round.
    pub fn seconds(&self) -> u32 {
        if self.quick { 2 } else { 6 }
    }
}

/// A temporary folder that services under another user can look into.
///
/// # Errors
/// When it cannot be made.
pub fn folder() -> Outcome<tempfile::TempDir> {
    // Short: sockets lie below it, and their paths have 107 bytes at most.
    let folder = tempfile::Builder::new().prefix("svb").tempdir()?;
    open(folder.path())?;
    Ok(folder)
}

/// Lets everybody read it.
///
/// # Errors
/// When it is not ours.
pub fn open(path: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

/// A port that is free now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Outcome<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Tells the person who waits.
pub fn tell(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}
