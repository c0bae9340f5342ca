//! Whose an object is. Two workspaces never take each other's things, because the deployment is part of every name.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The resource that objects on a site belong to: repeatable, so that a second create finds the first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The installation that the provider block names.
    pub deployment: Name,
    /// The resource type without the provider's prefix, with `-` for `_`: `vod-asset`.
    pub kind: Name,
    /// The resource's own name.
    pub name: Name,
}

impl Owner {
    /// An owner.
    ///
    /// # Errors
    /// When one of the three is no name.
    pub fn new(deployment: &str, kind: &str, name: &str) -> Result<Owner, NameError> {
        Ok(Owner { deployment: Name::parse(deployment)?, kind: Name::parse(kind)?, name: Name::parse(name)? })
    }

    /// `kind.name`, unique in a deployment: the folder and file names that belong to it.
    pub fn key(&self) -> String {
        format!("{}.{}", self.kind, self.name)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} of deployment {}", self.kind, self.name, self.deployment)
    }
}

/// A name that is valid as a DNS label (RFC 1123), as a file name and as a Kubernetes label value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
pub struct Name(String);

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError(String);

impl Name {
    /// The longest name: three of them and a suffix stay below the 253 bytes of an object's name, and one with a kind
    /// below the 63 of a label.
    pub const LONGEST: usize = 40;

    /// Reads a name.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters than `a-z`, `0-9` and inner `-`.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = !text.is_empty() && text.len() <= Self::LONGEST && text.bytes().all(inner);
        if !fits || text.starts_with('-') || text.ends_with('-') {
            return Err(NameError(text.chars().take(60).collect()));
        }
        Ok(Name(text.to_owned()))
    }

    /// A name that stands in this crate's own source.
    pub(crate) fn fixed(text: &'static str) -> Name {
        debug_assert!(Name::parse(text).is_ok(), "{text:?} is no name");
        Name(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        let text = String::deserialize(deserializer)?;
        Name::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no name: 1 to {} characters of a-z, 0-9 and -, neither first nor last a -",
            self.0,
            Name::LONGEST
        )
    }
}

impl std::error::Error for NameError {}
