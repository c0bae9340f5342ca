//! The wire: a provider's service behind a pipe in memory, with real gRPC on it; and values as messages.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::proto::tfplugin6::attribute_path::step::Selector;
use tfplugin_framework::proto::tfplugin6::provider_client::ProviderClient;
use tfplugin_framework::proto::tfplugin6::provider_server::{Provider as ProtocolProvider, ProviderServer};
use tfplugin_framework::schema::{Diagnostic, Path, Severity, Step, Type, Value, json, msgpack};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::failure::{Failure, Rule, Violation};

/// The largest message either side takes, as between Terraform and Go's providers.
const MAX_MESSAGE: usize = 256 << 20;
/// How much lies in the pipe.
const PIPE: usize = 256 << 10;

/// The generated client of the protocol, connected to a service.
pub type Rpc = ProviderClient<Channel>;

/// A generated client for a service, for requests that [`Client`](super::Client) does not make. The service
/// runs on the current tokio runtime until the last clone is dropped.
pub async fn connect(service: impl ProtocolProvider) -> Result<Rpc, Failure> {
    let (near, far) = tokio::io::duplex(PIPE);
    let service = ProviderServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let http = http2::Builder::new(TokioExecutor::new());
    // It ends by itself when the client's end of the pipe is closed.
    tokio::spawn(http.serve_connection(TokioIo::new(far), TowerToHyperService::new(service)));

    let near = Arc::new(Mutex::new(Some(near)));
    let connector = tower::service_fn(move |_| {
        let pipe = near.lock().unwrap_or_else(PoisonError::into_inner).take();
        let pipe = pipe.ok_or_else(|| io::Error::other("the provider's end of the pipe was closed"));
        async move { pipe.map(TokioIo::new) }
    });
    let broken = |error: tonic::transport::Error| {
        Failure::Rpc("connect", Box::new(Status::unavailable(error.to_string())))
    };
    let endpoint = Endpoint::try_from("http://provider.test").map_err(broken)?;
    let channel = endpoint.connect_with_connector(connector).await.map_err(broken)?;
    Ok(ProviderClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE))
}

/// The answer to an RPC, or why there is none.
pub(super) async fn answer<T>(
    rpc: &'static str,
    patience: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(patience, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(Failure::Rpc(rpc, Box::new(status))),
        Err(_) => Err(Failure::TimedOut(rpc, patience)),
    }
}

pub(super) fn encode(value: &Value, ty: &Type) -> Result<pb::DynamicValue, Failure> {
    let bytes = msgpack::encode(value, ty).map_err(|error| Failure::Config(error.to_string()))?;
    Ok(pb::DynamicValue { msgpack: bytes.into(), json: Bytes::new() })
}

/// What a provider answered, which must be of that type. Absent counts as null.
pub(super) fn decode(
    rpc: &'static str,
    value: Option<&pb::DynamicValue>,
    ty: &Type,
) -> Result<Value, Failure> {
    let Some(value) = value else { return Ok(Value::Null) };
    let read = match (value.msgpack.is_empty(), value.json.is_empty()) {
        (false, _) => msgpack::decode(&value.msgpack, ty),
        (true, false) => json::decode(&value.json, ty),
        (true, true) => Ok(Value::Null),
    };
    read.map_err(|error| {
        let at = super::render::show_path(&error.path());
        let what = format!("the answer is not of the schema's type: {}", error.message());
        Failure::broken(rpc, vec![Violation::new(Rule::InvalidObject, at, what)])
    })
}

/// What the provider told: warnings, or a failure if an error is among it.
pub(super) fn told(rpc: &'static str, told: Vec<pb::Diagnostic>) -> Result<Vec<Diagnostic>, Failure> {
    let mut diagnostics = Vec::with_capacity(told.len());
    for one in told {
        let path = one.attribute.as_ref().map(path);
        let severity = match pb::diagnostic::Severity::try_from(one.severity) {
            Ok(pb::diagnostic::Severity::Error) => Severity::Error,
            Ok(pb::diagnostic::Severity::Warning) => Severity::Warning,
            Ok(pb::diagnostic::Severity::Invalid) | Err(_) => {
                let what = format!("a diagnostic without severity: {}", one.summary);
                let at = path.map(|path| path.to_string()).unwrap_or_default();
                return Err(Failure::broken(rpc, vec![Violation::new(Rule::InvalidAnswer, at, what)]));
            }
        };
        diagnostics.push(Diagnostic { severity, summary: one.summary, detail: one.detail, path });
    }
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(Failure::refused(rpc, diagnostics));
    }
    Ok(diagnostics)
}

pub(super) fn path(path: &pb::AttributePath) -> Path {
    let steps = path.steps.iter().filter_map(|step| step.selector.as_ref());
    steps.fold(Path::root(), |path, selector| {
        path.step(match selector {
            Selector::AttributeName(name) => Step::Attribute(name.clone()),
            Selector::ElementKeyString(key) => Step::Key(key.clone()),
            Selector::ElementKeyInt(index) => Step::Index(usize::try_from(*index).unwrap_or(usize::MAX)),
        })
    })
}
