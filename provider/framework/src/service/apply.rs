//! Applying a planned change: create, update, delete; and what is kept when that fails.

use std::sync::Arc;

use super::convert::{decode, diagnostics, encode};
use super::guard::{Kind, found, guarded, timed, told};
use super::managed::limit;
use super::{Service, text};
use crate::error::{Error, ErrorExt, Result};
use crate::plan;
use crate::proto::tfplugin6 as pb;
use crate::request::Request;
use crate::resource::{PlanValues, ResourceInfo};
use crate::schema::{Diagnostic, Diagnostics, Operation, Severity, Value};

/// What came of an apply.
struct Applied {
    state: Value,
    private: bytes::Bytes,
}

impl Service {
    pub(super) async fn apply(
        &self,
        rpc: pb::apply_resource_change::Request,
    ) -> pb::apply_resource_change::Response {
        let span = self.span("ApplyResourceChange", Kind::Resource, &rpc.type_name);
        let mut out = Diagnostics::new();
        let mut response = pb::apply_resource_change::Response::default();
        match timed(span, self.apply_inner(&rpc, &mut out)).await {
            Some(done) => {
                response.new_state = done.0;
                response.private = done.1;
            }
            // Nothing was called: the object is as it was.
            None => {
                response.new_state = rpc.prior_state;
                response.private = rpc.planned_private;
            }
        }
        response.diagnostics = diagnostics(&out);
        response
    }

    async fn apply_inner(
        &self,
        rpc: &pb::apply_resource_change::Request,
        out: &mut Diagnostics,
    ) -> Option<(Option<pb::DynamicValue>, bytes::Bytes)> {
        let entry = found(self.table.resource(&rpc.type_name), out)?;
        let (info, ty) = entry.info();
        let prior = told(decode(rpc.prior_state.as_ref(), ty, "state"), out)?;
        let planned = told(decode(rpc.planned_state.as_ref(), ty, "plan"), out)?;
        let config = told(decode(rpc.config.as_ref(), ty, "configuration"), out)?;
        let operation = match (prior.is_null(), planned.is_null()) {
            (_, true) => Operation::Delete,
            (true, false) => Operation::Create,
            (false, false) => Operation::Update,
        };
        // What is tainted is destroyed without a plan of its own.
        if planned.is_null() {
            out.extend(plan::check_protection(&info.schema, &prior));
            if out.has_errors() {
                return None;
            }
        }
        // Deadlines come from the newest configuration; in a delete, from the state.
        let timeouts_of = if planned.is_null() { &prior } else { &planned };
        let request = self.request(&rpc.type_name).until(limit(info, timeouts_of, operation));
        let mut request = told(request.with_private_bytes(&rpc.planned_private), out)?;
        request.meta = told(self.provider_meta(rpc.provider_meta.as_ref()), out)?;
        let request = Arc::new(request);

        let values = PlanValues { config, prior: prior.clone(), planned: planned.clone() };
        let outcome = match operation {
            Operation::Create => guarded(&request, entry.handler.create(&request, values)).await,
            // All that can change in place then is what no handler is needed for: deadlines, protection.
            Operation::Update if !info.updatable => Ok(planned.clone()),
            Operation::Update => guarded(&request, entry.handler.update(&request, values)).await,
            Operation::Delete | Operation::Read => {
                let deleted = guarded(&request, entry.handler.delete(&request, prior.clone())).await;
                deleted.map(|()| Value::Null)
            }
        };
        out.extend(request.take_diagnostics());
        let outcome = outcome.context(format!("Cannot {} {}", operation.name(), rpc.type_name));
        let applied = self.keep(info, operation, &request, &prior, &planned, outcome, out);
        let state = match encode(&applied.state, ty) {
            Ok(state) => Some(state),
            Err(error) => {
                out.push(error.diagnostic());
                // A value that cannot be written must not cost us the object.
                let mut fallback = if prior.is_null() { planned } else { prior };
                crate::resource::forget_unknown(&mut fallback);
                told(encode(&fallback, ty), out)
            }
        };
        Some((state, applied.private))
    }

    // What to store, whatever happened.
    #[allow(clippy::too_many_arguments, reason = "the facts of one apply, used once")]
    fn keep(
        &self,
        info: &ResourceInfo,
        operation: Operation,
        request: &Request,
        prior: &Value,
        planned: &Value,
        outcome: Result<Value>,
        out: &mut Diagnostics,
    ) -> Applied {
        match outcome {
            Ok(mut state) => {
                request.set_pending(None);
                if operation == Operation::Delete {
                    return Applied { state: Value::Null, private: bytes::Bytes::new() };
                }
                crate::resource::forget_write_only(&info.schema, &mut state);
                finish(info, planned, &mut state);
                out.extend(state_problems(self, info, &state, request.subject()));
                out.extend(plan::check_applied(&info.schema, planned, &state, &self.blame()));
                if state.is_null() {
                    // The object was made or changed: what is known of it must not be lost.
                    let known = if prior.is_null() { planned } else { prior };
                    state = request.take_saved().unwrap_or_else(|| known.clone());
                }
                if out.has_errors() {
                    // Told above; left in the answer, Terraform would tell it again in other words.
                    crate::resource::forget_unknown(&mut state);
                    crate::resource::forget_write_only(&info.schema, &mut state);
                }
                Applied { state, private: request.private_state().encode() }
            }
            Err(error) => {
                let saved = request.take_saved().filter(|saved| !saved.is_null());
                let resumes = info.resumable && operation == Operation::Create && saved.is_some();
                let mut state = match saved {
                    Some(mut saved) => {
                        let known = if prior.is_null() { planned } else { prior };
                        crate::resource::fill_saved(&mut saved, planned, known);
                        saved
                    }
                    // A create made nothing, all else left the object as it was.
                    None => prior.clone(),
                };
                crate::resource::forget_unknown(&mut state);
                crate::resource::forget_write_only(&info.schema, &mut state);
                let mut broken = Diagnostics::new();
                if resumes {
                    // To Terraform this is a success, so it is held to the plan as one.
                    finish(info, planned, &mut state);
                    broken.extend(state_problems(self, info, &state, request.subject()));
                    broken.extend(plan::check_applied(&info.schema, planned, &state, &self.blame()));
                }
                if resumes && !broken.has_errors() {
                    let what = unfinished(request, &error);
                    out.push(as_warning(request, &error, &what));
                    request.set_pending(Some(what));
                } else {
                    out.push(error.diagnostic());
                    out.extend(broken);
                }
                Applied { state, private: request.private_state().encode() }
            }
        }
    }
}

// What means the same as planned is spelled as planned.
fn finish(info: &ResourceInfo, planned: &Value, state: &mut Value) {
    text::compose(state);
    text::keep_null_types(planned, state);
    plan::keep_spelling(&info.schema, planned, state);
}

fn unfinished(request: &Request, error: &Error) -> String {
    request.take_unfinished().unwrap_or_else(|| error.to_string())
}

fn as_warning(request: &Request, error: &Error, what: &str) -> Diagnostic {
    let said = error.diagnostic();
    Diagnostic {
        severity: Severity::Warning,
        summary: format!("The creation of {} did not finish", request.subject()),
        detail: format!(
            "Still to do: {what}.\n{}\n{}\nWhat exists is in the state; the next apply continues from there.",
            said.summary, said.detail
        ),
        path: said.path,
    }
}

/// What is wrong with a state that a handler returned: other types than the schema's, or unknowns.
pub(super) fn state_problems(
    service: &Service,
    info: &ResourceInfo,
    state: &Value,
    subject: &str,
) -> Diagnostics {
    let blame = service.blame();
    let mut out = Diagnostics::new();
    if state.is_null() {
        out.error(
            format!("{subject} returned no state"),
            service.table.bug("The handler succeeded and must return the object's state."),
        );
        return out;
    }
    out.extend(plan::check_type(&info.schema, state, &blame));
    if !out.has_errors() {
        out.extend(plan::check_wholly_known(&info.schema, state, &blame));
    }
    out
}
