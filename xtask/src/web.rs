//! The page: built by npm into `web/dist`, which git ignores and the player service compiles in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache;
use crate::failure::{Failure, Outcome};
use crate::process::Run;
use crate::tools;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(10 * 60);
/// What the page is built from.
const INPUTS: &[&str] =
    &["package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "index.html", "public", "src"];

/// Builds the page where something changed since the last time; says what was done.
pub(crate) fn build(workspace: &Workspace) -> Outcome<String> {
    let web = workspace.root().join("web");
    let fingerprint = fingerprint(&web)?;
    let stamp = web.join("dist").join(".built-from");
    if fs::read_to_string(&stamp).is_ok_and(|built| built == fingerprint) {
        return Ok("the page is as its sources are".to_owned());
    }
    modules(workspace)?;
    npm(&web)?.args(["run", "build"]).limit(LIMIT).log_to(&log("page.log")?)?;
    fs::write(&stamp, fingerprint).map_err(|error| Failure::io("write", &stamp, &error))?;
    Ok("the page was built".to_owned())
}

/// Fetches what the page and the browser tests are made of, as `package-lock.json` pins it.
pub(crate) fn modules(workspace: &Workspace) -> Outcome {
    let web = workspace.root().join("web");
    let lock = web.join("package-lock.json");
    let wanted = fs::read(&lock).map_err(|error| Failure::io("read", &lock, &error))?;
    let wanted = cache::fingerprint([wanted.as_slice()]);
    let stamp = web.join("node_modules").join(".fetched-from");
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    println!("  npm: fetching what the page is made of");
    npm(&web)?
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .limit(LIMIT)
        .log_to(&log("npm.log")?)?;
    fs::write(&stamp, wanted).map_err(|error| Failure::io("write", &stamp, &error))
}

/// npm of the Node that the cache has.
fn npm(web: &Path) -> Outcome<Run> {
    let node = tools::node()?;
    // `bin/node` is a link into the unpacked wheel, which has npm beside it.
    let real = fs::canonicalize(&node).map_err(|error| Failure::io("find", &node, &error))?;
    let wheel = real.parent().and_then(Path::parent);
    let cli =
        wheel.map(|wheel| wheel.join("lib/node_modules/npm/bin/npm-cli.js")).filter(|path| path.is_file());
    let cli = cli.ok_or_else(|| Failure::new(format!("{} comes without npm", real.display())))?;
    let bin = node.parent().map(Path::to_owned).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(bin).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).map_err(|error| Failure::new(error.to_string()))?;
    Ok(Run::new("npm", node).args([cli.into_os_string()]).env("PATH", path).dir(web))
}

fn log(name: &str) -> Outcome<PathBuf> {
    let folder = cache::tools_dir()?;
    fs::create_dir_all(&folder).map_err(|error| Failure::io("create", &folder, &error))?;
    Ok(folder.join(name))
}

fn fingerprint(web: &Path) -> Outcome<String> {
    let mut files = Vec::new();
    for input in INPUTS {
        collect(&web.join(input), &mut files)?;
    }
    files.sort();
    let mut parts = Vec::new();
    for file in files {
        parts.push(file.to_string_lossy().into_owned().into_bytes());
        parts.push(fs::read(&file).map_err(|error| Failure::io("read", &file, &error))?);
    }
    Ok(cache::fingerprint(parts.iter().map(Vec::as_slice)))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(|error| Failure::io("list", path, &error))?;
    for entry in entries.flatten() {
        collect(&entry.path(), files)?;
    }
    Ok(())
}
