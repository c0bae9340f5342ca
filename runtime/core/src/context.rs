//! What a service is told about where it runs, apart from its spec.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use streamverse_model::platform::{CredentialUse, Name, Owner};

use crate::error::{Error, Result};
use crate::metrics::Metrics;

/// A credential is a key or a password; a wrong path must not fill the memory.
const LARGEST_CREDENTIAL: u64 = 1 << 20;

/// Where a service or job runs, and what the site gives it. A site writes it to a file; it holds no secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceContext {
    /// The site's name, which local stores carry in their URLs.
    pub site: Name,
    /// Whose it is.
    pub owner: Owner,
    /// What it is: `service/origin`.
    pub object: String,
    /// Durable data of the deployment on this host: stores lie below it. On Kubernetes an empty volume.
    pub data_dir: PathBuf,
    /// Scratch space of this object alone; emptied when it is removed.
    pub scratch_dir: PathBuf,
    /// Sockets of the deployment on this host (`embedded://` logs); emptied by a reboot.
    pub run_dir: PathBuf,
    /// One folder per secret, `KIND.NAME`, one file per key.
    pub credentials_dir: PathBuf,
    /// Specs of others that a job uses, `KIND.NAME.json`.
    pub specs_dir: PathBuf,
    /// Where external tools are, by name; those not named are looked for in PATH.
    #[serde(default)]
    pub tools: BTreeMap<String, PathBuf>,
    /// The address to listen on for this site's ports: `127.0.0.1` unless a port is public.
    pub bind: std::net::IpAddr,
    /// Where it counts what it does.
    #[serde(skip)]
    pub metrics: Metrics,
}

impl ServiceContext {
    /// One value of a secret. One newline at its end belongs to the file.
    ///
    /// # Errors
    /// When the site did not give it, or it cannot be read; without its content.
    pub fn credential(&self, secret: &CredentialUse, key: &str) -> Result<String> {
        let path = self.credentials_dir.join(format!("{}.{}", secret.kind, secret.name)).join(key);
        let told = || format!("the credential {}.{}/{key} cannot be read", secret.kind, secret.name);
        let size =
            std::fs::metadata(&path).map_err(|error| Error::passing("credential", told()).because(error))?;
        if size.len() > LARGEST_CREDENTIAL {
            return Err(Error::permanent("credential", format!("{}: it is larger than 1 MiB", told())));
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Error::passing("credential", told()).because(error))?;
        Ok(text.strip_suffix('\n').map_or_else(|| text.clone(), str::to_owned))
    }

    /// The program of an external tool.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.tools.get(name).cloned().unwrap_or_else(|| PathBuf::from(name))
    }

    /// The spec of another owner's service.
    ///
    /// # Errors
    /// When the site did not give it, or it is not what is expected.
    pub fn spec<T: serde::de::DeserializeOwned>(&self, kind: &str, name: &str) -> Result<T> {
        let path = self.specs_dir.join(format!("{kind}.{name}.json"));
        read_spec(&path)
    }
}

fn read_spec<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let file = path.display();
    let text = std::fs::read(path)
        .map_err(|error| Error::passing("spec-missing", format!("{file} cannot be read")).because(error))?;
    serde_json::from_slice(&text).map_err(|error| {
        Error::permanent("spec-invalid", format!("{file} is not a spec of this version")).because(error)
    })
}
