//! The provider as the protocol sees it: every RPC is decoded, handed to the tables, checked and encoded.
//!
//! Nothing here is generic over resources: a provider with forty of them compiles this once, in this crate.
//! One wrapper (`guard`) gives every call its span, deadline, cancellation and panic guard. RPCs that are not
//! written here answer "not implemented" by the generated stubs: identity, list resources, actions, deferral,
//! configuration generation, state stores.

mod apply;
mod convert;
mod data;
mod ephemeral;
mod functions;
mod guard;
mod import;
mod judge;
mod managed;
mod plan;
mod schema;
mod table;
mod text;

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;
use tonic::{Request as Rpc, Response as Answer, Status};

use crate::proto::tfplugin6 as pb;
use crate::proto::tfplugin6::provider_server::Provider as ProtocolProvider;
use crate::provider::{Provider, ProviderTable};
use crate::request::ClientCapabilities;
use table::Table;

/// A provider that answers the protocol. Give it to [`transport`](crate::transport), or call its RPCs.
pub struct Service {
    table: Table,
    configured: RwLock<Configured>,
    stop: Mutex<CancellationToken>,
}

// What ConfigureProvider left for the calls after it.
#[derive(Clone, Default)]
struct Configured {
    provider: Option<Arc<dyn Any + Send + Sync>>,
    host_version: Arc<str>,
    capabilities: ClientCapabilities,
}

impl Service {
    /// The service of a provider. Nothing is configured or checked yet.
    pub fn of<P: Provider>(address: impl Into<String>) -> Service {
        Service::new(ProviderTable::of::<P>(), address)
    }

    /// The service of a table, for the provider of this source address.
    pub fn new(table: ProviderTable, address: impl Into<String>) -> Service {
        Service {
            table: Table::new(table, address.into()),
            configured: RwLock::default(),
            stop: Mutex::default(),
        }
    }

    fn configured(&self) -> Configured {
        self.configured.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stop_token(&self) -> CancellationToken {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).child_token()
    }
}

type Reply<T> = Result<Answer<T>, Status>;

fn reply<T>(message: T) -> Reply<T> {
    Ok(Answer::new(message))
}

#[tonic::async_trait]
impl ProtocolProvider for Service {
    async fn get_metadata(&self, _: Rpc<pb::get_metadata::Request>) -> Reply<pb::get_metadata::Response> {
        reply(self.table.metadata())
    }

    async fn get_provider_schema(
        &self,
        _: Rpc<pb::get_provider_schema::Request>,
    ) -> Reply<pb::get_provider_schema::Response> {
        reply(self.table.schemas())
    }

    async fn validate_provider_config(
        &self,
        rpc: Rpc<pb::validate_provider_config::Request>,
    ) -> Reply<pb::validate_provider_config::Response> {
        reply(self.validate_provider(rpc.into_inner()).await)
    }

    async fn configure_provider(
        &self,
        rpc: Rpc<pb::configure_provider::Request>,
    ) -> Reply<pb::configure_provider::Response> {
        reply(self.configure(rpc.into_inner()).await)
    }

    async fn stop_provider(&self, _: Rpc<pb::stop_provider::Request>) -> Reply<pb::stop_provider::Response> {
        // Calls that come after this one (closing ephemeral resources) are not stopped.
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *stop).cancel();
        reply(pb::stop_provider::Response::default())
    }

    async fn validate_resource_config(
        &self,
        rpc: Rpc<pb::validate_resource_config::Request>,
    ) -> Reply<pb::validate_resource_config::Response> {
        reply(self.validate_resource(rpc.into_inner()).await)
    }

    async fn upgrade_resource_state(
        &self,
        rpc: Rpc<pb::upgrade_resource_state::Request>,
    ) -> Reply<pb::upgrade_resource_state::Response> {
        reply(self.upgrade(rpc.into_inner()).await)
    }

    async fn read_resource(
        &self,
        rpc: Rpc<pb::read_resource::Request>,
    ) -> Reply<pb::read_resource::Response> {
        reply(self.read(rpc.into_inner()).await)
    }

    async fn plan_resource_change(
        &self,
        rpc: Rpc<pb::plan_resource_change::Request>,
    ) -> Reply<pb::plan_resource_change::Response> {
        reply(self.plan(rpc.into_inner()).await)
    }

    async fn apply_resource_change(
        &self,
        rpc: Rpc<pb::apply_resource_change::Request>,
    ) -> Reply<pb::apply_resource_change::Response> {
        reply(self.apply(rpc.into_inner()).await)
    }

    async fn import_resource_state(
        &self,
        rpc: Rpc<pb::import_resource_state::Request>,
    ) -> Reply<pb::import_resource_state::Response> {
        reply(self.import(rpc.into_inner()).await)
    }

    async fn move_resource_state(
        &self,
        rpc: Rpc<pb::move_resource_state::Request>,
    ) -> Reply<pb::move_resource_state::Response> {
        reply(self.take_over(rpc.into_inner()).await)
    }

    async fn validate_data_resource_config(
        &self,
        rpc: Rpc<pb::validate_data_resource_config::Request>,
    ) -> Reply<pb::validate_data_resource_config::Response> {
        reply(self.validate_data_source(rpc.into_inner()).await)
    }

    async fn read_data_source(
        &self,
        rpc: Rpc<pb::read_data_source::Request>,
    ) -> Reply<pb::read_data_source::Response> {
        reply(self.read_data(rpc.into_inner()).await)
    }

    async fn validate_ephemeral_resource_config(
        &self,
        rpc: Rpc<pb::validate_ephemeral_resource_config::Request>,
    ) -> Reply<pb::validate_ephemeral_resource_config::Response> {
        reply(self.validate_ephemeral(rpc.into_inner()).await)
    }

    async fn open_ephemeral_resource(
        &self,
        rpc: Rpc<pb::open_ephemeral_resource::Request>,
    ) -> Reply<pb::open_ephemeral_resource::Response> {
        reply(self.open(rpc.into_inner()).await)
    }

    async fn renew_ephemeral_resource(
        &self,
        rpc: Rpc<pb::renew_ephemeral_resource::Request>,
    ) -> Reply<pb::renew_ephemeral_resource::Response> {
        reply(self.renew(rpc.into_inner()).await)
    }

    async fn close_ephemeral_resource(
        &self,
        rpc: Rpc<pb::close_ephemeral_resource::Request>,
    ) -> Reply<pb::close_ephemeral_resource::Response> {
        reply(self.close(rpc.into_inner()).await)
    }

    async fn get_functions(&self, _: Rpc<pb::get_functions::Request>) -> Reply<pb::get_functions::Response> {
        reply(self.table.functions())
    }

    async fn call_function(
        &self,
        rpc: Rpc<pb::call_function::Request>,
    ) -> Reply<pb::call_function::Response> {
        reply(self.call(rpc.into_inner()).await)
    }
}
