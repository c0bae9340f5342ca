//! Packages by asset and generation: read once, kept beside what was announced, so that what was announced can be shown for as
//! long as it is shown, also when its asset is gone by then.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use streamverse_core::stores::Records;
use streamverse_core::{Error, Result};
use streamverse_model::media::{PACKAGE_INDEX, PackageIndex};

use super::cues;
use super::cues::Captions;
use super::package::{Package, is_plain};
use super::shared::{Indexes, Stores};

/// An index of a day of short segments has some MiB.
const LARGEST: u64 = 32 << 20;
/// A day of segments of a second, and more than a day.
const MOST_SEGMENTS: usize = 200_000;
const MOST_PARTS: usize = 100_000;
const MOST_TRACKS: usize = 200;
/// Ids that are read at once.
const PAGE: u32 = 500;
/// Seconds of a segment, and of a part: as long as an asset may be. Nothing ends so late that times run over.
const LONGEST_SEGMENT: u64 = 600;
const LONGEST_PART: u64 = 7 * 86_400;
/// Segments of a second: a playlist of a minute has no thousands.
const MOST_IN_A_SECOND: u64 = 20;
/// Whole numbers that players' numbers still hold.
const LARGEST_NUMBER: u64 = 1 << 53;
/// How long a store may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An asset and its generation.
pub(super) type Named = (String, String);

/// Where packages are read from.
#[derive(Clone)]
pub(super) struct Packages {
    store: Arc<dyn ObjectStore>,
    records: Arc<dyn Records>,
    collection: String,
    indexes: Indexes,
}

impl Packages {
    pub(super) fn of(stores: &Stores, collection: String) -> Packages {
        Packages {
            store: Arc::clone(&stores.objects),
            records: Arc::clone(&stores.records),
            collection,
            indexes: stores.indexes.clone(),
        }
    }

    /// The package of what is shown in the catalogue; `None` where there is no index, as of packages of older versions.
    pub(super) async fn published(&self, asset: &str, generation: &str) -> Result<Option<Arc<Package>>> {
        let named = (asset.to_owned(), generation.to_owned());
        if let Some(known) = self.indexes.known.get(&named).await {
            return Ok(Some(known));
        }
        let Some(path) = path(asset, generation, PACKAGE_INDEX) else { return Ok(None) };
        let Some(bytes) = self.read(&path, LARGEST).await? else { return Ok(None) };
        let index = serde_json::from_slice(&bytes).map_err(|error| broken(path.as_ref()).because(error))?;
        self.checked(named, index).await.map(Some)
    }

    /// The package of what was announced.
    pub(super) async fn announced(&self, asset: &str, generation: &str) -> Result<Arc<Package>> {
        let named = (asset.to_owned(), generation.to_owned());
        if let Some(known) = self.indexes.known.get(&named).await {
            return Ok(known);
        }
        let id = id(asset, generation);
        if let Some(record) = within(self.records.get(&self.collection, &id)).await? {
            let index = serde_json::from_value(record.value).map_err(|error| broken(&id).because(error))?;
            return self.checked(named, index).await;
        }
        let found = self.published(asset, generation).await?.ok_or_else(|| {
            let text = format!(
                "the index of {id}, which was announced, is neither in the catalogue nor in the store"
            );
            Error::passing("package-missing", text)
        })?;
        // Whoever announced it died before it kept what another had removed.
        self.keep(asset, &found).await?;
        Ok(found)
    }

    /// Keeps an index for as long as what was announced needs it.
    pub(super) async fn keep(&self, asset: &str, package: &Package) -> Result<()> {
        let id = id(asset, &package.facts.generation);
        // It never changes: an index of hours is neither written out nor sent for each block that plays it.
        if within(self.records.version(&self.collection, &id)).await?.is_some() {
            return Ok(());
        }
        let value = serde_json::to_value(package.index()).map_err(|error| broken(&id).because(error))?;
        within(self.records.insert(&self.collection, &id, &value)).await.map(|_| ())
    }

    /// What is kept and fails a test, as asset and generation.
    pub(super) async fn unneeded(&self, needed: impl Fn(&str) -> bool) -> Result<Vec<Named>> {
        let (mut after, mut found) = (String::new(), Vec::new());
        loop {
            let page = within(self.records.ids(&self.collection, &after, PAGE)).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after.clone_from(last);
            let old = page.iter().filter(|id| !needed(id)).filter_map(|id| id.split_once('/'));
            found.extend(old.map(|(asset, generation)| (asset.to_owned(), generation.to_owned())));
        }
    }

    /// Forgets one that nobody needs. What was forgotten is handed back, for whoever finds that it was needed after all.
    pub(super) async fn forget(&self, named: &Named) -> Result<Option<Arc<Package>>> {
        let package = match self.announced(&named.0, &named.1).await {
            Ok(package) => Some(package),
            Err(error) if ["package-missing", "package-broken"].contains(&error.code) => None,
            Err(error) => return Err(error),
        };
        within(self.records.remove(&self.collection, &id(&named.0, &named.1))).await?;
        Ok(package)
    }

    /// Captions of a package.
    pub(super) async fn captions(&self, asset: &str, generation: &str, file: &str) -> Result<Arc<Captions>> {
        let Some(path) = path(asset, generation, file) else { return Ok(Arc::default()) };
        let load = async {
            let bytes = self.read(&path, cues::LARGEST).await?.unwrap_or_default();
            Ok::<_, Error>(Arc::new(Captions::parse(&String::from_utf8_lossy(&bytes))))
        };
        self.indexes.captions.try_get_with(path.to_string(), load).await.map_err(|error: Arc<Error>| {
            Error::passing("store-unreachable", "captions cannot be read").because(error)
        })
    }

    async fn checked(&self, named: Named, index: PackageIndex) -> Result<Arc<Package>> {
        if !is_sound(&index) {
            return Err(broken(&id(&named.0, &named.1)));
        }
        let package = Arc::new(Package::new(named.1.clone(), index));
        self.indexes.known.insert(named, Arc::clone(&package)).await;
        Ok(package)
    }

    /// What lies at a path, if it is not larger.
    async fn read(&self, path: &Path, largest: u64) -> Result<Option<Bytes>> {
        let failed = |error: object_store::Error| {
            Error::passing("store-unreachable", format!("{path} cannot be read")).because(error)
        };
        let reading = async {
            let found = match self.store.get(path).await {
                Ok(found) => found,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            if found.meta.size > largest {
                return Err(broken(path.as_ref()));
            }
            found.bytes().await.map(Some).map_err(failed)
        };
        within(reading).await
    }
}

/// Waits for a store, but not for ever.
pub(super) async fn within<T>(asked: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::passing("store-unreachable", "a store does not answer in time"));
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(late)
}

pub(super) fn id(asset: &str, generation: &str) -> String {
    format!("{asset}/{generation}")
}

fn path(asset: &str, generation: &str, file: &str) -> Option<Path> {
    let whole = format!("vod/{asset}/{generation}/{file}");
    is_file(&whole).then(|| Path::parse(whole).ok()).flatten()
}

fn is_file(path: &str) -> bool {
    is_plain(path)
}

fn broken(what: &str) -> Error {
    Error::permanent("package-broken", format!("the index {what} is none that this version can play"))
}

/// Nothing in it leads out of the package, divides by zero or is without bounds.
fn is_sound(index: &PackageIndex) -> bool {
    let timed = |it: &streamverse_model::media::IndexTrack| {
        let timescale = u64::from(it.timescale);
        let whole = it.segments.iter().try_fold(0_u64, |sum, units| {
            let sum = sum.checked_add(*units)?;
            (*units <= timescale * LONGEST_SEGMENT && sum <= timescale * LONGEST_PART).then_some(sum)
        });
        let dense = |units: u64| it.segments.len() as u64 / MOST_IN_A_SECOND > units / timescale + 1;
        timescale > 0
            && whole.is_some_and(|units| !dense(units))
            && it.begins <= LARGEST_NUMBER
            && it.first_number <= LARGEST_NUMBER
    };
    let track = |it: &streamverse_model::media::IndexTrack| {
        it.segments.len() <= MOST_SEGMENTS && timed(it) && is_file(&it.init) && is_file(&it.media)
    };
    index.version == 1
        && index.parts.len() <= MOST_PARTS
        && index.parts.iter().all(|part| part.tracks.len() <= MOST_TRACKS && part.tracks.iter().all(track))
        && index.text.iter().all(|it| is_file(&it.file))
}
