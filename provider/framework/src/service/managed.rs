//! Managed resources: validating, upgrading and reading. Planning and applying have files of their own.

use std::sync::Arc;

use super::convert::{decode, diagnostics, encode};
use super::guard::{Kind, found, guarded, guarded_now, timed, told};
use super::{Service, apply, text};
use crate::error::{Error, ErrorExt, Result};
use crate::plan;
use crate::proto::tfplugin6 as pb;
use crate::request::ClientCapabilities;
use crate::resource::{RawState, ReadValue, ResourceHandler, ResourceInfo};
use crate::schema::{Diagnostics, Operation, Type, Value};

impl Service {
    pub(super) async fn validate_resource(
        &self,
        rpc: pb::validate_resource_config::Request,
    ) -> pb::validate_resource_config::Response {
        let span = self.span("ValidateResourceConfig", Kind::Resource, &rpc.type_name);
        let mut out = Diagnostics::new();
        timed(span, async {
            let Some(entry) = found(self.table.resource(&rpc.type_name), &mut out) else { return };
            let (info, ty) = entry.info();
            let schema = (&info.schema, ty);
            let capabilities = ClientCapabilities::from(rpc.client_capabilities);
            let own = |config: &Value, out: &mut Diagnostics| entry.handler.validate(config, out);
            Self::judge(&rpc.type_name, schema, rpc.config.as_ref(), capabilities, &mut out, own).await;
        })
        .await;
        pb::validate_resource_config::Response { diagnostics: diagnostics(&out) }
    }

    pub(super) async fn upgrade(
        &self,
        rpc: pb::upgrade_resource_state::Request,
    ) -> pb::upgrade_resource_state::Response {
        let span = self.span("UpgradeResourceState", Kind::Resource, &rpc.type_name);
        let mut out = Diagnostics::new();
        let upgraded_state = timed(span, async {
            let entry = found(self.table.resource(&rpc.type_name), &mut out)?;
            let (info, ty) = entry.info();
            let mut state = Value::Null;
            guarded_now(&rpc.type_name, &mut out, |out| {
                let upgraded = upgrade(&*entry.handler, info, ty, rpc.version, rpc.raw_state.as_ref());
                state = told(upgraded.context(format!("Cannot read the state of {}", rpc.type_name)), out)
                    .unwrap_or(Value::Null);
                // An earlier version may have stored what is write-only now.
                crate::resource::forget_write_only(&info.schema, &mut state);
            })
            .await;
            if out.has_errors() { None } else { told(encode(&state, ty), &mut out) }
        })
        .await;
        pb::upgrade_resource_state::Response { upgraded_state, diagnostics: diagnostics(&out) }
    }

    pub(super) async fn read(&self, rpc: pb::read_resource::Request) -> pb::read_resource::Response {
        let span = self.span("ReadResource", Kind::Resource, &rpc.type_name);
        let mut out = Diagnostics::new();
        let mut response = timed(span, self.read_inner(&rpc, &mut out)).await.unwrap_or_default();
        if out.has_errors() {
            // What was known stays known, so that an error loses nothing.
            response.new_state = rpc.current_state;
            response.private = rpc.private;
        }
        response.diagnostics = diagnostics(&out);
        response
    }

    async fn read_inner(
        &self,
        rpc: &pb::read_resource::Request,
        out: &mut Diagnostics,
    ) -> Option<pb::read_resource::Response> {
        let entry = found(self.table.resource(&rpc.type_name), out)?;
        let (info, ty) = entry.info();
        let current = told(decode(rpc.current_state.as_ref(), ty, "state"), out)?;
        if current.is_null() {
            return Some(pb::read_resource::Response {
                new_state: rpc.current_state.clone(),
                ..Default::default()
            });
        }
        let request = self.request(&rpc.type_name).until(limit(info, &current, Operation::Read));
        let mut request = told(request.with_private_bytes(&rpc.private), out)?;
        request.meta = told(self.provider_meta(rpc.provider_meta.as_ref()), out)?;
        let request = Arc::new(request);
        let outcome = guarded(&request, entry.handler.read(&request, current.clone())).await;
        out.extend(request.take_diagnostics());
        let new = match told(outcome.context(format!("Cannot read {}", rpc.type_name)), out)? {
            ReadValue::Gone => Value::Null,
            ReadValue::Unchanged => current,
            ReadValue::Found(mut new) => {
                crate::resource::forget_write_only(&info.schema, &mut new);
                text::compose(&mut new);
                text::keep_null_types(&current, &mut new);
                plan::keep_spelling(&info.schema, &current, &mut new);
                out.extend(apply::state_problems(self, info, &new, &rpc.type_name));
                new
            }
        };
        let new_state = told(encode(&new, ty), out);
        Some(pb::read_resource::Response {
            new_state,
            private: request.private_state().encode(),
            ..Default::default()
        })
    }

    pub(super) fn provider_meta(&self, meta: Option<&pb::DynamicValue>) -> Result<Value> {
        match &self.table.meta_type {
            Some(ty) => decode(meta, ty, "provider_meta block"),
            None => Ok(Value::Null),
        }
    }
}

/// The operation's deadline: the configuration's, else the resource's.
pub(super) fn limit(
    info: &ResourceInfo,
    object: &Value,
    operation: Operation,
) -> Option<std::time::Duration> {
    use crate::schema::{Field, Role, Timeouts};
    let attribute = info.schema.attributes.iter().find(|attribute| attribute.role == Role::Timeouts);
    let configured = attribute
        .and_then(|attribute| Timeouts::read(object.get(&attribute.name)).ok())
        .and_then(|timeouts| timeouts.get(operation));
    configured.or(info.timeouts.get(operation)).map(|limit| limit.0)
}

fn upgrade(
    handler: &dyn ResourceHandler,
    info: &ResourceInfo,
    ty: &Type,
    mut version: i64,
    raw: Option<&pb::RawState>,
) -> Result<Value> {
    let raw = raw.ok_or_else(|| Error::invalid("there is no state to upgrade"))?;
    if raw.json.is_empty() {
        return Err(Error::invalid("the state was written by Terraform 0.11 or older")
            .next("Apply once with Terraform 0.12 to 0.14 and the provider of that time, then upgrade."));
    }
    if version > info.version {
        return Err(Error::invalid(format!(
            "the state has version {version}, and this provider knows versions up to {}",
            info.version
        ))
        .next("Use the version of the provider that wrote the state, or a later one."));
    }
    let decode_json = |json: &[u8]| {
        crate::schema::json::decode_state(json, ty)
            .map_err(|e| Error::permanent(e.message().to_owned()).at(e.path()))
    };
    if version == info.version {
        return decode_json(&raw.json);
    }
    let mut state = RawState::from_json(&raw.json)?;
    while version < info.version {
        let step = handler
            .upgrade(version, &state)
            .context(format!("upgrading the state from version {version}"))?;
        let Some((next, upgraded)) = step else {
            return Err(Error::bug(format!(
                "there is no upgrade from version {version} of the state to version {}",
                info.version
            )));
        };
        if next <= version || next > info.version {
            return Err(Error::bug(format!("the upgrade from version {version} leads to version {next}")));
        }
        (version, state) = (next, upgraded);
    }
    state.value(ty)
}
