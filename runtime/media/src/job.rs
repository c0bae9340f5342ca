//! The job of an asset: from a source to a published package. It may be killed anywhere and run again: what is done is in
//! the object store, and what is published is complete.
//!
//! A run after one that failed for good begins anew: it forgets the failures that the encoders told, and goes on with what
//! they finished. Nothing here remembers that a spec failed; whether a spec that failed is run again is the site's decision.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use serde_json::{Value, json};
use streamverse_core::log::{EventLog, open_log};
use streamverse_core::stores::{AssetRecord, Catalogue, open_catalogue, open_objects};
use streamverse_core::tool::Tool;
use streamverse_core::{Error, Job, JobHandle, Result, ServiceContext, Start, Stop, Target};
use streamverse_model::media::{
    AudioRendition, MadeAsset, MadeTrack, MediaFacts, TranscoderSpec, VideoRendition, VodJobSpec,
};
use tracing::info;

use crate::fetch::{SourceStore, fetch};
use crate::package::{AudioTrack, Package, TextTrack, VideoTrack, renditions};
use crate::plan::{Cut, fitting, width};
use crate::probe::probe;
use crate::tiles::Tiles;
use crate::work::{
    self, PARTITIONS, Place, TASKS, Task, TaskFailure, Track, audio_name, rate_of, store_failed,
};

/// The target `vod`.
pub const VOD: Target = Target { name: "vod", start: Start::Job(|spec, cx| Box::pin(start(spec, cx))) };

/// Segments of one task: few enough that workers share an asset, enough that a start costs little.
const RUN: u64 = 8;
/// Between two looks at how far the encoders are.
const LOOK: Duration = Duration::from_millis(500);

async fn start(spec: Value, cx: ServiceContext) -> Result<Box<dyn Job>> {
    let spec: VodJobSpec = serde_json::from_value(spec)
        .map_err(|error| Error::permanent("spec-invalid", "this is no spec of an asset").because(error))?;
    spec.check().map_err(|error| Error::permanent("spec-invalid", error.to_string()))?;
    let stores = Stores::open(&spec.transcoder, &cx).await?;
    Ok(Box::new(VodJob { generation: spec.generation(), spec, cx, stores }))
}

/// The stores of a transcoder.
pub(crate) struct Stores {
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The address of `objects`.
    url: String,
    pub(crate) catalogue: Arc<dyn Catalogue>,
    log: Arc<dyn EventLog>,
}

impl Stores {
    pub(crate) async fn open(
        transcoder: &streamverse_model::platform::Name,
        cx: &ServiceContext,
    ) -> Result<Stores> {
        let spec: TranscoderSpec = cx.spec("transcoder", transcoder.as_str())?;
        Ok(Stores {
            objects: open_objects(&spec.object_store, cx)?,
            url: spec.object_store,
            catalogue: open_catalogue(&spec.catalogue, cx).await?,
            log: open_log(&spec.event_log, cx).await?,
        })
    }
}

struct VodJob {
    spec: VodJobSpec,
    generation: String,
    cx: ServiceContext,
    stores: Stores,
}

#[async_trait]
impl Job for VodJob {
    async fn run(self: Box<Self>, handle: JobHandle, stop: Stop) -> Result<Value> {
        let shown = self.stores.catalogue.asset(self.spec.name.as_str()).await?;
        if let Some(shown) = shown.as_ref().filter(|shown| shown.generation == self.generation) {
            info!(asset = %self.spec.name, generation = self.generation, "It is published already.");
            let mut record = shown.clone();
            record.title = self.title();
            if record != *shown {
                self.stores.catalogue.publish(&record).await?;
            }
            // An earlier run may have ended between publishing and tidying up, or been for what is no longer wanted.
            work::withdraw(&*self.stores.objects, &self.place().works()).await?;
            return Ok(result(&record, &[]));
        }
        self.forget_unfinished().await?;
        let scratch = self.cx.scratch_dir.join("vod");
        let _ = tokio::fs::remove_dir_all(&scratch).await;
        work::make(&scratch).await?;
        let made = self.make(shown.as_ref(), &scratch, &handle, &stop).await;
        // What the next run needs is in the store.
        let _ = tokio::fs::remove_dir_all(&scratch).await;
        made
    }
}

/// What a job tells about what it made; four renditions have a few hundred bytes.
fn result(record: &AssetRecord, remarks: &[String]) -> Value {
    let renditions = record.renditions.iter().take(20).map(|it| MadeTrack {
        name: it.name.clone(),
        codecs: it.codecs.clone(),
        bit_rate: it.bit_rate,
        bytes: it.bytes,
        width: it.width,
        height: it.height,
    });
    json!(MadeAsset {
        generation: record.generation.clone(),
        duration_ms: record.duration_ms,
        bytes: record.bytes,
        renditions: renditions.collect(),
        remarks: remarks.iter().take(8).cloned().collect(),
    })
}

/// What is to be encoded.
struct Work {
    /// Milliseconds of a segment.
    segment_ms: u64,
    tasks: Vec<Task>,
    video: Vec<(VideoRendition, u64)>,
    audio: Vec<(AudioRendition, usize, String)>,
    remarks: Vec<String>,
}

impl Work {
    fn of(spec: &VodJobSpec, facts: &MediaFacts, place: Place<'_>) -> Result<Work> {
        let (fit, mut remarks) = fitting(&spec.ladder, facts);
        let cut = Cut::new(&spec.ladder, facts, &fit)?;
        if u128::from(cut.segment_ms) != spec.ladder.segment_duration.0.as_millis() {
            remarks.push(format!(
                "segments are {} s, whole frames of the source",
                Duration::from_millis(cut.segment_ms).as_secs_f64()
            ));
        }
        let task = |track| Task {
            asset: place.asset.to_owned(),
            generation: place.generation.to_owned(),
            facts: facts.clone(),
            segment_ms: cut.segment_ms,
            acceleration: spec.ladder.acceleration,
            track,
        };
        let (mut tasks, mut video, mut audio) = (Vec::new(), Vec::new(), Vec::new());
        for rendition in fit {
            crate::encode::encoder(rendition.codec, spec.ladder.acceleration)?;
            let count = cut.segments(rate_of(&rendition, facts)?);
            for first in (0..count).step_by(RUN as usize) {
                let end = (first + RUN).min(count);
                tasks.push(task(Track::Video { rendition: rendition.clone(), first, end }));
            }
            video.push((rendition, count));
        }
        for rendition in &spec.ladder.audio {
            for (stream, sound) in facts.audio.iter().enumerate() {
                tasks.push(task(Track::Audio { rendition: rendition.clone(), stream }));
                audio.push((rendition.clone(), stream, sound.language.clone()));
            }
        }
        if facts.audio.is_empty() && !spec.ladder.audio.is_empty() {
            remarks.push("the source has no sound".to_owned());
        }
        if tasks.is_empty() {
            return Err(Error::permanent(
                "source-unusable",
                "nothing of the ladder can be made of this source: it has no picture or no sound where the ladder wants it",
            ));
        }
        remarks.extend(facts.remarks.iter().cloned());
        Ok(Work { segment_ms: cut.segment_ms, tasks, video, audio, remarks })
    }

    fn total(&self) -> u64 {
        self.video.iter().map(|(_, count)| count).sum::<u64>() + self.audio.len() as u64
    }
}

impl VodJob {
    async fn make(
        &self,
        shown: Option<&AssetRecord>,
        scratch: &Path,
        handle: &JobHandle,
        stop: &Stop,
    ) -> Result<Value> {
        let facts = self.source(scratch, stop).await?;
        handle.found(json!({ "generation": self.generation, "duration_ms": facts.duration_ms, "remarks": facts.remarks }));
        let work = Work::of(&self.spec, &facts, self.place())?;
        self.check_tools(&facts, stop).await?;
        self.encode(&work, handle, stop).await?;
        let record = self.package(&work, &facts, scratch, stop).await?;
        self.stores.catalogue.publish(&record).await?;
        info!(asset = %self.spec.name, generation = self.generation, "Published.");
        work::withdraw(&*self.stores.objects, &self.place().work_folder()).await?;
        self.forget_older(shown).await?;
        Ok(result(&record, &work.remarks))
    }

    fn place(&self) -> Place<'_> {
        Place { asset: self.spec.name.as_str(), generation: &self.generation }
    }

    fn title(&self) -> String {
        self.spec.asset.title.clone().unwrap_or_else(|| self.spec.name.to_string())
    }

    /// The source and the subtitles are in the store after this; what they are is known.
    async fn source(&self, scratch: &Path, stop: &Stop) -> Result<MediaFacts> {
        let (objects, place) = (&self.stores.objects, self.place());
        if let Some(facts) = work::read_json(&**objects, &place.facts()).await? {
            // A removal that was killed in the middle leaves either alone; without a source the encoders do nothing.
            if work::is_there(&**objects, &place.source()).await? {
                return Ok(facts);
            }
        }
        let store = SourceStore { objects, url: &self.stores.url };
        let source = &self.spec.asset.source;
        info!(asset = %self.spec.name, "Fetching the source.");
        let file = scratch.join("source");
        let (digest, _) = fetch(source, Some(store), &file, stop).await?;
        let facts = probe(&file, digest, &self.cx, stop).await?;
        work::upload(&**objects, &file, &place.source()).await?;
        let _ = tokio::fs::remove_file(&file).await;
        for (number, subtitle) in self.spec.asset.subtitles.iter().flatten().enumerate() {
            let file = scratch.join(format!("subtitle-{number}"));
            fetch(&subtitle.source, Some(store), &file, stop).await?;
            work::upload(&**objects, &file, &self.subtitle(number)).await?;
        }
        // Last: with the facts there, everything else is.
        work::write_json(&**objects, &place.facts(), &facts).await?;
        Ok(facts)
    }

    fn subtitle(&self, number: usize) -> object_store::path::Path {
        object_store::path::Path::from(format!("{}/subtitle-{number}", self.place().work_folder()))
    }

    async fn check_tools(&self, facts: &MediaFacts, stop: &Stop) -> Result<()> {
        if facts.video.as_ref().is_some_and(|video| video.hdr) {
            let said = Tool::of(&self.cx, "ffmpeg")
                .args(["-v", "error", "-h", "filter=scale"])
                .until(stop)
                .run()
                .await?;
            if !said.stdout.contains("out_transfer") {
                return Err(Error::permanent(
                    "source-hdr",
                    "the source is HDR, and this ffmpeg cannot map it to SDR: give an SDR source, or ffmpeg 8 or later",
                ));
            }
        }
        Ok(())
    }

    /// Tells the encoders what is missing, and waits until nothing is.
    async fn encode(&self, work: &Work, handle: &JobHandle, stop: &Stop) -> Result<()> {
        let (objects, place) = (&*self.stores.objects, self.place());
        work::remove_all(objects, &place.failures()).await?;
        self.stores.log.ensure_topic(TASKS, PARTITIONS, None).await?;
        let mut told = false;
        loop {
            let done = self.finished(work).await?;
            handle.progress(done, work.total(), "segments");
            if done >= work.total() {
                return Ok(());
            }
            if !told {
                for task in &work.tasks {
                    let bytes = serde_json::to_vec(task)
                        .map_err(|error| Error::permanent("work", "a task cannot be told").because(error))?;
                    // The same key is the same partition: a task that is told twice is never worked on twice at a time.
                    self.stores.log.append(TASKS, &task.key(), Bytes::from(bytes)).await?;
                }
                told = true;
            }
            if let Some(name) = work::names(objects, &place.failures()).await?.first() {
                let name = name.trim_end_matches(".json");
                let path = place.failure(name);
                let failure = work::read_json::<TaskFailure>(objects, &path).await?;
                let text =
                    failure.as_ref().map_or_else(String::new, |it| format!("{} ({})", it.message, it.code));
                let mut error = Error::permanent("encode-failed", format!("encoding {name} failed: {text}"));
                // Tried again by the site, and then told to the workers anew: what is finished stays.
                error.retry = failure.is_some_and(|it| it.retry);
                return Err(error);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.stopped() => return Err(Error::passing("stopped", "it was told to stop")),
            }
        }
    }

    /// Finished pieces of all renditions.
    async fn finished(&self, work: &Work) -> Result<u64> {
        let mut there = 0;
        for (rendition, count) in &work.video {
            let names = work::names(&*self.stores.objects, &self.place().segments(&rendition.name)).await?;
            let found = names.iter().filter(|name| name.ends_with(".ts")).count() as u64;
            there += found.min(*count);
        }
        let audio = work::names(&*self.stores.objects, &self.place().audios()).await?;
        Ok(there + audio.iter().filter(|name| name.ends_with(".mp4")).count() as u64)
    }

    async fn package(
        &self,
        work: &Work,
        facts: &MediaFacts,
        scratch: &Path,
        stop: &Stop,
    ) -> Result<AssetRecord> {
        let (objects, place) = (&*self.stores.objects, self.place());
        info!(asset = %self.spec.name, "Packaging.");
        let (mut video, mut audio, mut text) = (Vec::new(), Vec::new(), Vec::new());
        for (rendition, count) in &work.video {
            let file = scratch.join(format!("{}.ts", rendition.name));
            self.join(&rendition.name, *count, &file).await?;
            let height = rendition.height / 2 * 2;
            let rate = rate_of(rendition, facts)?;
            video.push(VideoTrack {
                name: rendition.name.clone(),
                file,
                shift: rate.shift(),
                frame_rate: rate.to_string(),
                width: width(facts, height),
                height,
                codec: rendition.codec,
            });
        }
        for (rendition, stream, language) in &work.audio {
            let name = audio_name(rendition, *stream);
            let file = scratch.join(format!("{name}.mp4"));
            work::download(objects, &place.audio(&name), &file).await?;
            audio.push(AudioTrack {
                name: name.trim_start_matches("audio-").to_owned(),
                file,
                language: language.clone(),
                channels: rendition.layout.channels(),
                sample_rate: rendition.sample_rate,
            });
        }
        for (number, subtitle) in self.spec.asset.subtitles.iter().flatten().enumerate() {
            let file = scratch.join(format!("subtitle-{number}"));
            work::download(objects, &self.subtitle(number), &file).await?;
            let label = subtitle.label.clone().unwrap_or_else(|| subtitle.language.clone());
            text.push(TextTrack { file, language: subtitle.language.clone(), label });
        }
        let package = Package {
            cx: &self.cx,
            stop,
            segment_ms: work.segment_ms,
            video,
            audio,
            text,
            duration_ms: facts.duration_ms,
        };
        let folder = scratch.join("package");
        package.write(scratch, &folder).await?;
        let mut thumbnails = None;
        if let (Some(spec), true) = (&self.spec.asset.thumbnails, facts.video.is_some()) {
            let source = scratch.join("source");
            work::download(objects, &place.source(), &source).await?;
            let tiles = Tiles::of(spec, facts);
            thumbnails = Some(tiles.write(&package, facts, &source, &folder).await?);
        }
        let sizes = self.upload(&folder).await?;
        let master = tokio::fs::read_to_string(folder.join("hls.m3u8")).await.unwrap_or_default();
        let bytes_of = |prefix: &str| {
            sizes.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, size)| size).sum()
        };
        Ok(AssetRecord {
            name: self.spec.name.to_string(),
            generation: self.generation.clone(),
            title: self.title(),
            duration_ms: facts.duration_ms,
            renditions: renditions(&master, &package, bytes_of),
            subtitles: self.spec.asset.subtitles.iter().flatten().map(|it| it.language.clone()).collect(),
            bytes: sizes.iter().map(|(_, size)| size).sum(),
            hls: "hls.m3u8".to_owned(),
            dash: "dash.mpd".to_owned(),
            thumbnails,
            ..AssetRecord::default()
        })
    }

    /// Segments of a rendition, one after another, in one file.
    async fn join(&self, rendition: &str, count: u64, file: &Path) -> Result<()> {
        let unwritable = |error: std::io::Error| {
            work::scratch_failed(format!("{} cannot be written", file.display()), error)
        };
        let mut target = tokio::fs::File::create(file).await.map_err(unwritable)?;
        for k in 0..count {
            let path = self.place().segment(rendition, k);
            let found = object_store::ObjectStoreExt::get(&*self.stores.objects, &path)
                .await
                .map_err(store_failed)?;
            let mut stream = found.into_stream();
            while let Some(bytes) = stream.try_next().await.map_err(store_failed)? {
                tokio::io::AsyncWriteExt::write_all(&mut target, &bytes).await.map_err(unwritable)?;
            }
        }
        tokio::io::AsyncWriteExt::flush(&mut target).await.map_err(unwritable)
    }

    /// Puts the package into the store; manifests last, so that a manifest never names what is not there.
    async fn upload(&self, folder: &Path) -> Result<Vec<(String, u64)>> {
        let mut files = files_below(folder).await?;
        let is_manifest = |name: &str| [".m3u8", ".mpd", ".json"].iter().any(|end| name.ends_with(end));
        files.sort_by_key(|name| (is_manifest(name), name.clone()));
        let mut sizes = Vec::new();
        for name in files {
            let path = object_store::path::Path::from(format!("{}/{name}", self.place().packages()));
            let size = work::upload(&*self.stores.objects, &folder.join(&name), &path).await?;
            sizes.push((name, size));
        }
        Ok(sizes)
    }

    /// What runs for other sources or ladders left unfinished: nobody goes on with it. Workers that are in the middle of
    /// it find its source gone, and take back what they put there.
    async fn forget_unfinished(&self) -> Result<()> {
        let found = self.stores.objects.list_with_delimiter(Some(&self.place().works())).await;
        for folder in found.map_err(store_failed)?.common_prefixes {
            if folder.filename() != Some(&self.generation) {
                work::withdraw(&*self.stores.objects, &folder).await?;
            }
        }
        Ok(())
    }

    /// The generation before this one stays for those who are in the middle of it; others go.
    async fn forget_older(&self, before: Option<&AssetRecord>) -> Result<()> {
        let all = object_store::path::Path::from(format!("vod/{}", self.spec.name));
        let found = self.stores.objects.list_with_delimiter(Some(&all)).await.map_err(store_failed)?;
        for folder in found.common_prefixes {
            let generation = folder.filename().unwrap_or_default();
            if generation != self.generation && before.is_none_or(|before| before.generation != generation) {
                work::remove_all(&*self.stores.objects, &folder).await?;
            }
        }
        Ok(())
    }
}

/// Names relative to the folder, with `/`.
async fn files_below(folder: &Path) -> Result<Vec<String>> {
    let unreadable =
        |error: std::io::Error| Error::passing("scratch", "the package cannot be listed").because(error);
    let (mut todo, mut files): (Vec<PathBuf>, Vec<String>) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = todo.pop() {
        let mut entries = tokio::fs::read_dir(&next).await.map_err(unreadable)?;
        while let Some(entry) = entries.next_entry().await.map_err(unreadable)? {
            if entry.file_type().await.map_err(unreadable)?.is_dir() {
                todo.push(entry.path());
            } else if let Ok(name) = entry.path().strip_prefix(folder) {
                files.push(name.to_string_lossy().into_owned());
            }
        }
    }
    Ok(files)
}
