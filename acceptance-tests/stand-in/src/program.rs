//! Where a stand-in's program is.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of the same crate: cargo builds those beside the tests that use them.
///
/// # Panics
/// When it is not there.
pub fn beside(package: &str, name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|it| it.is_file());
    assert!(found.is_some(), "{name} is not there: run `cargo build -p {package}` first");
    found.unwrap_or_default()
}

/// A program that tests of other crates start too: built now, where neither cargo nor `cargo xtask test` built it for this very test.
///
/// # Panics
/// When it cannot be built.
pub fn built(package: &str, name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    let program = folder.join(name);
    if std::env::var_os("XTASK_BUILT").is_none() || !program.is_file() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let done = Command::new(cargo)
            .args(["build", "--quiet", "-p", package])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .status();
        assert!(done.is_ok_and(|status| status.success()), "{name} cannot be built");
    }
    program
}
