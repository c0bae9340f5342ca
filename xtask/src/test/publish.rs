//! A rehearsal of publishing: every crate that is for publishing is packed, and built from its package alone.
//!
//! Cargo does it through a registry of its own in the target folder. It takes what comes from a registry to
//! be immutable, so after a change it would silently build the *old* package of the same version, both from
//! the sources it unpacked and from what it compiled. Both are removed first.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;

/// Every dependency is compiled once more, without our profile.
const LIMIT: Duration = Duration::from_secs(40 * 60);

pub(super) fn rehearse(workspace: &Workspace) -> Outcome<String> {
    let names: Vec<String> = workspace
        .members()?
        .into_iter()
        .filter(|member| member.published)
        .map(|member| member.name)
        .collect();
    // A target folder of its own: the builds share nothing with ours, and ours is left alone.
    let target = workspace.root().join("target").join("publish");
    forget(&target.join("debug").join(".fingerprint"), &names)?;
    for registry in unpacked_local_registries() {
        forget(&registry, &names)?;
    }
    let run =
        workspace.cargo("cargo publish --workspace --dry-run").args(["publish", "--workspace", "--dry-run"]);
    let run = run.args(["--target-dir".into(), target.into_os_string()]);
    // A developer runs this before the commit.
    let run = if workspace.ci() { run } else { run.args(["--allow-dirty"]) };
    // It is compiled for its messages alone: without line tables that is quicker.
    run.env("CARGO_PROFILE_DEV_DEBUG", "0").limit(LIMIT).show(|_| {})?;
    Ok(format!("{} crates", names.len()))
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

/// Removes the folders `<name>-…` of our crates; cargo makes them anew.
fn forget(folder: &Path, names: &[String]) -> Outcome {
    for path in entries(folder) {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if names.iter().any(|name| file.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('-')))
        {
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
        forget(folder.path(), &["tfplugin-schema".to_owned()]).unwrap();
        let mut left = entries(folder.path());
        left.sort();
        assert_eq!(left, [folder.path().join("serde-1.0.0"), folder.path().join("tfplugin-schemata")]);
        forget(&folder.path().join("nowhere"), &[]).unwrap();
    }
}
