//! The least that any provider does: the same schema and transport as [`Bench`], and every value handed back
//! undecoded, but for the four bytes of the computed `id`: they are made unknown in the plan and known in the
//! state, because an unknown value costs Terraform itself time, with every provider that has one.

use tfplugin_framework::Service;
use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::proto::tfplugin6::provider_server::Provider;
use tonic::{Request, Response, Status};

use super::{ADDRESS, Bench};

/// Hands back what it is given.
pub struct Echo {
    schemas: Service,
}

impl Echo {
    /// With the schema of [`Bench`].
    pub fn new() -> Echo {
        Echo { schemas: Service::of::<Bench>(ADDRESS) }
    }
}

impl Default for Echo {
    fn default() -> Self {
        Echo::new()
    }
}

// The key "id" in msgpack, then nil, the unknown extension, and a string of one letter.
const ID_NULL: &[u8] = b"\xa2id\xc0";
const ID_UNKNOWN: &[u8] = b"\xa2id\xd4\x00\x00";
const ID_KNOWN: &[u8] = b"\xa2id\xa1x";

fn replaced(value: pb::DynamicValue, from: &[u8], to: &[u8]) -> pb::DynamicValue {
    let bytes = &value.msgpack;
    match bytes.windows(from.len()).position(|window| window == from) {
        Some(at) => {
            let parts = [&bytes[..at], to, &bytes[at + from.len()..]];
            pb::DynamicValue { msgpack: parts.concat().into(), json: value.json }
        }
        None => value,
    }
}

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Provider for Echo {
    async fn get_metadata(
        &self,
        request: Request<pb::get_metadata::Request>,
    ) -> Reply<pb::get_metadata::Response> {
        self.schemas.get_metadata(request).await
    }

    async fn get_provider_schema(
        &self,
        request: Request<pb::get_provider_schema::Request>,
    ) -> Reply<pb::get_provider_schema::Response> {
        self.schemas.get_provider_schema(request).await
    }

    async fn validate_provider_config(
        &self,
        _: Request<pb::validate_provider_config::Request>,
    ) -> Reply<pb::validate_provider_config::Response> {
        Ok(Response::new(Default::default()))
    }

    async fn configure_provider(
        &self,
        _: Request<pb::configure_provider::Request>,
    ) -> Reply<pb::configure_provider::Response> {
        Ok(Response::new(Default::default()))
    }

    async fn stop_provider(
        &self,
        _: Request<pb::stop_provider::Request>,
    ) -> Reply<pb::stop_provider::Response> {
        Ok(Response::new(Default::default()))
    }

    async fn validate_resource_config(
        &self,
        _: Request<pb::validate_resource_config::Request>,
    ) -> Reply<pb::validate_resource_config::Response> {
        Ok(Response::new(Default::default()))
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<pb::upgrade_resource_state::Request>,
    ) -> Reply<pb::upgrade_resource_state::Response> {
        let json = request.into_inner().raw_state.unwrap_or_default().json;
        Ok(Response::new(pb::upgrade_resource_state::Response {
            upgraded_state: Some(pb::DynamicValue { json, ..Default::default() }),
            ..Default::default()
        }))
    }

    async fn read_resource(
        &self,
        request: Request<pb::read_resource::Request>,
    ) -> Reply<pb::read_resource::Response> {
        let request = request.into_inner();
        Ok(Response::new(pb::read_resource::Response {
            new_state: request.current_state,
            private: request.private,
            ..Default::default()
        }))
    }

    async fn plan_resource_change(
        &self,
        request: Request<pb::plan_resource_change::Request>,
    ) -> Reply<pb::plan_resource_change::Response> {
        let request = request.into_inner();
        Ok(Response::new(pb::plan_resource_change::Response {
            planned_state: request.proposed_new_state.map(|value| replaced(value, ID_NULL, ID_UNKNOWN)),
            planned_private: request.prior_private,
            ..Default::default()
        }))
    }

    async fn apply_resource_change(
        &self,
        request: Request<pb::apply_resource_change::Request>,
    ) -> Reply<pb::apply_resource_change::Response> {
        let request = request.into_inner();
        Ok(Response::new(pb::apply_resource_change::Response {
            new_state: request.planned_state.map(|value| replaced(value, ID_UNKNOWN, ID_KNOWN)),
            private: request.planned_private,
            ..Default::default()
        }))
    }
}
