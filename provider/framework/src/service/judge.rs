//! Judging what everything with a configuration has in common: the configuration before, the answer after.

use super::convert::{decode, encode};
use super::guard::{guarded_now, told};
use super::{Service, text};
use crate::plan::{self, Capabilities};
use crate::proto::tfplugin6 as pb;
use crate::request::ClientCapabilities;
use crate::schema::{Diagnostics, ObjectSchema, Type, Value};

impl Service {
    /// Judges a configuration by its schema; what passes is judged by the handler too.
    pub(super) async fn judge(
        subject: &str,
        (schema, ty): (&ObjectSchema, &Type),
        config: Option<&pb::DynamicValue>,
        capabilities: ClientCapabilities,
        out: &mut Diagnostics,
        handler: impl FnOnce(&Value, &mut Diagnostics),
    ) {
        let Some(config) = told(decode(config, ty, "configuration"), out) else { return };
        let capabilities = Capabilities { write_only_allowed: capabilities.write_only_attributes };
        guarded_now(subject, out, |out| {
            out.extend(plan::validate(schema, &config, &capabilities));
            if !out.has_errors() {
                handler(&config, out);
            }
        })
        .await;
    }

    /// Judges the answer of a data source or ephemeral resource: every configured value comes back as it was,
    /// and all of it is known.
    pub(super) fn settle(
        &self,
        (schema, ty): (&ObjectSchema, &Type),
        config: &Value,
        mut answer: Value,
        out: &mut Diagnostics,
    ) -> Option<pb::DynamicValue> {
        text::compose(&mut answer);
        plan::keep_spelling(schema, config, &mut answer);
        let blame = self.blame();
        out.extend(plan::check_type(schema, &answer, &blame));
        if !out.has_errors() {
            out.extend(plan::check_configured_kept(schema, config, &answer, &blame));
        }
        if out.has_errors() { None } else { told(encode(&answer, ty), out) }
    }
}
