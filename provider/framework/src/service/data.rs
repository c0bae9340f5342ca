//! The provider block, and data sources.

use std::sync::Arc;

use super::convert::{decode, diagnostics};
use super::guard::{Kind, found, guarded, timed, told};
use super::{Configured, Service};
use crate::error::ErrorExt;
use crate::plan;
use crate::proto::tfplugin6 as pb;
use crate::request::ClientCapabilities;
use crate::schema::{Diagnostics, Field, Operation, Role, Timeouts, Value};

/// How long configuring may take: it runs in every process that plans or applies.
const CONFIGURE: std::time::Duration = std::time::Duration::from_secs(5 * 60);

impl Service {
    pub(super) async fn validate_provider(
        &self,
        rpc: pb::validate_provider_config::Request,
    ) -> pb::validate_provider_config::Response {
        let mut out = Diagnostics::new();
        let subject = self.table.provider.name;
        timed(self.span("ValidateProviderConfig", Kind::Provider, subject), async {
            let schema = (&self.table.provider.config, &self.table.config_type);
            // Nothing of a provider block is stored, so nothing in it is write-only.
            let capabilities = ClientCapabilities::default();
            Self::judge(
                subject,
                schema,
                rpc.config.as_ref(),
                capabilities,
                &mut out,
                self.table.provider.validate,
            )
            .await;
        })
        .await;
        pb::validate_provider_config::Response { diagnostics: diagnostics(&out) }
    }

    pub(super) async fn configure(
        &self,
        rpc: pb::configure_provider::Request,
    ) -> pb::configure_provider::Response {
        let mut out = Diagnostics::new();
        let subject = self.table.provider.name;
        timed(self.span("ConfigureProvider", Kind::Provider, subject), async {
            let config = decode(rpc.config.as_ref(), &self.table.config_type, "provider block");
            let Some(config) = told(config, &mut out) else { return };
            let config = plan::with_defaults(&self.table.provider.config, config);
            let mut request = self.request(subject).until(Some(CONFIGURE));
            request.host_version = Arc::from(rpc.terraform_version.as_str());
            request.capabilities = ClientCapabilities::from(rpc.client_capabilities);
            let request = Arc::new(request);
            let outcome = guarded(&request, (self.table.provider.configure)(&request, config)).await;
            out.extend(request.take_diagnostics());
            let outcome = outcome.context(format!("Cannot configure the provider {subject}"));
            let Some(provider) = told(outcome, &mut out) else { return };
            let mut configured = self.configured.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            *configured = Configured {
                provider: Some(provider),
                host_version: Arc::clone(&request.host_version),
                capabilities: request.capabilities,
            };
        })
        .await;
        pb::configure_provider::Response { diagnostics: diagnostics(&out) }
    }

    pub(super) async fn validate_data_source(
        &self,
        rpc: pb::validate_data_resource_config::Request,
    ) -> pb::validate_data_resource_config::Response {
        let mut out = Diagnostics::new();
        timed(self.span("ValidateDataResourceConfig", Kind::DataSource, &rpc.type_name), async {
            let Some(entry) = found(self.table.data_source(&rpc.type_name), &mut out) else { return };
            let (info, ty) = entry.info();
            let schema = (&info.schema, ty);
            let capabilities = ClientCapabilities::default();
            let own = |config: &Value, out: &mut Diagnostics| entry.handler.validate(config, out);
            Self::judge(&rpc.type_name, schema, rpc.config.as_ref(), capabilities, &mut out, own).await;
        })
        .await;
        pb::validate_data_resource_config::Response { diagnostics: diagnostics(&out) }
    }

    pub(super) async fn read_data(
        &self,
        rpc: pb::read_data_source::Request,
    ) -> pb::read_data_source::Response {
        let mut out = Diagnostics::new();
        let span = self.span("ReadDataSource", Kind::DataSource, &rpc.type_name);
        let state = timed(span, self.read_data_inner(&rpc, &mut out)).await;
        pb::read_data_source::Response { state, diagnostics: diagnostics(&out), deferred: None }
    }

    async fn read_data_inner(
        &self,
        rpc: &pb::read_data_source::Request,
        out: &mut Diagnostics,
    ) -> Option<pb::DynamicValue> {
        let entry = found(self.table.data_source(&rpc.type_name), out)?;
        let (info, ty) = entry.info();
        let config = told(decode(rpc.config.as_ref(), ty, "configuration"), out)?;
        // Defaults count here as they do in a plan; computed values are the handler's.
        let config = plan::with_defaults(&info.schema, config);
        let mut request = self.request(&rpc.type_name).until(Some(read_limit(info, &config)));
        request.meta = told(self.provider_meta(rpc.provider_meta.as_ref()), out)?;
        let request = Arc::new(request);
        let outcome = guarded(&request, entry.handler.read(&request, config.clone())).await;
        out.extend(request.take_diagnostics());
        let state = told(outcome.context(format!("Cannot read the data source {}", rpc.type_name)), out)?;
        self.settle((&info.schema, ty), &config, state, out)
    }
}

/// How long an operation of a data source or ephemeral resource may take.
pub(super) fn read_limit(info: &crate::data_source::SourceInfo, config: &Value) -> std::time::Duration {
    let attribute = info.schema.attributes.iter().find(|attribute| attribute.role == Role::Timeouts);
    let configured = attribute
        .and_then(|attribute| Timeouts::read(config.get(&attribute.name)).ok())
        .and_then(|timeouts| timeouts.get(Operation::Read));
    configured.unwrap_or(info.timeout).0
}
