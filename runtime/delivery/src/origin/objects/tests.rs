//! How often the store is asked, and how old an answer may be.

use std::collections::BTreeMap;
use std::sync::Mutex;

use object_store::ObjectStoreExt as _;

use super::super::kit::Counting;
use super::*;

const FILM: &str = "vod/film/g1/video/1.m4s";

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

/// The whole of an object, if it is there.
async fn whole(objects: &Objects, path: &Path) -> object_store::Result<Option<Bytes>> {
    let Some(about) = objects.about(path).await? else { return Ok(None) };
    part(objects, path, 0, about.size - 1).await
}

async fn part(objects: &Objects, path: &Path, first: u64, last: u64) -> object_store::Result<Option<Bytes>> {
    let Some(about) = objects.about(path).await? else { return Ok(None) };
    let body = objects.read(path, &about, first, last).await?;
    Ok(Some(axum::body::to_bytes(body, usize::MAX).await.unwrap()))
}

fn objects(store: &Arc<Counting>, memory: u64) -> Objects {
    let store: Arc<dyn ObjectStore> = Arc::clone(store) as _;
    let lifetimes = Lifetimes { there: Duration::from_millis(150), absent: Duration::from_millis(50) };
    Objects::forgetting(store, None, memory, lifetimes)
}

#[tokio::test]
async fn a_new_object_is_one_read_however_many_ask() {
    let (store, path) = (Counting::with(FILM, content(100_000)).await, Path::from(FILM));
    store.reads();
    let objects = objects(&store, 16 << 20);
    let all = futures::future::join_all((0..50).map(|_| whole(&objects, &path))).await;
    assert!(all.into_iter().all(|it| it.unwrap().unwrap() == content(100_000)));
    assert_eq!(store.reads(), 1);
}

#[tokio::test]
async fn a_large_object_is_read_once_in_parts_however_many_ask() {
    let (size, path) = (20 << 20, Path::from(FILM));
    let store = Counting::with(FILM, content(size)).await;
    let objects = objects(&store, 256 << 20);
    store.reads();
    let all = futures::future::join_all((0..10).map(|_| whole(&objects, &path))).await;
    assert!(all.into_iter().all(|it| it.unwrap().unwrap() == content(size)));
    assert_eq!(store.reads(), (size as u64).div_ceil(PART));
    // Across the border of two parts, and up to the end.
    let border = PART;
    let cut = part(&objects, &path, border - 3, border + 2).await.unwrap().unwrap();
    assert_eq!(cut, content(size)[border as usize - 3..border as usize + 3]);
    let end = part(&objects, &path, size as u64 - 5, size as u64 - 1).await.unwrap().unwrap();
    assert_eq!(end, content(size)[size - 5..]);
}

/// What replicas share.
#[derive(Default)]
struct Kept(Mutex<BTreeMap<String, Bytes>>);

#[async_trait::async_trait]
impl Cache for Kept {
    async fn get(&self, key: &str) -> streamverse_core::Result<Option<Bytes>> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    async fn put(&self, key: &str, value: Bytes, _: Duration) -> streamverse_core::Result<()> {
        self.0.lock().unwrap().insert(key.to_owned(), value);
        Ok(())
    }

    async fn insert(&self, key: &str, value: Bytes, _: Duration) -> streamverse_core::Result<bool> {
        let mut kept = self.0.lock().unwrap();
        let is_new = !kept.contains_key(key);
        kept.entry(key.to_owned()).or_insert(value);
        Ok(is_new)
    }

    async fn remove(&self, key: &str) -> streamverse_core::Result<()> {
        self.0.lock().unwrap().remove(key);
        Ok(())
    }

    async fn probe(&self) -> streamverse_core::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn replicas_that_share_a_cache_read_the_content_once() {
    let (size, path) = (5 << 20, Path::from(FILM));
    let (store, shared) = (Counting::with(FILM, content(size)).await, Arc::new(Kept::default()));
    store.reads();
    for (replica, reads) in [("first", 1 + 3), ("second", 1)] {
        let objects = Objects::new(Arc::clone(&store) as _, Some(Arc::clone(&shared) as _), 16 << 20);
        assert_eq!(whole(&objects, &path).await.unwrap().unwrap(), content(size), "{replica}");
        assert_eq!(store.reads(), reads, "{replica}: a question, and three parts of 2 MiB");
    }
}

#[tokio::test]
async fn an_object_larger_than_the_memory_is_served_all_the_same() {
    let (size, path) = (3 << 20, Path::from(FILM));
    let store = Counting::with(FILM, content(size)).await;
    let objects = objects(&store, 1 << 20);
    assert_eq!(whole(&objects, &path).await.unwrap().unwrap(), content(size));
}

#[tokio::test]
async fn an_empty_object_is_there() {
    let (store, path) = (Counting::with(FILM, Vec::new()).await, Path::from(FILM));
    let objects = objects(&store, 1 << 20);
    assert_eq!(objects.about(&path).await.unwrap().unwrap().size, 0);
}

#[tokio::test]
async fn what_was_removed_is_gone_soon_and_what_came_is_there_soon() {
    let (store, path) = (Counting::with(FILM, content(1000)).await, Path::from(FILM));
    let objects = objects(&store, 16 << 20);
    assert!(whole(&objects, &path).await.unwrap().is_some());
    store.delete(&path).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(whole(&objects, &path).await.unwrap().is_none(), "it was removed");
    // Nothing is asked for again at once, and not for long.
    store.reads();
    assert!(whole(&objects, &path).await.unwrap().is_none());
    assert_eq!(store.reads(), 0);
    store.put(&path, content(2000).into()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(whole(&objects, &path).await.unwrap().unwrap().len(), 2000);
}

#[tokio::test]
async fn a_look_at_what_is_kept_costs_no_content_and_what_changed_is_read_anew() {
    let (store, path) = (Counting::with(FILM, content(1000)).await, Path::from(FILM));
    let objects = objects(&store, 16 << 20);
    let before = objects.about(&path).await.unwrap().unwrap();
    whole(&objects, &path).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    store.reads();
    futures::future::join_all((0..20).map(|_| whole(&objects, &path))).await;
    assert_eq!(store.reads(), 1, "one look for all");
    store.put(&path, vec![7; 1000].into()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(whole(&objects, &path).await.unwrap().unwrap(), vec![7; 1000]);
    assert_ne!(objects.about(&path).await.unwrap().unwrap().etag, before.etag);
}

#[tokio::test]
async fn what_is_kept_is_served_on_while_the_store_is_away() {
    let (store, path) = (Counting::with(FILM, content(1000)).await, Path::from(FILM));
    let objects = objects(&store, 16 << 20);
    assert!(whole(&objects, &path).await.unwrap().is_some());
    store.go_away(true);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(whole(&objects, &path).await.unwrap().unwrap(), content(1000));
    assert!(objects.about(&path).await.unwrap().unwrap().stale);
    assert!(objects.about(&Path::from("vod/film/g1/video/2.m4s")).await.is_err(), "nothing is known of it");
    store.go_away(false);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!objects.about(&path).await.unwrap().unwrap().stale);
}
