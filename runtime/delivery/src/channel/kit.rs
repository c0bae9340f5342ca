//! What the channel's tests stand on: assets on a store, replicas on one catalogue, and a clock that they set.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::http::{HeaderMap, StatusCode};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use serde_json::{Value, json};
use streamverse_core::stores::{
    AssetRecord, Catalogue, Record, Records, open_catalogue, open_objects, open_records,
};
use streamverse_core::{Error, Metrics, Result, ServiceContext};
use streamverse_model::media::channel::FastChannelSpec;
use streamverse_model::platform::{Name, Owner};
use tokio::sync::oneshot;

use super::announced::Announced;
use super::service::{Channel, Clock, Counters, answered};
use super::shared::{Indexes, Stores};
use crate::origin::cors::Cors;

/// 2026-11-26T12:00:00Z.
pub(super) const NOON: u64 = 1_795_694_400_000;

/// Stores, assets and a clock.
pub(super) struct World {
    pub(super) cx: ServiceContext,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) catalogue: Arc<dyn Catalogue>,
    pub(super) now: Arc<AtomicU64>,
    /// Whether the catalogue's documents are away.
    pub(super) away: Arc<AtomicBool>,
    gate: Arc<Mutex<Option<Gate>>>,
    _folder: tempfile::TempDir,
}

/// Where the next call of this name waits: it says that it came, and goes on when it may.
struct Gate {
    call: &'static str,
    came: oneshot::Sender<()>,
    may: oneshot::Receiver<()>,
}

/// An asset: segments in milliseconds for each part.
pub(super) struct Asset<'a> {
    pub(super) name: &'a str,
    pub(super) generation: &'a str,
    pub(super) parts: Vec<Vec<u64>>,
    pub(super) languages: &'a [&'a str],
    pub(super) captions: &'a [&'a str],
    pub(super) encrypted: bool,
    pub(super) scheme: &'a str,
    pub(super) systems: &'a [&'a str],
    pub(super) heights: &'a [u32],
}

impl Default for Asset<'_> {
    fn default() -> Self {
        Asset {
            name: "film",
            generation: "g1",
            parts: vec![vec![4000; 10]],
            languages: &["en"],
            captions: &[],
            encrypted: false,
            scheme: "cbcs",
            systems: &["clearkey"],
            heights: &[180, 360],
        }
    }
}

impl Asset<'_> {
    fn index(&self) -> Value {
        let parts: Vec<Value> = self
            .parts
            .iter()
            .enumerate()
            .map(|(part, segments)| {
                let total: u64 = segments.iter().sum();
                let folder = if self.parts.len() > 1 { format!("p{part:04}/") } else { String::new() };
                let kid = |track: &str| {
                    let number = u32::try_from(part).unwrap();
                    let kid = streamverse_model::drm::KeyId::derive("test", self.name, self.generation, track, number);
                    if self.encrypted { json!(kid) } else { Value::Null }
                };
                let video = self.heights.iter().map(|height| {
                    json!({
                        "name": format!("{height}p"), "kind": "video", "codecs": "avc1.64001e", "bandwidth": height * 1000,
                        "width": height * 16 / 9, "height": height, "frame_rate": "25/1", "timescale": 12_800, "begins": 0,
                        "init": format!("{folder}video/{height}p/init.mp4"), "media": format!("{folder}video/{height}p/$Number%05d$.m4s"),
                        "first_number": 1, "segments": segments.iter().map(|ms| ms * 128 / 10).collect::<Vec<_>>(), "kid": kid("video"),
                    })
                });
                // Frames of sound do not end where pictures do.
                let frames = |ms: u64| (ms * 48 + 512) / 1024;
                let mut before = 0;
                let mut at = 0;
                let sound: Vec<u64> = segments
                    .iter()
                    .map(|ms| {
                        at += ms;
                        let units = frames(at) - before;
                        before += units;
                        units * 1024
                    })
                    .collect();
                let audio = self.languages.iter().map(|language| {
                    json!({
                        "name": "stereo", "kind": "audio", "codecs": "mp4a.40.2", "bandwidth": 96_000, "language": language,
                        "channels": 2, "sample_rate": 48_000, "timescale": 48_000, "init": format!("{folder}audio/{language}/init.mp4"),
                        "media": format!("{folder}audio/{language}/$Number%05d$.m4s"), "first_number": 1, "segments": sound, "kid": kid("audio"),
                    })
                });
                json!({ "duration_ms": total, "tracks": video.chain(audio).collect::<Vec<_>>() })
            })
            .collect();
        let total: u64 = self.parts.iter().flatten().sum();
        let text: Vec<Value> = self
            .captions
            .iter()
            .map(|language| json!({ "language": language, "label": language.to_uppercase(), "file": format!("text/{language}.vtt") }))
            .collect();
        let protection = json!({ "scheme": self.scheme, "systems": self.systems });
        json!({
            "version": 1, "duration_ms": total, "segment_ms": 4000, "parts": parts, "text": text,
            "protection": if self.encrypted { protection } else { Value::Null },
        })
    }
}

impl World {
    pub(super) async fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let cx = ServiceContext {
            site: Name::parse("here").unwrap(),
            owner: Owner::new("test", "fast-channel", "one").unwrap(),
            object: "service/fast-channel".to_owned(),
            data_dir: folder.path().join("data"),
            scratch_dir: folder.path().join("scratch"),
            run_dir: folder.path().join("run"),
            credentials_dir: folder.path().join("credentials"),
            specs_dir: folder.path().join("specs"),
            tools: BTreeMap::new(),
            bind: [127, 0, 0, 1].into(),
            metrics: Metrics::new(),
        };
        let store = open_objects("file://here/media", &cx).unwrap();
        let catalogue = open_catalogue("sqlite://here/main", &cx).await.unwrap();
        let (now, away, gate) = (Arc::new(AtomicU64::new(NOON)), Arc::default(), Arc::default());
        World { cx, store, catalogue, now, away, gate, _folder: folder }
    }

    /// Publishes an asset.
    pub(super) async fn has(&self, asset: &Asset<'_>) {
        let (name, generation) = (asset.name, asset.generation);
        let index = serde_json::to_vec(&asset.index()).unwrap();
        self.store
            .put(&Path::from(format!("vod/{name}/{generation}/index.json")), index.into())
            .await
            .unwrap();
        for language in asset.captions {
            let text = format!("WEBVTT\n\n00:00:01.000 --> 00:00:06.000\n{name} in {language}\n");
            let path = Path::from(format!("vod/{name}/{generation}/text/{language}.vtt"));
            self.store.put(&path, text.into_bytes().into()).await.unwrap();
        }
        let record = AssetRecord {
            name: name.to_owned(),
            generation: generation.to_owned(),
            title: name.to_owned(),
            duration_ms: asset.parts.iter().flatten().sum(),
            renditions: Vec::new(),
            subtitles: Vec::new(),
            bytes: 1,
            hls: "hls.m3u8".to_owned(),
            dash: "dash.mpd".to_owned(),
            thumbnails: None,
            kids: Vec::new(),
            scheme: None,
            usage: None,
        };
        self.catalogue.publish(&record).await.unwrap();
    }

    /// The usual assets: two films, a spot and a slate.
    pub(super) async fn usual(&self) {
        let film = vec![4000, 4000, 4000, 4000, 4000, 4000, 4000, 4000, 4000, 1960];
        self.has(&Asset {
            parts: vec![film.clone(), film],
            captions: &["en"],
            encrypted: true,
            ..Asset::default()
        })
        .await;
        self.has(&Asset {
            name: "news",
            parts: vec![vec![4000; 23]],
            languages: &["en", "de"],
            ..Asset::default()
        })
        .await;
        self.has(&Asset { name: "spot", parts: vec![vec![4000, 4000, 2040]], ..Asset::default() }).await;
        self.has(&Asset { name: "slate", parts: vec![vec![2000; 5]], ..Asset::default() }).await;
    }

    /// A replica of the channel `one`.
    pub(super) async fn replica(&self, spec: &Value) -> Arc<Channel> {
        self.replica_whose(spec, |now| now).await
    }

    /// A replica whose clock shows something else.
    pub(super) async fn replica_whose(
        &self,
        spec: &Value,
        clock: impl Fn(u64) -> u64 + Send + Sync + 'static,
    ) -> Arc<Channel> {
        let spec: FastChannelSpec = serde_json::from_value(spec.clone()).unwrap();
        let records = open_records("sqlite://here/main", &self.cx).await.unwrap();
        let (away, gate) = (Arc::clone(&self.away), Arc::clone(&self.gate));
        let records = Arc::new(Flaky { inner: records, away, gate });
        let cors = Cors::new(&spec.allowed_origins);
        // Each has stores of its own, as in a process of its own.
        let (objects, catalogue) = (Arc::clone(&self.store), Arc::clone(&self.catalogue));
        let stores = Arc::new(Stores { objects, catalogue, records, indexes: Indexes::new() });
        let announced = Announced::new("one", spec, stores).unwrap();
        let now = Arc::clone(&self.now);
        Arc::new(Channel {
            name: "one".to_owned(),
            announced,
            cors,
            clock: Clock::from(move || clock(now.load(Ordering::SeqCst))),
            counters: Counters::default(),
            kept: std::sync::Mutex::default(),
            cx: self.cx.clone(),
        })
    }

    /// The next call of any replica's documents that is named so, as `remove channel.one`, waits.
    pub(super) fn holds(&self, call: &'static str) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((came, comes), (lets, may)) = (oneshot::channel(), oneshot::channel());
        *self.gate.lock().unwrap() = Some(Gate { call, came, may });
        (comes, lets)
    }

    pub(super) fn at(&self, ms: u64) {
        self.now.store(ms, Ordering::SeqCst);
    }

    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }
}

/// A channel of both films with a break in each.
pub(super) fn spec() -> Value {
    json!({
        "object_store": "file://here/media", "catalogue": "sqlite://here/main", "start": "2026-11-26T12:00:00Z",
        "sources": { "film": {}, "news": {}, "spot": {}, "slate": {} },
        "schedule": { "order": { "items": ["film", "news"] } }, "slate": "slate",
        "ad_breaks": { "positions": ["30s"], "duration": "22s", "spots": ["spot"] },
        "languages": { "audio": ["en", "de"], "captions": ["en"] },
        "allowed_origins": ["https://tv.example"],
    })
}

/// What a channel answers: status, header fields, body.
pub(super) async fn ask(channel: &Channel, path: &str) -> (StatusCode, HeaderMap, String) {
    ask_with(channel, path, &HeaderMap::new(), true).await
}

pub(super) async fn ask_with(
    channel: &Channel,
    path: &str,
    headers: &HeaderMap,
    whole: bool,
) -> (StatusCode, HeaderMap, String) {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let answer = answered(channel, &format!("one/{path}"), query, headers, whole).await;
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// What it answers with success.
pub(super) async fn text(channel: &Channel, path: &str) -> String {
    let (status, _, body) = ask(channel, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

/// Documents that can be away, and slow.
struct Flaky {
    inner: Arc<dyn Records>,
    away: Arc<AtomicBool>,
    gate: Arc<Mutex<Option<Gate>>>,
}

impl Flaky {
    async fn there(&self, call: &str, collection: &str) -> Result<()> {
        let name = format!("{call} {collection}");
        let gate = self.gate.lock().unwrap().take_if(|it| it.call == name);
        if let Some(gate) = gate {
            let _ = gate.came.send(());
            let _ = gate.may.await;
        }
        if self.away.load(Ordering::SeqCst) { Err(Error::passing("catalogue", "it is away")) } else { Ok(()) }
    }
}

#[async_trait]
impl Records for Flaky {
    async fn insert(&self, collection: &str, id: &str, value: &Value) -> Result<bool> {
        self.there("insert", collection).await?;
        self.inner.insert(collection, id, value).await
    }
    async fn get(&self, collection: &str, id: &str) -> Result<Option<Record>> {
        self.there("get", collection).await?;
        self.inner.get(collection, id).await
    }
    async fn version(&self, collection: &str, id: &str) -> Result<Option<u64>> {
        self.there("version", collection).await?;
        self.inner.version(collection, id).await
    }
    async fn replace(&self, collection: &str, id: &str, version: u64, value: &Value) -> Result<bool> {
        self.there("replace", collection).await?;
        self.inner.replace(collection, id, version, value).await
    }
    async fn remove(&self, collection: &str, id: &str) -> Result<()> {
        self.there("remove", collection).await?;
        self.inner.remove(collection, id).await
    }
    async fn list(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<(String, Record)>> {
        self.there("list", collection).await?;
        self.inner.list(collection, after, limit).await
    }
    async fn ids(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<String>> {
        self.there("ids", collection).await?;
        self.inner.ids(collection, after, limit).await
    }
    async fn last(&self, collection: &str) -> Result<Option<(String, Record)>> {
        self.there("last", collection).await?;
        self.inner.last(collection).await
    }
    async fn remove_before(&self, collection: &str, id: &str) -> Result<()> {
        self.there("remove_before", collection).await?;
        self.inner.remove_before(collection, id).await
    }
}
