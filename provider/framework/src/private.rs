//! Private state: what a resource keeps beside its state, unseen by Terraform and by people. Not for secrets:
//! it lies in the state file in the clear.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorExt, Result};

/// The private state of one object: the framework's own part, and the provider's values by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Private {
    /// What a resumable create has still to do; the next plan is an update that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    values: Map<String, Value>,
}

impl Private {
    /// Reads what the host kept. Bytes of another provider version that are not ours are an error.
    pub fn decode(bytes: &Bytes) -> Result<Private> {
        if bytes.is_empty() {
            return Ok(Private::default());
        }
        serde_json::from_slice(bytes)
            .context("reading the private state of the resource")
            .next("If another provider wrote this state, remove the resource from the state and import it.")
    }

    /// What the host is to keep. Empty while there is nothing.
    pub fn encode(&self) -> Bytes {
        if *self == Private::default() {
            return Bytes::new();
        }
        serde_json::to_vec(self).map(Bytes::from).unwrap_or_default()
    }

    /// A value that was kept under this name.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.values.get(name) else { return Ok(None) };
        let read = serde_json::from_value(value.clone());
        read.map(Some).context(format!("reading {name:?} from the private state"))
    }

    /// Keeps a value under this name.
    pub fn set(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        let value = serde_json::to_value(value)
            .map_err(|e| Error::bug("a private value has no JSON form").because(e))?;
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    /// Forgets the value under this name.
    pub fn remove(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// What a resumable create has still to do, if it did not finish.
    pub fn pending(&self) -> Option<&str> {
        self.pending.as_deref()
    }

    pub(crate) fn set_pending(&mut self, what: Option<String>) {
        self.pending = what;
    }
}
