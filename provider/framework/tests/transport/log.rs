//! The log: what a line looks like, what is left out of it, and that nothing happens when nobody asked.

use crate::kit::Plugin;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tfplugin_framework::log::{HclogLayer, catch_panic, install_panic_hook, keys, mask, masked};
use tfplugin_framework::proto::tfplugin6 as proto;
use tfplugin_framework::proto::tfplugin6::provider_client::ProviderClient;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

/// What is logged up to this level while `body` runs.
fn logged(level: LevelFilter, body: impl FnOnce()) -> Vec<Value> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let layer = HclogLayer::new(level, move |line| {
        assert_eq!(line.last(), Some(&b'\n'));
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        sink.lock().unwrap().push(serde_json::from_slice(line).unwrap());
    });
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), body);
    let lines = lines.lock().unwrap();
    lines.clone()
}

#[test]
fn a_line_has_hclogs_keys_and_the_fields_of_event_and_spans() {
    let lines = logged(LevelFilter::TRACE, || {
        let rpc = tracing::info_span!(
            "rpc",
            { keys::RPC } = "ReadResource",
            attempt = 1,
            late = tracing::field::Empty
        );
        let _rpc = rpc.enter();
        rpc.record("late", true);
        let _inner = tracing::info_span!("inner", attempt = 2).entered();
        tracing::warn!(size = 3u64, share = 0.5, name = ?"x", "Line one\nand \"two\".");
    });
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(line["@level"], "warn");
    assert_eq!(line["@message"], "Line one\nand \"two\".");
    assert_eq!(line["@module"], "transport.log");
    assert_eq!(line["tf_rpc"], "ReadResource");
    assert_eq!(line["attempt"], 2, "the inner span's value counts");
    assert_eq!(line["late"], true);
    assert_eq!(line["size"], 3);
    assert_eq!(line["share"].to_string(), "0.5");
    assert_eq!(line["name"], "\"x\"");
    // The host parses this form alone: 2006-01-02T15:04:05.000000Z.
    let timestamp = line["@timestamp"].as_str().unwrap();
    assert_eq!(
        (timestamp.len(), &timestamp[10..11], &timestamp[19..20], &timestamp[26..]),
        (27, "T", ".", "Z")
    );
}

#[test]
fn the_level_decides_and_the_transports_own_chatter_stays_out() {
    let events = || {
        tracing::error!("e");
        tracing::info!("i");
        tracing::trace!("t");
        tracing::trace!(target: "h2::codec::framed_read", "frame");
        tracing::warn!(target: "rustls::server", "alert");
    };
    let messages = |level| -> Vec<String> {
        logged(level, events).iter().map(|line| line["@message"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(messages(LevelFilter::TRACE), ["e", "i", "t", "alert"]);
    assert_eq!(messages(LevelFilter::INFO), ["e", "i", "alert"]);
    assert_eq!(messages(LevelFilter::ERROR), ["e"]);
    assert_eq!(messages(LevelFilter::OFF), [""; 0]);
}

#[test]
fn an_error_is_logged_with_its_causes() {
    let cause = std::io::Error::other("no route");
    let error = tfplugin_framework::transport::ServeError::Runtime(cause);
    let lines = logged(LevelFilter::INFO, || {
        let error: &(dyn std::error::Error + 'static) = &error;
        tracing::info!(error, "Failed.");
    });
    assert_eq!(lines[0]["error"], "Cannot start the asynchronous runtime.: no route");
}

#[test]
fn a_secret_is_masked_wherever_it_appears() {
    mask("hunter2-of-the-log");
    mask("with \"quotes\"\nand lines");
    mask("abc");
    mask("hunter2-of-the-log-and-more");
    let lines = logged(LevelFilter::TRACE, || {
        let _span = tracing::info_span!("s", token = "Bearer hunter2-of-the-log").entered();
        tracing::info!(
            long = "hunter2-of-the-log-and-more",
            debug = ?Some("with \"quotes\"\nand lines"),
            display = %"with \"quotes\"\nand lines",
            "abc: hunter2-of-the-log!"
        );
    });
    let line = &lines[0];
    assert_eq!(line["token"], "Bearer ***");
    assert_eq!(line["long"], "***", "not the shorter secret and its rest");
    assert_eq!(line["debug"], "Some(\"***\")");
    assert_eq!(line["display"], "***");
    assert_eq!(line["@message"], "abc: ***!", "three letters are no secret");
    assert_eq!(masked("nothing here"), "nothing here");
}

#[tokio::test]
async fn a_caught_panic_has_its_message_and_stack_and_is_logged_without_secrets() {
    install_panic_hook();
    mask("secret-of-the-panic");
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let layer = HclogLayer::new(LevelFilter::ERROR, move |line| sink.lock().unwrap().extend_from_slice(line));
    let _log = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let panic = catch_panic(async { panic!("lost {}", "secret-of-the-panic") }).await.unwrap_err();
    assert!(panic.message.starts_with("lost *** ("), "{}", panic.message);
    assert!(panic.message.contains("log.rs:"), "{}", panic.message);
    assert!(panic.backtrace.contains("transport::log"), "{}", panic.backtrace);
    assert_eq!(catch_panic(async { 7 }).await, Ok(7));

    let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["@level"], "error");
    assert_eq!(line["panic"], panic.message);
    assert!(!text.contains("secret-of-the-panic"));
}

async fn said(variables: &[(&str, &str)]) -> Vec<Value> {
    let plugin = Plugin::start(&[], variables).await;
    let mut client = ProviderClient::new(plugin.connect(None).await.unwrap());
    let request =
        |name: &str| proto::read_resource::Request { type_name: name.to_owned(), ..Default::default() };
    client.read_resource(request("hello_print")).await.unwrap();
    client.read_resource(request("hello_panic")).await.unwrap_err();
    drop(client);
    plugin.signal("TERM");
    let (_, stdout, stderr) = plugin.wait().await;
    assert_eq!(stdout, "");
    stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[tokio::test]
async fn a_process_logs_what_the_variables_ask_for_and_otherwise_nothing() {
    assert_eq!(said(&[]).await, Vec::<Value>::new());
    assert_eq!(said(&[("TF_LOG", "TRACE"), ("TF_LOG_PROVIDER_HELLO", "OFF")]).await, Vec::<Value>::new());

    let lines = said(&[("TF_LOG", "ERROR"), ("TF_LOG_PROVIDER", "info")]).await;
    let [hello, panic] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&hello["@level"], &hello["@message"]), (&"info".into(), &"Hello.".into()));
    assert_eq!(hello["tf_resource_type"], "hello_print");
    assert_eq!(panic["@level"], "error");
    assert!(panic["backtrace"].as_str().unwrap().contains("hello_raw"));

    assert_eq!(said(&[("TF_LOG", "error")]).await.len(), 1);
}
