//! A week of a grid: what runs into what, and where nothing is.

use tfplugin_schema::{Diagnostics, Duration};

use super::{MOST, schedule_path};
use crate::media::channel::schedule::{Lengths, slot_ms, time_of_day};
use crate::media::channel::spec::{FastChannelSpec, GridSchedule};

const DAY_MS: u64 = 86_400_000;
/// What the last segment of a programme may run over without being cut.
const TOLERATED_MS: u64 = 1_000;
/// A gap that viewers notice.
const GAP_MS: u64 = 60_000;

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub(super) fn check(spec: &FastChannelSpec, grid: &GridSchedule, lengths: &Lengths, out: &mut Diagnostics) {
    let mut week: Vec<(u64, usize)> = Vec::new();
    for (at, programme) in grid.programmes.iter().enumerate() {
        let Some(time) = time_of_day(&programme.at) else { continue };
        let of_day = u64::try_from(time.hour()).unwrap_or(0) * 3_600_000
            + u64::try_from(time.minute()).unwrap_or(0) * 60_000
            + u64::try_from(time.second()).unwrap_or(0) * 1_000;
        for day in 0..7_u64 {
            let on = programme.days.as_ref().is_none_or(|days| days.iter().any(|it| *it as u64 == day));
            if on {
                week.push((day * DAY_MS + of_day, at));
            }
        }
    }
    week.sort_unstable();
    let (mut told, mut gaps) = (Vec::new(), Vec::new());
    let filler: u64 = spec.filler.iter().flatten().map(|it| lengths.get(it)).sum();
    for (place, (begins, at)) in week.iter().enumerate() {
        let (next, after) = week.get((place + 1) % week.len()).copied().unwrap_or((*begins, *at));
        let next = if next > *begins || week.len() > place + 1 { next } else { next + 7 * DAY_MS };
        let (Some(one), Some(other)) = (grid.programmes.get(*at), grid.programmes.get(after)) else {
            continue;
        };
        let room = next - begins;
        let when = when(*begins);
        let path = || schedule_path("grid").attr("programmes").index(*at);
        if room == 0 {
            if !told.contains(at) {
                told.push(*at);
                out.error_at(
                    path().attr("at"),
                    "Two programmes at once",
                    format!("{:?} and {:?} both begin on {when}. Move one of them.", one.asset, other.asset),
                );
            }
            continue;
        }
        if !lengths.is_known(&one.asset) {
            continue;
        }
        let length = slot_ms(spec, lengths, &one.asset);
        if length > room.saturating_add(TOLERATED_MS) {
            if !told.contains(at) && told.len() < MOST {
                told.push(*at);
                out.error_at(
                    path(),
                    "Programme longer than its slot",
                    format!(
                        "{:?}, which begins on {when}, takes {} with its breaks, and {:?} begins after {}: its last {} would \
                         never be seen. Move the next one, or shorten it.",
                        one.asset,
                        shown(length),
                        other.asset,
                        shown(room),
                        shown(length - room)
                    ),
                );
            }
        } else if room - length.min(room) >= GAP_MS && room - length > filler.saturating_mul(10) {
            gaps.push((*at, when, room - length));
        }
    }
    if let Some((at, when, gap)) = gaps.first() {
        let what = match filler {
            0 => "and without `filler` the slate plays".to_owned(),
            _ => format!("and the filler of {} is repeated more than ten times", shown(filler)),
        };
        let more = match gaps.len() {
            1 => String::new(),
            count => format!(" There are {count} such gaps in a week."),
        };
        out.warning_at(
            schedule_path("grid").attr("programmes").index(*at),
            "Nothing scheduled for a while",
            format!(
                "After the one that begins on {when}, nothing is scheduled for {}, {what}.{more} Add programmes or filler.",
                shown(*gap)
            ),
        );
    }
}

fn when(ms: u64) -> String {
    let day = usize::try_from(ms / DAY_MS).ok().and_then(|it| DAYS.get(it)).copied().unwrap_or("Monday");
    let minute = ms % DAY_MS / 60_000;
    format!("{day} at {:02}:{:02}", minute / 60, minute % 60)
}

fn shown(ms: u64) -> Duration {
    // Nobody schedules by the millisecond.
    let ms = if ms >= 60_000 { ms / 1_000 * 1_000 } else { ms };
    Duration(std::time::Duration::from_millis(ms))
}
