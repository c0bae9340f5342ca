//! Ad breaks: where they are, what fills them, and how much of an hour they take.

use std::collections::BTreeMap;

use tfplugin_schema::{Diagnostics, Duration, Maybe, Path};

use super::{Known, MOST, local};
use crate::media::channel::schedule::{Lengths, Schedule};
use crate::media::channel::spec::{
    ChannelSchedule, FastChannelSpec, FastChannelSpecView, MIN_EVERY_MS, millis,
};
use crate::media::channel::zone::Zone;

/// How far a schedule is looked at: a week and a day.
const LOOKED_AT_MS: u64 = 8 * 86_400_000;
/// How many programmes at most.
const PROGRAMMES: usize = 20_000;
/// Two breaks that are nearer begin at the end of the same segment.
const APART_MS: u64 = 15_000;

fn place() -> Path {
    Path::attribute("ad_breaks")
}

fn shown(ms: u64) -> Duration {
    Duration(std::time::Duration::from_millis(ms))
}

/// Times that cannot be.
pub(super) fn times(view: &FastChannelSpecView, out: &mut Diagnostics) {
    if let Some(breaks) = view.ad_breaks.known() {
        if let Some(duration) = breaks.duration.known()
            && !(1_000..=3_600_000).contains(&millis(*duration))
        {
            out.error_at(place().attr("duration"), "Unusable length of a break", "A break is 1s to 1h long.");
        }
        if breaks.every.is_known_and(|it| millis(*it) < MIN_EVERY_MS) {
            out.error_at(
                place().attr("every"),
                "Breaks on end",
                format!("Between two breaks is at least {}.", shown(MIN_EVERY_MS)),
            );
        }
        if breaks.max_per_hour.is_known_and(|it| millis(*it) > 3_600_000) {
            out.error_at(place().attr("max_per_hour"), "More than an hour of an hour", "Set at most 1h.");
        }
        if breaks.every.known().is_some() && breaks.positions.known().is_some() {
            out.error_at(
                place().attr("every"),
                "Breaks said twice",
                "`positions` says where breaks are, so that `every` has no meaning. Leave one of them out.",
            );
        }
        positions(&breaks.positions, &place().attr("positions"), None, out);
    }
    for (name, source) in view.sources.known().into_iter().flatten() {
        let Some(source) = source.known() else { continue };
        let at = Path::attribute("sources").key(name.as_str()).attr("ad_positions");
        positions(&source.ad_positions, &at, source.duration_ms.known().copied(), out);
        if view.ad_breaks.is_null() && source.ad_positions.is_known_and(|it| !it.is_empty()) {
            out.error_at(
                at,
                "Breaks of no length",
                "`ad_breaks` is not set, so that nobody knows how long a break is. Set it, or leave this out.",
            );
        }
    }
}

fn positions(all: &Maybe<Vec<Maybe<Duration>>>, path: &Path, length_ms: Option<u64>, out: &mut Diagnostics) {
    let mut before: Option<u64> = None;
    for (at, position) in all.known().into_iter().flatten().enumerate() {
        let Some(position) = position.known().map(|it| millis(*it)) else {
            before = None;
            continue;
        };
        let here = || path.clone().index(at);
        if position == 0 {
            out.error_at(
                here(),
                "A break before the programme",
                "Breaks are within programmes: give a time after its beginning.",
            );
        } else if length_ms.is_some_and(|length| position >= length) {
            out.error_at(
                here(),
                "A break after the programme",
                format!("It is {} long: the break would never come.", shown(length_ms.unwrap_or(0))),
            );
        } else if before.is_some_and(|before| position < before.saturating_add(APART_MS)) {
            out.error_at(
                here(),
                "Breaks on end",
                format!(
                    "Positions ascend, and are at least {} apart: a break begins at the end of a segment.",
                    shown(APART_MS)
                ),
            );
        }
        before = Some(position);
    }
}

/// What fills a break.
pub(super) fn filled(known: &Known, out: &mut Diagnostics) {
    let spec = &known.spec;
    let Some(breaks) = &spec.ad_breaks else { return };
    let length = spec.break_ms();
    let said = |name: &str| spec.source(name).and_then(|it| it.duration_ms);
    let slate = said(&spec.slate);
    let spots = breaks.spots.as_deref().unwrap_or_default();
    if spots.is_empty() {
        let again = slate.map(|it| length.div_ceil(it.max(1))).filter(|times| *times > 1);
        let again = again.map(|it| format!(" {it} times on end")).unwrap_or_default();
        out.warning_at(
            place(),
            "Breaks without spots",
            format!("There are no `spots`: the slate plays{again} in every break of {}.", shown(length)),
        );
        return;
    }
    let lengths: Option<Vec<u64>> = spots.iter().map(|it| said(it)).collect();
    let shortest = lengths.as_ref().and_then(|all| all.iter().min().copied());
    if let Some(shortest) = shortest.filter(|it| *it > length) {
        out.error_at(
            place().attr("duration"),
            "No spot fits its break",
            format!(
                "The shortest spot takes {} and a break {}: none would ever play. Make breaks longer, or give shorter spots.",
                shown(shortest),
                shown(length)
            ),
        );
        return;
    }
    for (at, spot) in
        spots.iter().enumerate().filter(|(_, it)| said(it).is_some_and(|it| it > length)).take(MOST)
    {
        out.warning_at(
            place().attr("spots").index(at),
            "A spot that never plays",
            format!("{spot:?} takes {} and a break {}.", shown(said(spot).unwrap_or(0)), shown(length)),
        );
    }
    // What no spot fits into is slate: of the most that whole spots can fill, the rest.
    if let (Some(shortest), Some(slate), Some(all)) = (shortest, slate, &lengths) {
        let most = fillable(all, length);
        let rest = length - most;
        if rest > slate.saturating_mul(2) && rest > 10_000 {
            out.warning_at(
                place().attr("duration"),
                "A break longer than what fills it",
                format!(
                    "Spots fill at most {} of {}; the slate of {} plays {} times on end for the rest. Give spots of another \
                     length than {}, a longer slate, or a shorter break.",
                    shown(most),
                    shown(length),
                    shown(slate),
                    rest.div_ceil(slate.max(1)),
                    shown(shortest)
                ),
            );
        }
    }
}

/// The most of a break that whole spots fill, each as often as one likes, by tenths of a second.
fn fillable(spots: &[u64], length: u64) -> u64 {
    let count = usize::try_from(length / 100).unwrap_or(0).min(36_000);
    let mut may = vec![false; count + 1];
    if let Some(first) = may.first_mut() {
        *first = true;
    }
    let mut most = 0;
    let mut steps: Vec<usize> =
        spots.iter().filter_map(|it| usize::try_from(it.div_ceil(100)).ok()).collect();
    steps.sort_unstable();
    steps.dedup();
    for at in 1..=count {
        let fits = steps
            .iter()
            .any(|it| *it > 0 && at.checked_sub(*it).is_some_and(|it| may.get(it) == Some(&true)));
        if fits {
            if let Some(it) = may.get_mut(at) {
                *it = true;
            }
            most = at as u64 * 100;
        }
    }
    most.min(length)
}

/// The load of every hour of a week, if all that matters is known.
pub(super) fn load(known: &Known, schedule: &Schedule, lengths: &Lengths, out: &mut Diagnostics) {
    let spec = &known.spec;
    let Some(breaks) = &spec.ad_breaks else { return };
    let spots = breaks.spots.as_deref().unwrap_or_default();
    let programmes = programmes(spec);
    if spots.is_empty() || programmes.iter().any(|it| known.open.contains(*it) || !lengths.is_known(it)) {
        return;
    }
    let Ok(zone) = Zone::named(&spec.time_zone) else { return };
    let (length, most) = (spec.break_ms(), millis(breaks.max_per_hour));
    let spot_lengths: Option<Vec<u64>> = spots.iter().map(|it| spec.source(it)?.duration_ms).collect();
    let filled = spot_lengths.map_or(length, |all| fillable(&all, length));
    let mut hours: BTreeMap<i64, (u64, u64, String)> = BTreeMap::new();
    let from = spec.start_ms();
    for slot in schedule.slots(from, from.saturating_add(LOOKED_AT_MS), PROGRAMMES) {
        for (at, position) in spec.ad_positions(&slot.asset, lengths.get(&slot.asset)).iter().enumerate() {
            let begins = slot.start_ms.saturating_add(*position).saturating_add(at as u64 * length);
            let (hour, left) = zone.hour(begins);
            for (hour, ms) in [(hour, filled.min(left)), (hour + 1, filled.saturating_sub(left))] {
                if ms > 0 {
                    let load = hours.entry(hour).or_insert((0, begins, slot.asset.clone()));
                    load.0 = load.0.saturating_add(ms);
                }
            }
        }
    }
    let over: Vec<_> = hours.values().filter(|(load, ..)| *load > most).collect();
    if let Some((load, when, asset)) = over.iter().max_by_key(|(load, ..)| *load) {
        out.error_at(
            place().attr("max_per_hour"),
            "More ads in an hour than allowed",
            format!(
                "In the hour of {} ({:?} is on), breaks have {} of spots, and an hour may have {}; {} hours of the first week are \
                 like that. Make breaks shorter or fewer, or allow more.",
                local(&zone, *when),
                asset,
                shown(*load),
                shown(most),
                over.len()
            ),
        );
    }
}

fn programmes(spec: &FastChannelSpec) -> Vec<&str> {
    match &spec.schedule {
        ChannelSchedule::Order(it) => it.items.iter().map(String::as_str).collect(),
        ChannelSchedule::Rotation(it) => it.items.iter().map(String::as_str).collect(),
        ChannelSchedule::Grid(it) => it.programmes.iter().map(|it| it.asset.as_str()).collect(),
    }
}
