//! The workers: take tasks from the event log, encode, put each segment into the object store as soon as it is whole.
//!
//! A segment that is in the store is finished and is never encoded again: a task that comes a second time, because a
//! worker was killed, begins at the first segment that is missing.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStore;
use streamverse_core::log::{EventLog, Record, open_log};
use streamverse_core::stores::open_objects;
use streamverse_core::tool::Tool;
use streamverse_core::{Error, Ready, Result, Service, ServiceContext, Start, Stop, Target};
use streamverse_model::media::TranscoderSpec;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::busy::Busy;
use crate::encode::{VideoRun, audio_args};
use crate::share::{Encoders, Share};
use crate::work::{self, ENCODED, Encoded, PARTITIONS, TASKS, Task, TaskFailure, Track, WORKERS, rate_of};

/// The target `transcoder`.
pub const TRANSCODER: Target =
    Target { name: "transcoder", start: Start::Service(|spec, cx| Box::pin(start(spec, cx))) };

/// How long what has begun may take once we are told to stop: a segment, or a track of sound. Less than what a site waits
/// ([`DRAIN_SECONDS`](streamverse_model::media::DRAIN_SECONDS)); whoever waits longer says so.
const LAST_PIECE: Duration = Duration::from_secs(25);
/// How often a task is tried before it is told to have failed.
const ATTEMPTS: u32 = 3;
/// The code of what was taken away while it was encoded: no failure of anybody.
const WITHDRAWN: &str = "withdrawn";

async fn start(spec: serde_json::Value, cx: ServiceContext) -> Result<Box<dyn Service>> {
    let spec: TranscoderSpec = serde_json::from_value(spec).map_err(|error| {
        Error::permanent("spec-invalid", "this is no spec of a transcoder").because(error)
    })?;
    // Whether it is there at all is better known now than at the first task.
    Tool::of(&cx, "ffmpeg").args(["-version"]).run().await?;
    let store = open_objects(&spec.object_store, &cx)?;
    let log = open_log(&spec.event_log, &cx).await?;
    log.ensure_topic(TASKS, PARTITIONS, None).await?;
    log.ensure_topic(ENCODED, 1, Some(Duration::from_secs(7 * 24 * 3600))).await?;
    // What a killed predecessor left is of no use: the store has what was finished.
    let _ = tokio::fs::remove_dir_all(cx.scratch_dir.join("work")).await;
    let name = format!("{}-{}", cx.owner.name, std::process::id());
    let share = Share::of(&spec);
    let busy = Busy::new(&cx.metrics);
    let worker = Worker { cx, store, log, name, share, busy, encoders: Encoders::default() };
    Ok(Box::new(Transcoder { spec, worker: Arc::new(worker) }))
}

struct Transcoder {
    spec: TranscoderSpec,
    worker: Arc<Worker>,
}

struct Worker {
    cx: ServiceContext,
    store: Arc<dyn ObjectStore>,
    log: Arc<dyn EventLog>,
    name: String,
    /// What one lane may take.
    share: Share,
    busy: Busy,
    encoders: Encoders,
}

#[async_trait]
impl Service for Transcoder {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        ready.set(true);
        let mut lanes = JoinSet::new();
        for lane in 0..self.spec.concurrency {
            lanes.spawn(work_on(Arc::clone(&self.worker), lane, stop.clone()));
        }
        let mut outcome = Ok(());
        while let Some(ended) = lanes.join_next().await {
            let ended = ended.unwrap_or_else(|error| {
                Err(Error::passing("panicked", "a lane of the worker panicked").because(error))
            });
            if ended.is_err() {
                stop.stop();
                outcome = ended;
            }
        }
        ready.set(false);
        outcome
    }
}

async fn work_on(worker: Arc<Worker>, lane: u32, stop: Stop) -> Result<()> {
    let mut member = worker.log.join(WORKERS, TASKS).await?;
    while !stop.is_stopped() {
        let record = tokio::select! {
            record = member.next() => record?,
            () = stop.stopped() => break,
        };
        let working = worker.busy.begin();
        // Another member may get its partition: what is begun is finished, the rest is that one's.
        let cut = Stop::new();
        let settled = {
            let settle = worker.settle(&record, lane, &cut);
            tokio::pin!(settle);
            tokio::select! {
                settled = &mut settle => settled,
                () = stop.stopped() => {
                    cut.stop_within(last_piece(&stop));
                    settle.await
                }
                // The other member waits no longer than this.
                () = member.moving(&record) => {
                    cut.stop_within(LAST_PIECE);
                    settle.await
                }
            }
        };
        if !settled {
            if stop.is_stopped() {
                break;
            }
            continue;
        }
        working.done();
        match member.commit(&record).await {
            // Another member does it again, and finds everything done.
            Err(error) if error.code == "log-moved" => {}
            settled => settled?,
        }
    }
    Ok(())
}

impl Worker {
    /// Whether the task is done with, well or badly; not when we stop in the middle of it.
    async fn settle(&self, record: &Record, lane: u32, stop: &Stop) -> bool {
        let task: Task = match serde_json::from_slice(&record.value) {
            Ok(task) => task,
            Err(error) => {
                warn!(%error, key = record.key, "A task of another version was passed over.");
                return true;
            }
        };
        let scratch = self.cx.scratch_dir.join("work").join(lane.to_string());
        let mut attempt = 0;
        loop {
            let failure = match self.encode(&task, &scratch, stop).await {
                Ok(()) => return true,
                Err(error) => error,
            };
            if stop.is_stopped() {
                return false;
            }
            if failure.code == WITHDRAWN {
                return true;
            }
            attempt += 1;
            warn!(task = task.key(), attempt, code = failure.code, error = %failure.chain(), "An encode failed.");
            if !failure.retry || attempt == ATTEMPTS {
                let told = TaskFailure {
                    code: failure.code.to_owned(),
                    message: failure.chain(),
                    retry: failure.retry,
                };
                let path = task.place().failure(&task.name());
                // Nobody looks for a failure of what was taken away, and nobody would remove it.
                if self.is_withdrawn(&task).await {
                    return true;
                }
                if let Err(error) = work::write_json(&*self.store, &path, &told).await {
                    warn!(task = task.key(), error = %error.chain(), "The failure was not told to the job.");
                }
                return true;
            }
            let pause = Duration::from_secs(1 << attempt).mul_f64(rand::random_range(0.5..1.0));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.stopped() => return false,
            }
        }
    }

    async fn encode(&self, task: &Task, scratch: &Path, stop: &Stop) -> Result<()> {
        let place = task.place();
        // An asset that was taken away meanwhile has no source any more: nothing to do.
        if !work::is_there(&*self.store, &place.source()).await? {
            return Ok(());
        }
        let done = match &task.track {
            Track::Video { rendition, first, end } => {
                let there = work::names(&*self.store, &place.segments(&rendition.name)).await?;
                let there: BTreeSet<u64> =
                    there.iter().filter_map(|name| name.strip_suffix(".ts")?.parse().ok()).collect();
                missing_runs(*first, *end, &there)
            }
            Track::Audio { rendition, stream } => {
                let path = place.audio(&work::audio_name(rendition, *stream));
                if work::is_there(&*self.store, &path).await? { Vec::new() } else { vec![(0, 1)] }
            }
        };
        if done.is_empty() {
            return Ok(());
        }
        self.encoders.check(&self.cx, task, stop).await?;
        let source = self.source(task, scratch).await?;
        for (first, end) in done {
            if stop.is_stopped() {
                return Err(Error::passing("stopped", "the worker stops"));
            }
            match &task.track {
                Track::Video { .. } => self.video(task, &source, first, end, scratch, stop).await?,
                Track::Audio { .. } => self.audio(task, &source, scratch, stop).await?,
            }
        }
        Ok(())
    }

    /// The source in scratch space; one at a time, for tasks of one asset follow each other.
    async fn source(&self, task: &Task, scratch: &Path) -> Result<PathBuf> {
        let folder = scratch.join("source");
        let file = folder.join(format!("{}-{}", task.asset, task.generation));
        if tokio::fs::try_exists(&file).await.unwrap_or(false) {
            return Ok(file);
        }
        let _ = tokio::fs::remove_dir_all(&folder).await;
        let path = task.place().source();
        // A pod that takes more than it asked for is evicted, with everything that its other lanes had begun.
        let bytes = work::size(&*self.store, &path).await?;
        self.share.fits(bytes, task.made_at_a_time())?;
        work::download(&*self.store, &path, &file).await?;
        Ok(file)
    }

    async fn video(
        &self,
        task: &Task,
        source: &Path,
        first: u64,
        end: u64,
        scratch: &Path,
        stop: &Stop,
    ) -> Result<()> {
        let Track::Video { rendition, .. } = &task.track else { return Ok(()) };
        let rate = rate_of(rendition, &task.facts)?;
        let run = VideoRun {
            source,
            facts: &task.facts,
            rendition,
            rate,
            cut: task.cut(),
            first,
            end,
            acceleration: task.acceleration,
        };
        let folder = scratch.join("segments");
        let _ = tokio::fs::remove_dir_all(&folder).await;
        work::make(&folder).await?;
        info!(task = task.key(), first, end, "Encoding.");
        let (sender, mut receiver) = mpsc::unbounded_channel::<String>();
        let (encoded, uploaded) = (Arc::new(AtomicU64::new(0)), watch::Sender::new(0_u64));
        let cut = Stop::new();
        let tool = Tool::of(&self.cx, "ffmpeg")
            .args(run.args()?)
            .dir(&folder)
            .limits(self.share.limits())
            .until(&cut);
        let encoding = async {
            let encoded = Arc::clone(&encoded);
            let said = tool.each_line(move |line| {
                encoded.fetch_add(1, Ordering::Relaxed);
                let _ = sender.send(line.to_owned());
            });
            said.await.map_err(|error| self.share.explain(error))
        };
        let uploading = async {
            let mut made = BTreeSet::new();
            while let Some(name) = receiver.recv().await {
                let Some(k) = name.strip_suffix(".ts").and_then(|number| number.parse::<u64>().ok()) else {
                    continue;
                };
                let piece = format!("{}/{k}", rendition.name);
                let path = task.place().segment(&rendition.name, k);
                self.finish(task, &folder.join(&name), &path, piece).await?;
                made.insert(k);
                uploaded.send_modify(|count| *count += 1);
            }
            Ok::<_, Error>(made)
        };
        // Told to stop, it finishes the segment that it has begun: that is never encoded again.
        let finishing = async {
            stop.stopped().await;
            let begun = encoded.load(Ordering::Relaxed);
            let mut uploaded = uploaded.subscribe();
            let _ = tokio::time::timeout(last_piece(stop), uploaded.wait_for(|count| *count > begun)).await;
            cut.stop();
            std::future::pending::<Infallible>().await
        };
        // An upload that fails ends the encode with it.
        let work = async { tokio::try_join!(encoding, uploading) };
        let done = tokio::select! {
            done = work => done,
            never = finishing => match never {},
        };
        let _ = tokio::fs::remove_dir_all(&folder).await;
        let (_, made) = done?;
        // ffmpeg ends well at the end of the picture, wherever that is.
        match (first..end).find(|k| !made.contains(k)) {
            None => Ok(()),
            Some(k) => Err(Error::permanent(
                "source-broken",
                format!(
                    "the source's picture ends before segment {k} of {}: it is cut off, or shorter than it says",
                    rendition.name
                ),
            )),
        }
    }

    async fn audio(&self, task: &Task, source: &Path, scratch: &Path, stop: &Stop) -> Result<()> {
        let Track::Audio { rendition, stream } = &task.track else { return Ok(()) };
        let name = work::audio_name(rendition, *stream);
        let file = scratch.join(format!("{name}.mp4"));
        info!(task = task.key(), "Encoding.");
        let args = audio_args(source, &file, &task.facts, rendition, *stream);
        let cut = Stop::new();
        let tool = Tool::of(&self.cx, "ffmpeg").args(args).limits(self.share.limits()).until(&cut);
        let finishing = async {
            stop.stopped().await;
            tokio::time::sleep(last_piece(stop)).await;
            cut.stop();
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            done = tool.run() => done.map_err(|error| self.share.explain(error))?,
            never = finishing => match never {},
        };
        self.finish(task, &file, &task.place().audio(&name), name).await
    }

    /// Whether the asset was taken away; not while the store cannot say.
    async fn is_withdrawn(&self, task: &Task) -> bool {
        work::is_there(&*self.store, &task.place().source()).await.is_ok_and(|there| !there)
    }

    /// Puts a piece into the store and tells that it was encoded, once.
    async fn finish(
        &self,
        task: &Task,
        file: &Path,
        path: &object_store::path::Path,
        piece: String,
    ) -> Result<()> {
        work::upload(&*self.store, file, path).await?;
        // Taken away meanwhile: what was just put there must go too.
        if self.is_withdrawn(task).await {
            work::remove(&*self.store, path).await?;
            return Err(Error::permanent(WITHDRAWN, "the asset was taken away meanwhile"));
        }
        let _ = tokio::fs::remove_file(file).await;
        let told = Encoded {
            asset: task.asset.clone(),
            generation: task.generation.clone(),
            piece,
            worker: self.name.clone(),
        };
        let told = serde_json::to_vec(&told).unwrap_or_default();
        self.log.append(ENCODED, &task.asset, Bytes::from(told)).await.map(|_| ())
    }
}

fn last_piece(stop: &Stop) -> Duration {
    stop.patience().unwrap_or(LAST_PIECE)
}

/// The runs of `first..end` of which nothing is there.
fn missing_runs(first: u64, end: u64, there: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for k in (first..end).filter(|k| !there.contains(k)) {
        match runs.last_mut() {
            Some((_, last)) if *last == k => *last = k + 1,
            _ => runs.push((k, k + 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_the_time_that_whoever_stops_us_waits_for() {
        assert_eq!(last_piece(&Stop::new()), LAST_PIECE);
        assert_eq!(last_piece(&Stop::patient(Duration::from_secs(300))), Duration::from_secs(300));
    }

    #[test]
    fn only_what_is_missing_is_encoded() {
        assert_eq!(missing_runs(0, 6, &BTreeSet::from([0, 1, 3])), [(2, 3), (4, 6)]);
        assert!(missing_runs(2, 4, &BTreeSet::from([2, 3])).is_empty());
    }
}
