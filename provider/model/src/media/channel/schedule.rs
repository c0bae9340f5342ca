//! Which programme is to be on at an instant: pure in the spec, the lengths of assets and the instant, and never counted
//! from the start on.

mod grid;
mod order;
mod rotation;

use std::collections::BTreeMap;

pub(super) use grid::{Begins, time_of_day};

use super::spec::{ChannelSchedule, FastChannelSpec, millis};
use crate::platform::SpecError;

/// The last instant that is planned for: the end of the year 9998, in milliseconds since the epoch. Times that need a fifth
/// digit for their year are no RFC 3339.
pub const LAST_INSTANT_MS: u64 = 253_370_764_799_999;
/// No asset is longer: the most that `duration_ms` may be.
const LONGEST_MS: u64 = 604_800_000;
/// The most entries of a schedule.
pub const MAX_ENTRIES: usize = 10_000;
/// The most items of a rotation.
pub const MAX_ROTATION: usize = 1_000;

/// A programme's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// When it begins, in milliseconds since the epoch.
    pub start_ms: u64,
    /// When it ends by itself, or because the next one begins.
    pub end_ms: u64,
    /// When the next one begins.
    pub limit_ms: u64,
    /// The asset.
    pub asset: String,
}

/// What a schedule has at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheduled {
    /// A programme, until its limit.
    Slot(Slot),
    /// Nothing.
    Nothing {
        /// When something begins; nothing ever does where it is `None`.
        until_ms: Option<u64>,
    },
}

/// A schedule, ready to be asked.
#[derive(Clone, Debug)]
pub struct Schedule {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Order(order::Order),
    Grid(grid::Grid),
    Rotation(rotation::Rotation),
}

/// What was looked at last: those who ask on and on need not have it worked out again.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    asked: Option<(u64, Scheduled)>,
    round: Option<rotation::Round>,
}

/// How long the assets of a channel are, by name: what they say, else what their packages say, else what is assumed.
#[derive(Clone, Debug, Default)]
pub struct Lengths {
    known: BTreeMap<String, u64>,
    assumed_ms: u64,
}

impl Lengths {
    /// Of a channel's assets; `package_ms` says how long a package plays that is there.
    pub fn of(spec: &FastChannelSpec, package_ms: &dyn Fn(&str) -> Option<u64>) -> Lengths {
        let length = |name: &String| {
            let said = spec.source(name).and_then(|it| it.duration_ms).filter(|it| *it > 0);
            // A package that is broken must not make the whole schedule one that never comes round.
            let length = said.or_else(|| package_ms(name).filter(|it| *it > 0))?;
            Some((name.clone(), length.min(LONGEST_MS)))
        };
        Lengths {
            known: spec.assets().iter().filter_map(length).collect(),
            assumed_ms: millis(spec.assumed_duration).max(1000),
        }
    }

    /// The length of an asset, in milliseconds.
    pub fn get(&self, asset: &str) -> u64 {
        self.known.get(asset).copied().unwrap_or(self.assumed_ms)
    }

    /// Whether anybody says how long it is.
    pub fn is_known(&self, asset: &str) -> bool {
        self.known.contains_key(asset)
    }
}

/// How long an asset is with its breaks. Each break may cost a millisecond of rounding.
pub fn slot_ms(spec: &FastChannelSpec, lengths: &Lengths, asset: &str) -> u64 {
    let length = lengths.get(asset);
    let breaks = spec.ad_positions(asset, length).len() as u64;
    length.saturating_add(breaks.saturating_mul(spec.break_ms().saturating_add(1))).max(1)
}

impl Schedule {
    /// Prepares a schedule.
    ///
    /// # Errors
    /// What cannot be planned with: no entries or too many.
    pub fn new(spec: &FastChannelSpec, lengths: &Lengths) -> Result<Schedule, SpecError> {
        let kind = match &spec.schedule {
            ChannelSchedule::Order(it) => Kind::Order(order::Order::new(spec, lengths, &it.items)?),
            ChannelSchedule::Grid(it) => Kind::Grid(grid::Grid::new(spec, lengths, &it.programmes)?),
            ChannelSchedule::Rotation(it) => Kind::Rotation(rotation::Rotation::new(spec, lengths, it)?),
        };
        Ok(Schedule { kind })
    }

    /// What is to be on at an instant.
    pub fn at(&self, ms: u64) -> Scheduled {
        self.at_next(ms, &mut Memo::default())
    }

    /// The same, for one schedule asked over and over.
    pub fn at_next(&self, ms: u64, memo: &mut Memo) -> Scheduled {
        if ms > LAST_INSTANT_MS {
            return Scheduled::Nothing { until_ms: None };
        }
        if let Some((asked, found)) = &memo.asked
            && found.holds(*asked, ms)
        {
            return found.clone();
        }
        let found = match &self.kind {
            Kind::Order(order) => order.at(ms),
            Kind::Grid(grid) => grid.at(ms),
            Kind::Rotation(rotation) => rotation.at(ms, &mut memo.round),
        };
        memo.asked = Some((ms, found.clone()));
        found
    }

    /// The programmes that are on from one instant to before another, at most so many.
    pub fn slots(&self, from_ms: u64, to_ms: u64, most: usize) -> Vec<Slot> {
        let (mut at, mut memo, mut slots) = (from_ms, Memo::default(), Vec::new());
        while at < to_ms && slots.len() < most {
            match self.at_next(at, &mut memo) {
                Scheduled::Slot(slot) => {
                    at = slot.limit_ms.max(at + 1);
                    slots.push(slot);
                }
                Scheduled::Nothing { until_ms: Some(until) } => at = until.max(at + 1),
                Scheduled::Nothing { until_ms: None } => break,
            }
        }
        slots
    }

    /// What begins on a local day of a grid, in the order of local time.
    pub(super) fn day(&self, date: jiff::civil::Date) -> Vec<Begins> {
        match &self.kind {
            Kind::Grid(grid) => grid.day(date),
            _ => Vec::new(),
        }
    }

    /// Whether a rotation has more episodes of a series than it could keep apart.
    pub(super) fn crowded(&self) -> bool {
        matches!(&self.kind, Kind::Rotation(rotation) if rotation.crowded())
    }
}

impl Scheduled {
    /// Whether what was found for one instant holds for another.
    fn holds(&self, asked: u64, ms: u64) -> bool {
        match self {
            Scheduled::Slot(slot) => (slot.start_ms..slot.limit_ms).contains(&ms),
            Scheduled::Nothing { until_ms } => ms >= asked && until_ms.is_none_or(|until| ms < until),
        }
    }
}

impl FastChannelSpec {
    /// Refuses what nobody could have written by hand.
    pub(super) fn counted(&self) -> Result<(), SpecError> {
        counted(match &self.schedule {
            ChannelSchedule::Order(it) => it.items.len(),
            ChannelSchedule::Grid(it) => it.programmes.len(),
            ChannelSchedule::Rotation(it) => it.items.len(),
        })
    }
}

/// Refuses a schedule of too few or too many entries.
fn counted(entries: usize) -> Result<(), SpecError> {
    match entries {
        0 => Err(SpecError::new("a schedule has at least one entry: give it one")),
        1..=MAX_ENTRIES => Ok(()),
        _ => Err(SpecError::new(format!(
            "a schedule has at most {MAX_ENTRIES} entries, this one has {entries}: use a rotation, or several channels"
        ))),
    }
}
