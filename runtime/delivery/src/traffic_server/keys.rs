//! Private things of an edge, in the run directory: the key of TLS and the token of PURGE.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use streamverse_core::{Error, Result, ServiceContext};
use streamverse_model::delivery::ats;
use streamverse_model::platform::Name;

/// The engine's user and group, where that is not ours.
type Owner = Option<(u32, u32)>;

/// The key's copy under a name that says which key it is: another key is another configuration, which a reload takes over,
/// and one that is rolled back to still has its own. Nothing where the site laid none.
pub(super) fn lay(cx: &ServiceContext, user: Owner) -> Result<Option<String>> {
    let folder = &folder(cx)?;
    let Ok(kind) = Name::parse("ats-edge") else { return Ok(None) };
    let path = cx.credentials_dir.join(format!("{kind}.{}", cx.owner.name)).join("private-key");
    let Ok(key) = std::fs::read(&path) else { return Ok(None) };
    let name = format!("{}.key", hex::encode(&Sha256::digest(&key)[..12]));
    forget(folder, &name, &cx.scratch_dir);
    let copy = folder.join(name);
    write(&copy, &key, user)?;
    Ok(Some(copy.to_string_lossy().into_owned()))
}

/// Keys but this one and those that a configuration on disk still names.
fn forget(folder: &Path, but: &str, scratch: &Path) {
    let named: String = std::fs::read_dir(scratch.join("configurations"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("ssl_multicert.config")).ok())
        .collect();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".key") && name != but && !named.contains(&name) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The rules that let nobody purge who cannot read this folder. Made once; a reboot makes another token.
pub(super) fn guard(cx: &ServiceContext, user: Owner) -> Result<String> {
    let path = folder(cx)?.join("guard.config");
    if !path.is_file() {
        let token = hex::encode(rand::random::<[u8; 32]>());
        write(&path, ats::purge_guard(&token).as_bytes(), user)?;
    }
    Ok(path.to_string_lossy().into_owned())
}

/// Ours alone, so that nobody puts a link in the place of what we write; the engine's user reads the files.
fn folder(cx: &ServiceContext) -> Result<PathBuf> {
    let folder = cx.credentials_dir.join("edge");
    std::fs::create_dir_all(&folder).map_err(|error| {
        Error::passing("scratch", format!("{} cannot be made", folder.display())).because(error)
    })?;
    Ok(folder)
}

fn write(path: &Path, bytes: &[u8], user: Owner) -> Result<()> {
    let fresh = path.with_extension("new");
    let written =
        std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh);
    let written = written.and_then(|mut file| file.write_all(bytes)).and_then(|()| {
        if let Some((user, group)) = user {
            std::os::unix::fs::lchown(&fresh, Some(user), Some(group))?;
        }
        std::fs::rename(&fresh, path)
    });
    written.map_err(|error| {
        Error::passing("scratch", format!("{} cannot be written", path.display())).because(error)
    })
}
