//! An object that exists, as Terraform's state holds it.

use std::ops::Index;

use bytes::Bytes;
use serde_json::Value as Json;
use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::schema::{Diagnostic, Value, json};

use super::config::Config;
use super::failure::{Failure, Rule};
use super::findings::Findings;
use super::plan::Plan;
use super::render::to_json;
use super::resource::Resource;
use super::{proposed, result_rules, wire};

/// An object in the state. Indexed by attribute it shows the value as JSON.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The state as JSON: sets are arrays, dynamic values stand without their type.
    pub state: Json,
    /// What the provider warned of in the last step.
    pub warnings: Vec<Diagnostic>,
    /// Whether the next plan replaces it, because its creation failed.
    pub tainted: bool,
    pub(super) value: Value,
    pub(super) private: Bytes,
    pub(super) config: Value,
    pub(super) resource: Resource,
}

impl Instance {
    pub(super) fn new(
        resource: &Resource,
        value: Value,
        private: Bytes,
        warnings: Vec<Diagnostic>,
    ) -> Instance {
        Instance {
            state: to_json(&value),
            warnings,
            tainted: false,
            value,
            private,
            config: Value::Null,
            resource: resource.clone(),
        }
    }

    /// The state exactly, numbers of any precision included.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// What the provider keeps beside the state.
    pub fn private(&self) -> &[u8] {
        &self.private
    }

    /// Plans a changed configuration.
    pub async fn plan(&self, config: impl Into<Config>) -> Result<Plan, Failure> {
        self.resource.plan(Some(self), config).await
    }

    /// Plans and applies a changed configuration, in place or by replacement, as the provider wants.
    pub async fn update(&self, config: impl Into<Config>) -> Result<Instance, Failure> {
        still_there(self.plan(config).await?.apply().await?)
    }

    /// Replaces it by another of the same configuration, as `-replace` does.
    pub async fn replace(&self) -> Result<Instance, Failure> {
        let resource = &self.resource;
        let plan = resource.plan_value(Some(self.clone()), self.config.clone(), true).await?;
        still_there(plan.apply().await?)
    }

    /// Reads it anew as every plan does: the stored JSON is upgraded, then read. None: it is gone.
    pub async fn refresh(&self) -> Result<Option<Instance>, Failure> {
        let managed = self.resource.managed()?;
        let stored = json::encode(&self.value, &managed.ty).map_err(|e| Failure::Config(e.to_string()))?;
        let upgraded = self.resource.upgrade(managed.version, stored).await?;
        let current = Instance { value: upgraded, ..self.clone() };
        let read = self.resource.read(&current).await?;
        Ok(read.map(|read| Instance { config: self.config.clone(), tainted: self.tainted, ..read }))
    }

    /// Whether reading it finds what is stored, and planning its configuration again changes nothing.
    pub async fn settled(&self) -> Result<bool, Failure> {
        let Some(read) = self.refresh().await? else { return Ok(false) };
        if read.value != self.value {
            return Ok(false);
        }
        let plan = self.resource.plan_value(Some(read), self.config.clone(), self.tainted).await?;
        Ok(plan.is_empty())
    }

    /// Plans and applies its removal.
    pub async fn destroy(&self) -> Result<(), Failure> {
        self.resource.plan_destroy(self).await?.apply().await.map(|_| ())
    }

    /// The configuration that Terraform writes for an imported object: what can be configured, as it is.
    pub fn generated_config(&self) -> Result<Config, Failure> {
        Ok(proposed::configured_part(&self.resource.managed()?.block, &self.value).into())
    }
}

impl Index<&str> for Instance {
    type Output = Json;

    /// The value of an attribute; null where there is none.
    fn index(&self, attribute: &str) -> &Json {
        &self.state[attribute]
    }
}

impl Resource {
    /// One UpgradeResourceState.
    pub(super) async fn upgrade(&self, version: i64, stored: Vec<u8>) -> Result<Value, Failure> {
        const RPC: &str = "UpgradeResourceState";
        let managed = self.managed()?;
        let request = pb::upgrade_resource_state::Request {
            type_name: self.type_name.clone(),
            version,
            raw_state: Some(pb::RawState { json: stored.into(), ..Default::default() }),
        };
        let call = async { self.client.rpc().upgrade_resource_state(request).await };
        let answer = self.client.call(RPC, call).await?;
        wire::told(RPC, answer.diagnostics)?;
        let value = wire::decode(RPC, answer.upgraded_state.as_ref(), &managed.ty)?;
        self.check_stored(RPC, &value)?;
        Ok(value)
    }

    /// One ReadResource.
    pub(super) async fn read(&self, current: &Instance) -> Result<Option<Instance>, Failure> {
        const RPC: &str = "ReadResource";
        let managed = self.managed()?;
        let request = pb::read_resource::Request {
            type_name: self.type_name.clone(),
            current_state: Some(wire::encode(&current.value, &managed.ty)?),
            private: current.private.clone(),
            provider_meta: self.client.meta()?,
            client_capabilities: Some(self.client.options.capabilities),
            current_identity: None,
        };
        let call = async { self.client.rpc().read_resource(request).await };
        let answer = self.client.call(RPC, call).await?;
        let warnings =
            wire::told(RPC, answer.diagnostics).map_err(|failure| failure.keeping(Some(current.clone())))?;
        let value = wire::decode(RPC, answer.new_state.as_ref(), &managed.ty)?;
        if value.is_null() {
            return Ok(None);
        }
        self.check_stored(RPC, &value)?;
        Ok(Some(Instance::new(self, value, answer.private, warnings)))
    }

    /// What holds of every object that is stored without a plan before it.
    pub(super) fn check_stored(&self, rpc: &'static str, value: &Value) -> Result<(), Failure> {
        let mut findings = Findings::of(Rule::InvalidObject);
        if value.is_null() {
            findings.wrong(&tfplugin_framework::schema::Path::root(), "there is no object in the answer");
        }
        result_rules::check_storable(&self.managed()?.block, value, &mut findings);
        findings.done(rpc)
    }
}

fn still_there(instance: Option<Instance>) -> Result<Instance, Failure> {
    instance.ok_or_else(|| Failure::Config("the object was removed where it should be changed".to_owned()))
}
