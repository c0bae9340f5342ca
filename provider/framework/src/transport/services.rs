//! What is served on a connection: the provider, and go-plugin's own services beside it.

use super::cached::{Cached, SCHEMAS};
use crate::log::catch_panic;
use crate::proto::go_plugin::grpc_broker_server::{GrpcBroker, GrpcBrokerServer};
use crate::proto::go_plugin::grpc_controller_server::{GrpcController, GrpcControllerServer};
use crate::proto::go_plugin::grpc_stdio_server::{GrpcStdio, GrpcStdioServer};
use crate::proto::go_plugin::{ConnInfo, Empty, StdioData};
use crate::proto::health::health_check_response::ServingStatus;
use crate::proto::health::health_server::{Health, HealthServer};
use crate::proto::health::{HealthCheckRequest, HealthCheckResponse};
use crate::proto::tfplugin6::provider_server::{Provider, ProviderServer};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::convert::Infallible;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{BoxStream, Service, http};
use tonic::{Request, Response, Status, Streaming};

/// What providers written in Go accept and send. Ours must not be the smaller.
const MAX_MESSAGE: usize = 256 << 20;

/// go-plugin's name for whatever it runs.
const PLUGIN: &str = "plugin";

pub(super) struct Services<P> {
    provider: ProviderServer<P>,
    controller: GrpcControllerServer<Plugin>,
    stdio: GrpcStdioServer<Plugin>,
    broker: GrpcBrokerServer<Plugin>,
    health: HealthServer<Plugin>,
    schemas: Cached,
}

impl<P: Provider> Services<P> {
    pub(super) fn new(provider: P, stop: &CancellationToken) -> Services<P> {
        let plugin = || Plugin { stop: stop.clone() };
        Services {
            provider: ProviderServer::new(provider)
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
            controller: GrpcControllerServer::new(plugin()),
            stdio: GrpcStdioServer::new(plugin()),
            broker: GrpcBrokerServer::new(plugin()),
            health: HealthServer::new(plugin()),
            schemas: Cached::default(),
        }
    }

    pub(super) async fn call(&self, request: http::Request<Incoming>) -> http::Response<Body> {
        let service = request.uri().path().split('/').nth(1).unwrap_or_default();
        match service {
            "tfplugin6.Provider" if request.uri().path() == SCHEMAS => self.schemas(request).await,
            "tfplugin6.Provider" => guarded(self.provider.clone().call(request)).await,
            "plugin.GRPCController" => answer(self.controller.clone().call(request).await),
            "plugin.GRPCStdio" => answer(self.stdio.clone().call(request).await),
            "plugin.GRPCBroker" => answer(self.broker.clone().call(request).await),
            "grpc.health.v1.Health" => answer(self.health.clone().call(request).await),
            other => {
                Status::unimplemented(format!("this provider serves nothing named {other:?}")).into_http()
            }
        }
    }
}

impl<P: Provider> Services<P> {
    async fn schemas(&self, request: http::Request<Incoming>) -> http::Response<Body> {
        match self.schemas.get() {
            Some(response) => {
                // The request is read to its end, so that the connection stays clean.
                let _ = request.into_body().collect().await;
                response
            }
            None => self.schemas.keep(guarded(self.provider.clone().call(request)).await).await,
        }
    }
}

fn answer(result: Result<http::Response<Body>, Infallible>) -> http::Response<Body> {
    match result {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The last line of defence: a panic that the service itself did not catch must not look like a lost connection.
async fn guarded(
    call: impl Future<Output = Result<http::Response<Body>, Infallible>>,
) -> http::Response<Body> {
    match catch_panic(call).await {
        Ok(result) => answer(result),
        Err(panic) => Status::internal(format!("the provider panicked: {}", panic.message)).into_http(),
    }
}

/// go-plugin's services and the health service; all they know is when to stop.
struct Plugin {
    stop: CancellationToken,
}

impl Plugin {
    /// A stream that says nothing and ends when the provider stops.
    fn silence<T: Send + 'static>(&self) -> BoxStream<T> {
        let stop = self.stop.clone();
        let silence = tokio_stream::pending();
        Box::pin(Until { stream: silence, stop: Box::pin(stop.cancelled_owned()) })
    }
}

#[tonic::async_trait]
impl GrpcController for Plugin {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        tracing::debug!("The host asked for shutdown.");
        self.stop.cancel();
        Ok(Response::new(Empty {}))
    }
}

#[tonic::async_trait]
impl GrpcStdio for Plugin {
    /// Our output goes through the real pipes, so this stays silent; the host expects it to stay open.
    async fn stream_stdio(&self, _: Request<()>) -> Result<Response<BoxStream<StdioData>>, Status> {
        Ok(Response::new(self.silence()))
    }
}

#[tonic::async_trait]
impl GrpcBroker for Plugin {
    /// Providers open no further connections; a host that offers one is heard and not answered.
    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<BoxStream<ConnInfo>>, Status> {
        let heard = request.into_inner().filter_map(|offer| offer.err().map(Err));
        Ok(Response::new(Box::pin(Until {
            stream: heard,
            stop: Box::pin(self.stop.clone().cancelled_owned()),
        })))
    }
}

#[tonic::async_trait]
impl Health for Plugin {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match status(&request.get_ref().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("unknown service")),
            known => Ok(Response::new(HealthCheckResponse { status: known.into() })),
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<BoxStream<HealthCheckResponse>>, Status> {
        let now = HealthCheckResponse { status: status(&request.get_ref().service).into() };
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(now)).chain(self.silence()))))
    }
}

fn status(service: &str) -> ServingStatus {
    match service {
        "" | PLUGIN => ServingStatus::Serving,
        _ => ServingStatus::ServiceUnknown,
    }
}

/// A stream that ends at the latest when the provider stops, so that none holds up the shutdown.
struct Until<S> {
    stream: S,
    stop: std::pin::Pin<Box<tokio_util::sync::WaitForCancellationFutureOwned>>,
}

impl<S: tokio_stream::Stream + Unpin> tokio_stream::Stream for Until<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return std::task::Poll::Ready(None);
        }
        std::pin::Pin::new(&mut self.stream).poll_next(cx)
    }
}
