//! The job of an asset: from a source to a published package. It may be killed anywhere and run again: what is done is in
//! the object store, and what is published is complete.
//!
//! A run after one that failed for good begins anew: it forgets the failures that the encoders told, and goes on with what
//! they finished. Nothing here remembers that a spec failed; whether a spec that failed is run again is the site's decision.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStore;
use serde_json::{Value, json};
use streamverse_core::log::{EventLog, open_log};
use streamverse_core::stores::{
    AssetRecord, Catalogue, ContentKeys, open_catalogue, open_keys, open_objects,
};
use streamverse_core::tool::Tool;
use streamverse_core::{Error, Job, JobHandle, Result, ServiceContext, Start, Stop, Target};
use streamverse_model::drm::UsageSpec;
use streamverse_model::media::{
    AudioRendition, MadeAsset, MadeTrack, MediaFacts, TranscoderSpec, VideoRendition, VodJobSpec,
};
use tracing::info;

use crate::fetch::{SourceStore, fetch};
use crate::plan::{Cut, fitting};
use crate::probe::probe;
use crate::work::{self, PARTITIONS, Place, TASKS, Task, TaskFailure, Track, rate_of, store_failed};

mod packaging;

/// The target `vod`.
pub const VOD: Target =
    Target { name: "vod", start: Start::Job(|spec, cx| Box::pin(async { vod_job(spec, cx, None).await })) };

/// Segments of one task: few enough that workers share an asset, enough that a start costs little.
const RUN: u64 = 8;
/// Between two looks at how far the encoders are.
const LOOK: Duration = Duration::from_millis(500);

/// The job of the target `vod`. `keys` is asked for content keys instead of the key service that the spec names.
///
/// # Errors
/// A spec that is none, stores that cannot be opened.
pub async fn vod_job(
    spec: Value,
    cx: ServiceContext,
    keys: Option<Arc<dyn ContentKeys>>,
) -> Result<Box<dyn Job>> {
    let spec: VodJobSpec = serde_json::from_value(spec)
        .map_err(|error| Error::permanent("spec-invalid", "this is no spec of an asset").because(error))?;
    spec.check().map_err(|error| Error::permanent("spec-invalid", error.to_string()))?;
    let stores = Stores::open(&spec.transcoder, &cx).await?;
    let keys = match keys {
        Some(keys) => Some(keys),
        None => spec.drm.as_ref().map(|drm| open_keys(&drm.spec.key_service, &cx)).transpose()?,
    };
    Ok(Box::new(VodJob { generation: spec.generation(), spec, cx, stores, keys }))
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
    /// Where content keys come from, for an asset that is to be encrypted.
    keys: Option<Arc<dyn ContentKeys>>,
}

#[async_trait]
impl Job for VodJob {
    async fn run(self: Box<Self>, handle: JobHandle, stop: Stop) -> Result<Value> {
        let shown = self.stores.catalogue.asset(self.spec.name.as_str()).await?;
        if let Some(shown) = shown.as_ref().filter(|shown| shown.generation == self.generation) {
            info!(asset = %self.spec.name, generation = self.generation, "It is published already.");
            let mut record = shown.clone();
            record.title = self.title();
            record.usage = self.usage();
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
        // A faster rendition may have a last segment of a frame or two that a slower one has no frame for: all end together.
        let mut count = u64::MAX;
        for rendition in &fit {
            count = count.min(cut.segments(rate_of(rendition, facts)?));
        }
        for rendition in fit {
            crate::encode::encoder(rendition.codec, spec.ladder.acceleration)?;
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

    fn usage(&self) -> Option<UsageSpec> {
        self.spec.drm.as_ref().and_then(|drm| drm.spec.usage.clone())
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
