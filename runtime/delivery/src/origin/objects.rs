//! Objects of the store, in parts that are read once however many ask, and kept in memory.
//!
//! | question | asked of the store |
//! |---|---|
//! | what is new | once: its first part comes with the answer, for most objects that is all of them |
//! | what is kept | whether it is still there, once per [`FRESH`], without its content |
//! | what was not there | again after [`ABSENT`] |
//! | the store is away | what is kept is served on for [`KEPT`] (RFC 5861), and said to be stale |

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use moka::Expiry;
use moka::future::Cache as Moka;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};
use streamverse_core::stores::Cache;
use tracing::debug;

/// A segment of some seconds is one part. Less, where the memory has no room for eight.
const PART: u64 = 4 << 20;
const SMALLEST_PART: u64 = 64 << 10;
/// For how long what is there may be taken away unnoticed.
const FRESH: Duration = Duration::from_secs(3);
/// For how long what is not there may come unnoticed: an asset that is being published.
const ABSENT: Duration = Duration::from_secs(1);
/// For how long what is kept is served on without the store.
const KEPT: Duration = Duration::from_secs(3600);
/// How long the store may take to say that what is kept is still there.
const PATIENCE: Duration = Duration::from_secs(2);
/// Parts that are dropped by name; more than the memory of most origins holds. Others go as what nobody asks for goes.
const MOST_FORGOTTEN: u64 = 1024;
/// How long a shared cache may keep a part, which never changes under its name.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// What there is to say about an object.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) size: u64,
    pub(super) etag: Arc<str>,
    pub(super) modified: SystemTime,
    /// The store could not say whether it is still so.
    pub(super) stale: bool,
    /// The store's own tag, for asking that a part belongs to the same object.
    tag: Option<Arc<str>>,
}

#[cfg(test)]
impl About {
    pub(super) fn for_tests(etag: &str, modified: SystemTime) -> About {
        About { size: 10, etag: etag.into(), modified, stale: false, tag: None }
    }
}

/// Object, tag, number of the part.
type PartKey = (Path, Arc<str>, u64);

#[derive(Clone)]
pub(super) struct Objects(Arc<Inner>);

struct Inner {
    store: Arc<dyn ObjectStore>,
    shared: Option<Arc<dyn Cache>>,
    part: u64,
    parts: Moka<PartKey, Bytes>,
    /// What was asked a moment ago; `None` is nothing there.
    fresh: Moka<Path, Option<About>>,
    /// What was there when it was last asked.
    known: Moka<Path, About>,
}

impl Objects {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        shared: Option<Arc<dyn Cache>>,
        max_bytes: u64,
    ) -> Objects {
        Objects::forgetting(store, shared, max_bytes, Lifetimes { there: FRESH, absent: ABSENT })
    }

    fn forgetting(
        store: Arc<dyn ObjectStore>,
        shared: Option<Arc<dyn Cache>>,
        max_bytes: u64,
        lifetimes: Lifetimes,
    ) -> Objects {
        let weigh =
            |_: &PartKey, bytes: &Bytes| u32::try_from(bytes.len().saturating_add(256)).unwrap_or(u32::MAX);
        Objects(Arc::new(Inner {
            store,
            shared,
            part: (max_bytes / 8).clamp(SMALLEST_PART, PART),
            parts: Moka::builder().max_capacity(max_bytes).weigher(weigh).time_to_live(KEPT).build(),
            fresh: Moka::builder().max_capacity(20_000).expire_after(lifetimes).build(),
            known: Moka::builder().max_capacity(20_000).time_to_live(KEPT).build(),
        }))
    }

    /// What there is at a path; `None` when there is nothing.
    pub(super) async fn about(&self, path: &Path) -> object_store::Result<Option<About>> {
        let seen = self.0.fresh.try_get_with_by_ref(path, self.0.look(path)).await;
        seen.map_err(|error| again(&error))
    }

    /// `first..=last` of an object. Fails only before anything of it is sent; what fails later cuts the body.
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
        let inner = Arc::clone(&self.0);
        let (from, to) = (first / inner.part, last / inner.part);
        let opening = inner.cut(path, about, from, first, last).await?;
        if from == to {
            return Ok(Body::from(opening));
        }
        let (path, about) = (path.clone(), about.clone());
        let rest = stream::iter(from + 1..=to).map(move |number| {
            let (inner, path, about) = (Arc::clone(&inner), path.clone(), about.clone());
            async move { inner.cut(&path, &about, number, first, last).await }
        });
        // One is read ahead of the one that is being sent.
        let all = stream::once(async { Ok(opening) }).chain(rest.buffered(2));
        Ok(Body::from_stream(all.map_err(std::io::Error::other)))
    }
}

impl Inner {
    /// Asks the store.
    async fn look(&self, path: &Path) -> object_store::Result<Option<About>> {
        let Some(before) = self.known.get(path).await else {
            let found = self.first_look(path).await?;
            if let Some(about) = &found {
                self.known.insert(path.clone(), about.clone()).await;
            }
            return Ok(found);
        };
        match tokio::time::timeout(PATIENCE, self.store.head(path)).await {
            Ok(Ok(meta)) => {
                let now = about(&meta);
                self.known.insert(path.clone(), now.clone()).await;
                Ok(Some(now))
            }
            Ok(Err(object_store::Error::NotFound { .. })) => {
                self.forget(path, &before).await;
                Ok(None)
            }
            Ok(Err(error)) => {
                debug!(%error, %path, "The store is away; what is kept is served on.");
                Ok(Some(About { stale: true, ..before }))
            }
            Err(_) => {
                debug!(%path, "The store does not answer in time; what is kept is served on.");
                Ok(Some(About { stale: true, ..before }))
            }
        }
    }

    /// What is at a path of which nothing is known, with its first part.
    async fn first_look(&self, path: &Path) -> object_store::Result<Option<About>> {
        // With a shared cache the content may be near: then only the question costs the store something.
        if self.shared.is_some() {
            return there(self.store.head(path).await.map(|meta| about(&meta)));
        }
        let options = GetOptions { range: Some(GetRange::Bounded(0..self.part)), ..GetOptions::default() };
        let found = match self.store.get_opts(path, options).await {
            Ok(found) => found,
            Err(error @ object_store::Error::NotFound { .. }) => return there(Err(error)),
            Err(error) => {
                // An empty object has no first byte, and each store refuses the range in its own words.
                return match self.store.head(path).await {
                    Ok(meta) if meta.size == 0 => Ok(Some(about(&meta))),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    _ => Err(error),
                };
            }
        };
        let about = about(&found.meta);
        let bytes = found.bytes().await?;
        if bytes.len() as u64 == about.size.min(self.part) {
            self.parts.insert((path.clone(), Arc::clone(&about.etag), 0), bytes).await;
        }
        Ok(Some(about))
    }

    async fn forget(&self, path: &Path, about: &About) {
        self.known.invalidate(path).await;
        for number in 0..about.size.div_ceil(self.part).min(MOST_FORGOTTEN) {
            self.parts.invalidate(&(path.clone(), Arc::clone(&about.etag), number)).await;
        }
    }

    /// What of `first..=last` lies in a part.
    async fn cut(
        &self,
        path: &Path,
        about: &About,
        number: u64,
        first: u64,
        last: u64,
    ) -> object_store::Result<Bytes> {
        let key = (path.clone(), Arc::clone(&about.etag), number);
        let bytes = self.parts.try_get_with(key, self.load(path, about, number)).await;
        let bytes = bytes.map_err(|error| again(&error))?;
        let begin = number * self.part;
        let from = usize::try_from(first.saturating_sub(begin)).unwrap_or(usize::MAX);
        let to = usize::try_from(last + 1 - begin).unwrap_or(usize::MAX).min(bytes.len());
        Ok(if from < to { bytes.slice(from..to) } else { Bytes::new() })
    }

    async fn load(&self, path: &Path, about: &About, number: u64) -> object_store::Result<Bytes> {
        let (begin, end) = (number * self.part, about.size.min((number + 1) * self.part));
        // An address never changes its bytes, so a shared cache cannot be wrong; the tag keeps apart what could be.
        let key = format!("object:{path}:{}:{begin}-{end}", about.etag);
        if let Some(shared) = &self.shared {
            match shared.get(&key).await {
                Ok(Some(bytes)) if bytes.len() as u64 == end - begin => return Ok(bytes),
                Ok(_) => {}
                Err(error) => debug!(error = %error.chain(), "The cache is away."),
            }
        }
        // Parts of two objects must not become one: the store refuses when it is another one by now.
        let options = GetOptions {
            range: Some(GetRange::Bounded(begin..end)),
            if_match: about.tag.as_deref().map(str::to_owned),
            ..GetOptions::default()
        };
        let bytes = match self.store.get_opts(path, options).await {
            Ok(found) => found.bytes().await?,
            Err(error) => {
                if matches!(
                    error,
                    object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. }
                ) {
                    self.fresh.invalidate(path).await;
                }
                return Err(error);
            }
        };
        if bytes.len() as u64 != end - begin {
            self.fresh.invalidate(path).await;
            let text = format!("{path} has {} bytes where {} were promised", bytes.len(), end - begin);
            return Err(object_store::Error::Generic { store: "store", source: text.into() });
        }
        if let Some(shared) = &self.shared
            && let Err(error) = shared.put(&key, bytes.clone(), LIFETIME).await
        {
            debug!(error = %error.chain(), "The cache is away.");
        }
        Ok(bytes)
    }
}

/// How long an answer of the store holds.
#[derive(Clone, Copy, Debug)]
struct Lifetimes {
    there: Duration,
    absent: Duration,
}

impl Lifetimes {
    fn of(self, seen: &Option<About>) -> Option<Duration> {
        Some(if seen.is_some() { self.there } else { self.absent })
    }
}

impl Expiry<Path, Option<About>> for Lifetimes {
    fn expire_after_create(&self, _: &Path, seen: &Option<About>, _: Instant) -> Option<Duration> {
        self.of(seen)
    }

    fn expire_after_update(
        &self,
        _: &Path,
        seen: &Option<About>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.of(seen)
    }
}

/// "Not there" is an answer, not a failure.
fn there(found: object_store::Result<About>) -> object_store::Result<Option<About>> {
    match found {
        Ok(about) => Ok(Some(about)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn about(meta: &object_store::ObjectMeta) -> About {
    let tag = meta
        .e_tag
        .clone()
        .unwrap_or_else(|| format!("{:x}-{:x}", meta.last_modified.timestamp_millis(), meta.size));
    let plain: String = tag.chars().filter(|it| it.is_ascii_graphic() && *it != '"').collect();
    About {
        size: meta.size,
        etag: format!("\"{plain}\"").into(),
        modified: meta.last_modified.into(),
        stale: false,
        tag: meta.e_tag.as_deref().map(Arc::from),
    }
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

#[cfg(test)]
mod tests;
