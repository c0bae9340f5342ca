//! From a cursor to what plays next: pure in the spec, what is known of assets, and the cursor.
//!
//! Nothing is added up over a programme: every break and every programme aims at the time that the schedule has for it, and
//! slate or filler of whole segments stands in until then. So what runs over, runs over by less than one such segment, and
//! never more as time goes on.

use std::borrow::Cow;

use super::item::{AssetFacts, Clock, Cue, Cursor, Facts, InBreak, Item, ItemKind, OnAir, Splice, played_ms};
use super::schedule::{Lengths, Memo, Schedule, Scheduled, Slot};
use super::spec::{FastChannelSpec, millis};
use super::zone::Zone;
use crate::platform::SpecError;

/// A programme may begin this much early: less than a segment is not worth a filler.
pub const EARLY_MS: u64 = 500;
/// The most items of one call; the next one goes on from the cursor.
const MAX_ITEMS: usize = 20_000;
/// The most that is done without an item.
const MAX_TURNS: usize = 64;
/// A filler's segment, where none is there to say how long it is.
const USUAL_SEGMENT_MS: u64 = 4_000;

/// What plays on a channel.
#[derive(Clone, Debug)]
pub struct Playout<'a> {
    spec: Cow<'a, FastChannelSpec>,
    zone: Zone,
}

impl<'a> Playout<'a> {
    /// Of a channel.
    ///
    /// # Errors
    /// A schedule that cannot be played, or an unknown time zone.
    pub fn new(spec: &'a FastChannelSpec) -> Result<Playout<'a>, SpecError> {
        Playout::checked(Cow::Borrowed(spec))
    }

    /// Of a channel, which it keeps.
    ///
    /// # Errors
    /// A schedule that cannot be played, or an unknown time zone.
    pub fn owned(spec: FastChannelSpec) -> Result<Playout<'static>, SpecError> {
        Playout::checked(Cow::Owned(spec))
    }

    fn checked(spec: Cow<'a, FastChannelSpec>) -> Result<Playout<'a>, SpecError> {
        let zone = Zone::named(&spec.time_zone)?;
        Schedule::new(&spec, &Lengths::of(&spec, &|_| None))?;
        Ok(Playout { spec, zone })
    }

    /// Where a channel begins that never announced anything.
    pub fn begin(&self, at_ms: u64) -> Cursor {
        Cursor {
            at_ms,
            msn: 0,
            dsn: 0,
            programme: 0,
            event_id: 1,
            spot: 0,
            filler: 0,
            ads_hour: 0,
            ads_ms: 0,
            on: None,
            in_break: None,
            back_from: None,
        }
    }

    /// Where a channel goes on that was silent until now: its sequences go on, its programme is the one of the schedule.
    pub fn resume(&self, cursor: &Cursor, now_ms: u64) -> Cursor {
        let mut cursor = cursor.clone();
        if cursor.at_ms < now_ms {
            cursor.at_ms = now_ms;
            cursor.on = None;
            let begun = cursor.in_break.take().filter(|it| it.begun);
            cursor.back_from = cursor.back_from.or(begun.map(|it| it.event_id));
        }
        cursor
    }

    /// What plays from the cursor on, whole items until `until_ms` is reached, and the cursor after them. However far each
    /// call goes, the items are the same. Where it ends before, nothing can play: not even the slate is there.
    pub fn extend(&self, cursor: &Cursor, facts: &dyn Facts, until_ms: u64) -> (Vec<Item>, Cursor) {
        let lengths = Lengths::of(&self.spec, &|name| facts.asset(name).map(|it| played_ms(&it.index)));
        let Ok(schedule) = Schedule::new(&self.spec, &lengths) else {
            return (Vec::new(), cursor.clone());
        };
        let mut run = Run {
            spec: &self.spec,
            zone: &self.zone,
            schedule: &schedule,
            memo: Memo::default(),
            lengths: &lengths,
            facts,
            grace: grace_ms(&self.spec, facts),
            cursor: cursor.clone(),
            items: Vec::new(),
        };
        while run.cursor.at_ms < until_ms && run.items.len() < MAX_ITEMS {
            let (before, items) = (run.cursor.clone(), run.items.len());
            run.step();
            if run.items.len() == items {
                run.cursor = before;
                break;
            }
        }
        (run.items, run.cursor)
    }
}

/// By how much a programme may run over: a segment of what would be cut for it.
fn grace_ms(spec: &FastChannelSpec, facts: &dyn Facts) -> u64 {
    let fillers = spec.filler.iter().flatten().chain([&spec.slate]);
    let longest = fillers.filter_map(|name| facts.asset(name)).filter_map(|it| {
        (0..it.index.parts.len()).filter_map(|part| Clock::of(&it.index, part)).map(|it| it.longest()).max()
    });
    longest.max().unwrap_or(USUAL_SEGMENT_MS).clamp(1_000, 30_000)
}

/// A stretch of an asset.
struct Stretch {
    part: u32,
    first: u64,
    count: u64,
    ms: u64,
}

/// One step: from a cursor to the next.
struct Run<'a> {
    spec: &'a FastChannelSpec,
    zone: &'a Zone,
    schedule: &'a Schedule,
    memo: Memo,
    lengths: &'a Lengths,
    facts: &'a dyn Facts,
    grace: u64,
    cursor: Cursor,
    items: Vec<Item>,
}

impl<'a> Run<'a> {
    /// An asset of which something can be played.
    fn there(&self, name: &str) -> Option<&'a AssetFacts> {
        self.facts.asset(name).filter(|it| played_ms(&it.index) > 0)
    }

    /// Adds what plays next, if anything can.
    fn step(&mut self) {
        let items = self.items.len();
        for _ in 0..MAX_TURNS {
            if let Some(running) = self.cursor.in_break {
                self.turn_in_break(running);
            } else {
                let at = self.cursor.at_ms.saturating_add(EARLY_MS);
                let more = match self.schedule.at_next(at, &mut self.memo) {
                    Scheduled::Slot(slot) => self.turn_in_slot(&slot),
                    Scheduled::Nothing { until_ms } => {
                        self.cursor.on = None;
                        let hour = self.cursor.at_ms.saturating_add(3_600_000);
                        self.fill(until_ms.unwrap_or(hour).min(hour), ItemKind::Filler)
                    }
                };
                if !more {
                    return;
                }
            }
            if self.items.len() > items {
                return;
            }
        }
    }

    fn turn_in_break(&mut self, running: InBreak) {
        let left = running.until_ms.saturating_sub(self.cursor.at_ms);
        if left > EARLY_MS && (self.spot(left) || self.fill(running.until_ms, ItemKind::Slate)) {
            return;
        }
        self.cursor.in_break = None;
        if running.begun {
            self.cursor.back_from = Some(running.event_id);
        }
    }

    /// Plays the spot whose turn it is among those that are there, fit, and are allowed in this hour.
    fn spot(&mut self, left: u64) -> bool {
        let Some(breaks) = &self.spec.ad_breaks else { return false };
        let spots = breaks.spots.as_deref().unwrap_or_default();
        let most = millis(breaks.max_per_hour);
        for turn in 0..spots.len() as u64 {
            let turn = self.cursor.spot.wrapping_add(turn);
            let Some(name) = usize::try_from(turn % spots.len() as u64).ok().and_then(|at| spots.get(at))
            else {
                return false;
            };
            let Some(asset) = self.there(name) else { continue };
            let stretches = stretches(asset, u64::MAX);
            let ms = stretches.iter().fold(0_u64, |sum, it| sum.saturating_add(it.ms));
            if ms > left.saturating_add(EARLY_MS) {
                continue;
            }
            let Some((hour, in_hour)) = self.ad_load(ms, most) else { continue };
            self.cursor.spot = turn.wrapping_add(1);
            self.cursor.ads_hour = hour;
            self.cursor.ads_ms = in_hour;
            self.push_all(name, asset, stretches, ItemKind::Ad);
            return true;
        }
        false
    }

    /// The local hour and its load after a spot of this length; `None` where that is more than an hour may have.
    fn ad_load(&self, ms: u64, most: u64) -> Option<(i64, u64)> {
        let before = |hour: i64| if hour == self.cursor.ads_hour { self.cursor.ads_ms } else { 0 };
        let (hour, left) = self.zone.hour(self.cursor.at_ms);
        let here = ms.min(left);
        let rest = ms - here;
        let load = before(hour).saturating_add(here);
        if load > most || rest > most {
            return None;
        }
        // One that ends where the hour does leaves nothing in the next.
        Some(if rest == 0 { (hour, load) } else { (hour.saturating_add(1), rest) })
    }

    /// Goes on with the programme of a slot; `false` where nothing can play.
    fn turn_in_slot(&mut self, slot: &Slot) -> bool {
        let same = |on: &OnAir| on.start_ms == slot.start_ms && on.asset == slot.asset;
        if !self.cursor.on.as_ref().is_some_and(same) {
            self.cursor.programme = self.cursor.programme.saturating_add(1);
            self.cursor.on = Some(OnAir {
                start_ms: slot.start_ms,
                asset: slot.asset.clone(),
                generation: String::new(),
                part: 0,
                segment: 0,
                played_ms: 0,
                breaks: 0,
            });
        }
        let Some(mut on) = self.cursor.on.clone() else { return false };
        let Some(asset) = self.there(&slot.asset) else {
            on.generation = String::new();
            self.cursor.on = Some(on);
            return self.fill(slot.limit_ms, ItemKind::Slate) || self.hop(slot);
        };
        let breaks = self.spec.ad_positions(&slot.asset, self.lengths.get(&slot.asset));
        if on.generation != asset.generation {
            if on.generation.is_empty() {
                self.join(slot, &breaks, &mut on);
            }
            locate(asset, &mut on);
            on.generation.clone_from(&asset.generation);
            self.cursor.on = Some(on);
            return true;
        }
        let due = breaks.iter().filter(|it| **it <= on.played_ms).count();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        if due > on.breaks {
            on.breaks = due;
            let length = self.spec.break_ms();
            let aim = slot.start_ms.saturating_add(on.played_ms);
            let aim = aim.saturating_add(length.saturating_mul(u64::from(due)));
            self.cursor.on = Some(on);
            self.begin_break(aim.min(self.cursor.at_ms.saturating_add(length)).min(slot.limit_ms));
            return true;
        }
        self.play(slot, asset, on, &breaks)
    }

    /// Plays the asset on: to its next break, its end, or as far as its slot and the horizon allow.
    fn play(&mut self, slot: &Slot, asset: &AssetFacts, mut on: OnAir, breaks: &[u64]) -> bool {
        let left = slot.limit_ms.saturating_add(self.grace).saturating_sub(self.cursor.at_ms + 1);
        let at_once = millis(self.spec.horizon).clamp(60_000, 600_000);
        while let Some(clock) = Clock::of(&asset.index, on.part as usize) {
            let rest = clock.count().saturating_sub(on.segment);
            if rest == 0 {
                on.part = on.part.saturating_add(1);
                on.segment = 0;
                continue;
            }
            let mut count = rest.min(clock.within(on.segment, left));
            if count == 0 {
                break;
            }
            if let Some(next) = breaks.get(on.breaks as usize) {
                count = count.min(clock.until(on.segment, next.saturating_sub(on.played_ms)));
            }
            count = count.min(clock.within(on.segment, at_once).max(1));
            let ms = clock.ms(on.segment, count).max(1);
            let stretch = Stretch { part: on.part, first: on.segment, count, ms };
            on.segment += count;
            on.played_ms = on.played_ms.saturating_add(ms);
            self.cursor.on = Some(on);
            self.push(&slot.asset, &asset.generation, &stretch, ItemKind::Programme);
            return true;
        }
        self.cursor.on = Some(on);
        self.fill(slot.limit_ms, ItemKind::Filler) || self.hop(slot)
    }

    /// Steps over a moment that nothing can fill.
    fn hop(&mut self, slot: &Slot) -> bool {
        if slot.limit_ms.saturating_sub(self.cursor.at_ms) > self.grace {
            return false;
        }
        self.cursor.at_ms = self.cursor.at_ms.max(slot.limit_ms);
        true
    }

    /// Where a programme is by now that should have begun long ago.
    fn join(&mut self, slot: &Slot, breaks: &[u64], on: &mut OnAir) {
        (on.played_ms, on.breaks) = (0, 0);
        let mut late = self.cursor.at_ms.saturating_sub(slot.start_ms);
        if late <= self.grace.saturating_add(EARLY_MS) {
            return;
        }
        let length = self.spec.break_ms();
        let mut passed = 0;
        for (at, position) in breaks.iter().enumerate() {
            let until = position.saturating_sub(passed);
            if late < until {
                break;
            }
            late -= until;
            passed = *position;
            on.breaks = u32::try_from(at + 1).unwrap_or(u32::MAX);
            if late < length {
                self.begin_break(self.cursor.at_ms.saturating_add(length - late));
                late = 0;
                break;
            }
            late -= length;
        }
        on.played_ms = passed.saturating_add(late);
    }

    fn begin_break(&mut self, until_ms: u64) {
        // A viewer who just came back from a break is not sent into another.
        if self.cursor.back_from.is_some() || until_ms <= self.cursor.at_ms.saturating_add(EARLY_MS) {
            return;
        }
        let event_id = self.cursor.event_id;
        self.cursor.event_id = event_id.wrapping_add(1).max(1);
        self.cursor.in_break = Some(InBreak { event_id, until_ms, begun: false });
    }

    /// Plays filler or slate until a time, once through; `false` where neither is there.
    fn fill(&mut self, until_ms: u64, kind: ItemKind) -> bool {
        let left = until_ms.saturating_sub(self.cursor.at_ms).saturating_sub(EARLY_MS).max(1);
        let fillers = self.spec.filler.as_deref().unwrap_or_default();
        if kind == ItemKind::Filler && !fillers.is_empty() {
            for turn in 0..fillers.len() as u64 {
                let turn = self.cursor.filler.wrapping_add(turn);
                let name = usize::try_from(turn % fillers.len() as u64).ok().and_then(|at| fillers.get(at));
                let Some((name, asset)) = name.and_then(|name| Some((name, self.there(name)?))) else {
                    continue;
                };
                self.cursor.filler = turn.wrapping_add(1);
                self.push_all(name, asset, stretches(asset, left), ItemKind::Filler);
                return true;
            }
        }
        let slate = std::iter::once(&self.spec.slate).chain(fillers);
        let Some((name, asset)) = slate.filter_map(|name| Some((name, self.there(name)?))).next() else {
            return false;
        };
        self.push_all(name, asset, stretches(asset, left), ItemKind::Slate);
        true
    }

    fn push_all(&mut self, name: &str, asset: &AssetFacts, all: Vec<Stretch>, kind: ItemKind) {
        for stretch in all {
            self.push(name, &asset.generation, &stretch, kind);
        }
    }

    fn push(&mut self, asset: &str, generation: &str, stretch: &Stretch, kind: ItemKind) {
        let cursor = &mut self.cursor;
        let splice = match &mut cursor.in_break {
            Some(running) if !running.begun => {
                running.begun = true;
                let duration_ms = running.until_ms.saturating_sub(cursor.at_ms);
                Some(Splice { event_id: running.event_id, cue: Cue::Out { duration_ms } })
            }
            Some(_) => None,
            None => cursor.back_from.take().map(|event_id| Splice { event_id, cue: Cue::In }),
        };
        self.items.push(Item {
            start_ms: cursor.at_ms,
            duration_ms: stretch.ms,
            kind,
            asset: asset.to_owned(),
            generation: generation.to_owned(),
            part: stretch.part,
            first: stretch.first,
            count: stretch.count,
            msn: cursor.msn,
            dsn: cursor.dsn,
            programme: cursor.programme,
            splice,
        });
        cursor.at_ms = cursor.at_ms.saturating_add(stretch.ms);
        cursor.msn = cursor.msn.saturating_add(stretch.count);
        cursor.dsn = cursor.dsn.saturating_add(1);
    }
}

/// An asset from its beginning to the first boundary at or after `left_ms`, or its end.
fn stretches(asset: &AssetFacts, left_ms: u64) -> Vec<Stretch> {
    let mut all = Vec::new();
    let mut left = left_ms;
    for part in 0..asset.index.parts.len() {
        let Some(clock) = Clock::of(&asset.index, part) else { continue };
        let count = clock.until(0, left);
        let ms = clock.ms(0, count);
        if count == 0 || ms == 0 {
            continue;
        }
        all.push(Stretch { part: u32::try_from(part).unwrap_or(u32::MAX), first: 0, count, ms });
        left = left.saturating_sub(ms);
        if left == 0 {
            break;
        }
    }
    all
}

/// Puts a programme at the first boundary at or after what was played of it.
fn locate(asset: &AssetFacts, on: &mut OnAir) {
    let mut passed = 0_u64;
    (on.part, on.segment) = (0, 0);
    for part in 0..asset.index.parts.len() {
        on.part = u32::try_from(part).unwrap_or(u32::MAX);
        let Some(clock) = Clock::of(&asset.index, part) else { continue };
        let wanted = on.played_ms.saturating_sub(passed);
        if wanted == 0 {
            on.segment = 0;
            break;
        }
        on.segment = clock.until(0, wanted);
        passed = passed.saturating_add(clock.ms(0, on.segment));
        if on.segment < clock.count() {
            break;
        }
    }
    on.played_ms = on.played_ms.max(passed);
}
