//! The origin over a real socket, on stores of this machine.

use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use reqwest::redirect::Policy;
use streamverse_core::stores::{AssetRecord, open_catalogue, open_objects};
use streamverse_core::{Metrics, Ready, ServiceContext, Start, Stop};
use streamverse_model::platform::{Name, Owner};

use super::ORIGIN;

struct Running {
    base: String,
    cx: ServiceContext,
    stop: Stop,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
}

async fn running() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cx = ServiceContext {
        site: Name::parse("here").unwrap(),
        owner: Owner::new("test", "origin", "main").unwrap(),
        object: "service/origin".to_owned(),
        data_dir: folder.path().join("data"),
        scratch_dir: folder.path().join("scratch"),
        run_dir: folder.path().join("run"),
        credentials_dir: folder.path().join("credentials"),
        specs_dir: folder.path().join("specs"),
        tools: std::collections::BTreeMap::new(),
        bind: [127, 0, 0, 1].into(),
        metrics: Metrics::new(),
    };
    let store = open_objects("file://here/media", &cx).unwrap();
    let put = |path: &'static str, bytes: &'static [u8]| {
        let store = Arc::clone(&store);
        async move { store.put(&Path::from(path), Bytes::from_static(bytes).into()).await.unwrap() }
    };
    put("vod/film/g1/hls.m3u8", b"#EXTM3U\n").await;
    put("vod/film/g1/video/1.m4s", b"0123456789").await;
    let catalogue = open_catalogue("sqlite://here/main", &cx).await.unwrap();
    let record = AssetRecord {
        name: "film".to_owned(),
        generation: "g1".to_owned(),
        title: "Film".to_owned(),
        duration_ms: 1,
        renditions: Vec::new(),
        subtitles: Vec::new(),
        bytes: 18,
        hls: "hls.m3u8".to_owned(),
        dash: "dash.mpd".to_owned(),
        thumbnails: None,
    };
    catalogue.publish(&record).await.unwrap();
    let spec = serde_json::json!({
        "port": port, "replicas": 1, "object_store": "file://here/media", "catalogue": "sqlite://here/main", "cache": null,
        "memory": "16MiB", "allowed_origins": ["https://tv.example"], "manifest_max_age": "2s", "manifest_stale": "60s",
        "segment_max_age": "1day",
    });
    let Start::Service(start) = ORIGIN.start else { panic!("the origin is a service") };
    let service = start(spec, cx.clone()).await.unwrap();
    let (ready, mut is_ready) = Ready::new();
    let stop = Stop::new();
    tokio::spawn(service.run(ready, stop.clone()));
    is_ready.wait_for(|ready| *ready).await.unwrap();
    let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    Running { base: format!("http://127.0.0.1:{port}"), cx, stop, client, _folder: folder }
}

impl Running {
    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }
}

#[tokio::test]
async fn a_stable_address_leads_to_what_is_shown_and_that_never_changes() {
    let origin = running().await;
    let answer = origin.get("/vod/film/hls.m3u8").send().await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], "/vod/film/g1/hls.m3u8");
    assert!(
        answer.headers()["cache-control"]
            .to_str()
            .unwrap()
            .starts_with("public, max-age=2, stale-while-revalidate=60")
    );
    let answer =
        origin.get("/vod/film/g1/hls.m3u8").header("origin", "https://tv.example").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/vnd.apple.mpegurl");
    assert_eq!(answer.headers()["cache-control"], "public, max-age=86400, immutable");
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://tv.example");
    let tag = answer.headers()["etag"].clone();
    let again = origin.get("/vod/film/g1/hls.m3u8").header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    let other =
        origin.get("/vod/film/g1/hls.m3u8").header("origin", "https://else.example").send().await.unwrap();
    assert!(!other.headers().contains_key("access-control-allow-origin"));
    origin.stop.stop();
}

#[tokio::test]
async fn parts_are_served_under_their_conditions() {
    let origin = running().await;
    let path = "/vod/film/g1/video/1.m4s";
    let part = origin.get(path).header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!(
        (part.status().as_u16(), part.headers()["content-range"].to_str().unwrap()),
        (206, "bytes 2-4/10")
    );
    assert_eq!(part.text().await.unwrap(), "234");
    let stale =
        origin.get(path).header("range", "bytes=2-4").header("if-range", "\"other\"").send().await.unwrap();
    assert_eq!(stale.status(), 200);
    assert_eq!(origin.get(path).header("range", "bytes=10-").send().await.unwrap().status(), 416);
    let head = origin.client.head(format!("{}{path}", origin.base)).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "10");
    assert_eq!(origin.client.post(format!("{}{path}", origin.base)).send().await.unwrap().status(), 405);
    origin.stop.stop();
}

#[tokio::test]
async fn nothing_outside_of_packages_is_reached() {
    let origin = running().await;
    std::fs::write(origin.cx.data_dir.join("secret"), "x").unwrap();
    for path in [
        "/vod/film/../../../secret",
        "/vod/film/g1/%2e%2e/%2e%2e/x",
        "/vod/film/g1/..%2f..%2fx",
        "/vod//film/g1/x",
        "/vod/film/g1/a%00b",
        "/vod/nobody/hls.m3u8",
        "/vod/film/other.m3u8",
        "/vod/film",
        "/catalogues/main.sqlite",
    ] {
        // A raw request: a client would tidy the path.
        let mut stream =
            tokio::net::TcpStream::connect(origin.base.trim_start_matches("http://")).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
    origin.stop.stop();
}

#[tokio::test]
async fn what_is_known_is_served_on_while_the_catalogue_is_away() {
    let origin = running().await;
    assert_eq!(origin.get("/vod/film/hls.m3u8").send().await.unwrap().status(), 302);
    let file = origin.cx.data_dir.join("catalogues/main.sqlite");
    rusqlite_breaks(&file);
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let answer = origin.get("/vod/film/hls.m3u8").send().await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["x-stale"], "catalogue");
    assert_eq!(origin.get("/readyz").send().await.unwrap().status(), 200);
    origin.stop.stop();
}

/// Overwrites the database with what is none.
fn rusqlite_breaks(file: &std::path::Path) {
    for end in ["", "-wal", "-shm"] {
        let path = std::path::PathBuf::from(format!("{}{end}", file.display()));
        if path.exists() {
            std::fs::write(path, vec![7; 8192]).unwrap();
        }
    }
}
