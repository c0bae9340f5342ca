//! The schemas are asked of the provider once, and encoded once.

use crate::kit::channel;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tfplugin_framework::proto::tfplugin6 as proto;
use tfplugin_framework::proto::tfplugin6::provider_client::ProviderClient;
use tfplugin_framework::proto::tfplugin6::provider_server::Provider;
use tfplugin_framework::transport::{ServeOptions, serve_reattach};
use tonic::{Request, Response, Status};

const ADDRESS: &str = "registry.terraform.io/streamverse/hello";

/// Fails the first time, then counts.
struct Counting(Arc<AtomicUsize>);

#[tonic::async_trait]
impl Provider for Counting {
    async fn get_provider_schema(
        &self,
        _: Request<proto::get_provider_schema::Request>,
    ) -> Result<Response<proto::get_provider_schema::Response>, Status> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(Status::internal("not yet"));
        }
        let schema = proto::Schema { version: 7, block: None };
        Ok(Response::new(proto::get_provider_schema::Response {
            resource_schemas: BTreeMap::from([("hello_a".to_owned(), schema)]),
            ..Default::default()
        }))
    }
}

#[tokio::test]
async fn schemas_are_encoded_once_and_an_error_is_not_kept() {
    let asked = Arc::new(AtomicUsize::new(0));
    let served = serve_reattach(Counting(Arc::clone(&asked)), ServeOptions::new(ADDRESS)).await.unwrap();
    let channel = channel("unix", served.address(), None).await.unwrap();
    let mut client = ProviderClient::new(channel);
    let request = || proto::get_provider_schema::Request {};
    assert_eq!(client.get_provider_schema(request()).await.unwrap_err().message(), "not yet");
    let first = client.get_provider_schema(request()).await.unwrap().into_inner();
    assert_eq!(first.resource_schemas["hello_a"].version, 7);
    for _ in 0..3 {
        assert_eq!(client.get_provider_schema(request()).await.unwrap().into_inner(), first);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2, "the error, and one answer for all");
    served.shutdown().await;
}
