//! Brings a source file to a path, checking its digest on the way.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _};
use sha2::{Digest as _, Sha256};
use streamverse_core::{Error, Result, Stop};
use streamverse_model::media::SourceSpec;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::guard;

/// A longer film than anybody has.
const LARGEST: u64 = 2 << 40;
const ATTEMPTS: u32 = 5;

/// Copies the source to `target` and returns its digest, as found, and its size. With `spec.digest` empty, nothing is
/// compared.
pub(crate) async fn fetch(
    spec: &SourceSpec,
    store: Option<&Arc<dyn ObjectStore>>,
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
                let key = rest.split_once('/').map_or("", |(_, key)| key);
                let store = store.ok_or_else(|| {
                    Error::permanent("source-url", "there is no object store to read it from")
                })?;
                from_store(store, key, &mut sink).await
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
            return Err(Error::permanent("source-too-large", "the source has more than 2 TiB"));
        }
        self.hash.update(bytes);
        self.file.write_all(bytes).await.map_err(|error| io(self.target, error))
    }
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
    let mut stream = store.get(&path).await.map_err(failed)?.into_stream();
    while let Some(bytes) = stream.next().await {
        sink.take(&bytes.map_err(failed)?).await?;
    }
    Ok(())
}

/// A cut connection goes on where it was; what it cannot go on with begins again with the next run of the job.
async fn from_web(url: &str, allow_private: bool, sink: &mut Sink<'_>) -> Result<()> {
    let mut attempt = 0;
    loop {
        let failure = match some_of_web(url, allow_private, sink).await {
            Err(error) if error.retry => error,
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

async fn some_of_web(url: &str, allow_private: bool, sink: &mut Sink<'_>) -> Result<()> {
    let answer = guard::get(url, sink.size, allow_private).await?;
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
    let code = if error.kind() == std::io::ErrorKind::StorageFull { "disk-full" } else { "scratch" };
    Error::passing(code, format!("{} cannot be written", path.display())).because(error)
}
