//! What channels of one process share: the stores that they name alike, and what was read of packages in them. A thousand
//! channels have the connections, and the indexes in memory, of one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use moka::future::Cache as Moka;
use object_store::ObjectStore;
use streamverse_core::stores::{Catalogue, Records, open_catalogue_and_records, open_objects};
use streamverse_core::{Result, ServiceContext};
use streamverse_model::media::PackageIndex;

use super::cues::Captions;
use super::package::Package;
use super::packages::Named;

/// Memory for all indexes that are read, and for captions: of a process, however many channels it has.
const MEMORY: u64 = 256 << 20;
const MEMORY_FOR_CAPTIONS: u64 = 32 << 20;

/// Stores that are open.
pub(super) struct Stores {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) catalogue: Arc<dyn Catalogue>,
    pub(super) records: Arc<dyn Records>,
    pub(super) indexes: Indexes,
}

/// What was read of packages. A generation never changes, so that it holds for everybody who reads the same store.
#[derive(Clone)]
pub(super) struct Indexes {
    pub(super) known: Moka<Named, Arc<Package>>,
    pub(super) captions: Moka<String, Arc<Captions>>,
}

/// Whose stores they are: of which deployment, where, under which addresses, and with whose credentials, if with any.
type Key = (String, PathBuf, [String; 2], Option<PathBuf>);

static OPEN: Mutex<BTreeMap<Key, Weak<Stores>>> = Mutex::new(BTreeMap::new());

impl Stores {
    /// Those of two URLs: those that are open already for as long as somebody uses them.
    pub(super) async fn open(objects: &str, catalogue: &str, cx: &ServiceContext) -> Result<Arc<Stores>> {
        let key = key(objects, catalogue, cx);
        if let Some(open) = lock().get(&key).and_then(Weak::upgrade) {
            return Ok(open);
        }
        let (place, indexes) = (open_objects(objects, cx)?, Indexes::new());
        let (catalogue, records) = open_catalogue_and_records(catalogue, cx).await?;
        let opened = Arc::new(Stores { objects: place, catalogue, records, indexes });
        let mut all = lock();
        all.retain(|_, it| it.strong_count() > 0);
        // Somebody may have opened them meanwhile.
        if let Some(open) = all.get(&key).and_then(Weak::upgrade) {
            return Ok(open);
        }
        all.insert(key, Arc::downgrade(&opened));
        Ok(opened)
    }
}

fn lock() -> std::sync::MutexGuard<'static, BTreeMap<Key, Weak<Stores>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(objects: &str, catalogue: &str, cx: &ServiceContext) -> Key {
    // What each may know is in a folder of its own.
    let secret = [objects, catalogue].iter().any(|url| url.contains('?'));
    let whose = format!("{}/{}", cx.site, cx.owner.deployment);
    let credentials = secret.then(|| cx.credentials_dir.clone());
    (whose, cx.data_dir.clone(), [objects.to_owned(), catalogue.to_owned()], credentials)
}

impl Indexes {
    pub(super) fn new() -> Indexes {
        let weigh = |_: &Named, it: &Arc<Package>| u32::try_from(weight(it.index())).unwrap_or(u32::MAX);
        let captions = |_: &String, it: &Arc<Captions>| u32::try_from(it.weight()).unwrap_or(u32::MAX);
        Indexes {
            known: Moka::builder().max_capacity(MEMORY).weigher(weigh).build(),
            captions: Moka::builder().max_capacity(MEMORY_FOR_CAPTIONS).weigher(captions).build(),
        }
    }
}

fn weight(index: &PackageIndex) -> usize {
    let tracks = index.parts.iter().flat_map(|part| part.tracks.iter());
    1024 + tracks.map(|it| 512 + it.segments.len() * 12).sum::<usize>()
}
