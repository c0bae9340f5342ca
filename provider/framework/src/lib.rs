//! Terraform and OpenTofu providers in Rust. The struct is the schema, the state, the documentation and the
//! plan rules; what may be unknown has a type that says so.
//!
//! Begin with [`Provider`] and [`Resource`]; the guide `docs/framework/first-provider.md` builds one in forty
//! lines. Values, types and the derive are in [`schema`] (the crate `tfplugin-schema`).

mod context;
mod data_source;
mod ephemeral;
mod error;
mod findings;
mod function;
mod ids;
pub mod log;
pub mod plan;
mod private;
pub mod proto;
mod provider;
mod request;
mod resource;
mod retry;
mod secret;
mod serve;
pub mod service;
pub mod transport;

pub use context::Context;
pub use data_source::{DataSource, DataSourceHandler, SourceInfo};
pub use ephemeral::{Ephemeral, EphemeralHandler, Opened};
pub use error::{Class, Error, ErrorExt, Result};
pub use findings::Findings;
pub use function::{Arguments, Function, FunctionBuilder, FunctionError, Parameter};
pub use ids::unique_id;
pub use private::Private;
pub use provider::{Parts, Provider, ProviderTable};
pub use request::{ClientCapabilities, Request};
pub use resource::{
    BoxFuture, DEFAULT_TIMEOUTS, Draft, MoveSource, Moves, Partial, Plan, PlanValues, RawState, Read,
    ReadValue, Resource, ResourceHandler, ResourceInfo, State, Stored, Upgrades,
};
pub use retry::{Backoff, Progress};
pub use secret::Exposed;
pub use serve::serve;
pub use service::Service;
pub use tfplugin_derive::{
    SchemaViaFramework as Schema, data_source, ephemeral, function, provider, resource,
};
pub use tfplugin_schema as schema;
pub use tfplugin_schema::Maybe;
pub use tfplugin_schema::field::Schema;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
