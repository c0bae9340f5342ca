//! Days whose clock skips or repeats an hour.

use jiff::Timestamp;
use tfplugin_schema::Diagnostics;

use super::schedule_path;
use crate::media::channel::schedule::Schedule;
use crate::media::channel::spec::{FastChannelSpec, GridSchedule};
use crate::media::channel::zone::Zone;

/// A year from the start: two changes in most zones.
const LOOKED_AT_MS: i64 = 366 * 86_400_000;

pub(super) fn check(spec: &FastChannelSpec, grid: &GridSchedule, schedule: &Schedule, out: &mut Diagnostics) {
    let Ok(zone) = Zone::named(&spec.time_zone) else { return };
    let start = spec.start.0;
    let end = start.as_millisecond().saturating_add(LOOKED_AT_MS);
    for change in zone.0.following(start).take(8) {
        let instant = change.timestamp();
        if instant.as_millisecond() > end {
            break;
        }
        let Ok(before) = instant.checked_sub(jiff::Span::new().nanoseconds(1)) else { continue };
        let moved = change.offset().seconds() - zone.0.to_offset(before).seconds();
        match moved {
            1.. => skipped(grid, schedule, &zone, instant, before, moved, out),
            ..0 => repeated(grid, schedule, &zone, instant, before, -moved, out),
            0 => {}
        }
    }
}

/// What the clock would say a nanosecond later, had it not been changed.
fn after(zone: &Zone, before: Timestamp) -> jiff::civil::DateTime {
    let local = zone.0.to_datetime(before);
    local.checked_add(jiff::Span::new().nanoseconds(1)).unwrap_or(local)
}

/// The clock jumps forward: what begins in between begins later, or never.
fn skipped(
    grid: &GridSchedule,
    schedule: &Schedule,
    zone: &Zone,
    instant: Timestamp,
    before: Timestamp,
    moved: i32,
    out: &mut Diagnostics,
) {
    let (from, to) = (after(zone, before), zone.0.to_datetime(instant));
    let day = schedule.day(from.date());
    for one in &day {
        let asked = from.date().to_datetime(one.at);
        if asked < from || asked >= to {
            continue;
        }
        let name = |programme: usize| grid.programmes.get(programme).map_or("", |it| it.asset.as_str());
        let place = schedule_path("grid").attr("programmes").index(one.programme);
        let skips = format!(
            "On {} the clock of {} skips {} to {}",
            from.date(),
            zone.0.iana_name().unwrap_or_default(),
            from.strftime("%H:%M"),
            to.strftime("%H:%M"),
        );
        let taken = day.iter().find(|it| it.ms == one.ms && (it.at, it.programme) > (one.at, one.programme));
        let (summary, detail) = match taken {
            Some(by) => (
                "A programme is lost when the clock changes",
                format!(
                    "{skips}. {:?} of {} would begin {} minutes later (RFC 5545 section 3.3.5), where {:?} begins: it is not seen \
                     that day. Begin it outside of that hour to keep it.",
                    name(one.programme),
                    one.at.strftime("%H:%M"),
                    moved / 60,
                    name(by.programme)
                ),
            ),
            None => (
                "A programme is moved when the clock changes",
                format!(
                    "{skips}. {:?} of {} begins {} minutes later that day (RFC 5545 section 3.3.5).",
                    name(one.programme),
                    one.at.strftime("%H:%M"),
                    moved / 60
                ),
            ),
        };
        out.warning_at(place, summary, detail);
    }
}

/// The clock goes back: what begins in the doubled hour begins once, and the second hour has nothing of its own.
fn repeated(
    grid: &GridSchedule,
    schedule: &Schedule,
    zone: &Zone,
    instant: Timestamp,
    before: Timestamp,
    moved: i32,
    out: &mut Diagnostics,
) {
    let (to, from) = (after(zone, before), zone.0.to_datetime(instant));
    let at_change = u64::try_from(instant.as_millisecond()).unwrap_or(0);
    let day = schedule.day(from.date());
    // The last that begins before the clock goes back is followed by an hour more than on other days.
    let Some(last) = day.iter().filter(|it| it.ms < at_change).max_by_key(|it| it.ms) else { return };
    let asset = grid.programmes.get(last.programme).map_or("", |it| it.asset.as_str());
    out.warning_at(
        schedule_path("grid").attr("programmes").index(last.programme),
        "An hour comes twice when the clock changes",
        format!(
            "On {} the clock of {} has {} to {} twice. What begins then begins once, at the first (RFC 5545 section 3.3.5); after \
             {:?} of {} there are {} minutes more than on other days, and filler plays until the next.",
            from.date(),
            zone.0.iana_name().unwrap_or_default(),
            from.strftime("%H:%M"),
            to.strftime("%H:%M"),
            asset,
            last.at.strftime("%H:%M"),
            moved / 60
        ),
    );
}
