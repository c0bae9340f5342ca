//! Spans reach an OpenTelemetry collector: requests, runs of tools and jobs. The collector is a stand-in that speaks OTLP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use streamverse_core::http::{self, Limits};
use streamverse_core::tool::Tool;
use streamverse_core::{Stop, telemetry};
use tonic::{Request, Response, Status};

/// Service, name and attributes of each span.
type Seen = Arc<Mutex<Vec<(String, String, BTreeMap<String, String>)>>>;

struct Collector(Seen);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let service = resource.resource.iter().flat_map(|it| &it.attributes);
            let service = service.filter(|it| it.key == "service.name").map(|it| format!("{:?}", it.value));
            let service = service.collect::<String>();
            for span in resource.scope_spans.into_iter().flat_map(|it| it.spans) {
                let attributes = span.attributes.iter().map(|it| (it.key.clone(), format!("{:?}", it.value)));
                self.0.lock().unwrap().push((service.clone(), span.name.clone(), attributes.collect()));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_runs_of_tools_are_told_to_a_collector() {
    let seen = Seen::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let service = TraceServiceServer::new(Collector(Arc::clone(&seen)));
    let collector = tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming);
    tokio::spawn(collector);

    let telemetry = telemetry::init_to("streamverse-test", &address).unwrap();
    let stop = Stop::new();
    let server = http::listen(([127, 0, 0, 1], 0).into()).unwrap();
    let port = server.local_addr().unwrap().port();
    let router = axum::Router::new().route("/film", axum::routing::get(|| async { "film" }));
    let serving = tokio::spawn({
        let stop = stop.clone();
        async move { http::serve_tcp(server, router, Limits::default(), &stop).await }
    });
    for path in ["film", "nothing"] {
        reqwest::get(format!("http://127.0.0.1:{port}/{path}")).await.unwrap();
    }
    Tool::at("true", "true").run().await.unwrap();
    stop.stop();
    serving.await.unwrap();
    // Dropping it sends what is left; that waits, and must not wait on this runtime's only thread.
    tokio::task::spawn_blocking(move || drop(telemetry)).await.unwrap();

    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|(service, ..)| service.contains("streamverse-test")), "{seen:?}");
    let has = |name: &str, attribute: &str, value: &str| {
        let said = |it: &BTreeMap<String, String>| it.get(attribute).is_some_and(|said| said.contains(value));
        seen.iter().any(|(_, span, attributes)| span == name && said(attributes))
    };
    assert!(has("request", "url.path", "/film") && has("request", "url.path", "/nothing"), "{seen:?}");
    assert!(has("request", "http.response.status_code", "200"), "{seen:?}");
    assert!(has("request", "http.response.status_code", "404"), "{seen:?}");
    assert!(has("tool", "tool", "true"), "{seen:?}");
}
