//! Objects as JSON files: `<directory>/<kind>/<id>.json`. What a test writes there is what the API "has".

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tfplugin_framework::{Error, ErrorExt as _, Result};

/// The directory of all objects.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// A store in this directory, or where the environment says.
    pub fn new(directory: Option<String>) -> Store {
        let from_environment = || std::env::var("CORNER_STORE").unwrap_or_else(|_| ".corner".to_owned());
        Store { directory: PathBuf::from(directory.unwrap_or_else(from_environment)) }
    }

    fn path(&self, kind: &str, id: &str) -> Result<PathBuf> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || id.starts_with('.') || !id.chars().all(legal) {
            return Err(
                Error::invalid(format!("{id:?} is no id")).next("Use letters, digits, -, _ and dots.")
            );
        }
        Ok(self.directory.join(kind).join(format!("{id}.json")))
    }

    /// Keeps an object.
    pub fn put(&self, kind: &str, id: &str, object: &impl Serialize) -> Result<()> {
        let path = self.path(kind, id)?;
        let folder = self.directory.join(kind);
        std::fs::create_dir_all(&folder).context("making the store")?;
        // Written aside first, so that nobody reads half an object.
        let aside = folder.join(format!(".{id}.{}", std::process::id()));
        std::fs::write(&aside, serde_json::to_vec_pretty(object)?).context("writing an object")?;
        std::fs::rename(&aside, &path).context("writing an object")
    }

    /// The object, if it is there.
    pub fn get<T: DeserializeOwned>(&self, kind: &str, id: &str) -> Result<Option<T>> {
        match std::fs::read(self.path(kind, id)?) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).context(format!("reading {kind} {id}")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(format!("reading {kind} {id}")),
        }
    }

    /// Removes the object. One that is gone already is a success.
    pub fn remove(&self, kind: &str, id: &str) -> Result<()> {
        match std::fs::remove_file(self.path(kind, id)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context(format!("removing {kind} {id}"))
            }
            _ => Ok(()),
        }
    }
}
