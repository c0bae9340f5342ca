//! Documentation pages of a provider, as the Terraform registry wants them, from its schemas and examples.
//!
//! ```no_run
//! # use tfplugin_framework::Provider;
//! # fn write<Acme: Provider>() -> std::io::Result<()> {
//! let pages = tfplugin_docs::Pages::of::<Acme>(tfplugin_docs::Options {
//!     address: "registry.terraform.io/acme/acme".to_owned(),
//!     provider_title: "Acme".to_owned(),
//!     examples: "examples".into(),
//! });
//! for finding in pages.findings() {
//!     eprintln!("{finding}");
//! }
//! pages.write_to("docs".as_ref())?;
//! # Ok(())
//! # }
//! ```
//!
//! [`main`] does that for a provider's own binary: `terraform-provider-acme docs --out docs [--check]`.
//!
//! No text here is about any one resource: what a page says comes from doc comments, schemas and examples, and
//! the same schema gives the same bytes. Headings and anchors are those of tfplugindocs, so links stay valid.

mod command;
mod disk;
mod examples;
mod facts;
mod finding;
mod function;
mod hcl;
mod managed;
mod markdown;
mod page;
mod pages;
mod schema;
mod words;

pub use command::main;
pub use disk::{Difference, Stale, Written};
pub use finding::Finding;
pub use pages::{Options, Pages};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
