//! Brings a source file to a path, checking its digest on the way.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _};
use sha2::{Digest as _, Sha256};
use streamverse_core::{Error, Result, Stop};
use streamverse_model::media::SourceSpec;
use streamverse_model::platform::StoreUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::guard::{self, Had};
use crate::work;

/// A longer film than anybody has.
const LARGEST: u64 = 2 << 40;
const ATTEMPTS: u32 = 5;

/// The object store of a transcoder, from which a source may come.
#[derive(Clone, Copy)]
pub(crate) struct SourceStore<'s> {
    pub(crate) objects: &'s Arc<dyn ObjectStore>,
    /// Its address, which says what its bucket is.
    pub(crate) url: &'s str,
}

/// Copies the source to `target` and returns its digest, as found, and its size. With `spec.digest` empty, nothing is
/// compared.
pub(crate) async fn fetch(
    spec: &SourceSpec,
    store: Option<SourceStore<'_>>,
    target: &Path,
    stop: &Stop,
) -> Result<(String, u64)> {
    let file = tokio::fs::File::create(target).await.map_err(|error| io(target, error))?;
    let mut sink = Sink {
        file: tokio::io::BufWriter::with_capacity(1 << 20, file),
        hash: Sha256::new(),
        size: 0,
        target,
    };
    let copy = async {
        match spec.url.split_once("://") {
            Some(("file", path)) => from_file(Path::new(path), &mut sink).await,
            Some(("s3", rest)) => {
                let store = store.ok_or_else(|| {
                    Error::permanent(
                        "source-url",
                        format!("{} lies in a transcoder's object store, and there is none here: give an address that begins with file:/// or https://", spec.url),
                    )
                })?;
                from_store(store.objects, &key_in(store.url, rest)?, &mut sink).await
            }
            Some(("http" | "https", _)) => from_web(&spec.url, spec.allow_private, &mut sink).await,
            _ => Err(Error::permanent(
                "source-url",
                "a source begins with file:///, http://, https:// or s3://",
            )),
        }
    };
    tokio::select! {
        copied = copy => copied?,
        () = stop.stopped() => return Err(Error::passing("stopped", "the source was not fetched, because the service stops")),
    }
    sink.file.flush().await.map_err(|error| io(target, error))?;
    let digest = format!("sha256:{}", hex::encode(sink.hash.finalize()));
    if !spec.digest.is_empty() && digest != spec.digest {
        return Err(Error::permanent(
            "source-changed",
            format!(
                "the source is not the one that was declared: its digest is {digest}, declared is {}; declare the new digest if the new file is meant",
                spec.digest
            ),
        ));
    }
    Ok((digest, sink.size))
}

struct Sink<'t> {
    file: tokio::io::BufWriter<tokio::fs::File>,
    hash: Sha256,
    size: u64,
    target: &'t Path,
}

impl Sink<'_> {
    async fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.size > LARGEST {
            return Err(too_large());
        }
        self.hash.update(bytes);
        self.file.write_all(bytes).await.map_err(|error| io(self.target, error))
    }
}

impl Sink<'_> {
    /// Refuses a source of so many bytes before the disk is filled with a part of it.
    fn expect(&self, bytes: u64) -> Result<()> {
        if bytes > LARGEST {
            return Err(too_large());
        }
        let Some(free) = free_below(self.target) else { return Ok(()) };
        if bytes > free {
            let folder = self.target.parent().unwrap_or(self.target).display();
            return Err(Error::passing(
                "disk-full",
                format!("the source has {bytes} bytes, and {folder} has room for {free}: make room there"),
            ));
        }
        Ok(())
    }
}

fn too_large() -> Error {
    Error::permanent("source-too-large", "the source has more than 2 TiB, which is more than is taken")
}

/// Free bytes on the disk of a file, where the system says.
fn free_below(file: &Path) -> Option<u64> {
    let about = rustix::fs::statvfs(file).ok()?;
    Some(about.f_bavail.saturating_mul(about.f_frsize))
}

async fn from_file(path: &Path, sink: &mut Sink<'_>) -> Result<()> {
    let told = path.display().to_string();
    let missing = |error: std::io::Error| {
        Error::permanent("source-missing", format!("the source {told} cannot be read on this host"))
            .because(error)
    };
    let about = tokio::fs::metadata(path).await.map_err(missing)?;
    if !about.is_file() {
        return Err(Error::permanent("source-missing", format!("the source {told} is no regular file")));
    }
    sink.expect(about.len())?;
    let mut file = tokio::fs::File::open(path).await.map_err(missing)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).await.map_err(missing)?;
        if read == 0 {
            return Ok(());
        }
        sink.take(buffer.get(..read).unwrap_or_default()).await?;
    }
}

/// The name of `BUCKET/KEY` in the store at `url`. Its bucket is the bucket of an S3 store, and the store's own name for
/// one that a site has. What an S3 store has in front of all its names is in front of the key too.
fn key_in(url: &str, source: &str) -> Result<String> {
    let (bucket, key) = source.split_once('/').unwrap_or((source, ""));
    let (ours, prefix) = match StoreUrl::parse(url) {
        Ok(StoreUrl::Local { name, .. }) => (name.to_string(), String::new()),
        Ok(StoreUrl::Folder(path)) => {
            (path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned(), String::new())
        }
        Ok(StoreUrl::Remote { url, .. }) => {
            (url.host_str().unwrap_or_default().to_owned(), url.path().trim_matches('/').to_owned())
        }
        Err(error) => {
            return Err(Error::permanent("store-url", "the transcoder's object store has no usable address")
                .because(error));
        }
    };
    // Parameters say how the store is reached: no business of whoever reads the message.
    let told = url.split('?').next().unwrap_or_default();
    if bucket != ours {
        return Err(Error::permanent(
            "source-url",
            format!(
                "s3://{source} is in the bucket {bucket:?}, but the transcoder reads its own object store alone, {told}: put the source there and write s3://{ours}/…, or give an address that begins with https://"
            ),
        ));
    }
    if prefix.is_empty() {
        return Ok(key.to_owned());
    }
    let inside = key.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix('/'));
    inside.map(str::to_owned).ok_or_else(|| {
        Error::permanent(
            "source-url",
            format!("s3://{source} is outside of the transcoder's object store, {told}: put the source below {prefix}/"),
        )
    })
}

async fn from_store(store: &Arc<dyn ObjectStore>, key: &str, sink: &mut Sink<'_>) -> Result<()> {
    let path = object_store::path::Path::parse(key).map_err(|error| {
        Error::permanent("source-url", format!("{key:?} is no object's name")).because(error)
    })?;
    let failed = |error: object_store::Error| match error {
        object_store::Error::NotFound { .. } => {
            Error::permanent("source-missing", format!("the object store has no {key:?}"))
        }
        other => {
            Error::passing("store-unreachable", "the object store did not give the source").because(other)
        }
    };
    let found = store.get(&path).await.map_err(failed)?;
    sink.expect(found.meta.size)?;
    let mut stream = found.into_stream();
    while let Some(bytes) = stream.next().await {
        sink.take(&bytes.map_err(failed)?).await?;
    }
    Ok(())
}

/// A cut connection goes on where it was; what it cannot go on with begins again with the next run of the job.
async fn from_web(url: &str, allow_private: bool, sink: &mut Sink<'_>) -> Result<()> {
    let (mut attempt, mut version) = (0, None);
    loop {
        let failure = match some_of_web(url, allow_private, sink, &mut version).await {
            // A disk that is full is the job's affair, not the web's.
            Err(error) if error.retry && error.code != "disk-full" => error,
            settled => return settled,
        };
        attempt += 1;
        if attempt == ATTEMPTS {
            return Err(failure);
        }
        let pause = Duration::from_millis(500 << attempt).mul_f64(rand::random_range(0.5..1.0));
        tokio::time::sleep(pause).await;
    }
}

async fn some_of_web(
    url: &str,
    allow_private: bool,
    sink: &mut Sink<'_>,
    version: &mut Option<String>,
) -> Result<()> {
    let had = Had { bytes: sink.size, version: version.as_deref() };
    let answer = guard::get(url, had, allow_private).await?;
    if let Some(rest) = answer.content_length() {
        sink.expect(rest)?;
    }
    if sink.size == 0 {
        *version = guard::version_of(&answer);
    }
    let mut stream = answer.bytes_stream();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| {
            Error::passing("source-unreachable", "the source's connection was cut")
                .because(error.without_url())
        })?;
        sink.take(&bytes).await?;
    }
    Ok(())
}

fn io(path: &Path, error: std::io::Error) -> Error {
    work::scratch_failed(format!("{} cannot be written", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_that_of_the_store_or_it_is_refused() {
        for (store, source, wanted) in [
            ("file://here/media", "media/in/a.mp4", Some("in/a.mp4")),
            ("file://here/media", "other/in/a.mp4", None),
            ("file:///srv/films/", "films/a.mp4", Some("a.mp4")),
            ("s3://films?endpoint=http://s3.local&secret=object-store.main", "films/a.mp4", Some("a.mp4")),
            ("s3://films/cut/", "films/cut/a.mp4", Some("a.mp4")),
            ("s3://films/cut", "films/cutter/a.mp4", None),
            ("s3://films/cut", "films/a.mp4", None),
            ("s3://films", "here/a.mp4", None),
        ] {
            let key = key_in(store, source);
            assert_eq!(key.as_deref().ok(), wanted, "{store} {source}");
            if let Err(error) = key {
                assert_eq!(error.code, "source-url");
                assert!(!error.message.contains("secret") && error.message.contains(source), "{error}");
            }
        }
    }
}
