//! What the tests share: the provider's binary, a store of its own for each case, and on which command lines a
//! case runs.

#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};

use tfplugin_testing::cli::{Case, Checked, Cli, Context, Failure, Report, with_each};

/// The source address of the provider.
pub(crate) const ADDRESS: &str = terraform_provider_corner::ADDRESS;

/// The provider's binary, as cargo built it for these tests.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_terraform-provider-corner");

/// The directory where a case's objects lie; removed with it.
pub(crate) struct Store {
    folder: tempfile::TempDir,
}

impl Store {
    pub(crate) fn new() -> Store {
        Store { folder: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The file of an object.
    pub(crate) fn object(&self, kind: &str, id: &str) -> PathBuf {
        self.path().join(kind).join(format!("{id}.json"))
    }

    /// All objects of a kind.
    pub(crate) fn objects(&self, kind: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path().join(kind)) else { return Vec::new() };
        let paths = entries.flatten().map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
    }

    /// After the last destroy no object may be left.
    pub(crate) fn nothing_left(&self, kind: &str) -> Checked {
        let left = self.objects(kind);
        if left.is_empty() { Ok(()) } else { Err(format!("objects are left in the store: {left:?}").into()) }
    }

    /// Changes an object behind Terraform's back.
    pub(crate) fn change(&self, kind: &str, id: &str, change: impl FnOnce(&mut serde_json::Value)) {
        let path = self.object(kind, id);
        let text = std::fs::read_to_string(&path).expect("the object is in the store");
        let mut object = serde_json::from_str(&text).expect("objects are JSON");
        change(&mut object);
        std::fs::write(path, object.to_string()).expect("the store can be written");
    }

    /// Writes a file of a kind, such as one that makes the provider fail.
    pub(crate) fn put(&self, kind: &str, id: &str) {
        std::fs::create_dir_all(self.path().join(kind)).expect("the store can be written");
        std::fs::write(self.object(kind, id), "{}").expect("the store can be written");
    }

    /// A hook that writes a file of a kind.
    pub(crate) fn puts<'a>(
        &'a self,
        kind: &'a str,
        id: &'a str,
    ) -> impl FnOnce(&Context<'_>) -> Checked + 'a {
        move |_| {
            self.put(kind, id);
            Ok(())
        }
    }

    /// A hook that removes an object or file of a kind.
    pub(crate) fn removes<'a>(
        &'a self,
        kind: &'a str,
        id: &'a str,
    ) -> impl FnOnce(&Context<'_>) -> Checked + 'a {
        move |_| {
            self.remove(kind, id);
            Ok(())
        }
    }

    /// Removes an object behind Terraform's back.
    pub(crate) fn remove(&self, kind: &str, id: &str) {
        std::fs::remove_file(self.object(kind, id)).expect("the object is in the store");
    }
}

/// A case with the provider and its store.
#[track_caller]
pub(crate) fn case<'a>(cli: &'a Cli, store: &Store) -> Case<'a> {
    Case::new(cli).provider(ADDRESS, BINARY).env("CORNER_STORE", store.path())
}

/// Runs a case on the installed Terraform and on OpenTofu.
#[track_caller]
pub(crate) fn on_both(test: impl Fn(&Cli) -> Result<Report, Failure>) {
    let clis = Cli::both().unwrap_or_else(|failure| panic!("{failure}"));
    with_each(&clis, test).unwrap_or_else(|failure| panic!("{failure}"));
}

/// Runs a case on every command line, 1.5.7 and 1.15.0 included.
#[track_caller]
pub(crate) fn on_all(test: impl Fn(&Cli) -> Result<Report, Failure>) {
    let clis = Cli::all().unwrap_or_else(|failure| panic!("{failure}"));
    with_each(&clis, test).unwrap_or_else(|failure| panic!("{failure}"));
}
