//! Taking over objects: by id, and from other resource types.

use std::sync::Arc;

use super::Service;
use super::convert::{diagnostics, encode};
use super::guard::{Kind, found, guarded, timed, told};
use crate::error::{Error, ErrorExt};
use crate::private::Private;
use crate::proto::tfplugin6 as pb;
use crate::resource::{MoveSource, RawState};
use crate::schema::{Diagnostics, Operation, Value};

impl Service {
    pub(super) async fn import(
        &self,
        rpc: pb::import_resource_state::Request,
    ) -> pb::import_resource_state::Response {
        let span = self.span("ImportResourceState", Kind::Resource, &rpc.type_name);
        let mut out = Diagnostics::new();
        let imported = timed(span, self.import_inner(&rpc, &mut out)).await;
        pb::import_resource_state::Response {
            imported_resources: imported.into_iter().collect(),
            diagnostics: diagnostics(&out),
            deferred: None,
        }
    }

    async fn import_inner(
        &self,
        rpc: &pb::import_resource_state::Request,
        out: &mut Diagnostics,
    ) -> Option<pb::import_resource_state::ImportedResource> {
        let entry = found(self.table.resource(&rpc.type_name), out)?;
        let (info, ty) = entry.info();
        if !info.importable {
            out.error(
                format!("{} cannot be imported", rpc.type_name),
                "Objects of this type can only be created by Terraform.",
            );
            return None;
        }
        let limit = super::managed::limit(info, &Value::Null, Operation::Read);
        let request = Arc::new(self.request(&rpc.type_name).until(limit));
        let outcome = guarded(&request, entry.handler.import(&request, rpc.id.clone())).await;
        out.extend(request.take_diagnostics());
        let doing = format!("Cannot import {} with the id {:?}", rpc.type_name, rpc.id);
        let mut state = told(outcome.context(doing), out)?;
        crate::resource::forget_write_only(&info.schema, &mut state);
        out.extend(super::apply::state_problems(self, info, &state, &rpc.type_name));
        if out.has_errors() {
            return None;
        }
        let state = told(encode(&state, ty), out)?;
        Some(pb::import_resource_state::ImportedResource {
            type_name: rpc.type_name.clone(),
            state: Some(state),
            private: request.private_state().encode(),
            identity: None,
        })
    }

    pub(super) async fn take_over(
        &self,
        rpc: pb::move_resource_state::Request,
    ) -> pb::move_resource_state::Response {
        let span = self.span("MoveResourceState", Kind::Resource, &rpc.target_type_name);
        let mut out = Diagnostics::new();
        let moved = timed(span, self.take_over_inner(&rpc, &mut out)).await;
        let (target_state, target_private) = moved.unwrap_or_default();
        pb::move_resource_state::Response {
            target_state,
            target_private,
            diagnostics: diagnostics(&out),
            target_identity: None,
        }
    }

    async fn take_over_inner(
        &self,
        rpc: &pb::move_resource_state::Request,
        out: &mut Diagnostics,
    ) -> Option<(Option<pb::DynamicValue>, bytes::Bytes)> {
        let entry = found(self.table.resource(&rpc.target_type_name), out)?;
        let (info, ty) = entry.info();
        let json = rpc.source_state.as_ref().map(|raw| raw.json.clone()).unwrap_or_default();
        let source = MoveSource {
            provider: rpc.source_provider_address.clone(),
            type_name: rpc.source_type_name.clone(),
            version: rpc.source_schema_version,
            state: told(RawState::from_json(&json), out)?,
        };
        let request = Arc::new(self.request(&rpc.target_type_name));
        let outcome = guarded(&request, async { entry.handler.take_over(&source) }).await;
        let doing = format!("Cannot move {} to {}", rpc.source_type_name, rpc.target_type_name);
        let Some(mut state) = told(outcome.context(doing), out)? else {
            let refused = Error::invalid(format!(
                "{} takes no objects from {} of {}",
                rpc.target_type_name, rpc.source_type_name, rpc.source_provider_address
            ));
            out.push(refused.next("Remove the moved block and import the object instead.").diagnostic());
            return None;
        };
        crate::resource::forget_write_only(&info.schema, &mut state);
        out.extend(super::apply::state_problems(self, info, &state, &rpc.target_type_name));
        if out.has_errors() {
            return None;
        }
        let state = told(encode(&state, ty), out)?;
        // Private state of our own goes along; what another provider kept there means nothing here.
        let own = Private::decode(&rpc.source_private).unwrap_or_default();
        Some((Some(state), own.encode()))
    }
}
