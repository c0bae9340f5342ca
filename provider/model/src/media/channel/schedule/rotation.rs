//! Rounds in which each source comes once, in an order of its own.
//!
//! An even round depends on nothing but the seed. An odd one is laid between its two neighbours, so that a round is known
//! without those before it, and what is asked for across rounds holds too.

use std::collections::BTreeMap;

use super::{Lengths, Scheduled, Slot, counted, slot_ms};
use crate::media::channel::spec::{FastChannelSpec, RotationSchedule};
use crate::platform::SpecError;

/// How often an order is looked for in which no episodes of a series follow each other.
const TRIES: u64 = 16;

#[derive(Clone, Debug)]
pub(super) struct Rotation {
    start_ms: u64,
    items: Vec<(String, u64)>,
    /// What each is an episode of; of something of its own where nothing is said.
    series: Vec<usize>,
    round_ms: u64,
    apart: usize,
    adjacent: bool,
    seed: u64,
}

/// A round: who plays, and when from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Round {
    number: u64,
    order: Vec<usize>,
    begins: Vec<u64>,
}

impl Rotation {
    pub(super) fn new(
        spec: &FastChannelSpec,
        lengths: &Lengths,
        asked: &RotationSchedule,
    ) -> Result<Rotation, SpecError> {
        counted(asked.items.len())?;
        let most = super::MAX_ROTATION;
        if asked.items.len() > most {
            return Err(SpecError::new(format!(
                "a rotation has at most {most} items, not {}",
                asked.items.len()
            )));
        }
        let apart = asked.no_repeat_within as usize;
        if apart > asked.items.len().saturating_sub(1) / 2 {
            return Err(SpecError::new(format!(
                "no_repeat_within is less than half of the {} items, not {apart}: rounds of one order could not follow \
                 rounds of another",
                asked.items.len()
            )));
        }
        let items: Vec<(String, u64)> =
            asked.items.iter().map(|it| (it.clone(), slot_ms(spec, lengths, it))).collect();
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut series = Vec::new();
        for (at, item) in asked.items.iter().enumerate() {
            let group = spec.source(item).and_then(|it| it.series.as_deref());
            series.push(group.map_or(at, |name| *names.entry(name).or_insert(at)));
        }
        let round_ms = items.iter().fold(0_u64, |sum, (_, length)| sum.saturating_add(*length)).max(1);
        if round_ms > super::LAST_INSTANT_MS {
            return Err(SpecError::new(
                "a round of this schedule never ends: give its sources their lengths",
            ));
        }
        Ok(Rotation {
            start_ms: spec.start_ms(),
            items,
            series,
            round_ms,
            apart,
            adjacent: asked.series_adjacent,
            seed: asked.seed,
        })
    }

    pub(super) fn at(&self, ms: u64, memo: &mut Option<Round>) -> Scheduled {
        let Some(since) = ms.checked_sub(self.start_ms) else {
            return Scheduled::Nothing { until_ms: Some(self.start_ms) };
        };
        let number = since / self.round_ms;
        let began = ms - since % self.round_ms;
        if memo.as_ref().is_none_or(|it| it.number != number) {
            *memo = Some(self.round(number));
        }
        let Some(round) = memo else { return Scheduled::Nothing { until_ms: None } };
        let place = round.begins.partition_point(|it| *it <= since % self.round_ms).saturating_sub(1);
        let asset = round.order.get(place).and_then(|at| self.items.get(*at));
        match (asset, round.begins.get(place), round.begins.get(place + 1)) {
            (Some((asset, _)), Some(begin), Some(end)) => Scheduled::Slot(Slot {
                start_ms: began + begin,
                end_ms: began + end,
                limit_ms: began + end,
                asset: asset.clone(),
            }),
            _ => Scheduled::Nothing { until_ms: None },
        }
    }

    fn round(&self, number: u64) -> Round {
        let order = if number.is_multiple_of(2) {
            self.order(number, None, None)
        } else {
            let (before, after) = (self.order(number - 1, None, None), self.order(number + 1, None, None));
            self.order(number, Some(&before), Some(&after))
        };
        let mut begins = vec![0];
        let mut sum = 0_u64;
        for at in &order {
            sum = sum.saturating_add(self.items.get(*at).map_or(0, |it| it.1));
            begins.push(sum);
        }
        Round { number, order, begins }
    }

    /// The best of some orders, by how many episodes of a series follow each other.
    fn order(&self, number: u64, before: Option<&[usize]>, after: Option<&[usize]>) -> Vec<usize> {
        let series = |at: Option<&usize>| at.and_then(|at| self.series.get(*at)).copied();
        let (first, last) =
            (series(before.and_then(<[usize]>::last)), series(after.and_then(<[usize]>::first)));
        let faults = |order: &[usize]| {
            let ends = first.is_some_and(|it| series(order.first()) == Some(it)) as usize
                + last.is_some_and(|it| series(order.last()) == Some(it)) as usize;
            ends + order.windows(2).filter(|pair| series(pair.first()) == series(pair.last())).count()
        };
        let tries = if self.adjacent || self.crowded() { 1 } else { TRIES };
        let mut best: Option<(usize, Vec<usize>)> = None;
        for attempt in 0..tries {
            let order = self.attempt(number, attempt, before, after);
            let found = if self.adjacent { 0 } else { faults(&order) };
            if best.as_ref().is_none_or(|(least, _)| found < *least) {
                best = Some((found, order));
            }
            if found == 0 {
                break;
            }
        }
        best.map(|it| it.1).unwrap_or_default()
    }

    /// Whether a series has more episodes than any order could keep apart.
    pub(crate) fn crowded(&self) -> bool {
        let mut counts = vec![0_usize; self.series.len()];
        for it in &self.series {
            if let Some(count) = counts.get_mut(*it) {
                *count += 1;
            }
        }
        counts.into_iter().max().unwrap_or(0) > self.series.len().div_ceil(2)
    }

    /// Place by place, one of those that may come there and leave the rest a place that they may have.
    fn attempt(
        &self,
        number: u64,
        attempt: u64,
        before: Option<&[usize]>,
        after: Option<&[usize]>,
    ) -> Vec<usize> {
        let count = self.items.len();
        let mut dice = Dice::new(&[self.seed, number, attempt]);
        // From which place on each may come, and to which.
        let (mut from, mut to) = (vec![0_usize; count], vec![count.saturating_sub(1); count]);
        for (place, at) in before.into_iter().flatten().enumerate() {
            if let Some(it) = from.get_mut(*at) {
                *it = (self.apart + place + 1).saturating_sub(count);
            }
        }
        for (place, at) in after.into_iter().flatten().enumerate() {
            if let Some(it) = to.get_mut(*at) {
                *it = (count - 1).min((count - 1 + place).saturating_sub(self.apart));
            }
        }
        let mut left: Vec<usize> = (0..count).collect();
        let mut episodes = vec![0_usize; count];
        for it in &self.series {
            if let Some(count) = episodes.get_mut(*it) {
                *count += 1;
            }
        }
        let mut last = before.and_then(<[usize]>::last).map(|at| self.series_of(*at));
        let mut order = Vec::with_capacity(count);
        for place in 0..count {
            let get = |all: &[usize], at: usize| all.get(at).copied().unwrap_or(0);
            // Those whose last place comes may leave no room for others.
            let mut due = vec![0_usize; count];
            for at in &left {
                if let Some(it) = due.get_mut(get(&to, *at)) {
                    *it += 1;
                }
            }
            let mut sum = 0;
            let tight = (place..count).find(|end| {
                sum += get(&due, *end);
                sum > end - place
            });
            let may = |at: usize| get(&from, at) <= place && tight.is_none_or(|end| get(&to, at) <= end);
            let rest = (count - place - 1).div_ceil(2);
            let urgent = |at: usize| get(&episodes, self.series_of(at)) > rest;
            let apart = |at: usize| self.adjacent || last != Some(self.series_of(at));
            let sieves: [&dyn Fn(usize) -> bool; 4] = [
                &|at| may(at) && apart(at) && !self.adjacent && urgent(at),
                &|at| may(at) && apart(at),
                &|at| may(at),
                &|_| true,
            ];
            let fits = sieves.iter().find_map(|sieve| {
                let fits: Vec<usize> =
                    (0..left.len()).filter(|it| left.get(*it).is_some_and(|at| sieve(*at))).collect();
                (!fits.is_empty()).then_some(fits)
            });
            let Some(chosen) = fits.and_then(|fits| fits.get(dice.below(fits.len())).copied()) else { break };
            let at = left.swap_remove(chosen);
            if let Some(it) = episodes.get_mut(self.series_of(at)) {
                *it = it.saturating_sub(1);
            }
            last = Some(self.series_of(at));
            order.push(at);
        }
        order
    }

    fn series_of(&self, at: usize) -> usize {
        self.series.get(at).copied().unwrap_or(at)
    }
}

/// Numbers that follow from a seed alone: SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn new(seeds: &[u64]) -> Dice {
        let mut dice = Dice(0);
        for seed in seeds {
            dice.0 = dice.next() ^ *seed;
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % (count.max(1) as u64)).unwrap_or(0)
    }
}
