//! What an owner has, written down beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use streamverse_model::platform::{Bundle, Owner};

use super::names;
use super::render::{Rendered, UsedService};
use crate::error::{Class, Error, Result};

/// The record of one owner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// What was applied.
    pub(super) bundle: Bundle,
    /// What its jobs took from others when it was applied.
    pub(super) used: Vec<UsedService>,
    /// A digest of each object as it was rendered then, by its title: what is rendered differently now was not changed by
    /// somebody's hand.
    #[serde(default)]
    pub(super) rendered: BTreeMap<String, String>,
    /// The objects of that.
    pub(super) current: Vec<Place>,
    /// Objects of earlier applies that may be there still.
    pub(super) retired: Vec<Place>,
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) plural: String,
    pub(super) name: String,
}

impl Place {
    pub(super) fn of(it: &Rendered) -> Place {
        Place {
            api_version: it.text("/apiVersion").to_owned(),
            kind: it.text("/kind").to_owned(),
            plural: it.plural.clone(),
            name: it.text("/metadata/name").to_owned(),
        }
    }

    pub(super) fn path(&self, namespace: &str) -> String {
        format!("{}/{}", collection(&self.api_version, &self.plural, namespace), self.name)
    }

    pub(super) fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// `/api/v1/namespaces/N/PLURAL`, `/apis/GROUP/VERSION/namespaces/N/PLURAL`.
pub(super) fn collection(api_version: &str, plural: &str, namespace: &str) -> String {
    let root = if api_version.contains('/') { "/apis" } else { "/api" };
    format!("{root}/{api_version}/namespaces/{namespace}/{plural}")
}

/// Where the record of an owner is.
pub(super) fn place(owner: &Owner) -> Place {
    Place {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        plural: "configmaps".to_owned(),
        name: names::name(owner, "record"),
    }
}

impl Record {
    /// The ConfigMap that holds it.
    pub(super) fn body(&self, namespace: &str) -> Result<Value> {
        let owner = &self.bundle.owner;
        Ok(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": place(owner).name,
                "namespace": namespace,
                "labels": names::labels(owner, "record", &self.bundle.labels),
            },
            "data": { "record.json": serde_json::to_string(self).map_err(broken)? },
        }))
    }

    /// Reads the ConfigMap.
    pub(super) fn read(live: &Value) -> Result<Record> {
        let text = live.pointer("/data/record.json").and_then(Value::as_str).unwrap_or_default();
        serde_json::from_str(text).map_err(|error| {
            let name = live.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            Error::new(Class::Permanent, format!("the record {name} cannot be read"))
                .next("It was changed by hand, or by a newer version: put it back, or remove it and apply again.")
                .because(error)
        })
    }
}

fn broken(error: serde_json::Error) -> Error {
    Error::new(Class::Permanent, "the record cannot be written").because(error)
}
