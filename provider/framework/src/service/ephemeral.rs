//! Ephemeral resources: open, renew, close. Their private bytes carry what renew and close need.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Service;
use super::convert::{decode, diagnostics};
use super::data::read_limit;
use super::guard::{Kind, found, guarded, timed, told};
use crate::error::ErrorExt;
use crate::plan;
use crate::private::Private;
use crate::proto::tfplugin6 as pb;
use crate::request::ClientCapabilities;
use crate::schema::{Diagnostics, Value};

impl Service {
    pub(super) async fn validate_ephemeral(
        &self,
        rpc: pb::validate_ephemeral_resource_config::Request,
    ) -> pb::validate_ephemeral_resource_config::Response {
        let mut out = Diagnostics::new();
        timed(self.span("ValidateEphemeralResourceConfig", Kind::Ephemeral, &rpc.type_name), async {
            let Some(entry) = found(self.table.ephemeral(&rpc.type_name), &mut out) else { return };
            let (info, ty) = entry.info();
            let schema = (&info.schema, ty);
            let capabilities = ClientCapabilities::default();
            let own = |config: &Value, out: &mut Diagnostics| entry.handler.validate(config, out);
            Self::judge(&rpc.type_name, schema, rpc.config.as_ref(), capabilities, &mut out, own).await;
        })
        .await;
        pb::validate_ephemeral_resource_config::Response { diagnostics: diagnostics(&out) }
    }

    pub(super) async fn open(
        &self,
        rpc: pb::open_ephemeral_resource::Request,
    ) -> pb::open_ephemeral_resource::Response {
        let mut out = Diagnostics::new();
        let span = self.span("OpenEphemeralResource", Kind::Ephemeral, &rpc.type_name);
        let mut response = timed(span, self.open_inner(&rpc, &mut out)).await.unwrap_or_default();
        response.diagnostics = diagnostics(&out);
        response
    }

    async fn open_inner(
        &self,
        rpc: &pb::open_ephemeral_resource::Request,
        out: &mut Diagnostics,
    ) -> Option<pb::open_ephemeral_resource::Response> {
        let entry = found(self.table.ephemeral(&rpc.type_name), out)?;
        let (info, ty) = entry.info();
        let config = told(decode(rpc.config.as_ref(), ty, "configuration"), out)?;
        let config = plan::with_defaults(&info.schema, config);
        let request = Arc::new(self.request(&rpc.type_name).until(Some(read_limit(info, &config))));
        let outcome = guarded(&request, entry.handler.open(&request, config.clone())).await;
        out.extend(request.take_diagnostics());
        let opened = told(outcome.context(format!("Cannot open {}", rpc.type_name)), out);
        let settled = opened.and_then(|(result, renew_at)| {
            self.settle((&info.schema, ty), &config, result, out).map(|result| (result, renew_at))
        });
        let private = request.private_state();
        let Some((result, renew_at)) = settled else {
            // Terraform closes nothing that it did not see opened. What open noted to close it by is used here.
            if private != Private::default() {
                let closing = self.request(&rpc.type_name).until(Some(read_limit(info, &config)));
                let closing = Arc::new(closing.with_private(private));
                let closed = guarded(&closing, entry.handler.close(&closing)).await;
                out.extend(closing.take_diagnostics());
                told(closed.context(format!("Cannot close {}, which was half opened", rpc.type_name)), out);
            }
            return None;
        };
        Some(pb::open_ephemeral_resource::Response {
            result: Some(result),
            renew_at: renew_at.map(timestamp),
            private: Some(private.encode()),
            ..Default::default()
        })
    }

    pub(super) async fn renew(
        &self,
        rpc: pb::renew_ephemeral_resource::Request,
    ) -> pb::renew_ephemeral_resource::Response {
        let mut out = Diagnostics::new();
        let span = self.span("RenewEphemeralResource", Kind::Ephemeral, &rpc.type_name);
        let renewed = timed(span, async {
            let entry = found(self.table.ephemeral(&rpc.type_name), &mut out)?;
            let limit = read_limit(&entry.info().0, &Value::Null);
            let request = self.request(&rpc.type_name).until(Some(limit));
            let private = rpc.private.clone().unwrap_or_default();
            let request = Arc::new(told(request.with_private_bytes(&private), &mut out)?);
            let outcome = guarded(&request, entry.handler.renew(&request)).await;
            out.extend(request.take_diagnostics());
            let next = told(outcome.context(format!("Cannot renew {}", rpc.type_name)), &mut out)?;
            Some((next, request.private_state().encode()))
        })
        .await;
        let (next, private) = match renewed {
            Some((next, private)) => (next, Some(private)),
            None => (None, rpc.private),
        };
        pb::renew_ephemeral_resource::Response {
            diagnostics: diagnostics(&out),
            renew_at: next.map(timestamp),
            private,
        }
    }

    pub(super) async fn close(
        &self,
        rpc: pb::close_ephemeral_resource::Request,
    ) -> pb::close_ephemeral_resource::Response {
        let mut out = Diagnostics::new();
        let span = self.span("CloseEphemeralResource", Kind::Ephemeral, &rpc.type_name);
        timed(span, async {
            let entry = found(self.table.ephemeral(&rpc.type_name), &mut out)?;
            let limit = read_limit(&entry.info().0, &Value::Null);
            let request = self.request(&rpc.type_name).until(Some(limit));
            let private = rpc.private.clone().unwrap_or_default();
            let request = Arc::new(told(request.with_private_bytes(&private), &mut out)?);
            let outcome = guarded(&request, entry.handler.close(&request)).await;
            out.extend(request.take_diagnostics());
            told(outcome.context(format!("Cannot close {}", rpc.type_name)), &mut out)
        })
        .await;
        pb::close_ephemeral_resource::Response { diagnostics: diagnostics(&out) }
    }
}

fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => prost_types::Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
        },
        // Before 1970: long over.
        Err(_) => prost_types::Timestamp::default(),
    }
}
