//! A host in the test's own process: plays Terraform core against a provider, over real gRPC bytes but without
//! sockets, processes or command lines.
//!
//! Every step makes the calls that core makes, in its order, and applies core's own assertions to each answer.
//! The assertions are written from core's rules and know only what came over the wire, so a mistake in the
//! framework's checks does not hide here. What an answer breaks is a [`Failure::Rules`]; what the provider
//! refuses is a [`Failure::Diagnostics`].
//!
//! ```no_run
//! # use tfplugin_framework::Provider;
//! use serde_json::json;
//! use tfplugin_testing::client::{Client, ExpectError, unknown};
//!
//! # async fn test<Acme: Provider>() -> Result<(), tfplugin_testing::client::Failure> {
//! let provider = Client::of::<Acme>().await?;
//! provider.configure(json!({"endpoint": "http://x"})).await?;
//! let caches = provider.resource("acme_token_cache");
//!
//! let cache = caches.apply(json!({"name": "a"})).await?;
//! assert_eq!(cache["endpoint"], "http://x/a");
//! assert!(cache.settled().await?);
//!
//! let plan = caches.plan(Some(&cache), json!({"name": unknown()})).await?;
//! assert_eq!(plan.requires_replace(), ["name"]);
//! caches.plan(None, json!({"name": ""})).await.expect_error("at least 1");
//! cache.destroy().await?;
//! # Ok(()) }
//! ```

mod config;
mod evolve;
mod failure;
mod findings;
mod function;
mod instance;
mod plan;
mod plan_rules;
mod proposed;
mod render;
mod resource;
mod result_rules;
mod schema;
mod schemas;
mod source;
mod wire;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::proto::tfplugin6::provider_server::Provider as ProtocolProvider;
use tfplugin_framework::schema::Diagnostic;
use tfplugin_framework::{Provider, Service};
use tonic::{Response, Status};

pub use config::Config;
pub use evolve::Moved;
pub use failure::{Broken, ExpectError, Failure, FunctionRefusal, Refusal, Rule, Violation};
pub use instance::Instance;
pub use plan::{Action, Plan};
pub use render::{unknown, unknown_not_null, unknown_prefix};
pub use resource::Resource;
use schemas::Schemas;
pub use source::{DataSource, Ephemeral, OpenEphemeral};
pub use wire::{Rpc, connect};

/// A host that talks to one provider. Clones share the connection; the provider ends with the last of them.
#[derive(Clone, Debug)]
pub struct Client {
    rpc: Rpc,
    schemas: Arc<Schemas>,
    options: Options,
}

// What kind of host it is.
#[derive(Clone, Debug)]
struct Options {
    capabilities: pb::ClientCapabilities,
    version: String,
    patience: Duration,
    meta: Option<serde_json::Value>,
}

impl Client {
    /// Connects to a provider of the framework and reads its schemas, which core must accept.
    pub async fn of<P: Provider>() -> Result<Client, Failure> {
        let address = format!("registry.terraform.io/test/{}", P::NAME);
        Client::new(Service::of::<P>(address)).await
    }

    /// Connects to any service of the protocol and reads its schemas, which core must accept.
    pub async fn new(service: impl ProtocolProvider) -> Result<Client, Failure> {
        let mut options = Options {
            capabilities: pb::ClientCapabilities::default(),
            version: "1.15.0".to_owned(),
            patience: Duration::from_secs(60),
            meta: None,
        };
        options.capabilities.write_only_attributes_allowed = true;
        let rpc = connect(service).await?;
        let call = async { rpc.clone().get_provider_schema(pb::get_provider_schema::Request {}).await };
        let answer = wire::answer("GetProviderSchema", options.patience, call).await?;
        let schemas = Arc::new(Schemas::load(answer)?);
        Ok(Client { rpc, schemas, options })
    }

    /// Whether the host says that it knows write-only attributes (Terraform 1.11). It does unless told otherwise.
    #[must_use]
    pub fn write_only_allowed(mut self, allowed: bool) -> Client {
        self.options.capabilities.write_only_attributes_allowed = allowed;
        self
    }

    /// Which version of Terraform the host says it is.
    #[must_use]
    pub fn terraform_version(mut self, version: impl Into<String>) -> Client {
        self.options.version = version.into();
        self
    }

    /// How long to wait for any answer; a minute unless told otherwise. With a paused clock, longer than the
    /// handlers' own deadlines.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Client {
        self.options.patience = patience;
        self
    }

    /// What the module says in its `provider_meta` block.
    #[must_use]
    pub fn provider_meta(mut self, meta: serde_json::Value) -> Client {
        self.options.meta = Some(meta);
        self
    }

    /// Validates and configures the provider, as at the start of a plan or apply. Values may be
    /// [`unknown`]. Answers the warnings.
    pub async fn configure(&self, config: impl Into<Config>) -> Result<Vec<Diagnostic>, Failure> {
        let block = &self.schemas.provider;
        let config = wire::encode(&config.into().value(block)?, &block.ty())?;
        let request = pb::validate_provider_config::Request { config: Some(config.clone()) };
        let call = async { self.rpc.clone().validate_provider_config(request).await };
        let answer = self.call("ValidateProviderConfig", call).await?;
        let mut warnings = wire::told("ValidateProviderConfig", answer.diagnostics)?;

        let request = pb::configure_provider::Request {
            terraform_version: self.options.version.clone(),
            config: Some(config),
            client_capabilities: Some(self.options.capabilities),
        };
        let call = async { self.rpc.clone().configure_provider(request).await };
        let answer = self.call("ConfigureProvider", call).await?;
        warnings.extend(wire::told("ConfigureProvider", answer.diagnostics)?);
        Ok(warnings)
    }

    /// Tells the provider to end what it is doing, as Ctrl-C does. The calls under way fail soon after.
    pub async fn stop(&self) -> Result<(), Failure> {
        let call = async { self.rpc.clone().stop_provider(pb::stop_provider::Request {}).await };
        let answer = self.call("StopProvider", call).await?;
        if answer.error.is_empty() {
            return Ok(());
        }
        Err(Failure::refused("StopProvider", vec![Diagnostic::error(answer.error, "")]))
    }

    /// The answer to GetMetadata, which must name exactly what the schemas have.
    pub async fn metadata(&self) -> Result<pb::get_metadata::Response, Failure> {
        let call = async { self.rpc.clone().get_metadata(pb::get_metadata::Request {}).await };
        let answer = self.call("GetMetadata", call).await?;
        wire::told("GetMetadata", answer.diagnostics.clone())?;
        self.schemas.check_metadata(&answer)?;
        Ok(answer)
    }

    /// The answer to GetProviderSchema, as it was when the client connected.
    pub fn schema(&self) -> &pb::get_provider_schema::Response {
        &self.schemas.answer
    }

    /// A type of managed resources.
    pub fn resource(&self, type_name: impl Into<String>) -> Resource {
        Resource { client: self.clone(), type_name: type_name.into() }
    }

    /// A type of data sources.
    pub fn data_source(&self, type_name: impl Into<String>) -> DataSource {
        DataSource { client: self.clone(), type_name: type_name.into() }
    }

    /// A type of ephemeral resources.
    pub fn ephemeral(&self, type_name: impl Into<String>) -> Ephemeral {
        Ephemeral { client: self.clone(), type_name: type_name.into() }
    }

    /// The generated client, for requests that no host makes.
    pub fn rpc(&self) -> Rpc {
        self.rpc.clone()
    }

    async fn call<T>(
        &self,
        rpc: &'static str,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        wire::answer(rpc, self.options.patience, call).await
    }

    // Absent where the provider knows no `provider_meta` blocks.
    fn meta(&self) -> Result<Option<pb::DynamicValue>, Failure> {
        let Some(block) = &self.schemas.meta else { return Ok(None) };
        let said = self.options.meta.clone().unwrap_or(serde_json::Value::Null);
        let value = Config::from(said).value(block)?;
        wire::encode(&value, &block.ty()).map(Some)
    }
}
