//! What plays, as replicas agree on it: items, and the cursor after them.

use serde::{Deserialize, Serialize};

use crate::media::{PackageIndex, TrackKind};

/// A stretch of an asset that plays. A discontinuity precedes each; each of its segments adds 1 to the media sequence of
/// every rendition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// When it begins, in milliseconds since the epoch.
    pub start_ms: u64,
    /// How long it is: the milliseconds of its segments, rounded up.
    pub duration_ms: u64,
    /// What it is.
    pub kind: ItemKind,
    /// The asset.
    pub asset: String,
    /// The asset's generation.
    pub generation: String,
    /// The part of the package.
    pub part: u32,
    /// Its first segment, counted from 0 in the part.
    pub first: u64,
    /// How many segments.
    pub count: u64,
    /// Media sequence number of its first segment.
    pub msn: u64,
    /// Discontinuity sequence number of its first segment.
    pub dsn: u64,
    /// Counts programmes: what plays between two has the number of the first.
    pub programme: u64,
    /// A splice point where it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splice: Option<Splice>,
}

impl Item {
    /// When it ends, in milliseconds since the epoch.
    pub fn end_ms(&self) -> u64 {
        self.start_ms.saturating_add(self.duration_ms)
    }
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// What the schedule has.
    Programme,
    /// A spot in a break.
    Ad,
    /// Between programmes.
    Filler,
    /// Where nothing else can play.
    Slate,
}

/// A splice point (ANSI/SCTE 35 section 9.7.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splice {
    /// The same out and in.
    pub event_id: u32,
    /// Which way.
    pub cue: Cue,
}

/// Which way a splice goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cue {
    /// Out of the programme, on the first item of a break.
    Out {
        /// How long the break is planned to be.
        duration_ms: u64,
    },
    /// Back, on the first item after a break.
    In,
}

/// Where the next item begins, and all that it depends on besides spec and facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// When the next item begins, in milliseconds since the epoch.
    pub at_ms: u64,
    /// Media sequence number of the next segment.
    pub msn: u64,
    /// Discontinuity sequence number of the next item.
    pub dsn: u64,
    /// The number of the programme that began last.
    pub programme: u64,
    /// The number of the next break.
    pub event_id: u32,
    /// Whose turn it is among the spots.
    pub spot: u64,
    /// Whose turn it is among the filler.
    pub filler: u64,
    /// The local hour in which spots were counted last, in hours since the epoch.
    pub ads_hour: i64,
    /// Milliseconds of spots in that hour.
    pub ads_ms: u64,
    /// The programme that plays.
    #[serde(default)]
    pub on: Option<OnAir>,
    /// The break that runs.
    #[serde(default)]
    pub in_break: Option<InBreak>,
    /// The break that ended: the next item says so.
    #[serde(default)]
    pub back_from: Option<u32>,
}

/// A programme that began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnAir {
    /// When it should have begun.
    pub start_ms: u64,
    /// The asset.
    pub asset: String,
    /// The generation that plays; empty while it is not there.
    pub generation: String,
    /// The part that comes next.
    pub part: u32,
    /// The segment of it that comes next.
    pub segment: u64,
    /// How much of the asset was played or passed, in milliseconds.
    pub played_ms: u64,
    /// How many of its breaks were played or passed.
    pub breaks: u32,
}

/// A break that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InBreak {
    /// Its number.
    pub event_id: u32,
    /// When it should end, in milliseconds since the epoch.
    pub until_ms: u64,
    /// Whether an item of it was played.
    pub begun: bool,
}

/// What was announced at once: a document that never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What plays, without gaps.
    pub items: Vec<Item>,
    /// Where the next block goes on.
    pub cursor: Cursor,
    /// The revision of the spec that it was made with.
    #[serde(default)]
    pub revision: String,
}

/// What is known of an asset that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetFacts {
    /// What is shown of it.
    pub generation: String,
    /// What its package holds.
    pub index: PackageIndex,
}

/// What is known of assets.
pub trait Facts {
    /// An asset that is there.
    fn asset(&self, name: &str) -> Option<&AssetFacts>;
}

impl Facts for std::collections::BTreeMap<String, AssetFacts> {
    fn asset(&self, name: &str) -> Option<&AssetFacts> {
        self.get(name)
    }
}

impl Facts for std::collections::HashMap<String, AssetFacts> {
    fn asset(&self, name: &str) -> Option<&AssetFacts> {
        self.get(name)
    }
}

/// No asset is there.
impl Facts for () {
    fn asset(&self, _: &str) -> Option<&AssetFacts> {
        None
    }
}

/// The segments of a part that every rendition has, and how long they are. Its first picture track keeps time; its first
/// sound where there are no pictures.
pub(super) struct Clock<'a> {
    timescale: u64,
    segments: &'a [u64],
}

impl<'a> Clock<'a> {
    pub(super) fn of(index: &'a PackageIndex, part: usize) -> Option<Clock<'a>> {
        let tracks = &index.parts.get(part)?.tracks;
        let leads = tracks.iter().find(|it| it.kind == TrackKind::Video).or_else(|| tracks.first())?;
        let count = tracks.iter().map(|it| it.segments.len()).min()?;
        Some(Clock { timescale: u64::from(leads.timescale.max(1)), segments: leads.segments.get(..count)? })
    }

    pub(super) fn count(&self) -> u64 {
        self.segments.len() as u64
    }

    /// Milliseconds of some segments, rounded up.
    pub(super) fn ms(&self, first: u64, count: u64) -> u64 {
        let (first, count) =
            (usize::try_from(first).unwrap_or(usize::MAX), usize::try_from(count).unwrap_or(0));
        let end = first.saturating_add(count).min(self.segments.len());
        let units: u128 =
            self.segments.get(first.min(end)..end).into_iter().flatten().map(|it| u128::from(*it)).sum();
        u64::try_from(units.saturating_mul(1000).div_ceil(u128::from(self.timescale))).unwrap_or(u64::MAX)
    }

    /// How many segments from `first` on are played before `limit_ms` is reached or passed: the boundary at or after it, or
    /// the end.
    pub(super) fn until(&self, first: u64, limit_ms: u64) -> u64 {
        self.boundary(first, |ms| ms >= limit_ms)
            .map_or(self.count().saturating_sub(first), |(count, _)| count)
    }

    /// How many segments from `first` on end before `limit_ms` or at it.
    pub(super) fn within(&self, first: u64, limit_ms: u64) -> u64 {
        self.boundary(first, |ms| ms > limit_ms)
            .map_or(self.count().saturating_sub(first), |(count, _)| count.saturating_sub(1))
    }

    /// The first boundary after `first` that satisfies a test: how many segments, how many milliseconds.
    fn boundary(&self, first: u64, test: impl Fn(u64) -> bool) -> Option<(u64, u64)> {
        let mut units = 0_u128;
        let rest = self.segments.get(usize::try_from(first).ok()?..)?;
        for (at, length) in rest.iter().enumerate() {
            units = units.saturating_add(u128::from(*length));
            let ms = units.saturating_mul(1000).div_ceil(u128::from(self.timescale));
            let ms = u64::try_from(ms).unwrap_or(u64::MAX);
            if test(ms) {
                return Some((at as u64 + 1, ms));
            }
        }
        None
    }

    /// The longest segment, in milliseconds.
    pub(super) fn longest(&self) -> u64 {
        let units = self.segments.iter().copied().max().unwrap_or(0);
        u64::try_from((u128::from(units) * 1000).div_ceil(u128::from(self.timescale))).unwrap_or(u64::MAX)
    }
}

/// How long a package plays: of each part the segments that every rendition has. 0 where nothing of it can be played.
pub fn played_ms(index: &PackageIndex) -> u64 {
    (0..index.parts.len())
        .filter_map(|part| Clock::of(index, part))
        .fold(0_u64, |sum, clock| sum.saturating_add(clock.ms(0, clock.count())))
}
