//! Data sources and ephemeral resources: what is looked up or opened with a configuration.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::Value as Json;
use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::schema::{Diagnostic, Value};

use super::config::Config;
use super::failure::{Failure, Rule};
use super::findings::Findings;
use super::render::to_json;
use super::schema::Block;
use super::{Client, plan_rules, result_rules, wire};

/// A type of data sources.
#[derive(Clone, Debug)]
pub struct DataSource {
    pub(super) client: Client,
    pub(super) type_name: String,
}

/// A type of ephemeral resources.
#[derive(Clone, Debug)]
pub struct Ephemeral {
    pub(super) client: Client,
    pub(super) type_name: String,
}

/// An ephemeral resource that is open. Close it; Terraform always does.
#[derive(Clone, Debug)]
#[must_use]
pub struct OpenEphemeral {
    /// Its values as JSON.
    pub result: Json,
    /// When it wants to be renewed.
    pub renew_at: Option<SystemTime>,
    /// What the provider warned of in the last step.
    pub warnings: Vec<Diagnostic>,
    private: Option<Bytes>,
    from: Ephemeral,
}

impl DataSource {
    /// Validates a configuration, of which anything may be [`unknown`](super::unknown). Answers the warnings.
    pub async fn validate(&self, config: impl Into<Config>) -> Result<Vec<Diagnostic>, Failure> {
        self.validate_value(&config.into().value(self.block()?)?).await
    }

    /// Validates the configuration and reads what it describes, as JSON.
    pub async fn read(&self, config: impl Into<Config>) -> Result<Json, Failure> {
        self.read_value(config).await.map(|value| to_json(&value))
    }

    /// The same, exactly.
    pub async fn read_value(&self, config: impl Into<Config>) -> Result<Value, Failure> {
        const RPC: &str = "ReadDataSource";
        let block = self.block()?;
        let config = known(config.into().value(block)?)?;
        self.validate_value(&config).await?;
        let ty = block.ty();
        let request = pb::read_data_source::Request {
            type_name: self.type_name.clone(),
            config: Some(wire::encode(&config, &ty)?),
            provider_meta: self.client.meta()?,
            client_capabilities: Some(self.client.options.capabilities),
        };
        let call = async { self.client.rpc().read_data_source(request).await };
        let answer = self.client.call(RPC, call).await?;
        wire::told(RPC, answer.diagnostics)?;
        let state = wire::decode(RPC, answer.state.as_ref(), &ty)?;
        check_object(RPC, block, &config, &state)?;
        Ok(state)
    }

    fn block(&self) -> Result<&Block, Failure> {
        let found = self.client.schemas.data_sources.get(&self.type_name);
        found.ok_or_else(|| Failure::Config(format!("the provider has no data source {}", self.type_name)))
    }

    async fn validate_value(&self, config: &Value) -> Result<Vec<Diagnostic>, Failure> {
        const RPC: &str = "ValidateDataResourceConfig";
        let config = Some(wire::encode(config, &self.block()?.ty())?);
        let request =
            pb::validate_data_resource_config::Request { type_name: self.type_name.clone(), config };
        let call = async { self.client.rpc().validate_data_resource_config(request).await };
        wire::told(RPC, self.client.call(RPC, call).await?.diagnostics)
    }
}

impl Ephemeral {
    /// Validates a configuration, of which anything may be [`unknown`](super::unknown). Answers the warnings.
    pub async fn validate(&self, config: impl Into<Config>) -> Result<Vec<Diagnostic>, Failure> {
        self.validate_value(&config.into().value(self.block()?)?).await
    }

    /// Validates the configuration and opens what it describes.
    pub async fn open(&self, config: impl Into<Config>) -> Result<OpenEphemeral, Failure> {
        const RPC: &str = "OpenEphemeralResource";
        let block = self.block()?;
        let config = known(config.into().value(block)?)?;
        let mut warnings = self.validate_value(&config).await?;
        let ty = block.ty();
        let request = pb::open_ephemeral_resource::Request {
            type_name: self.type_name.clone(),
            config: Some(wire::encode(&config, &ty)?),
            client_capabilities: Some(self.client.options.capabilities),
        };
        let call = async { self.client.rpc().open_ephemeral_resource(request).await };
        let answer = self.client.call(RPC, call).await?;
        warnings.extend(wire::told(RPC, answer.diagnostics)?);
        let result = wire::decode(RPC, answer.result.as_ref(), &ty)?;
        check_object(RPC, block, &config, &result)?;
        Ok(OpenEphemeral {
            result: to_json(&result),
            renew_at: answer.renew_at.and_then(time),
            warnings,
            private: answer.private,
            from: self.clone(),
        })
    }

    fn block(&self) -> Result<&Block, Failure> {
        let found = self.client.schemas.ephemerals.get(&self.type_name);
        found.ok_or_else(|| {
            Failure::Config(format!("the provider has no ephemeral resource {}", self.type_name))
        })
    }

    async fn validate_value(&self, config: &Value) -> Result<Vec<Diagnostic>, Failure> {
        const RPC: &str = "ValidateEphemeralResourceConfig";
        let config = Some(wire::encode(config, &self.block()?.ty())?);
        let request =
            pb::validate_ephemeral_resource_config::Request { type_name: self.type_name.clone(), config };
        let call = async { self.client.rpc().validate_ephemeral_resource_config(request).await };
        wire::told(RPC, self.client.call(RPC, call).await?.diagnostics)
    }
}

impl OpenEphemeral {
    /// What the provider keeps for renewing and closing.
    pub fn private(&self) -> &[u8] {
        self.private.as_deref().unwrap_or_default()
    }

    /// Renews it. The provider says when to do so next.
    pub async fn renew(self) -> Result<OpenEphemeral, Failure> {
        const RPC: &str = "RenewEphemeralResource";
        let request = pb::renew_ephemeral_resource::Request {
            type_name: self.from.type_name.clone(),
            private: self.private.clone(),
        };
        let call = async { self.from.client.rpc().renew_ephemeral_resource(request).await };
        let answer = self.from.client.call(RPC, call).await?;
        let warnings = wire::told(RPC, answer.diagnostics)?;
        let renew_at = answer.renew_at.and_then(time);
        Ok(OpenEphemeral { renew_at, warnings, private: answer.private, ..self })
    }

    /// Closes it. Answers the warnings.
    pub async fn close(self) -> Result<Vec<Diagnostic>, Failure> {
        const RPC: &str = "CloseEphemeralResource";
        let request = pb::close_ephemeral_resource::Request {
            type_name: self.from.type_name.clone(),
            private: self.private.clone(),
        };
        let call = async { self.from.client.rpc().close_ephemeral_resource(request).await };
        wire::told(RPC, self.from.client.call(RPC, call).await?.diagnostics)
    }
}

fn known(config: Value) -> Result<Value, Failure> {
    if config.is_wholly_known() {
        return Ok(config);
    }
    Err(Failure::Config("Terraform waits until everything in this configuration is known".to_owned()))
}

// Core's rules of a plan hold for the answer too: what is configured comes back, what is not may be computed.
fn check_object(rpc: &'static str, block: &Block, config: &Value, answer: &Value) -> Result<(), Failure> {
    let mut findings = Findings::of(Rule::InvalidObject);
    if answer.is_null() {
        findings.wrong(&tfplugin_framework::schema::Path::root(), "there is no object in the answer");
    }
    result_rules::check_storable(block, answer, &mut findings);
    findings.done(rpc)?;
    let mut findings = Findings::of(Rule::ConfigChanged);
    plan_rules::check(block, &Value::Null, config, answer, &mut findings);
    findings.done(rpc)
}

fn time(stamp: prost_types::Timestamp) -> Option<SystemTime> {
    let seconds = u64::try_from(stamp.seconds).ok()?;
    let nanos = u32::try_from(stamp.nanos).ok()?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}
