//! The node agent's HTTP API, version 1: the messages that `streamverse-sites` sends and `streamverse-platform` answers.
//!
//! | request | meaning |
//! |---|---|
//! | `GET /v1/node` | [`NodeInfo`] |
//! | `GET /v1/deployments/{d}/owners` | [`OwnerList`] |
//! | `PUT /v1/deployments/{d}/owners/{kind}/{name}?dry_run=…` | [`ApplyRequest`] → [`Applied`] |
//! | `GET /v1/deployments/{d}/owners/{kind}/{name}` | [`Observed`](super::Observed) or 404 |
//! | `DELETE /v1/deployments/{d}/owners/{kind}/{name}` | 202 while it is being stopped, 404 when it is gone |
//! | `POST /v1/deployments/{d}/owners/{kind}/{name}/restart` | 202: its services are started anew |
//! | `POST /v1/deployments/{d}/owners/{kind}/{name}/look` | [`Looked`]: whether what its job made is still as it made it |
//! | `GET /v1/deployments/{d}/owners/{kind}/{name}/logs?object=&lines=` | text |
//! | `POST /v1/deployments/{d}/probe` | [`ProbeRequest`] → `media::MediaFacts` |
//! | `GET /livez`, `/readyz`, `/metrics`, `/openapi.json` | as everywhere |
//!
//! Errors are [`ApiError`] with a 4xx or 5xx status. Every request is repeatable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::object::{Bundle, EngineKind};
use super::owner::{Name, Owner};

/// What the agent is and can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeInfo {
    /// The agent's version.
    pub version: String,
    /// The host's name.
    pub host: String,
    /// The address on which services and engines listen.
    #[serde(default)]
    pub bind: String,
    /// Target names that its binary has.
    pub targets: Vec<String>,
    /// Engines that are installed, with version and plugins.
    pub engines: BTreeMap<String, EngineInfo>,
    /// External tools by name (`ffmpeg`, `ffprobe`, `packager`), with version.
    pub tools: BTreeMap<String, String>,
    /// Logical processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Free space where it keeps its data, in bytes.
    pub free_bytes: u64,
    /// What is wrong with the node itself, in words; empty when all is well.
    pub problems: Vec<String>,
}

/// An installed engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineInfo {
    /// Which.
    pub engine: EngineKind,
    /// Its version as it says it: `9.2.9`.
    pub version: String,
    /// Plugins that are there.
    pub plugins: Vec<String>,
}

/// What to hold for an owner. The owner in the path must be the bundle's.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// The objects.
    pub bundle: Bundle,
    /// Values of secrets that are new or changed, by secret object and key. Kept sealed, never answered.
    #[serde(default)]
    pub secrets: BTreeMap<Name, BTreeMap<Name, String>>,
}

/// What an apply did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// Revision of what is held now.
    pub revision: String,
    /// `service/origin` of what was added.
    pub created: Vec<String>,
    /// … changed.
    pub changed: Vec<String>,
    /// … removed.
    pub removed: Vec<String>,
    /// What a person should know: a restart that drains, a version that lacks something.
    pub warnings: Vec<String>,
}

/// Owners of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnerList {
    /// Sorted.
    pub owners: Vec<Owner>,
}

/// What source to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeRequest {
    /// A `file:`, `http:`, `https:` or `s3:` address.
    pub source: String,
    /// The expected digest, `sha256:` and 64 hexadecimal digits.
    #[serde(default)]
    pub digest: Option<String>,
    /// Whether addresses of private networks may be asked.
    #[serde(default)]
    pub allow_private: bool,
}

impl ProbeRequest {
    /// The field that a failure of this code is about, as a JSON pointer into the request; `None` where it is the site's own
    /// affair, such as a full disk.
    pub fn field_of(code: &str) -> Option<&'static str> {
        match code {
            "source-changed" => Some("/digest"),
            code if code.starts_with("source-") => Some("/source"),
            _ => None,
        }
    }
}

/// Whether what a job made is still as it made it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Looked {
    /// What another hand changed, in words; none where all is well, and where nobody could look.
    pub changed: Option<String>,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiError {
    /// Stable and for programs: `invalid`, `not-found`, `owned-by-another`, `port-taken`, `unsupported`, `unavailable`.
    pub code: String,
    /// What is wrong, for a person.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// JSON pointer (RFC 6901) into the request's bundle, when a field is wrong: `/objects/0/spec/cache/ram`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
