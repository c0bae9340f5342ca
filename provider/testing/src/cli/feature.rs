//! What a command line can do, by product and version.

use std::fmt;

use super::binary::{Cli, Product};

/// Something that not every command line can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Feature {
    /// `import { … }` blocks.
    ImportBlock,
    /// `plan -generate-config-out`.
    GeneratedConfig,
    /// `removed { … }` blocks.
    RemovedBlock,
    /// `provider::name::function(…)`.
    Functions,
    /// Whole numbers beyond 64 bits. Older ones round them to 53 bits in what they send and save.
    BigIntegers,
    /// A `moved` block between resources of different types.
    MoveBetweenTypes,
    /// `ephemeral` blocks, variables and outputs.
    Ephemeral,
    /// Write-only attributes.
    WriteOnly,
    /// Resource identity, and import by it.
    Identity,
    /// List resources and `terraform query`.
    ListResources,
    /// `action` blocks and their triggers.
    Actions,
}

impl Feature {
    /// The first version (major, minor) of `product` that can do it, if any.
    pub fn since(self, product: Product) -> Option<(u32, u32)> {
        let (terraform, tofu) = match self {
            Self::ImportBlock | Self::GeneratedConfig => ((1, 5), Some((1, 6))),
            Self::RemovedBlock => ((1, 7), Some((1, 7))),
            Self::Functions => ((1, 8), Some((1, 7))),
            Self::BigIntegers => ((1, 9), Some((1, 9))),
            Self::MoveBetweenTypes => ((1, 8), Some((1, 10))),
            Self::Ephemeral => ((1, 10), Some((1, 11))),
            Self::WriteOnly => ((1, 11), Some((1, 11))),
            Self::Identity => ((1, 12), None),
            Self::ListResources | Self::Actions => ((1, 14), None),
        };
        match product {
            Product::Terraform => Some(terraform),
            Product::OpenTofu => tofu,
        }
    }

    /// Why `cli` cannot do it; `None` when it can.
    pub fn missing_in(self, cli: &Cli) -> Option<String> {
        let product = cli.product();
        match (self.since(product), cli.version()) {
            (Some((major, minor)), Some(version)) if (version.major, version.minor) >= (major, minor) => None,
            (Some((major, minor)), _) => Some(format!("{cli} has no {self} (since {major}.{minor})")),
            (None, _) => Some(format!("{cli} has no {self}")),
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ImportBlock => "import blocks",
            Self::GeneratedConfig => "generated configuration",
            Self::RemovedBlock => "removed blocks",
            Self::Functions => "provider functions",
            Self::BigIntegers => "whole numbers beyond 64 bits",
            Self::MoveBetweenTypes => "moves between resource types",
            Self::Ephemeral => "ephemeral resources",
            Self::WriteOnly => "write-only attributes",
            Self::Identity => "resource identity",
            Self::ListResources => "list resources",
            Self::Actions => "actions",
        })
    }
}
