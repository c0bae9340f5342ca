//! From `tracing` to lines.

use super::line::{Fields, Value, render};
use std::fmt;
use std::io::Write as _;
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Scope};

/// What carries the log's own channel. It would tell of each byte, and each line would cause the next.
const PLUMBING: [&str; 9] =
    ["h2", "hyper", "hyper_util", "mio", "rustls", "tokio", "tokio_rustls", "tonic", "tower"];

/// Writes events as go-hclog's JSON, one line each.
pub struct HclogLayer {
    level: LevelFilter,
    sink: Sink,
}

type Sink = Box<dyn Fn(&[u8]) + Send + Sync>;

impl HclogLayer {
    /// Events up to `level`, to standard error.
    pub fn to_stderr(level: LevelFilter) -> HclogLayer {
        // One write for each line, so that lines of threads do not mix. A host that closed the pipe wants no log.
        HclogLayer::new(level, |line| drop(std::io::stderr().write_all(line)))
    }

    /// Events up to `level`, to `sink`, which gets whole lines with their line end.
    pub fn new(level: LevelFilter, sink: impl Fn(&[u8]) + Send + Sync + 'static) -> HclogLayer {
        HclogLayer { level, sink: Box::new(sink) }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let origin = metadata.target().split("::").next().unwrap_or_default();
        let level = *metadata.level();
        level <= self.level && (level <= Level::WARN || !PLUMBING.contains(&origin))
    }
}

impl fmt::Debug for HclogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HclogLayer").field("level", &self.level).finish_non_exhaustive()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for HclogLayer {
    /// Asked once for each place in the code, so that a place that is not logged costs nothing afterwards.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut Recorder(&mut fields));
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(&mut Recorder(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.extend(outer);
            }
        }
        event.record(&mut Recorder(&mut fields));
        let metadata = event.metadata();
        (self.sink)(&render(*metadata.level(), metadata.target(), fields, SystemTime::now()));
    }
}

struct Recorder<'a>(&'a mut Fields);

impl Visit for Recorder<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.set(field.name(), Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.set(field.name(), Value::Text(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.set(field.name(), Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.set(field.name(), Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.set(field.name(), Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.set(field.name(), Value::Bool(value));
    }

    /// With its causes, which an error's own text leaves out.
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.0.set(field.name(), Value::Text(text));
    }
}
