//! The codec oracle: a small Go program of ours on top of go-cty, built like the command line tools.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::go::Go;
use crate::cache;
use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;

/// Where tests find the oracle.
pub(super) const VARIABLE: &str = "TFPLUGIN_CODEC_ORACLE";
const FOLDER: &str = "provider/schema/oracle";
const BINARY: &str = "codec-oracle";
const BUILD_LIMIT: Duration = Duration::from_secs(10 * 60);

/// The oracle's path, after building it if need be; nothing while its folder does not exist.
pub(super) fn ensure(workspace: &Workspace, tools: &Path, go: &mut Go) -> Option<Outcome<PathBuf>> {
    let source = workspace.root().join(FOLDER);
    source.join("go.mod").is_file().then(|| build(&source, tools, go))
}

fn build(source: &Path, tools: &Path, go: &mut Go) -> Outcome<PathBuf> {
    // Its content is its version: two checkouts with different oracles do not take each other's.
    let name = format!("{BINARY}-{}", fingerprint(source)?);
    let file = format!("{BINARY}{}", std::env::consts::EXE_SUFFIX);
    let place = cache::ensure(tools, &name, "1", BUILD_LIMIT, |folder| {
        println!("  {BINARY}: building");
        go.command(tools, BINARY)?
            .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
            .args([folder.join(&file).as_os_str(), ".".as_ref()])
            .dir(source)
            .limit(BUILD_LIMIT)
            .log_to(&folder.join("build.log"))
    })?;
    Ok(place.join(file))
}

/// Of every Go file and module file in the folder, by name and content.
fn fingerprint(source: &Path) -> Outcome<String> {
    let entries = std::fs::read_dir(source).map_err(|error| Failure::io("list", source, &error))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension().is_some_and(|end| end == "go" || end == "mod" || end == "sum")
                && !path.to_string_lossy().ends_with("_test.go")
        })
        .collect();
    files.sort();
    let mut parts = Vec::new();
    for file in files {
        parts.push(file.file_name().unwrap_or_default().to_string_lossy().into_owned().into_bytes());
        parts.push(std::fs::read(&file).map_err(|error| Failure::io("read", &file, &error))?);
    }
    Ok(cache::fingerprint(parts.iter().map(Vec::as_slice)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_oracle_is_another_tool() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("main.go");
        std::fs::write(&main, "package main").unwrap();
        let before = fingerprint(folder.path()).unwrap();
        std::fs::write(folder.path().join("README.md"), "words").unwrap();
        assert_eq!(fingerprint(folder.path()).unwrap(), before);
        std::fs::write(&main, "package main // changed").unwrap();
        assert_ne!(fingerprint(folder.path()).unwrap(), before);
    }
}
