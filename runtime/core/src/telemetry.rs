//! Logs and traces of a process: lines on stderr, spans to an OpenTelemetry collector where one is configured.
//!
//! `STREAMVERSE_LOG` filters as `tracing_subscriber::EnvFilter` reads it (`info` without it), `STREAMVERSE_LOG_FORMAT=json`
//! writes one JSON object per line. `OTEL_EXPORTER_OTLP_ENDPOINT` and the other standard variables of the OpenTelemetry
//! specification switch traces on.

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::error::{Error, Result};

/// Flushes what is still to be sent when it is dropped.
#[derive(Debug, Default)]
#[must_use = "dropping it ends the export of traces"]
pub struct Telemetry {
    #[cfg(feature = "otlp")]
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        #[cfg(feature = "otlp")]
        if let Some(provider) = self.provider.take() {
            // A collector that is gone must not keep a stopping service.
            let _ = provider.shutdown_with_timeout(std::time::Duration::from_secs(3));
        }
    }
}

/// What writes lines to a file instead: for a service that shares its process, and not its log, with others.
pub fn lines_to(file: std::fs::File) -> tracing::Dispatch {
    let filter = EnvFilter::try_from_env("STREAMVERSE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let json = std::env::var("STREAMVERSE_LOG_FORMAT").is_ok_and(|format| format == "json");
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::sync::Arc::new(file));
    let lines = if json { lines.json().boxed() } else { lines.with_target(false).boxed() };
    tracing_subscriber::registry().with(filter).with(lines).into()
}

/// The target of spans that are exported: requests, jobs, runs of tools. Nothing is made of them where nobody collects.
pub const SPANS: &str = "streamverse::spans";

/// Sets up logs and traces for the process. Once, and inside of a runtime: the exporter's connection lives on it.
///
/// # Errors
/// When they are set up already, or the exporter's configuration is wrong.
pub fn init(service: &str) -> Result<Telemetry> {
    let wanted = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    let wanted = wanted.iter().any(|name| std::env::var_os(name).is_some());
    set_up(service, wanted.then_some(None))
}

/// … with traces to a collector at this address (OTLP over gRPC), whatever the environment says.
///
/// # Errors
/// As [`init`].
pub fn init_to(service: &str, collector: &str) -> Result<Telemetry> {
    set_up(service, Some(Some(collector)))
}

/// `collector`: none, that of the environment, or this one.
fn set_up(service: &str, collector: Option<Option<&str>>) -> Result<Telemetry> {
    let filter = EnvFilter::try_from_env("STREAMVERSE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let json = std::env::var("STREAMVERSE_LOG_FORMAT").is_ok_and(|format| format == "json");
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines.json().boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed()
    };
    let failed = |error: tracing_subscriber::util::TryInitError| {
        Error::permanent("telemetry", "logs are set up already").because(error)
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
    #[cfg(feature = "otlp")]
    if let Some(collector) = collector {
        use opentelemetry::trace::TracerProvider as _;
        use opentelemetry_otlp::WithExportConfig as _;
        let mut exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic();
        if let Some(collector) = collector {
            exporter = exporter.with_endpoint(collector);
        }
        let exporter = exporter.build().map_err(|error| {
            Error::permanent(
                "telemetry",
                "the trace exporter's configuration is wrong: see OTEL_EXPORTER_OTLP_*",
            )
            .because(error)
        })?;
        let resource = opentelemetry_sdk::Resource::builder().with_service_name(service.to_owned()).build();
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        let ours = tracing_subscriber::filter::Targets::new()
            .with_target(SPANS, tracing_subscriber::filter::LevelFilter::DEBUG);
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("streamverse"));
        registry.with(layer.with_filter(ours)).try_init().map_err(failed)?;
        return Ok(Telemetry { provider: Some(provider) });
    }
    let _ = (service, collector);
    registry.try_init().map_err(failed)?;
    Ok(Telemetry::default())
}
