//! Serving inside a process that goes on: what tests of providers build on.

use crate::kit::{PATIENCE, channel};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tfplugin_framework::proto::tfplugin6 as proto;
use tfplugin_framework::proto::tfplugin6::provider_client::ProviderClient;
use tfplugin_framework::proto::tfplugin6::provider_server::Provider;
use tfplugin_framework::transport::{Network, ServeOptions, serve_reattach};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

const ADDRESS: &str = "registry.terraform.io/streamverse/hello";

/// Counts the requests that are being worked on.
#[derive(Default)]
struct Slow(Arc<AtomicUsize>);

struct Working(Arc<AtomicUsize>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tonic::async_trait]
impl Provider for Slow {
    async fn stop_provider(
        &self,
        _: Request<proto::stop_provider::Request>,
    ) -> Result<Response<proto::stop_provider::Response>, Status> {
        Ok(Response::new(proto::stop_provider::Response::default()))
    }

    async fn get_provider_schema(
        &self,
        _: Request<proto::get_provider_schema::Request>,
    ) -> Result<Response<proto::get_provider_schema::Response>, Status> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let _working = Working(Arc::clone(&self.0));
        tokio::time::sleep(10 * PATIENCE).await;
        Err(Status::internal("nobody waits so long"))
    }
}

async fn stop(network: &str, address: &str) -> Result<(), String> {
    let channel = channel(network, address, None).await.map_err(|error| error.to_string())?;
    let answer = ProviderClient::new(channel).stop_provider(proto::stop_provider::Request {}).await;
    answer.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn it_serves_any_number_of_hosts_until_it_is_shut_down() {
    let served = serve_reattach(Slow::default(), ServeOptions::new(ADDRESS)).await.unwrap();
    let socket = served.address().to_owned();
    for _ in 0..3 {
        stop("unix", &socket).await.unwrap();
    }
    timeout(PATIENCE, served.shutdown()).await.unwrap();
    assert!(!Path::new(&socket).exists());
    stop("unix", &socket).await.unwrap_err();
}

#[tokio::test]
async fn the_variable_is_go_plugins_json() {
    let served = serve_reattach(Slow::default(), ServeOptions::new(ADDRESS)).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&served.json()).unwrap();
    let expected = serde_json::json!({ ADDRESS: {
        "Protocol": "grpc", "ProtocolVersion": 6, "Pid": std::process::id(), "Test": true,
        "Addr": { "Network": "unix", "String": served.address() },
    }});
    assert_eq!(json, expected);
    let two = served.json_for(&["a.example/b/c", "d.example/b/c"]);
    let two: serde_json::Value = serde_json::from_str(&two).unwrap();
    assert_eq!(two["a.example/b/c"], two["d.example/b/c"]);
    assert_eq!(two["d.example/b/c"], expected[ADDRESS]);
}

#[tokio::test]
async fn several_at_once_do_not_meet() {
    let one = serve_reattach(Slow::default(), ServeOptions::new(ADDRESS)).await.unwrap();
    let tcp = ServeOptions::new(ADDRESS).network(Network::Tcp);
    let two = serve_reattach(Slow::default(), tcp).await.unwrap();
    let two_address = two.address().to_owned();
    one.shutdown().await;
    stop("tcp", &two_address).await.unwrap();
}

#[tokio::test]
async fn dropping_it_stops_it() {
    let served = serve_reattach(Slow::default(), ServeOptions::new(ADDRESS)).await.unwrap();
    let socket = served.address().to_owned();
    drop(served);
    let begin = Instant::now();
    while Path::new(&socket).exists() {
        assert!(begin.elapsed() < PATIENCE, "the socket stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_under_way_is_dropped_after_the_grace_period_and_the_token_told_of_it() {
    let working = Arc::new(AtomicUsize::new(0));
    let token = CancellationToken::new();
    let options = ServeOptions::new(ADDRESS).stop_token(token.clone()).grace(Duration::from_millis(100));
    let served = serve_reattach(Slow(Arc::clone(&working)), options).await.unwrap();
    let mut client = ProviderClient::new(channel("unix", served.address(), None).await.unwrap());
    let slow =
        tokio::spawn(async move { client.get_provider_schema(proto::get_provider_schema::Request {}).await });
    while working.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    timeout(PATIENCE, served.shutdown()).await.unwrap();
    assert!(token.is_cancelled());
    assert!(slow.await.unwrap().is_err());
    let begin = Instant::now();
    while working.load(Ordering::SeqCst) > 0 {
        assert!(begin.elapsed() < PATIENCE, "the request goes on unseen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_request_whose_host_hangs_up_is_dropped() {
    let working = Arc::new(AtomicUsize::new(0));
    let served = serve_reattach(Slow(Arc::clone(&working)), ServeOptions::new(ADDRESS)).await.unwrap();
    let mut client = ProviderClient::new(channel("unix", served.address(), None).await.unwrap());
    let slow =
        tokio::spawn(async move { client.get_provider_schema(proto::get_provider_schema::Request {}).await });
    while working.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    slow.abort();
    let begin = Instant::now();
    while working.load(Ordering::SeqCst) > 0 {
        assert!(begin.elapsed() < PATIENCE, "the request goes on without its host");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
