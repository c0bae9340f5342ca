//! When a pool may run: a night window on the local clock, and how long an idle worker is kept.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tfplugin_schema::{Duration, Schema};

use crate::media::channel::Zone;
use crate::platform::SpecError;

/// When a pool may run.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// A time of each day in which nothing new is started, and what is idle is given back at once, below `min` too.
    #[serde(default)]
    pub night: Option<NightSpec>,
    /// A worker that had nothing to do for so long is given back, also the last one where `min` is 0.
    #[attribute(default = "20m")]
    pub idle: Duration,
}

impl Default for ScheduleSpec {
    fn default() -> ScheduleSpec {
        ScheduleSpec { night: None, idle: Duration(std::time::Duration::from_secs(1200)) }
    }
}

/// A window of each day.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NightSpec {
    /// When it begins: `"23:00"`.
    #[attribute(validate(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", says = "must be a time such as 23:00")))]
    pub from: String,
    /// When it ends, on the next day where that is not later than `from`: `"06:00"`.
    #[attribute(validate(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", says = "must be a time such as 06:00")))]
    pub to: String,
    /// Whose clock: a name of the IANA database, such as `Europe/Berlin`.
    #[attribute(default = "UTC")]
    #[serde(default = "utc")]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A night window that was read: its zone is known.
#[derive(Clone, Debug)]
pub struct Night {
    from: Time,
    to: Time,
    zone: TimeZone,
}

/// The calendar month of an instant in UTC, in months since the year 0: what budgets are counted by.
pub fn month_of(ms: u64) -> u32 {
    // Days to years and months as Howard Hinnant's `civil_from_days` has it: it runs at each tick for each pool.
    let days = ms / 86_400_000 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    // Its years begin in March.
    let (carry, month) = if month < 10 { (0, month + 2) } else { (1, month - 10) };
    u32::try_from((era * 400 + year + carry) * 12 + month).unwrap_or(u32::MAX)
}

impl NightSpec {
    /// Reads it.
    ///
    /// # Errors
    /// A time or a time zone that is none, and a window that is empty.
    pub fn read(&self) -> Result<Night, SpecError> {
        let time = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        let read = |text: &str| {
            time(text).ok_or_else(|| SpecError::new(format!("{text:?} is no time of day: write 23:00")))
        };
        let (from, to) = (read(&self.from)?, read(&self.to)?);
        if from == to {
            return Err(SpecError::new(format!(
                "the night begins and ends at {}: for a whole day without workers set max = 0",
                self.from
            )));
        }
        Zone::named(&self.time_zone)?;
        let zone = TimeZone::get(&self.time_zone)
            .map_err(|_| SpecError::new(format!("there is no time zone {:?}", self.time_zone)))?;
        Ok(Night { from, to, zone })
    }
}

impl Night {
    /// The window that an instant is in, or else the next one: its first and last millisecond but one, since the epoch.
    /// A change of the clock makes it longer or shorter, as the clock on the wall does.
    pub fn window(&self, now_ms: u64) -> (u64, u64) {
        let instant = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let Some(instant) = instant else { return (u64::MAX, u64::MAX) };
        let today = self.zone.to_datetime(instant).date();
        // Yesterday's may still last; tomorrow's is the next one when today's is over.
        let days = [today.yesterday().ok(), Some(today), today.tomorrow().ok()];
        let mut windows = days.into_iter().flatten().filter_map(|day| self.of(day));
        windows.find(|(_, end)| *end > now_ms).unwrap_or((u64::MAX, u64::MAX))
    }

    /// Whether an instant is in the window.
    pub fn contains(&self, now_ms: u64) -> bool {
        let (start, end) = self.window(now_ms);
        (start..end).contains(&now_ms)
    }

    /// The share of the day that it takes, of a day without a change of the clock.
    pub fn share(&self) -> f64 {
        let minute = |it: Time| i32::from(it.hour()) * 60 + i32::from(it.minute());
        f64::from((minute(self.to) - minute(self.from)).rem_euclid(1440)) / 1440.0
    }

    /// The window that begins on a day.
    fn of(&self, day: Date) -> Option<(u64, u64)> {
        let last = if self.to > self.from { day } else { day.tomorrow().ok()? };
        let ms = |day: Date, time: Time| {
            let local = self.zone.to_ambiguous_zoned(day.to_datetime(time)).compatible().ok()?;
            u64::try_from(local.timestamp().as_millisecond()).ok()
        };
        Some((ms(day, self.from)?, ms(last, self.to)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    fn night(from: &str, to: &str, zone: &str) -> Result<Night, SpecError> {
        NightSpec { from: from.into(), to: to.into(), time_zone: zone.into() }.read()
    }

    #[test]
    fn a_night_over_midnight_is_on_the_clock_of_its_zone() {
        let berlin = night("23:00", "06:00", "Europe/Berlin").unwrap();
        assert!(berlin.contains(ms("2026-11-26T22:00:00Z")) && !berlin.contains(ms("2026-11-26T21:59:59Z")));
        assert!(berlin.contains(ms("2026-11-27T04:59:59Z")) && !berlin.contains(ms("2026-11-27T05:00:00Z")));
        assert_eq!(
            berlin.window(ms("2026-11-26T12:00:00Z")),
            (ms("2026-11-26T22:00:00Z"), ms("2026-11-27T05:00:00Z"))
        );
        assert!((berlin.share() - 7.0 / 24.0).abs() < 1e-9);
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let mut day = jiff::civil::date(1970, 1, 1);
        while day.year() < 2102 {
            let ms =
                u64::try_from(day.to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond()).unwrap();
            let expected = u32::try_from(day.year()).unwrap() * 12 + u32::try_from(day.month()).unwrap() - 1;
            assert_eq!((month_of(ms), month_of(ms + 86_399_999)), (expected, expected), "{day}");
            day = day.tomorrow().unwrap();
        }
    }

    #[test]
    fn the_night_when_the_clock_goes_back_is_an_hour_longer() {
        let berlin = night("01:00", "05:00", "Europe/Berlin").unwrap();
        let (start, end) = berlin.window(ms("2026-10-25T00:30:00Z"));
        assert_eq!(end - start, 5 * 3_600_000);
    }

    #[test]
    fn what_is_no_window_is_refused_with_a_reason() {
        assert!(night("23:00", "23:00", "UTC").unwrap_err().to_string().contains("max = 0"));
        assert!(night("23:00", "6", "UTC").is_err());
        assert!(night("23:00", "06:00", "Europe/Berln").unwrap_err().to_string().contains("Europe/Berlin"));
    }
}
