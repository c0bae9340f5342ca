//! Where the workspace lies and under which circumstances this run happens.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::process::Run;

/// The checkout that this run is about.
pub(crate) struct Workspace {
    root: PathBuf,
    ci: bool,
}

/// A member crate as `cargo metadata` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Its folder relative to the root, with `/` between the parts.
    pub(crate) folder: String,
    pub(crate) dependencies: Vec<Dependency>,
    /// Without `publish = false`.
    pub(crate) published: bool,
}

/// One line under a `[dependencies]` heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// From `[dev-dependencies]`: seen by tests alone.
    pub(crate) dev: bool,
    /// By path *and* version, so that it stays in the published manifest.
    pub(crate) versioned: bool,
}

impl Workspace {
    /// The workspace that this xtask was compiled in.
    pub(crate) fn here() -> Outcome<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let Some(root) = manifest.parent() else {
            return Err(Failure::new("xtask has no parent folder"));
        };
        let ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        Ok(Self { root: root.to_owned(), ci })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// With `CI=true` nothing that could be had may be skipped.
    pub(crate) fn ci(&self) -> bool {
        self.ci
    }

    /// Where tests note what they prove, and the table of behaviours is made from.
    pub(crate) fn coverage_dir(&self) -> PathBuf {
        self.root.join("target").join("coverage")
    }

    /// Where cargo puts what it builds in the profile of the tests.
    pub(crate) fn debug(&self) -> PathBuf {
        self.root.join("target").join("debug")
    }

    /// The cargo that runs us, started at the root.
    pub(crate) fn cargo(&self, label: &str) -> Run {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let colour = if std::io::IsTerminal::is_terminal(&std::io::stderr()) { "always" } else { "never" };
        Run::new(label, cargo).dir(&self.root).env("CARGO_TERM_COLOR", colour)
    }

    /// Every member crate, from cargo itself: nobody else reads manifests the way cargo does.
    pub(crate) fn members(&self) -> Outcome<Vec<Member>> {
        Ok(self.packages()?.iter().map(|package| self.member(package)).collect())
    }

    /// Programs whose pages would not be taken for those of a library: the ones that `cargo doc` documents when it is
    /// not told what to.
    pub(crate) fn documented_programs(&self) -> Outcome<Vec<String>> {
        let mut programs = Vec::new();
        for package in self.packages()? {
            let named = |kind: &str| -> Vec<String> {
                let targets = package["targets"].as_array().into_iter().flatten();
                let of_kind = targets.filter(|target| target["kind"][0] == kind);
                of_kind.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect()
            };
            let libraries = named("lib");
            programs
                .extend(named("bin").into_iter().filter(|name| !libraries.contains(&name.replace('-', "_"))));
        }
        Ok(programs)
    }

    fn packages(&self) -> Outcome<Vec<Value>> {
        let text =
            self.cargo("cargo metadata").args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
        let mut metadata: Value =
            serde_json::from_str(&text).map_err(|error| Failure::new(format!("cargo metadata: {error}")))?;
        Ok(metadata["packages"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    fn member(&self, package: &Value) -> Member {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let folder = Path::new(package["manifest_path"].as_str().unwrap_or_default())
            .parent()
            .and_then(|folder| folder.strip_prefix(&self.root).ok())
            .map(|folder| folder.to_string_lossy().replace('\\', "/"))
            .unwrap_or_default();
        let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        Member {
            name: text(&package["name"]),
            folder,
            dependencies: dependencies
                .iter()
                .map(|one| Dependency {
                    name: text(&one["name"]),
                    dev: one["kind"] == "dev",
                    versioned: one["req"] != "*",
                })
                .collect(),
            published: package["publish"].is_null(),
        }
    }
}
