//! What was announced, in order, and what of it may be seen at an instant.

use std::sync::Arc;

use streamverse_model::media::channel::{Cue, Item};

use super::lineup::Lineup;
use super::package::Package;

/// How far back a break may have begun that still runs.
pub(super) const LOOKBACK_MS: u64 = 3_600_000;

/// An item with its package.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) item: Item,
    pub(super) package: Arc<Package>,
    /// What the channel offers while it plays.
    pub(super) lineup: Arc<Lineup>,
}

/// What was announced. What it says of an instant never changes, however much is added behind or dropped before.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    entries: Vec<Arc<Entry>>,
}

/// Segments `from..to` of an entry, counted from 0 in its item.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) entry: Arc<Entry>,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Piece {
    pub(super) fn item(&self) -> &Item {
        &self.entry.item
    }

    /// When it begins and ends.
    pub(super) fn times(&self) -> (u64, u64) {
        let starts = |k| self.entry.package.starts(self.item(), k);
        (starts(self.from), starts(self.to))
    }

    pub(super) fn msn(&self) -> u64 {
        self.item().msn.saturating_add(self.from)
    }
}

/// A break as it is known at the end of what is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Break {
    pub(super) event_id: u32,
    pub(super) start_ms: u64,
    /// How long it was planned to be.
    pub(super) planned_ms: u64,
    /// When it ended, if it did.
    pub(super) ended_ms: Option<u64>,
    /// The sequence numbers of the segments at which it begins and at which it ended.
    pub(super) out_msn: u64,
    pub(super) in_msn: Option<u64>,
}

impl Timeline {
    /// Adds what follows.
    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(Arc::new(entry));
    }

    /// Drops what ended before an instant.
    pub(super) fn drop_before(&mut self, ms: u64) {
        let old = self.entries.partition_point(|it| it.item.end_ms() <= ms);
        self.entries.drain(..old);
    }

    pub(super) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// Until when it is known what plays.
    pub(super) fn known_until(&self) -> Option<u64> {
        self.entries.last().map(|it| it.item.end_ms())
    }

    /// The place of the entry that is on at an instant.
    pub(super) fn on(&self, now: u64) -> Option<usize> {
        let after = self.entries.partition_point(|it| it.item.start_ms <= now);
        after.checked_sub(1).filter(|at| self.entries.get(*at).is_some_and(|it| now < it.item.end_ms()))
    }

    /// All whose time is over at `now`, from the one on that `from` falls into, or that begins next: at most `limit`
    /// segments; `None` where there are more.
    fn between(&self, from: u64, limit: u64, over: impl Fn(u64) -> bool) -> Option<Vec<Piece>> {
        let mut all = Vec::new();
        let mut room = limit;
        let begin = self.entries.partition_point(|it| it.item.end_ms() <= from);
        for entry in self.entries.get(begin..).unwrap_or_default() {
            let (item, package) = (&entry.item, &entry.package);
            let first = package.first_ending(item, |end| end > from);
            let to = package.first_ending(item, |end| !over(end));
            if first < to {
                room = room.checked_sub(to - first)?;
                all.push(Piece { entry: Arc::clone(entry), from: first, to });
            }
            if to < item.count {
                break;
            }
        }
        Some(all)
    }

    /// When the last segment ended that is over at `now`: live playlists change when this does, and then only.
    pub(super) fn edge(&self, now: u64) -> Option<u64> {
        let mut at = self.entries.partition_point(|it| it.item.start_ms <= now).checked_sub(1)?;
        loop {
            let entry = self.entries.get(at)?;
            let k = entry.package.first_ending(&entry.item, |end| end > now);
            if k > 0 {
                return Some(entry.package.starts(&entry.item, k));
            }
            at = at.checked_sub(1)?;
        }
    }

    /// The last `window_ms` of what is over at `now`, by whole segments.
    pub(super) fn live(&self, edge: u64, window_ms: u64) -> Vec<Piece> {
        self.between(edge.saturating_sub(window_ms), 100_000, |end| end <= edge).unwrap_or_default()
    }

    /// What is between two instants, and over: from the segment that `from` falls into to the one that `to` does. `None` where
    /// it is more than `limit` segments.
    pub(super) fn cut(&self, from: u64, to: Option<u64>, edge: u64, limit: u64) -> Option<Vec<Piece>> {
        let all = self.between(from, limit, |end| end <= edge)?;
        let Some(to) = to else { return Some(all) };
        let shown = all.into_iter().filter_map(|mut piece| {
            let (item, package) = (&piece.entry.item, &piece.entry.package);
            let end = package.first_ending(item, |end| end >= to).saturating_add(1);
            let begins = item.start_ms < to;
            piece.to = piece.to.min(end);
            (begins && piece.from < piece.to).then_some(piece)
        });
        Some(shown.collect())
    }

    /// Breaks that run, or end after `from`, within what was shown until `edge`; in order. Those that ended within `removed_ms`
    /// before `from` come second.
    pub(super) fn breaks(&self, from: u64, edge: u64, removed_ms: u64) -> (Vec<Break>, Vec<u32>) {
        let (mut all, mut gone): (Vec<Break>, Vec<u32>) = (Vec::new(), Vec::new());
        let begin = self.entries.partition_point(|it| {
            it.item.end_ms() <= from.saturating_sub(LOOKBACK_MS.saturating_add(removed_ms))
        });
        for entry in self.entries.get(begin..).unwrap_or_default() {
            let item = &entry.item;
            if item.start_ms >= edge {
                break;
            }
            let Some(splice) = &item.splice else { continue };
            match splice.cue {
                Cue::Out { duration_ms } => all.push(Break {
                    event_id: splice.event_id,
                    start_ms: item.start_ms,
                    planned_ms: duration_ms,
                    ended_ms: None,
                    out_msn: item.msn,
                    in_msn: None,
                }),
                Cue::In => {
                    if let Some(it) = all.iter_mut().rev().find(|it| it.event_id == splice.event_id) {
                        (it.ended_ms, it.in_msn) = (Some(item.start_ms), Some(item.msn));
                    }
                }
            }
        }
        all.retain(|it| {
            // One whose end was never announced is over when it was to be.
            let end = it.ended_ms.unwrap_or_else(|| it.start_ms.saturating_add(it.planned_ms.max(1)));
            if end > from {
                return true;
            }
            if end > from.saturating_sub(removed_ms) {
                gone.push(it.event_id);
            }
            false
        });
        (all, gone)
    }

    /// The item of the same package that ends where another begins within it: what that one goes on with.
    pub(super) fn continued(&self, piece: &Piece) -> Option<&Arc<Entry>> {
        let item = piece.item();
        if item.first == 0 {
            return None;
        }
        let here = self.entries.partition_point(|it| it.item.start_ms < item.start_ms);
        let oldest = item.start_ms.saturating_sub(LOOKBACK_MS);
        let before = self.entries.get(..here)?.iter().rev().take_while(|it| it.item.start_ms >= oldest);
        before.take(1000).find(|it| {
            let other = &it.item;
            other.asset == item.asset
                && other.generation == item.generation
                && other.part == item.part
                && other.first.saturating_add(other.count) == item.first
        })
    }
}
