//! Planning a managed resource: the pipeline, then the resource's own say, then core's rules.

use std::sync::Arc;

use super::Service;
use super::convert::{decode, diagnostics, encode, path};
use super::guard::{Kind, found, guarded, timed, told};
use super::managed::limit;
use crate::error::ErrorExt;
use crate::plan::{self, PlanInput};
use crate::proto::tfplugin6 as pb;
use crate::request::ClientCapabilities;
use crate::resource::PlanValues;
use crate::schema::{Diagnostic, Diagnostics, Operation, Path, Value};

impl Service {
    pub(super) async fn plan(
        &self,
        rpc: pb::plan_resource_change::Request,
    ) -> pb::plan_resource_change::Response {
        let span = self.span("PlanResourceChange", Kind::Resource, &rpc.type_name);
        let mut out = Diagnostics::new();
        let mut response = timed(span, self.plan_inner(&rpc, &mut out)).await.unwrap_or_default();
        if out.has_errors() && response.planned_state.is_none() {
            // Core wants some state even beside an error.
            response.planned_state = rpc.proposed_new_state;
        }
        response.diagnostics = diagnostics(&out);
        response
    }

    async fn plan_inner(
        &self,
        rpc: &pb::plan_resource_change::Request,
        out: &mut Diagnostics,
    ) -> Option<pb::plan_resource_change::Response> {
        let entry = found(self.table.resource(&rpc.type_name), out)?;
        let (info, ty) = entry.info();
        let prior = told(decode(rpc.prior_state.as_ref(), ty, "state"), out)?;
        let config = told(decode(rpc.config.as_ref(), ty, "configuration"), out)?;
        let proposed_null = is_nil(rpc.proposed_new_state.as_ref());
        // In a replacement Terraform hands the old object's private state to the plan of the new one.
        let none = bytes::Bytes::new();
        let private = if prior.is_null() { &none } else { &rpc.prior_private };
        let request = self.request(&rpc.type_name).until(limit(info, &config, Operation::Read));
        let mut request = told(request.with_private_bytes(private), out)?;
        request.meta = told(self.provider_meta(rpc.provider_meta.as_ref()), out)?;
        if rpc.client_capabilities.is_some() {
            request.capabilities = ClientCapabilities::from(rpc.client_capabilities);
        }
        let request = Arc::new(request);
        let pending = info.resumable && request.pending().is_some();

        let (planned, mut replace) = if proposed_null {
            out.extend(plan::check_protection(&info.schema, &prior));
            (Value::Null, Vec::new())
        } else {
            let input = PlanInput { schema: &info.schema, config: &config, prior: &prior, pending };
            let plan = plan::plan(input);
            out.extend(plan.diagnostics);
            (plan.planned, plan.requires_replace)
        };
        if out.has_errors() {
            return None;
        }
        if pending && !proposed_null {
            let what = request.pending().unwrap_or_default();
            out.push(Diagnostic::warning(
                format!("The creation of {} did not finish", rpc.type_name),
                format!("Still to do: {what}. Applying this plan continues it."),
            ));
        }

        let planned = if entry.handler.modifies_plan() {
            let values =
                PlanValues { config: config.clone(), prior: prior.clone(), planned: planned.clone() };
            let outcome = guarded(&request, entry.handler.modify_plan(&request, values)).await;
            out.extend(request.take_diagnostics());
            let (modified, more) = told(outcome.context(format!("Cannot plan {}", rpc.type_name)), out)?;
            if !more.is_empty() && !prior.is_null() {
                replace = plan::merge_replace(replace, more);
            }
            if !modified.is_null() {
                out.extend(plan::check_type(&info.schema, &modified, &self.blame()));
                if out.has_errors() {
                    return None;
                }
            }
            modified
        } else {
            planned
        };
        if proposed_null {
            if !planned.is_null() {
                out.error(
                    "A destroy plan must stay a destroy plan",
                    self.table.bug("The provider planned a value."),
                );
                return None;
            }
        } else {
            let blame = self.blame();
            out.extend(plan::check_planned(&info.schema, &prior, &config, &planned, &blame));
            if !replace.is_empty() {
                out.extend(plan::check_replacement_protection(&info.schema, &prior, &replace));
            }
        }
        if out.has_errors() {
            return None;
        }
        let planned_state = told(encode(&planned, ty), out)?;
        Some(pb::plan_resource_change::Response {
            planned_state: Some(planned_state),
            requires_replace: replace.iter().filter_map(|place: &Path| path(place)).collect(),
            planned_private: request.private_state().encode(),
            ..Default::default()
        })
    }

    /// Who is to blame when core's rules are broken.
    pub(super) fn blame(&self) -> plan::Blame<'_> {
        plan::Blame { provider: &self.table.address, issues: self.table.provider.issues }
    }
}

fn is_nil(value: Option<&pb::DynamicValue>) -> bool {
    match value {
        None => true,
        Some(value) if !value.msgpack.is_empty() => value.msgpack.as_ref() == [0xc0],
        Some(value) => value.json.is_empty() || value.json.as_ref() == b"null",
    }
}
