//! Taking over objects: by id, from states of earlier versions, and from other resource types.

use bytes::Bytes;
use serde_json::Value as Json;
use tfplugin_framework::proto::tfplugin6 as pb;

use super::failure::{Failure, Rule, Violation};
use super::instance::Instance;
use super::{Client, wire};

/// An object of another resource type, as its state file has it.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The address of the provider that wrote it: `registry.terraform.io/hashicorp/aws`.
    pub provider: String,
    /// The resource type: `aws_instance`.
    pub type_name: String,
    /// The version of its schema.
    pub version: i64,
    /// Its state.
    pub state: Json,
    /// Its private state.
    pub private: Bytes,
}

impl Client {
    /// Imports an object by its id and reads it, as `terraform import` does.
    pub async fn import(&self, type_name: &str, id: &str) -> Result<Instance, Failure> {
        const RPC: &str = "ImportResourceState";
        let resource = self.resource(type_name);
        let request = pb::import_resource_state::Request {
            type_name: type_name.to_owned(),
            id: id.to_owned(),
            client_capabilities: Some(self.options.capabilities),
            identity: None,
        };
        let call = async { self.rpc().import_resource_state(request).await };
        let answer = self.call(RPC, call).await?;
        let mut warnings = wire::told(RPC, answer.diagnostics)?;
        let [imported] = answer.imported_resources.as_slice() else {
            let what =
                format!("{} objects were imported, where one was asked for", answer.imported_resources.len());
            return Err(Failure::broken(RPC, vec![Violation::new(Rule::InvalidObject, id, what)]));
        };
        if imported.type_name != type_name {
            let what = format!("an object of another type was imported: {}", imported.type_name);
            return Err(Failure::broken(RPC, vec![Violation::new(Rule::InvalidObject, id, what)]));
        }
        let value = wire::decode(RPC, imported.state.as_ref(), &resource.managed()?.ty)?;
        resource.check_stored(RPC, &value)?;
        let stub = Instance::new(&resource, value, imported.private.clone(), Vec::new());
        let Some(mut read) = resource.read(&stub).await? else {
            let what =
                "the imported object is gone when it is read: Cannot import non-existent remote object";
            return Err(Failure::broken("ReadResource", vec![Violation::new(Rule::InvalidObject, id, what)]));
        };
        warnings.append(&mut read.warnings);
        Ok(Instance { warnings, ..read })
    }

    /// Upgrades a stored state of this or an earlier version.
    pub async fn upgrade(&self, type_name: &str, version: i64, state: Json) -> Result<Instance, Failure> {
        let resource = self.resource(type_name);
        let value = resource.upgrade(version, state.to_string().into_bytes()).await?;
        Ok(Instance::new(&resource, value, Bytes::new(), Vec::new()))
    }

    /// Moves an object of another type here, as a `moved` block does (Terraform 1.8).
    pub async fn move_state(&self, from: Moved, to: &str) -> Result<Instance, Failure> {
        const RPC: &str = "MoveResourceState";
        let resource = self.resource(to);
        let request = pb::move_resource_state::Request {
            source_provider_address: from.provider,
            source_type_name: from.type_name,
            source_schema_version: from.version,
            source_state: Some(pb::RawState {
                json: from.state.to_string().into_bytes().into(),
                ..Default::default()
            }),
            target_type_name: to.to_owned(),
            source_private: from.private,
            ..Default::default()
        };
        let call = async { self.rpc().move_resource_state(request).await };
        let answer = self.call(RPC, call).await?;
        let warnings = wire::told(RPC, answer.diagnostics)?;
        let value = wire::decode(RPC, answer.target_state.as_ref(), &resource.managed()?.ty)?;
        resource.check_stored(RPC, &value)?;
        Ok(Instance::new(&resource, value, answer.target_private, warnings))
    }
}
