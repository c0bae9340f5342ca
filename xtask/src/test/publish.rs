//! A rehearsal of publishing: every crate that is for publishing is packed, and built from its package alone.
//!
//! Cargo does it through a registry of its own in the target folder. It takes what comes from a registry to
//! be immutable, so after a change it would silently build the *old* package of the same version, both from
//! the sources it unpacked and from what it compiled. Both are removed: the first before, the second afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(20 * 60);
/// What `[profile.dev]` of our Cargo.toml says of dependencies. A package is built without it, and of another profile each
/// of its dependencies would be compiled once more.
const PROFILE: &[(&str, &str)] = &[
    ("CARGO_PROFILE_DEV_DEBUG", "0"),
    ("CARGO_PROFILE_DEV_SPLIT_DEBUGINFO", "unpacked"),
    ("CARGO_PROFILE_DEV_BUILD_OVERRIDE_DEBUG", "0"),
    ("CARGO_PROFILE_DEV_BUILD_OVERRIDE_OPT_LEVEL", "0"),
];

pub(super) fn rehearse(workspace: &Workspace) -> Outcome<String> {
    let names: Vec<String> = workspace
        .members()?
        .into_iter()
        .filter(|member| member.published)
        .map(|member| member.name)
        .collect();
    for registry in unpacked_local_registries() {
        forget(&registry, &names, &[])?;
    }
    let target = workspace.root().join("target");
    let compiled = Compiled::before(&target, &names)?;
    let run =
        workspace.cargo("cargo publish --workspace --dry-run").args(["publish", "--workspace", "--dry-run"]);
    let run = run.args(["--target-dir".into(), target.into_os_string()]);
    // A developer runs this before the commit.
    let run = if workspace.ci() { run } else { run.args(["--allow-dirty"]) };
    let run = PROFILE.iter().fold(run, |run, (name, value)| run.env(name, value));
    let outcome = run.limit(LIMIT).show(|_| {});
    compiled.forget_others(&names)?;
    outcome.map(|()| format!("{} crates", names.len()))
}

/// What is compiled of our own crates. What a rehearsal adds to it is forgotten again, also by the next one where it was
/// interrupted; at worst something of ours is compiled once more.
struct Compiled {
    fingerprints: PathBuf,
    note: PathBuf,
    known: Vec<String>,
}

impl Compiled {
    fn before(target: &Path, names: &[String]) -> Outcome<Self> {
        let fingerprints = target.join("debug").join(".fingerprint");
        let note = target.join("compiled-before-publish");
        if let Ok(known) = fs::read_to_string(&note) {
            let known: Vec<String> = known.lines().map(str::to_owned).collect();
            forget(&fingerprints, names, &known)?;
        }
        let known: Vec<String> = entries(&fingerprints)
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        fs::create_dir_all(target).map_err(|error| Failure::io("create", target, &error))?;
        fs::write(&note, known.join("\n")).map_err(|error| Failure::io("write", &note, &error))?;
        Ok(Self { fingerprints, note, known })
    }

    fn forget_others(self, names: &[String]) -> Outcome {
        forget(&self.fingerprints, names, &self.known)?;
        fs::remove_file(&self.note).map_err(|error| Failure::io("remove", &self.note, &error))
    }
}

/// Where cargo unpacked crates of registries that are folders: those have no host in their name.
fn unpacked_local_registries() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let Some(home) = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))) else {
        return Vec::new();
    };
    entries(&home.join("registry").join("src"))
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('-')))
        .collect()
}

/// Removes the folders `<name>-…` of our crates but for those that are kept; cargo makes them anew.
fn forget(folder: &Path, names: &[String], kept: &[String]) -> Outcome {
    for path in entries(folder) {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ours = |name: &String| file.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('-'));
        if names.iter().any(ours) && !kept.contains(&file) {
            fs::remove_dir_all(&path).map_err(|error| Failure::io("remove", &path, &error))?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_crates_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["tfplugin-schema-0.1.0", "tfplugin-schemata", "serde-1.0.0"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        forget(folder.path(), &["tfplugin-schema".to_owned()], &[]).unwrap();
        let mut left = entries(folder.path());
        left.sort();
        assert_eq!(left, [folder.path().join("serde-1.0.0"), folder.path().join("tfplugin-schemata")]);
        forget(&folder.path().join("nowhere"), &[], &[]).unwrap();
    }

    #[test]
    fn what_a_rehearsal_compiled_is_forgotten_even_by_the_next_one_and_nothing_else() {
        let target = tempfile::tempdir().unwrap();
        let prints = target.path().join("debug/.fingerprint");
        fs::create_dir_all(&prints).unwrap();
        let add = |name: &str| fs::create_dir(prints.join(name)).unwrap();
        let left = || {
            let mut left: Vec<PathBuf> = entries(&prints);
            left.sort();
            left.iter()
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        let names = ["tfplugin-schema".to_owned()];
        add("tfplugin-schema-ours");
        let interrupted = Compiled::before(target.path(), &names).unwrap();
        add("tfplugin-schema-packed");
        add("serde-new");
        drop(interrupted);
        let next = Compiled::before(target.path(), &names).unwrap();
        assert_eq!(left(), ["serde-new", "tfplugin-schema-ours"]);
        add("tfplugin-schema-packed");
        next.forget_others(&names).unwrap();
        assert_eq!(left(), ["serde-new", "tfplugin-schema-ours"]);
        // Nothing was interrupted, and what was compiled since stays.
        add("tfplugin-schema-later");
        Compiled::before(target.path(), &names).unwrap();
        assert_eq!(left().len(), 3);
    }
}
