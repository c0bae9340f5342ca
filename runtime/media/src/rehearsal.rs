//! A rehearsal: real encode tasks in the queue of a transcoder for a while, then nothing of it any more.
//!
//! The tasks are of an asset that nobody publishes, `rehearsal-…`, and their source is noise that is made here. It is ended as an
//! asset is taken away: without its source the tasks that still wait are passed over in no time, and a piece that is finished
//! meanwhile is taken back by the worker that made it. Records of topics stay until their retention ends: they name nothing that is there.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use sha2::{Digest as _, Sha256};
use streamverse_core::log::{EventLog, open_log};
use streamverse_core::stores::open_objects;
use streamverse_core::{Error, Result, ServiceContext, Stop};
use streamverse_model::media::{
    Acceleration, MediaFacts, TranscoderSpec, VideoCodec, VideoFacts, VideoRendition,
};
use tokio::time::Instant;

use crate::encode::encoder;
use crate::work::{self, PARTITIONS, Place, TASKS, Task, TaskFailure, Track, WORKERS, store_failed};

/// What its assets are called: no name of an asset that somebody else would choose.
const PREFIX: &str = "rehearsal-";
const GENERATION: &str = "load";
/// The source: small, and hard to encode, because it is noise.
const WIDTH: u32 = 320;
const HEIGHT: u32 = 180;
const FRAMES: u32 = 100;
/// What it is encoded to.
const CODEC: VideoCodec = VideoCodec::H264;
const RATE: u32 = 25;
/// The source's length, and so that of a task's only segment.
const SOURCE_MS: u64 = 4000;
/// Who is told to stop waits no longer than this for what is to be as it was.
const HURRY: Duration = Duration::from_secs(60);
/// What a rehearsal that was killed left is removed by a later one when it is so old: none lasts as long.
const LEFTOVER: Duration = Duration::from_secs(6 * 3600);

/// What is rehearsed.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// What encodes: the processor, or a GPU's encoder.
    pub acceleration: Acceleration,
    /// For how long, or until all of `most` are done.
    pub duration: Duration,
    /// So many jobs are kept waiting.
    pub depth: u64,
    /// No more jobs than this, in all.
    pub most: u64,
    /// The height of the picture: the larger, the longer a job takes.
    pub height: u32,
    /// How long the queue may take to be as it was.
    pub settle: Duration,
    /// Between two looks.
    pub look: Duration,
    /// Also where jobs of others wait: they are delayed.
    pub beside_work: bool,
}

/// What is seen at a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Since the beginning.
    pub after: Duration,
    /// Whether jobs are still being put into the queue.
    pub loading: bool,
    /// Jobs in the queue that are not done.
    pub waiting: u64,
    /// Jobs that were put there.
    pub published: u64,
    /// Pieces that were encoded.
    pub encoded: u64,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// Jobs in the queue before.
    pub before: u64,
    /// The most at any look.
    pub peak: u64,
    /// … and in the end.
    pub after: u64,
    /// Jobs that were put there.
    pub published: u64,
    /// Pieces that were encoded, before what was left was withdrawn.
    pub encoded: u64,
}

struct Stage {
    objects: Arc<dyn ObjectStore>,
    log: Arc<dyn EventLog>,
    asset: String,
    facts: MediaFacts,
}

impl Rehearsal {
    /// Rehearses with the stores and the queue of a transcoder. `seen` is told each look, and says whether what else it looks at
    /// is as it was before.
    ///
    /// # Errors
    /// Jobs wait already, nothing was encoded, a job failed, the queue or what `seen` looks at is not in time as it was, it was told to
    /// stop. Whatever it is, what was made is removed first.
    pub async fn run(
        &self,
        spec: &TranscoderSpec,
        cx: &ServiceContext,
        stop: &Stop,
        seen: &mut (dyn AsyncSeen + Send),
    ) -> Result<Rehearsed> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let source = noise();
        let stage = Stage {
            objects: open_objects(&spec.object_store, cx)?,
            log: open_log(&spec.event_log, cx).await?,
            asset: format!("{PREFIX}{:x}-{:x}", since.as_secs(), rand::random::<u32>()),
            facts: facts(&source),
        };
        stage.log.ensure_topic(TASKS, PARTITIONS, None).await?;
        stage.remove_leftovers().await?;
        let before = stage.log.lag(WORKERS, TASKS).await?;
        if before > 0 && !self.beside_work {
            return Err(Error::permanent(
                "queue-busy",
                format!(
                    "{before} jobs wait already, which a rehearsal would delay: rehearse when none waits, or say that it may be beside them"
                ),
            ));
        }
        if let Err(error) = stage.objects.put(&stage.place().source(), source.into()).await {
            // It may have been stored all the same.
            work::withdraw(&*stage.objects, &stage.place().works()).await?;
            return Err(store_failed(error));
        }
        let mut done = Rehearsed { before, peak: before, after: before, published: 0, encoded: 0 };
        let begun = Instant::now();
        let loaded = self.load(&stage, begun, &mut done, stop, seen).await;
        let settled = self.settle(&stage, begun, &mut done, stop, seen).await;
        match (loaded, settled) {
            (Ok(()), settled) => settled.map(|()| done),
            (Err(error), Ok(())) => Err(error),
            // Both are told: whoever asked for it must know what is left.
            (Err(mut error), Err(also)) => {
                error.message = format!("{}. And {}", error.message, also.message);
                Err(error)
            }
        }
    }

    /// Keeps the queue full.
    async fn load(
        &self,
        stage: &Stage,
        begun: Instant,
        done: &mut Rehearsed,
        stop: &Stop,
        seen: &mut (dyn AsyncSeen + Send),
    ) -> Result<()> {
        let objects = &*stage.objects;
        loop {
            let waiting = stage.log.lag(WORKERS, TASKS).await?;
            let missing = self.depth.saturating_sub(waiting).min(self.most.saturating_sub(done.published));
            for _ in 0..missing {
                stage.publish(self, done.published).await?;
                done.published += 1;
            }
            done.encoded = stage.pieces().await?;
            done.peak = done.peak.max(waiting.saturating_add(missing));
            let waiting = waiting.saturating_add(missing);
            let look = Look {
                after: begun.elapsed(),
                loading: true,
                waiting,
                published: done.published,
                encoded: done.encoded,
            };
            seen.look(look).await?;
            if let Some(name) = work::names(objects, &stage.place().failures()).await?.first() {
                let path = stage.place().failure(name.trim_end_matches(".json"));
                let told = work::read_json::<TaskFailure>(objects, &path).await?;
                let text = told.map_or_else(String::new, |it| format!(": {} ({})", it.message, it.code));
                return Err(Error::permanent(
                    "encode-failed",
                    format!("a job failed{text}{}", self.needs()?),
                ));
            }
            let left = self.duration.saturating_sub(begun.elapsed());
            let all = done.published >= self.most && done.encoded >= done.published;
            if left.is_zero() || all {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(self.look)) => {}
                () = stop.stopped() => return Err(Error::passing("stopped", "it was told to stop; everything that it made is removed")),
            }
        }
        if done.encoded == 0 {
            let text = format!(
                "nothing was encoded in {} s: no worker takes jobs of this queue, a job takes longer than that, or workers cannot read what is put into their object store (their log says so){}",
                self.duration.as_secs(),
                self.needs()?
            );
            return Err(Error::permanent("nothing-encoded", text));
        }
        Ok(())
    }

    /// What a worker must have for its jobs, for an error: empty where every worker has it.
    fn needs(&self) -> Result<String> {
        if self.acceleration == Acceleration::None {
            return Ok(String::new());
        }
        let encoder = encoder(CODEC, self.acceleration)?;
        Ok(format!(
            ". The jobs asked for {encoder}: a worker needs a GPU that has it and an ffmpeg that was built with it. Rehearse with an encoder that the workers of this queue have (`--encoder`), or on processors (`--type cpu`)"
        ))
    }

    /// Takes everything away, and waits until all is as it was.
    async fn settle(
        &self,
        stage: &Stage,
        begun: Instant,
        done: &mut Rehearsed,
        stop: &Stop,
        seen: &mut (dyn AsyncSeen + Send),
    ) -> Result<()> {
        let settling = Instant::now();
        let objects = &*stage.objects;
        // Its source first: from then on its jobs are passed over.
        let mut taken = work::withdraw(objects, &stage.place().works()).await;
        loop {
            let waiting = stage.log.lag(WORKERS, TASKS).await;
            let mut back = false;
            if let Ok(waiting) = waiting {
                done.after = waiting;
                let look = Look {
                    after: begun.elapsed(),
                    loading: false,
                    waiting,
                    published: done.published,
                    encoded: done.encoded,
                };
                back = seen.look(look).await.unwrap_or(false) && waiting <= done.before;
            }
            let limit = if stop.is_stopped() { self.settle.min(HURRY) } else { self.settle };
            if back || settling.elapsed() >= limit {
                // Whoever was busy with a piece has taken it back by now.
                taken = taken.and(work::remove_all(objects, &stage.place().works()).await);
                waiting?;
                taken?;
                let left = work::names(objects, &stage.place().works()).await?;
                return match () {
                    () if !left.is_empty() => Err(Error::passing(
                        "left",
                        format!(
                            "{} is still being written to: workers are busy with it. Remove it when they are done",
                            stage.place().works()
                        ),
                    )),
                    () if !back => Err(Error::permanent(
                        "not-back",
                        format!(
                            "after {} s it is not as it was: {} jobs wait, {} did before{}{}",
                            limit.as_secs(),
                            done.after,
                            done.before,
                            seen.missing(),
                            if done.after > done.before {
                                "; a worker passes over jobs that still wait, for their source is gone"
                            } else {
                                ""
                            }
                        ),
                    )),
                    () => Ok(()),
                };
            }
            tokio::time::sleep(self.look).await;
            if taken.is_err() {
                taken = work::withdraw(objects, &stage.place().works()).await;
            }
        }
    }
}

/// Who is told what is seen, and may look at more.
#[async_trait::async_trait]
pub trait AsyncSeen {
    /// A look; whether what else is looked at is as it was before.
    async fn look(&mut self, look: Look) -> Result<bool>;
    /// What is not as it was, for an error: empty, or begins with a comma.
    fn missing(&self) -> String {
        String::new()
    }
}

impl Stage {
    fn place(&self) -> Place<'_> {
        Place { asset: &self.asset, generation: GENERATION }
    }

    /// One job: a rendition of its own, so that each is work and goes to a partition of its own.
    async fn publish(&self, rehearsal: &Rehearsal, number: u64) -> Result<()> {
        let rendition = VideoRendition {
            name: format!("r{number}"),
            codec: CODEC,
            height: rehearsal.height,
            frame_rate: None,
            bit_rate: 2_000_000,
            max_bit_rate: None,
            gop: None,
        };
        let task = Task {
            asset: self.asset.clone(),
            generation: GENERATION.to_owned(),
            facts: self.facts.clone(),
            segment_ms: SOURCE_MS,
            acceleration: rehearsal.acceleration,
            track: Track::Video { rendition, first: 0, end: 1 },
        };
        let bytes = serde_json::to_vec(&task)
            .map_err(|error| Error::permanent("work", "a task cannot be told").because(error))?;
        self.log.append(TASKS, &task.key(), Bytes::from(bytes)).await.map(|_| ())
    }

    /// How many pieces are there.
    async fn pieces(&self) -> Result<u64> {
        let all = work::names(&*self.objects, &self.place().work_folder()).await?;
        Ok(all.iter().filter(|it| it.ends_with(".ts")).count() as u64)
    }

    /// Removes what rehearsals left that were killed.
    async fn remove_leftovers(&self) -> Result<()> {
        let found =
            self.objects.list_with_delimiter(Some(&Path::from("work"))).await.map_err(store_failed)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        for folder in found.common_prefixes {
            let asset = folder.parts().nth(1).map(|it| it.as_ref().to_owned()).unwrap_or_default();
            // When it began is a part of its name.
            let begun = asset.strip_prefix(PREFIX).and_then(|it| it.split_once('-'));
            let begun = begun.and_then(|(begun, _)| u64::from_str_radix(begun, 16).ok());
            if begun.is_some_and(|it| now.saturating_sub(it) > LEFTOVER.as_secs()) {
                work::withdraw(&*self.objects, &folder).await?;
            }
        }
        Ok(())
    }
}

/// A source as raw pictures (YUV4MPEG2), which every ffmpeg reads, full of noise.
fn noise() -> Vec<u8> {
    let picture = (WIDTH * HEIGHT * 3 / 2) as usize;
    let mut bytes = format!("YUV4MPEG2 W{WIDTH} H{HEIGHT} F{RATE}:1 Ip A1:1 C420mpeg2\n").into_bytes();
    bytes.reserve((picture + 6) * FRAMES as usize);
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..FRAMES {
        bytes.extend_from_slice(b"FRAME\n");
        for _ in 0..picture / 8 {
            // Xorshift: noise alone is wanted, the same everywhere.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
    }
    bytes
}

fn facts(source: &[u8]) -> MediaFacts {
    MediaFacts {
        digest: format!("sha256:{}", hex::encode(Sha256::digest(source))),
        bytes: source.len() as u64,
        container: "yuv4mpegpipe".to_owned(),
        duration_ms: SOURCE_MS,
        video: Some(VideoFacts {
            codec: "rawvideo".to_owned(),
            width: WIDTH,
            height: HEIGHT,
            frame_rate: format!("{RATE}/1"),
            variable_frame_rate: false,
            interlaced: false,
            rotation: 0,
            hdr: false,
        }),
        audio: Vec::new(),
        subtitles: Vec::new(),
        remarks: Vec::new(),
    }
}
