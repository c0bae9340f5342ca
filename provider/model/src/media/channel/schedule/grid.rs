//! At local times of the week. A local time that a day does not have, or has twice, is what RFC 5545 section 3.3.5 makes
//! of it.

use jiff::Timestamp;
use jiff::civil::{Date, Time};

use super::{Lengths, Scheduled, Slot, counted, slot_ms};
use crate::media::channel::spec::{FastChannelSpec, GridProgramme, Weekday};
use crate::media::channel::zone::Zone;
use crate::platform::SpecError;

/// A week, and what the clock may move it by.
const DAYS: i64 = 8;

#[derive(Clone, Debug)]
pub(super) struct Grid {
    zone: Zone,
    start_ms: u64,
    /// By day, Monday first: in the order of local time.
    days: [Vec<Entry>; 7],
    assets: Vec<(String, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Time,
    programme: usize,
}

/// A programme of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begins {
    /// In milliseconds since the epoch.
    pub(crate) ms: u64,
    /// The local time that it is asked for.
    pub(crate) at: Time,
    /// Its place in the list.
    pub(crate) programme: usize,
}

/// The local time that `20:15` or `20:15:30` says.
pub(crate) fn time_of_day(text: &str) -> Option<Time> {
    let mut fields = text.split(':').map(|it| (it.len() == 2).then(|| it.parse::<i8>().ok()).flatten());
    let (hour, minute) = (fields.next()??, fields.next()??);
    let second = match fields.next() {
        Some(second) => second?,
        None => 0,
    };
    if fields.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

impl Grid {
    pub(super) fn new(
        spec: &FastChannelSpec,
        lengths: &Lengths,
        programmes: &[GridProgramme],
    ) -> Result<Grid, SpecError> {
        counted(programmes.len())?;
        let mut days: [Vec<Entry>; 7] = Default::default();
        for (programme, it) in programmes.iter().enumerate() {
            let at = time_of_day(&it.at).ok_or_else(|| {
                SpecError::new(format!(
                    "programmes[{programme}].at: {:?} is no time of the day such as 20:15",
                    it.at
                ))
            })?;
            for (day, entries) in days.iter_mut().enumerate() {
                if it.days.as_ref().is_none_or(|days| days.iter().any(|it| number(*it) == day)) {
                    entries.push(Entry { at, programme });
                }
            }
        }
        for entries in &mut days {
            entries.sort_by_key(|it| (it.at, it.programme));
        }
        let length = |it: &GridProgramme| (it.asset.clone(), slot_ms(spec, lengths, &it.asset));
        Ok(Grid {
            zone: Zone::named(&spec.time_zone)?,
            start_ms: spec.start_ms(),
            days,
            assets: programmes.iter().map(length).collect(),
        })
    }

    /// What begins on a local day, in the order of local time.
    pub(crate) fn day(&self, date: Date) -> Vec<Begins> {
        let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
        let entries = self.days.get(weekday).map(Vec::as_slice).unwrap_or_default();
        let begins = |entry: &Entry| {
            let local = date.to_datetime(entry.at);
            let instant = self.zone.0.to_ambiguous_timestamp(local).compatible().ok()?;
            let ms = u64::try_from(instant.as_millisecond()).ok()?;
            Some(Begins { ms, at: entry.at, programme: entry.programme })
        };
        entries.iter().filter_map(begins).collect()
    }

    fn date(&self, ms: u64) -> Option<Date> {
        let instant = Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
        Some(self.zone.0.to_datetime(instant).date())
    }

    pub(super) fn at(&self, ms: u64) -> Scheduled {
        // Before the start nothing is on, however far away it is.
        if ms < self.start_ms {
            return match self.at(self.start_ms) {
                Scheduled::Slot(slot) => Scheduled::Nothing { until_ms: Some(slot.start_ms) },
                nothing => nothing,
            };
        }
        let Some(today) = self.date(ms) else { return Scheduled::Nothing { until_ms: None } };
        // Of two that begin at the same instant, the one of the later local time plays.
        let (mut now, mut next): (Option<Begins>, Option<Begins>) = (None, None);
        let step = |days: i64| today.checked_add(jiff::Span::new().days(days)).ok();
        // The clock can move a programme over midnight: the days beside it are looked at in any case.
        for days in (-1..=1).chain((2..=DAYS).flat_map(|it| [-it, it])) {
            if now.is_some() && next.is_some() && days.abs() > 1 {
                break;
            }
            for it in step(days).map(|date| self.day(date)).unwrap_or_default() {
                if it.ms < self.start_ms {
                    continue;
                }
                if it.ms <= ms {
                    if now
                        .is_none_or(|best| (best.ms, best.at, best.programme) < (it.ms, it.at, it.programme))
                    {
                        now = Some(it);
                    }
                } else if next.is_none_or(|best| it.ms < best.ms) {
                    next = Some(it);
                }
            }
        }
        let limit_ms = next.map(|it| it.ms);
        match now.and_then(|it| Some((it, self.assets.get(it.programme)?))) {
            Some((begins, (asset, length))) => {
                let end_ms = begins.ms.saturating_add(*length);
                let limit_ms = limit_ms.unwrap_or(end_ms.max(ms.saturating_add(1)));
                Scheduled::Slot(Slot {
                    start_ms: begins.ms,
                    end_ms: end_ms.min(limit_ms),
                    limit_ms,
                    asset: asset.clone(),
                })
            }
            None => Scheduled::Nothing { until_ms: limit_ms },
        }
    }
}

/// Monday is 0.
fn number(day: Weekday) -> usize {
    day as usize
}
