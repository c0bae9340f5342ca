//! A package as a channel plays it: its index, and when its segments begin.

use streamverse_model::media::channel::{AssetFacts, Item};
use streamverse_model::media::{IndexTrack, PackageIndex, Part, TrackKind};

/// A package. It never changes.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) facts: AssetFacts,
    leads: Vec<Lead>,
}

/// The track of a part that keeps time, as the playout has it: its first picture track, or its first.
#[derive(Debug)]
struct Lead {
    timescale: u128,
    /// Units before each of the segments that every track has, and of all of them.
    sums: Vec<u128>,
}

impl Package {
    pub(super) fn new(generation: String, index: PackageIndex) -> Package {
        let leads = index.parts.iter().map(lead).collect();
        Package { facts: AssetFacts { generation, index }, leads }
    }

    pub(super) fn index(&self) -> &PackageIndex {
        &self.facts.index
    }

    pub(super) fn part(&self, item: &Item) -> Option<&Part> {
        self.index().parts.get(usize::try_from(item.part).ok()?)
    }

    /// Milliseconds of `count` segments from `first` on, rounded up.
    pub(super) fn ms(&self, part: u32, first: u64, count: u64) -> u64 {
        let Some(lead) = usize::try_from(part).ok().and_then(|part| self.leads.get(part)) else { return 0 };
        let at = |number: u64| {
            let last = lead.sums.len().saturating_sub(1);
            let number = usize::try_from(number).unwrap_or(usize::MAX).min(last);
            lead.sums.get(number).copied().unwrap_or(0)
        };
        let units = at(first.saturating_add(count)).saturating_sub(at(first));
        u64::try_from(units.saturating_mul(1000).div_ceil(lead.timescale)).unwrap_or(u64::MAX)
    }

    /// Milliseconds of all parts before one.
    pub(super) fn before(&self, part: u32) -> u64 {
        (0..part).fold(0_u64, |sum, part| sum.saturating_add(self.ms(part, 0, u64::MAX)))
    }

    /// When segment `k` of an item begins, counted from 0 in the item; of `count` when the item ends.
    pub(super) fn starts(&self, item: &Item, k: u64) -> u64 {
        item.start_ms.saturating_add(self.ms(item.part, item.first, k))
    }

    /// The least `k` for which a test of when segment `k` ends is true; `count` where there is none.
    pub(super) fn first_ending(&self, item: &Item, test: impl Fn(u64) -> bool) -> u64 {
        let (mut low, mut high) = (0, item.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if test(self.starts(item, middle + 1)) { high = middle } else { low = middle + 1 }
        }
        low
    }

    /// The keys of a part, each once.
    pub(super) fn kids(&self, item: &Item) -> Vec<streamverse_model::drm::KeyId> {
        let tracks = self.part(item).map(|part| part.tracks.as_slice()).unwrap_or_default();
        let mut all: Vec<_> = tracks.iter().filter_map(|track| track.kid).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn lead(part: &Part) -> Lead {
    let tracks = &part.tracks;
    let leads = tracks.iter().find(|it| it.kind == TrackKind::Video).or_else(|| tracks.first());
    let count = tracks.iter().map(|it| it.segments.len()).min().unwrap_or(0);
    let mut sums = vec![0_u128];
    let mut sum = 0_u128;
    for units in leads.iter().flat_map(|it| it.segments.iter().take(count)) {
        sum += u128::from(*units);
        sums.push(sum);
    }
    Lead { timescale: u128::from(leads.map_or(1, |it| it.timescale.max(1))), sums }
}

/// Units of a track before its segment `number`, from zero of its media time.
pub(super) fn media_time(track: &IndexTrack, number: u64) -> u64 {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    track.segments.iter().take(number).fold(track.begins, |sum, it| sum.saturating_add(*it))
}

/// Names that may stand in addresses without escapes.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && !text.split('/').any(|it| it.is_empty() || it == "." || it == "..")
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-$%/".contains(&it))
}
