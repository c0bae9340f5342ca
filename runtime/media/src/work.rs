//! What jobs and workers share: names of objects, the task, and what is told about each encode.

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use streamverse_core::{Error, Result};
use streamverse_model::media::{Acceleration, AudioRendition, MediaFacts, VideoRendition};

use crate::plan::{Cut, FrameRate};

/// The topic of tasks, how many can be worked on side by side, and the group that works on them.
pub(crate) use streamverse_model::media::{
    TRANSCODE_GROUP as WORKERS, TRANSCODE_PARTITIONS as PARTITIONS, TRANSCODE_TOPIC as TASKS,
};
/// The topic with one record for each segment that was finished.
pub(crate) const ENCODED: &str = "encoded";
/// What a source is called among the work on it.
const SOURCE: &str = "source";

/// A run of segments of one rendition, or one sound track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    pub(crate) asset: String,
    pub(crate) generation: String,
    pub(crate) facts: MediaFacts,
    pub(crate) segment_ms: u64,
    pub(crate) acceleration: Acceleration,
    pub(crate) track: Track,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Track {
    Video {
        rendition: VideoRendition,
        first: u64,
        end: u64,
    },
    /// The source's sound track `stream`, whole.
    Audio {
        rendition: AudioRendition,
        stream: usize,
    },
}

impl Task {
    /// What an encode of it has on disk before it is in the store, at its bit rate: of a picture two segments, one that is
    /// written and one that is sent; of sound everything.
    pub(crate) fn made_at_a_time(&self) -> u64 {
        let bytes = |bit_rate: u64, ms: u64| bit_rate.saturating_mul(ms) / 8000;
        match &self.track {
            Track::Video { rendition, .. } => {
                bytes(rendition.max_bit_rate.unwrap_or(rendition.bit_rate), self.segment_ms.saturating_mul(2))
            }
            Track::Audio { rendition, .. } => bytes(rendition.bit_rate, self.facts.duration_ms),
        }
    }
}

/// A finished segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Encoded {
    pub(crate) asset: String,
    pub(crate) generation: String,
    /// `720p/3`, `audio-stereo-0`.
    pub(crate) piece: String,
    /// Of the worker's process.
    pub(crate) worker: String,
}

/// Why a task cannot be done; beside the segments, for the job to find.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TaskFailure {
    pub(crate) code: String,
    pub(crate) message: String,
    /// Whether another run of the job may succeed: a disk that was full, a store that was away.
    #[serde(default)]
    pub(crate) retry: bool,
}

impl Task {
    pub(crate) fn key(&self) -> String {
        format!("{}/{}/{}", self.asset, self.generation, self.name())
    }

    /// `720p-0`, `audio-stereo-0`.
    pub(crate) fn name(&self) -> String {
        match &self.track {
            Track::Video { rendition, first, .. } => format!("{}-{first}", rendition.name),
            Track::Audio { rendition, stream } => audio_name(rendition, *stream),
        }
    }

    pub(crate) fn cut(&self) -> Cut {
        Cut { segment_ms: self.segment_ms, duration_ms: self.facts.duration_ms }
    }

    pub(crate) fn place(&self) -> Place<'_> {
        Place { asset: &self.asset, generation: &self.generation }
    }
}

/// The rate of a rendition: its own, else the source's.
pub(crate) fn rate_of(rendition: &VideoRendition, facts: &MediaFacts) -> Result<FrameRate> {
    let source = facts.video.as_ref().map_or("25", |video| video.frame_rate.as_str());
    FrameRate::parse(rendition.frame_rate.as_deref().unwrap_or(source))
}

pub(crate) fn audio_name(rendition: &AudioRendition, stream: usize) -> String {
    format!("audio-{}-{stream}", rendition.name)
}

/// Where a generation of an asset lies in the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) asset: &'a str,
    pub(crate) generation: &'a str,
}

impl Place<'_> {
    fn work(&self, rest: &str) -> Path {
        Path::from(format!("work/{}/{}/{rest}", self.asset, self.generation))
    }

    /// Of all generations of the asset.
    pub(crate) fn works(&self) -> Path {
        Path::from(format!("work/{}", self.asset))
    }

    pub(crate) fn work_folder(&self) -> Path {
        Path::from(format!("work/{}/{}", self.asset, self.generation))
    }

    pub(crate) fn source(&self) -> Path {
        self.work(SOURCE)
    }

    pub(crate) fn facts(&self) -> Path {
        self.work("facts.json")
    }

    pub(crate) fn segment(&self, rendition: &str, k: u64) -> Path {
        self.work(&format!("video/{rendition}/{k:06}.ts"))
    }

    pub(crate) fn segments(&self, rendition: &str) -> Path {
        self.work(&format!("video/{rendition}"))
    }

    pub(crate) fn audio(&self, name: &str) -> Path {
        self.work(&format!("audio/{name}.mp4"))
    }

    pub(crate) fn audios(&self) -> Path {
        self.work("audio")
    }

    pub(crate) fn failures(&self) -> Path {
        self.work("failed")
    }

    pub(crate) fn failure(&self, task: &str) -> Path {
        self.work(&format!("failed/{task}.json"))
    }

    pub(crate) fn packages(&self) -> Path {
        Path::from(format!("vod/{}/{}", self.asset, self.generation))
    }
}

pub(crate) fn store_failed(error: object_store::Error) -> Error {
    let full = error.to_string().contains("No space left");
    let code = if full { "disk-full" } else { "store-unreachable" };
    Error::passing(code, "the object store did not do it").because(error)
}

/// A fault of scratch space: passing, and by its name where the disk is full.
pub(crate) fn scratch_failed(message: String, error: std::io::Error) -> Error {
    let code = if error.kind() == std::io::ErrorKind::StorageFull { "disk-full" } else { "scratch" };
    Error::passing(code, message).because(error)
}

/// An object's content as JSON, if it is there.
pub(crate) async fn read_json<T: DeserializeOwned>(
    store: &dyn ObjectStore,
    path: &Path,
) -> Result<Option<T>> {
    let bytes = match store.get(path).await {
        Ok(found) => found.bytes().await.map_err(store_failed)?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(store_failed(error)),
    };
    // Written by another version: as if it were not there.
    Ok(serde_json::from_slice(&bytes).ok())
}

pub(crate) async fn write_json(store: &dyn ObjectStore, path: &Path, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Error::permanent("work", "what is to be kept cannot be written").because(error))?;
    store.put(path, Bytes::from(bytes).into()).await.map(|_| ()).map_err(store_failed)
}

/// The last part of each object's name below a folder.
pub(crate) async fn names(store: &dyn ObjectStore, folder: &Path) -> Result<Vec<String>> {
    let found: Vec<_> = store.list(Some(folder)).try_collect().await.map_err(store_failed)?;
    Ok(found.iter().filter_map(|it| it.location.filename().map(str::to_owned)).collect())
}

/// Removes everything below a folder; what is gone is gone.
pub(crate) async fn remove_all(store: &dyn ObjectStore, folder: &Path) -> Result<()> {
    let found: Vec<_> = store.list(Some(folder)).try_collect().await.map_err(store_failed)?;
    for object in found {
        remove(store, &object.location).await?;
    }
    Ok(())
}

/// Removes an object; what is gone is gone.
pub(crate) async fn remove(store: &dyn ObjectStore, path: &Path) -> Result<()> {
    match store.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(store_failed(error)),
    }
}

/// Whether there is an object.
pub(crate) async fn is_there(store: &dyn ObjectStore, path: &Path) -> Result<bool> {
    match store.head(path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(store_failed(error)),
    }
}

/// Removes a folder of work that encoders may be busy with. Sources first: who puts a piece there looks afterwards whether
/// the source is still there, and takes the piece back when it is not; so the list that is made afterwards has all others.
pub(crate) async fn withdraw(store: &dyn ObjectStore, folder: &Path) -> Result<()> {
    let found: Vec<_> = store.list(Some(folder)).try_collect().await.map_err(store_failed)?;
    for source in found.iter().filter(|it| it.location.filename() == Some(SOURCE)) {
        remove(store, &source.location).await?;
    }
    remove_all(store, folder).await
}

/// A folder of scratch space.
pub(crate) async fn make(folder: &std::path::Path) -> Result<()> {
    let made = tokio::fs::create_dir_all(folder).await;
    made.map_err(|error| scratch_failed(format!("{} cannot be made", folder.display()), error))
}

/// Sends a file of scratch space into the store.
pub(crate) async fn upload(store: &dyn ObjectStore, file: &std::path::Path, path: &Path) -> Result<u64> {
    let unreadable = |error: std::io::Error| {
        Error::passing("scratch", format!("{} cannot be read", file.display())).because(error)
    };
    let size = tokio::fs::metadata(file).await.map_err(unreadable)?.len();
    if size <= 16 << 20 {
        let bytes = tokio::fs::read(file).await.map_err(unreadable)?;
        store.put(path, Bytes::from(bytes).into()).await.map_err(store_failed)?;
        return Ok(size);
    }
    let upload = store.put_multipart(path).await.map_err(store_failed)?;
    let mut writer = object_store::WriteMultipart::new_with_chunk_size(upload, 16 << 20);
    let mut file = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let mut buffer = vec![0; 4 << 20];
    loop {
        let read = tokio::io::AsyncReadExt::read(&mut file, &mut buffer).await.map_err(unreadable)?;
        if read == 0 {
            break;
        }
        writer.wait_for_capacity(4).await.map_err(store_failed)?;
        writer.write(buffer.get(..read).unwrap_or_default());
    }
    writer.finish().await.map_err(store_failed)?;
    Ok(size)
}

/// How large an object is, in bytes.
pub(crate) async fn size(store: &dyn ObjectStore, path: &Path) -> Result<u64> {
    Ok(store.head(path).await.map_err(store_failed)?.size)
}

/// Brings an object into scratch space.
pub(crate) async fn download(store: &dyn ObjectStore, path: &Path, file: &std::path::Path) -> Result<()> {
    let unwritable =
        |error: std::io::Error| scratch_failed(format!("{} cannot be written", file.display()), error);
    if let Some(folder) = file.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(unwritable)?;
    }
    // Under another name first, so that a file that is there is whole.
    let fresh = file.with_extension("part");
    let mut target = tokio::fs::File::create(&fresh).await.map_err(unwritable)?;
    let mut stream = store.get(path).await.map_err(store_failed)?.into_stream();
    while let Some(bytes) = stream.try_next().await.map_err(store_failed)? {
        tokio::io::AsyncWriteExt::write_all(&mut target, &bytes).await.map_err(unwritable)?;
    }
    tokio::io::AsyncWriteExt::flush(&mut target).await.map_err(unwritable)?;
    tokio::fs::rename(&fresh, file).await.map_err(unwritable)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use object_store::memory::InMemory;
    use object_store::throttle::{ThrottleConfig, ThrottledStore};

    use super::*;

    #[tokio::test]
    async fn what_a_worker_puts_while_an_asset_is_taken_away_does_not_stay() {
        let config =
            ThrottleConfig { wait_delete_per_call: Duration::from_millis(40), ..ThrottleConfig::default() };
        let store = Arc::new(ThrottledStore::new(InMemory::new(), config));
        let place = Place { asset: "film", generation: "g1" };
        for path in [place.audio("audio-a-0"), place.facts(), place.source(), place.segment("720p", 0)] {
            store.put(&path, "x".into()).await.unwrap();
        }
        // As `finish` of a worker: put, then look whether the asset is still wanted.
        let worker = async {
            for k in 1..40 {
                let path = place.segment("720p", k);
                store.put(&path, "x".into()).await.unwrap();
                if store.head(&place.source()).await.is_err() {
                    store.delete(&path).await.unwrap();
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let folder = place.works();
        let (removed, ()) = tokio::join!(withdraw(&*store, &folder), worker);
        removed.unwrap();
        assert_eq!(names(&*store, &place.works()).await.unwrap(), [""; 0]);
    }
}
