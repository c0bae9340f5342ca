//! Private things of an edge, in the run directory: the key of TLS and the token of PURGE.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustls::InconsistentKeys;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use streamverse_core::{Error, Result, ServiceContext};
use streamverse_model::delivery::ats;
use streamverse_model::platform::Name;

/// The engine's user and group, where that is not ours.
type Owner = Option<(u32, u32)>;

/// The key's copy under a name that says which key it is: another key is another configuration, which a reload takes over,
/// and one that is rolled back to still has its own. Nothing where the site laid none.
pub(super) fn lay(cx: &ServiceContext, user: Owner, certificate: Option<&str>) -> Result<Option<String>> {
    let folder = &folder(cx)?;
    let Ok(kind) = Name::parse("ats-edge") else { return Ok(None) };
    let path = cx.credentials_dir.join(format!("{kind}.{}", cx.owner.name)).join("private-key");
    let Ok(key) = std::fs::read(&path) else { return Ok(None) };
    if let Some(certificate) = certificate {
        fits(certificate, &key)?;
    }
    let name = format!("{}.key", hex::encode(&Sha256::digest(&key)[..12]));
    forget(folder, &name, &cx.scratch_dir);
    let copy = folder.join(name);
    write(&copy, &key, user)?;
    Ok(Some(copy.to_string_lossy().into_owned()))
}

/// Refuses a key that is not the certificate's: Traffic Server checks that only when it loads both, and then speaks no TLS.
fn fits(certificate: &str, key: &[u8]) -> Result<()> {
    let unreadable = |what: &str| Error::permanent("check-failed", format!("the edge's {what} is no PEM"));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| unreadable("certificate").because(error))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| unreadable("private key"))?;
    let Ok(key) = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key) else { return Ok(()) };
    match CertifiedKey::new(chain, key).keys_match() {
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let text = "the private key is not that of the certificate: give both of one pair";
            Err(Error::permanent("check-failed", text))
        }
        // What rustls cannot compare is left to the engine.
        _ => Ok(()),
    }
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
