//! The smallest provider, written against the generated trait: one resource without attributes. The framework's own
//! API needs none of this; it shows, and lets tests use, the transport alone.

use std::process::ExitCode;
use std::time::Duration;
use tfplugin_framework::log;
use tfplugin_framework::proto::tfplugin6 as proto;
use tfplugin_framework::proto::tfplugin6::provider_server::Provider;
use tfplugin_framework::transport::{Network, ServeOptions, debug_blocking, serve_blocking};
use tonic::{Request, Response, Status};

struct Hello;

#[tonic::async_trait]
impl Provider for Hello {
    async fn get_provider_schema(
        &self,
        _: Request<proto::get_provider_schema::Request>,
    ) -> Result<Response<proto::get_provider_schema::Response>, Status> {
        let empty = || proto::Schema { version: 0, block: Some(proto::schema::Block::default()) };
        Ok(Response::new(proto::get_provider_schema::Response {
            provider: Some(empty()),
            resource_schemas: [("hello_world".to_owned(), empty())].into(),
            ..Default::default()
        }))
    }

    /// Hands the state back, whatever its size; some type names misbehave. For tests of the transport.
    async fn read_resource(
        &self,
        request: Request<proto::read_resource::Request>,
    ) -> Result<Response<proto::read_resource::Response>, Status> {
        let request = request.into_inner();
        match request.type_name.as_str() {
            "hello_panic" => panics(),
            "hello_sleep" => tokio::time::sleep(Duration::from_secs(60)).await,
            "hello_print" => tracing::info!({ log::keys::RESOURCE_TYPE } = "hello_print", "Hello."),
            _ => {}
        }
        Ok(Response::new(proto::read_resource::Response {
            new_state: request.current_state,
            ..Default::default()
        }))
    }
}

#[allow(clippy::panic, reason = "to see what becomes of it")]
fn panics() {
    panic!("asked to panic")
}

fn main() -> ExitCode {
    log::init("hello");
    let options = ServeOptions::new("registry.terraform.io/streamverse/hello");
    let served = match std::env::args().nth(1).as_deref() {
        Some("--debug") => debug_blocking(|| Hello, options),
        Some("--tcp") => serve_blocking(|| Hello, options.network(Network::Tcp)),
        _ => serve_blocking(|| Hello, options),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
