//! A plugin process and its host: the handshake, who is let in, what is served, how it ends.

use crate::kit::{COOKIE, HostIdentity, PATIENCE, Plugin, anonymous, hello};
use std::time::{Duration, Instant};
use tfplugin_framework::proto::go_plugin::Empty;
use tfplugin_framework::proto::go_plugin::grpc_broker_client::GrpcBrokerClient;
use tfplugin_framework::proto::go_plugin::grpc_controller_client::GrpcControllerClient;
use tfplugin_framework::proto::go_plugin::grpc_stdio_client::GrpcStdioClient;
use tfplugin_framework::proto::health::HealthCheckRequest;
use tfplugin_framework::proto::health::health_client::HealthClient;
use tfplugin_framework::proto::tfplugin6 as proto;
use tfplugin_framework::proto::tfplugin6::provider_client::ProviderClient;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status};

async fn schema(channel: Channel) -> Result<usize, Status> {
    let mut client = ProviderClient::new(channel);
    let answer = client.get_provider_schema(proto::get_provider_schema::Request {}).await?;
    Ok(answer.into_inner().resource_schemas.len())
}

async fn read(channel: Channel, type_name: &str, state: Vec<u8>) -> Result<bytes::Bytes, Status> {
    let mut client = ProviderClient::new(channel)
        .max_decoding_message_size(256 << 20)
        .max_encoding_message_size(256 << 20);
    let request = proto::read_resource::Request {
        type_name: type_name.to_owned(),
        current_state: Some(proto::DynamicValue { msgpack: state.into(), ..Default::default() }),
        ..Default::default()
    };
    let answer = client.read_resource(request).await?.into_inner();
    Ok(answer.new_state.unwrap().msgpack)
}

async fn shut_down(channel: Channel) {
    GrpcControllerClient::new(channel).shutdown(Empty {}).await.unwrap();
}

#[tokio::test]
async fn the_right_certificate_connects_and_may_come_again() {
    let host = HostIdentity::new();
    let plugin = Plugin::start_for(&host).await;
    for _ in 0..3 {
        let channel = plugin.connect(Some(&host)).await.unwrap();
        assert_eq!(schema(channel).await.unwrap(), 1);
    }
    let tls12 = host.config_for_tls12(&plugin.parts().2);
    assert_eq!(schema(plugin.connect_with(Some(tls12)).await.unwrap()).await.unwrap(), 1);
}

#[tokio::test]
async fn whoever_is_not_the_host_is_refused_and_disturbs_nobody() {
    let host = HostIdentity::new();
    let other = HostIdentity::new();
    let plugin = Plugin::start_for(&host).await;
    let server = plugin.parts().2;
    let strangers = [
        ("another certificate", Some(other.config(&server))),
        ("another certificate, TLS 1.2", Some(other.config_for_tls12(&server))),
        ("no certificate", Some(anonymous(&server))),
        ("the right certificate without its key", Some(host.stolen(&server, &other))),
        ("no encryption", None),
    ];
    for (who, config) in strangers {
        // With TLS 1.3 the client believes itself connected until it asks for something.
        let answer = match plugin.connect_with(config).await {
            Ok(channel) => schema(channel).await.map_err(|status| status.to_string()),
            Err(error) => Err(error.to_string()),
        };
        assert!(answer.is_err(), "{who} was served");
    }
    assert_eq!(schema(plugin.connect(Some(&host)).await.unwrap()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_silent_connection_holds_up_nobody() {
    let host = HostIdentity::new();
    let plugin = Plugin::start_for(&host).await;
    let _silent = tokio::net::UnixStream::connect(plugin.parts().1).await.unwrap();
    let channel = plugin.connect(Some(&host)).await.unwrap();
    assert_eq!(schema(channel.clone()).await.unwrap(), 1);
    let begin = Instant::now();
    shut_down(channel).await;
    assert_eq!(plugin.wait().await.0, Some(0));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn without_a_host_certificate_the_channel_is_plain() {
    let plugin = Plugin::start(&[], &[]).await;
    assert!(plugin.line.ends_with("|grpc|\n"), "{:?}", plugin.line);
    assert_eq!(schema(plugin.connect(None).await.unwrap()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_host_certificate_that_is_none_stops_the_start() {
    let plugin = Plugin::start(&[], &[("PLUGIN_CLIENT_CERT", "nonsense")]).await;
    assert_eq!(plugin.line, "");
    let (code, _, stderr) = plugin.wait().await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("PLUGIN_CLIENT_CERT"), "{stderr}");
}

#[tokio::test]
async fn the_line_names_core_version_protocol_socket_and_certificate_and_nothing_follows_it() {
    let host = HostIdentity::new();
    // A host that multiplexes takes six parts for "not supported".
    let plugin =
        Plugin::start(&[], &[("PLUGIN_CLIENT_CERT", &host.pem), ("PLUGIN_MULTIPLEX_GRPC", "true")]).await;
    assert!(plugin.line.starts_with("1|6|unix|/"), "{}", plugin.line);
    let (_, address, certificate) = plugin.parts();
    assert!(address.starts_with(plugin.sockets.path().to_str().unwrap()));
    assert!(certificate.len() > 200 && !plugin.line.contains('='));

    let channel = plugin.connect(Some(&host)).await.unwrap();
    assert_eq!(schema(channel.clone()).await.unwrap(), 1);
    shut_down(channel).await;
    let (code, rest, stderr) = plugin.wait().await;
    assert_eq!((code, rest.as_str(), stderr.as_str()), (Some(0), "", ""));
}

#[tokio::test]
async fn started_by_hand_it_explains_itself() {
    let run = tokio::process::Command::new(hello()).env_remove(COOKIE.0).output().await.unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(run.stdout.is_empty());
    let text = String::from_utf8(run.stderr).unwrap();
    for part in ["plugin of Terraform", "required_providers", "\"streamverse/hello\"", "dev_overrides"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

#[tokio::test]
async fn a_host_without_protocol_6_learns_ours_and_nothing_is_served() {
    let plugin = Plugin::start(&[], &[("PLUGIN_PROTOCOL_VERSIONS", "5,4")]).await;
    assert!(plugin.line.starts_with("1|6|"), "the host names the mismatch from this: {:?}", plugin.line);
    let (code, _, stderr) = plugin.wait().await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("protocol 6") && stderr.contains("5,4"), "{stderr}");
}

#[tokio::test]
async fn shutdown_ends_the_process_at_once_and_removes_the_socket() {
    let host = HostIdentity::new();
    let plugin = Plugin::start_for(&host).await;
    let socket = std::path::PathBuf::from(plugin.parts().1);
    assert!(socket.exists());
    let channel = plugin.connect(Some(&host)).await.unwrap();
    // As the CLI has it: this stream is open until the end.
    let mut stdio = GrpcStdioClient::new(channel.clone()).stream_stdio(()).await.unwrap().into_inner();
    let begin = Instant::now();
    shut_down(channel).await;
    assert!(
        timeout(PATIENCE, stdio.message()).await.unwrap().unwrap().is_none(),
        "the stream ends without error"
    );
    assert_eq!(plugin.wait().await.0, Some(0));
    let took = begin.elapsed();
    eprintln!("shutdown to exit: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(!socket.exists());
}

#[tokio::test]
async fn requests_under_way_do_not_hold_up_a_shutdown() {
    let host = HostIdentity::new();
    let plugin = Plugin::start_for(&host).await;
    let channel = plugin.connect(Some(&host)).await.unwrap();
    let slow = tokio::spawn(read(channel.clone(), "hello_sleep", Vec::new()));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!slow.is_finished());
    let begin = Instant::now();
    shut_down(channel).await;
    assert_eq!(plugin.wait().await.0, Some(0));
    // The host kills after two seconds.
    assert!(begin.elapsed() < Duration::from_millis(1800), "{:?}", begin.elapsed());
    assert!(slow.await.unwrap().is_err());
}

#[tokio::test]
async fn an_interrupt_is_left_to_the_host_and_terminate_ends_gracefully() {
    let host = HostIdentity::new();
    let plugin = Plugin::start_for(&host).await;
    let socket = std::path::PathBuf::from(plugin.parts().1);
    for _ in 0..3 {
        plugin.signal("INT");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(schema(plugin.connect(Some(&host)).await.unwrap()).await.unwrap(), 1);
    }
    plugin.signal("TERM");
    assert_eq!(plugin.wait().await.0, Some(0));
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_message_just_below_256_mebibytes_passes_both_ways() {
    let host = HostIdentity::new();
    let plugin = Plugin::start_for(&host).await;
    let channel = plugin.connect(Some(&host)).await.unwrap();
    let state = vec![0x5a; 255 << 20];
    let answer = timeout(4 * PATIENCE, read(channel, "hello_world", state.clone())).await.unwrap().unwrap();
    assert!(answer == state);
}

#[tokio::test]
async fn health_is_serving_for_the_plugin_and_for_the_whole() {
    let plugin = Plugin::start(&[], &[]).await;
    let mut client = HealthClient::new(plugin.connect(None).await.unwrap());
    let ask = |service: &str| HealthCheckRequest { service: service.to_owned() };
    for service in ["plugin", ""] {
        assert_eq!(client.check(ask(service)).await.unwrap().into_inner().status, 1);
    }
    assert_eq!(client.check(ask("other")).await.unwrap_err().code(), Code::NotFound);
    let mut watch = client.watch(ask("plugin")).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    plugin.signal("TERM");
    assert!(timeout(PATIENCE, watch.message()).await.unwrap().unwrap().is_none());
}

#[tokio::test]
async fn the_broker_listens_and_stays_silent() {
    let plugin = Plugin::start(&[], &[]).await;
    let mut client = GrpcBrokerClient::new(plugin.connect(None).await.unwrap());
    let offers = tokio_stream::iter([tfplugin_framework::proto::go_plugin::ConnInfo::default()]);
    let mut answers = client.start_stream(offers).await.unwrap().into_inner();
    assert!(timeout(PATIENCE, answers.message()).await.unwrap().unwrap().is_none());
}

#[tokio::test]
async fn what_is_not_written_answers_unimplemented() {
    let plugin = Plugin::start(&[], &[]).await;
    let channel = plugin.connect(None).await.unwrap();
    let answer = ProviderClient::new(channel).plan_action(proto::plan_action::Request::default()).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_panic_becomes_a_status_and_the_provider_goes_on() {
    let plugin = Plugin::start(&[], &[]).await;
    let channel = plugin.connect(None).await.unwrap();
    let status = read(channel.clone(), "hello_panic", Vec::new()).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("asked to panic"), "{}", status.message());
    assert!(status.message().contains("hello_raw.rs"), "{}", status.message());
    assert_eq!(schema(channel).await.unwrap(), 1);
}

#[tokio::test]
async fn tcp_stays_on_this_machine_and_in_the_range() {
    let host = HostIdentity::new();
    let plugin = Plugin::start(&["--tcp"], &[("PLUGIN_CLIENT_CERT", &host.pem)]).await;
    let (network, address, _) = plugin.parts();
    assert_eq!(network, "tcp");
    let port: u16 = address.strip_prefix("127.0.0.1:").unwrap().parse().unwrap();
    assert!((10000..=25000).contains(&port));
    assert_eq!(schema(plugin.connect(Some(&host)).await.unwrap()).await.unwrap(), 1);
}

#[tokio::test]
async fn many_requests_cancelled_at_once_leave_the_connection_alive() {
    let plugin = Plugin::start(&[], &[]).await;
    let channel = plugin.connect(None).await.unwrap();
    let slow: Vec<_> =
        (0..500).map(|_| tokio::spawn(read(channel.clone(), "hello_sleep", Vec::new()))).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    slow.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(schema(channel).await.unwrap(), 1);
}

#[tokio::test]
async fn a_provider_whose_host_was_killed_ends_by_itself() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    // The shell is the host here: it starts the plugin and then dies without a word.
    let mut host = tokio::process::Command::new("sh")
        .args(["-c", "\"$0\" & wait"])
        .arg(hello())
        .env(COOKIE.0, COOKIE.1)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(host.stdout.take().unwrap());
    let mut line = String::new();
    timeout(PATIENCE, stdout.read_line(&mut line)).await.unwrap().unwrap();
    let socket = line.split('|').nth(3).unwrap().to_owned();
    host.kill().await.unwrap();
    let gone = async {
        while std::path::Path::new(&socket).exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the provider stays for ever");
}
