//! What is announced. Replicas agree on it by documents of the catalogue that are made once and never change: whoever comes
//! first makes the next one, everybody else reads it.
//!
//! | document | collection | id |
//! |---|---|---|
//! | a block: items, the cursor after them, what is offered | `channel.NAME` | its number |
//! | the index of a package that was announced | `channel.NAME.packages` | `ASSET/GENERATION` |
//!
//! While the catalogue is away, what was announced is served on, as far ahead as the horizon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use streamverse_core::stores::{AssetRecord, Record};
use streamverse_core::{Error, Result};
use streamverse_model::media::PackageIndex;
use streamverse_model::media::channel::{AssetFacts, Block, Cursor, Facts, FastChannelSpec, Playout};
use tokio::sync::Mutex as Turn;

use super::lineup::Lineup;
use super::package::Package;
use super::packages::{Packages, id, within};
use super::shared::Stores;
use super::timeline::{Entry, LOOKBACK_MS, Timeline};

/// Documents that are read at once.
const PAGE: u32 = 100;
/// What is announced at once is this much longer than the horizon, so that it is not a document for each item.
const AT_ONCE_MS: u64 = 30_000;
/// A document is about so much; after an outage there are several.
const LONGEST_MS: u64 = 600_000;
/// Documents in one turn: an outage as long as the longest catch-up window.
const MOST_AT_ONCE: usize = 2_000;
/// What ended so long before the catch-up window is dropped.
const SLACK_MS: u64 = 120_000;
/// How long a session goes on whose beginning has left the catch-up window: longer than a programme with its breaks. What
/// `catch_up` says of it is in the model.
pub(super) const GOES_ON_MS: u64 = 6 * 3_600_000;
/// Indexes that are read side by side.
const SIDE_BY_SIDE: usize = 8;
/// Assets that are looked up one by one; of more, the whole catalogue is read.
const ONE_BY_ONE: usize = 16;

/// A block as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Document {
    #[serde(flatten)]
    block: Block,
    lineup: Arc<Lineup>,
}

/// What replicas agreed on.
pub(super) struct Announced {
    stores: Arc<Stores>,
    pub(super) packages: Packages,
    pub(super) spec: FastChannelSpec,
    playout: Playout<'static>,
    revision: String,
    collection: String,
    /// Held by whoever announces: one at a time in a process.
    last: Turn<Option<Last>>,
    timeline: RwLock<Arc<Timeline>>,
    trouble: Mutex<Option<String>>,
}

struct Last {
    number: u64,
    cursor: Cursor,
    lineup: Arc<Lineup>,
    pruned_to: u64,
}

/// How much of what is where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turned {
    /// Blocks that we made.
    pub(super) made: u64,
    /// Blocks that another replica made.
    pub(super) read: u64,
}

/// What may play now.
struct Known(BTreeMap<String, Arc<Package>>);

impl Facts for Known {
    fn asset(&self, name: &str) -> Option<&AssetFacts> {
        self.0.get(name).map(|it| &it.facts)
    }
}

impl Announced {
    pub(super) fn new(name: &str, spec: FastChannelSpec, stores: Arc<Stores>) -> Result<Announced> {
        let refused = |error: streamverse_model::platform::SpecError| {
            Error::permanent("spec-invalid", "this channel cannot be played").because(error)
        };
        let playout = Playout::owned(spec.clone()).map_err(refused)?;
        let text = serde_json::to_string(&spec)
            .map_err(|error| Error::permanent("spec-invalid", "the spec cannot be written").because(error))?;
        let revision = hex::encode(&Sha256::digest(text.as_bytes())[..6]);
        let collection = format!("channel.{name}");
        let packages = Packages::of(&stores, format!("{collection}.packages"));
        Ok(Announced {
            stores,
            packages,
            spec,
            playout,
            revision,
            collection,
            last: Turn::new(None),
            timeline: RwLock::default(),
            trouble: Mutex::default(),
        })
    }

    pub(super) fn timeline(&self) -> Arc<Timeline> {
        Arc::clone(&self.timeline.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why it was not announced last time, if it was not.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn window_ms(&self) -> u64 {
        millis(self.spec.playlist_window.0)
    }

    pub(super) fn catch_up_ms(&self) -> u64 {
        millis(self.spec.catch_up.0)
    }

    fn horizon_ms(&self) -> u64 {
        millis(self.spec.horizon.0).max(1000)
    }

    /// How far back somebody may begin to watch.
    pub(super) fn begins_within_ms(&self) -> u64 {
        self.catch_up_ms().saturating_add(self.window_ms())
    }

    /// What ended before nobody can begin to watch.
    fn watched_from(&self, now: u64) -> u64 {
        now.saturating_sub(self.begins_within_ms().saturating_add(LOOKBACK_MS + SLACK_MS))
    }

    /// What ended before may be forgotten: nobody watches it any more.
    fn keep_from(&self, now: u64) -> u64 {
        self.watched_from(now).saturating_sub(GOES_ON_MS)
    }

    /// Reads what others announced, and announces on until the horizon. Repeating it changes nothing.
    pub(super) async fn turn(&self, now: u64) -> Result<Turned> {
        let turned = self.turned(now).await;
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *trouble = turned.as_ref().err().map(Error::chain);
        turned
    }

    async fn turned(&self, now: u64) -> Result<Turned> {
        let wanted = now.saturating_add(self.horizon_ms());
        if self.timeline().known_until().is_some_and(|it| it >= wanted) {
            return Ok(Turned::default());
        }
        let mut last = self.last.lock().await;
        let mut turned = Turned::default();
        self.read(&mut last, now, &mut turned).await?;
        let behind = |last: &Option<Last>| last.as_ref().is_none_or(|it| it.cursor.at_ms < wanted);
        if !behind(&last) {
            return Ok(turned);
        }
        let known = self.known().await?;
        for _ in 0..MOST_AT_ONCE {
            if !behind(&last) {
                break;
            }
            if !self.extend(&mut last, &known, now, &mut turned).await? {
                let text = "nothing can play: not even the slate is there yet";
                return Err(Error::passing("nothing-to-play", text));
            }
        }
        self.prune(&mut last, &known, now, &mut turned).await?;
        Ok(turned)
    }

    /// Reads what was announced since.
    async fn read(&self, last: &mut Option<Last>, now: u64, turned: &mut Turned) -> Result<()> {
        loop {
            let after = last.as_ref().map(|it| key(it.number)).unwrap_or_default();
            let page = within(self.stores.records.list(&self.collection, &after, PAGE)).await?;
            let full = page.len() == PAGE as usize;
            for (id, record) in page {
                let number = id.parse::<u64>().map_err(|_| foreign(&self.collection, &id))?;
                self.take(last, number, document(&self.collection, record)?, now).await?;
                turned.read += 1;
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// Makes the next block, or reads it where somebody else did. `false` where nothing can play.
    async fn extend(
        &self,
        last: &mut Option<Last>,
        known: &Known,
        now: u64,
        turned: &mut Turned,
    ) -> Result<bool> {
        let (number, before, offered) = match last {
            Some(last) => {
                (last.number.saturating_add(1), last.cursor.clone(), Some(Arc::clone(&last.lineup)))
            }
            None => (0, self.playout.begin(self.begin(now)), None),
        };
        // After an outage that is longer than anybody can watch back, it goes on at its end.
        let begin = if before.at_ms < self.watched_from(now) {
            self.playout.resume(&before, self.begin(now))
        } else {
            before
        };
        let horizon = now.saturating_add(self.horizon_ms()).saturating_add(AT_ONCE_MS);
        let until = horizon.min(begin.at_ms.saturating_add(LONGEST_MS));
        let (items, cursor) = self.playout.extend(&begin, known, until);
        if items.is_empty() {
            return Ok(false);
        }
        let indexes: BTreeMap<String, &PackageIndex> =
            known.0.iter().map(|(name, it)| (name.clone(), it.index())).collect();
        let lineup = Arc::new(Lineup::of(&self.spec, &indexes, offered.as_deref()));
        let lineup = offered.filter(|it| *it == lineup).unwrap_or(lineup);
        // Before the block: what was announced can be shown.
        let played: BTreeSet<String> = items.iter().map(|it| it.asset.clone()).collect();
        self.keep(&played, known).await?;
        let document = Document { block: Block { items, cursor, revision: self.revision.clone() }, lineup };
        let value = serde_json::to_value(&document)
            .map_err(|error| Error::permanent("block", "a block cannot be written").because(error))?;
        if within(self.stores.records.insert(&self.collection, &key(number), &value)).await? {
            // And after it: whoever looked for what nobody needs before there was the block removed it in between.
            self.keep(&played, known).await?;
            self.take(last, number, document, now).await?;
            turned.made += 1;
        } else {
            self.read(last, now, turned).await?;
        }
        Ok(true)
    }

    async fn keep(&self, played: &BTreeSet<String>, known: &Known) -> Result<()> {
        for (asset, package) in played.iter().filter_map(|name| known.0.get_key_value(name)) {
            self.packages.keep(asset, package).await?;
        }
        Ok(())
    }

    /// Adds a block to what is shown.
    async fn take(&self, last: &mut Option<Last>, number: u64, document: Document, now: u64) -> Result<()> {
        let Document { block, lineup } = document;
        let (since, mut oldest) = (self.keep_from(now), self.keep_from(now));
        let shared =
            last.as_ref().map(|it| Arc::clone(&it.lineup)).filter(|it| *it == lineup).unwrap_or(lineup);
        let mut entries = Vec::with_capacity(block.items.len());
        for item in block.items.into_iter().filter(|it| it.end_ms() > since) {
            let package = match self.packages.announced(&item.asset, &item.generation).await {
                Ok(package) => package,
                // Nothing can be said of it any more. What comes after it plays; a playlist has no holes, so what was before
                // it is not listed either.
                Err(error) if ["package-missing", "package-broken"].contains(&error.code) => {
                    tracing::warn!(error = %error.chain(), asset = item.asset, "What was announced is not listed.");
                    entries.clear();
                    oldest = u64::MAX;
                    continue;
                }
                Err(error) => return Err(error),
            };
            entries.push(Entry { item, package, lineup: Arc::clone(&shared) });
        }
        let mut timeline = Timeline::clone(&self.timeline());
        timeline.drop_before(oldest);
        entries.into_iter().for_each(|entry| timeline.push(entry));
        *self.timeline.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(timeline);
        let pruned_to = last.as_ref().map_or(0, |it| it.pruned_to);
        *last = Some(Last { number, cursor: block.cursor, lineup: shared, pruned_to });
        Ok(())
    }

    /// Where a live playlist begins that begins now: whole at once.
    fn begin(&self, now: u64) -> u64 {
        now.saturating_sub(self.window_ms()) / 1000 * 1000
    }

    /// What may play: what the catalogue shows and has an index.
    async fn known(&self) -> Result<Known> {
        let shown = self.shown().await?;
        let found = stream::iter(shown).map(|record| async move {
            match self.packages.published(&record.name, &record.generation).await {
                Ok(package) => Ok(package.map(|it| (record.name, it))),
                // One that is broken is not there; the others play.
                Err(error) if error.code == "package-broken" => {
                    tracing::warn!(error = %error.chain(), asset = record.name, "An asset cannot be played.");
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        });
        let found: Vec<_> = found.buffered(SIDE_BY_SIDE).try_collect().await?;
        Ok(Known(found.into_iter().flatten().collect()))
    }

    /// What the catalogue shows of what may be asked for. Its other assets may be many more.
    async fn shown(&self) -> Result<Vec<AssetRecord>> {
        let wanted: BTreeSet<String> = self.spec.assets().into_iter().collect();
        let catalogue = &self.stores.catalogue;
        if wanted.len() > ONE_BY_ONE {
            let shown = within(catalogue.assets()).await?;
            return Ok(shown.into_iter().filter(|it| wanted.contains(&it.name)).collect());
        }
        let found = stream::iter(wanted).map(|name| async move { within(catalogue.asset(&name)).await });
        let found: Vec<_> = found.buffered(SIDE_BY_SIDE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Removes what nobody can ask for any more.
    async fn prune(
        &self,
        held: &mut Option<Last>,
        known: &Known,
        now: u64,
        turned: &mut Turned,
    ) -> Result<()> {
        let Some(last) = held else { return Ok(()) };
        let oldest = self.keep_from(now);
        // A few at a time: what is left is removed next time.
        let page = within(self.stores.records.list(&self.collection, "", 10)).await?;
        let mut first = None;
        for (id, record) in page {
            if document(&self.collection, record)?.block.cursor.at_ms >= oldest {
                break;
            }
            first = id.parse::<u64>().ok();
        }
        let Some(number) = first.filter(|it| *it < last.number && *it >= last.pruned_to) else {
            return Ok(());
        };
        within(self.stores.records.remove_before(&self.collection, &key(number.saturating_add(1)))).await?;
        last.pruned_to = number.saturating_add(1);
        let needed = self.needed(known);
        for named in self.packages.unneeded(|id| needed.contains(id)).await? {
            let forgotten = self.packages.forget(&named).await?;
            // Somebody may have announced it since: that block is there by now, or its maker keeps it once more.
            self.read(held, now, turned).await?;
            if let Some(package) = forgotten
                && self.needed(known).contains(&id(&named.0, &named.1))
            {
                self.packages.keep(&named.0, &package).await?;
            }
        }
        Ok(())
    }

    /// What was announced, and what may be.
    fn needed(&self, known: &Known) -> BTreeSet<String> {
        let timeline = self.timeline();
        let played = timeline.entries().iter().map(|it| id(&it.item.asset, &it.item.generation));
        let playable = known.0.iter().map(|(name, it)| id(name, &it.facts.generation));
        played.chain(playable).collect()
    }
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Ids are ordered by their bytes.
fn key(number: u64) -> String {
    format!("{number:020}")
}

fn document(collection: &str, record: Record) -> Result<Document> {
    serde_json::from_value(record.value).map_err(|error| {
        let text = format!("the catalogue's {collection} has a block of another version");
        Error::permanent("block", text).because(error)
    })
}

fn foreign(collection: &str, id: &str) -> Error {
    Error::permanent("block", format!("the catalogue's {collection} has a document {id:?} that is no block"))
}
