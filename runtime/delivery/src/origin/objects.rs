//! Objects of the store: small ones from memory, read once however many ask; large ones as a stream.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use bytes::Bytes;
use futures::TryStreamExt as _;
use moka::future::Cache as Moka;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};
use streamverse_core::stores::Cache;
use tracing::debug;

/// Larger objects are not kept in memory.
const SMALL: u64 = 8 << 20;
/// How long others may keep what never changes.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// What there is to say about an object.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) modified: SystemTime,
}

/// A small object with its content.
#[derive(Clone, Debug)]
struct Held {
    about: About,
    bytes: Bytes,
}

pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    shared: Option<Arc<dyn Cache>>,
    memory: Moka<Path, Option<Arc<Held>>>,
    about: Moka<Path, About>,
}

impl Objects {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        shared: Option<Arc<dyn Cache>>,
        max_bytes: u64,
    ) -> Objects {
        let weigh = |_: &Path, held: &Option<Arc<Held>>| {
            held.as_ref().map_or(64, |held| u32::try_from(held.bytes.len() + 256).unwrap_or(u32::MAX))
        };
        let memory = Moka::builder()
            .max_capacity(max_bytes)
            .weigher(weigh)
            .time_to_live(Duration::from_secs(3600))
            .build();
        let about = Moka::builder().max_capacity(20_000).time_to_live(Duration::from_secs(60)).build();
        Objects { store, shared, memory, about }
    }

    /// What there is at a path; `None` when there is nothing.
    pub(super) async fn about(&self, path: &Path) -> object_store::Result<Option<About>> {
        if let Some(Some(held)) = self.memory.get(path).await {
            return Ok(Some(held.about.clone()));
        }
        // One question for all who ask at once; "nothing there" is not remembered, for it may come.
        let asked = self
            .about
            .try_get_with_by_ref(path, async { self.store.head(path).await.map(|meta| about(&meta)) })
            .await;
        match asked {
            Ok(about) => Ok(Some(about)),
            Err(error) => match &*error {
                object_store::Error::NotFound { .. } => Ok(None),
                other => Err(again(other)),
            },
        }
    }

    /// `first..=last` of an object.
    pub(super) async fn read(
        &self,
        path: &Path,
        about: &About,
        first: u64,
        last: u64,
    ) -> object_store::Result<Body> {
        if about.size == 0 {
            return Ok(Body::empty());
        }
        if about.size <= SMALL {
            let held = self
                .memory
                .try_get_with_by_ref(path, async { self.load(path).await.map(|it| Some(Arc::new(it))) })
                .await;
            let held = held.map_err(|error| again(&error))?;
            if let Some(part) = held.and_then(|held| {
                let range = usize::try_from(first).ok()?..usize::try_from(last + 1).ok()?;
                (range.end <= held.bytes.len()).then(|| held.bytes.slice(range))
            }) {
                return Ok(Body::from(part));
            }
        }
        let options = GetOptions { range: Some(GetRange::Bounded(first..last + 1)), ..GetOptions::default() };
        let found = self.store.get_opts(path, options).await?;
        Ok(Body::from_stream(found.into_stream().map_err(std::io::Error::other)))
    }

    async fn load(&self, path: &Path) -> object_store::Result<Held> {
        let about = match self.about.get(path).await {
            Some(about) => about,
            None => about(&self.store.head(path).await?),
        };
        // An address never changes its bytes, so a shared cache cannot be wrong; the tag keeps apart what could be.
        let key = format!("object:{path}:{}", about.etag);
        if let Some(shared) = &self.shared {
            match shared.get(&key).await {
                Ok(Some(bytes)) if bytes.len() as u64 == about.size => return Ok(Held { about, bytes }),
                Ok(_) => {}
                Err(error) => debug!(error = %error.chain(), "The cache is away."),
            }
        }
        let bytes = self.store.get(path).await?.bytes().await?;
        if let Some(shared) = &self.shared
            && let Err(error) = shared.put(&key, bytes.clone(), LIFETIME).await
        {
            debug!(error = %error.chain(), "The cache is away.");
        }
        Ok(Held { about, bytes })
    }
}

fn about(meta: &object_store::ObjectMeta) -> About {
    let tag = meta
        .e_tag
        .clone()
        .unwrap_or_else(|| format!("{:x}-{:x}", meta.last_modified.timestamp_millis(), meta.size));
    let plain: String = tag.chars().filter(|it| it.is_ascii_graphic() && *it != '"').collect();
    About { size: meta.size, etag: format!("\"{plain}\""), modified: meta.last_modified.into() }
}

/// An error that many wait for, for one of them.
fn again(error: &object_store::Error) -> object_store::Error {
    match error {
        object_store::Error::NotFound { path, .. } => {
            object_store::Error::NotFound { path: path.clone(), source: "it is not there".into() }
        }
        other => object_store::Error::Generic { store: "store", source: other.to_string().into() },
    }
}
