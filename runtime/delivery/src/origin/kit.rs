//! What the origin's tests stand on: an origin on a socket, and a store that counts what it is asked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use reqwest::redirect::Policy;
use streamverse_core::stores::{AssetRecord, open_catalogue, open_objects};
use streamverse_core::{Metrics, Ready, ServiceContext, Start, Stop};
use streamverse_model::platform::{Name, Owner};

use super::ORIGIN;

pub(super) struct Running {
    pub(super) base: String,
    pub(super) cx: ServiceContext,
    pub(super) stop: Stop,
    pub(super) client: reqwest::Client,
    _folder: tempfile::TempDir,
}

pub(super) async fn running() -> Running {
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
        ..AssetRecord::default()
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
    pub(super) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }
}

/// A store in memory that counts reads, takes its time, and can be away.
#[derive(Debug, Default)]
pub(super) struct Counting {
    inner: InMemory,
    reads: AtomicU64,
    away: AtomicBool,
}

impl Counting {
    pub(super) async fn with(path: &str, bytes: Vec<u8>) -> Arc<Counting> {
        let store = Arc::new(Counting::default());
        store.put(&Path::from(path), bytes.into()).await.unwrap();
        store
    }

    /// Reads since the last time this was asked.
    pub(super) fn reads(&self) -> u64 {
        self.reads.swap(0, Ordering::SeqCst)
    }

    pub(super) fn go_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store that counts")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Counting {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        if self.away.load(Ordering::SeqCst) {
            return Err(object_store::Error::Generic { store: "counting", source: "it is away".into() });
        }
        self.inner.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
