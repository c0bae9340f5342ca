//! What a channel refuses and what it warns of, each at the place that it is about. What is not known yet is not judged.

mod breaks;
mod clock;
mod known;
mod steering;
mod switching;
mod week;

use std::collections::BTreeSet;

use tfplugin_schema::validate::nearest;
use tfplugin_schema::{Diagnostics, Duration, Maybe, Path, Severity};

use super::schedule::{Lengths, Schedule};
use super::spec::{ChannelSchedule, FastChannelSpec, FastChannelSpecView, millis};
use super::zone::Zone;
use crate::platform::{Name, SpecError};

pub(super) use known::{Known, known};

/// The segment of a ladder that says nothing else.
const USUAL_SEGMENT_MS: u64 = 4_000;
/// More of one kind is not told one by one.
const MOST: usize = 5;

/// Judges what is known of a channel.
pub fn check(view: &FastChannelSpecView, out: &mut Diagnostics) {
    if let Some(name) = view.time_zone.known()
        && let Err(error) = Zone::named(name)
    {
        out.error_at(FastChannelSpec::time_zone(), "No such time zone", sentence(&error.to_string()));
    }
    let said = switching::check(view, out);
    spans(view, said, out);
    breaks::times(view, out);
    steering::check(view, out);
    let Some(known) = known(view) else { return };
    names(view, &known.spec, out);
    whole(&known, out);
}

/// Judges a whole spec: one that came as JSON, and at apply before anything is done.
///
/// # Errors
/// The first thing that is refused.
pub fn check_spec(spec: &FastChannelSpec) -> Result<(), SpecError> {
    use tfplugin_schema::Field as _;

    // Before anything is made of it that is as large.
    spec.counted()?;
    let mut found = Diagnostics::new();
    let written = FastChannelSpec::write(spec);
    if let Ok(Maybe::Known(view)) = FastChannelSpec::view(&written) {
        check(&view, &mut found);
    }
    match found.iter().find(|it| it.severity == Severity::Error) {
        None => Ok(()),
        Some(first) => {
            let place = first.path.as_ref().map(|it| format!("{it}: ")).unwrap_or_default();
            Err(SpecError::new(format!("{place}{}: {}", first.summary, first.detail)))
        }
    }
}

/// What follows from spec and lengths alone.
fn whole(known: &Known, out: &mut Diagnostics) {
    let spec = &known.spec;
    let lengths = Lengths::of(spec, &|_| None);
    let schedule = match Schedule::new(spec, &lengths) {
        Ok(schedule) => schedule,
        Err(error) => {
            let kind = match &spec.schedule {
                ChannelSchedule::Order(_) => "order",
                ChannelSchedule::Grid(_) => "grid",
                ChannelSchedule::Rotation(_) => "rotation",
            };
            // An unknown zone is told at its own place.
            if Zone::named(&spec.time_zone).is_ok() {
                out.error_at(schedule_path(kind), "Unusable schedule", sentence(&error.to_string()));
            }
            return;
        }
    };
    if let ChannelSchedule::Rotation(rotation) = &spec.schedule
        && !rotation.series_adjacent
        && schedule.crowded()
    {
        out.warning_at(
            schedule_path("rotation").attr("series_adjacent"),
            "Episodes of a series follow each other",
            "One series has more than half of the items, so that some of its episodes follow each other in every order. Add \
             others, or set series_adjacent = true.",
        );
    }
    if let ChannelSchedule::Grid(grid) = &spec.schedule {
        week::check(spec, grid, &lengths, out);
        clock::check(spec, grid, &schedule, out);
    }
    breaks::filled(known, out);
    breaks::load(known, &schedule, &lengths, out);
}

pub(super) fn schedule_path(kind: &str) -> Path {
    Path::attribute("schedule").attr(kind)
}

/// Where each asset is named.
fn references(spec: &FastChannelSpec) -> Vec<(Path, &str)> {
    let mut all: Vec<(Path, &str)> = Vec::new();
    match &spec.schedule {
        ChannelSchedule::Order(it) => {
            let path = schedule_path("order").attr("items");
            all.extend(it.items.iter().enumerate().map(|(at, name)| (path.clone().index(at), name.as_str())));
        }
        ChannelSchedule::Rotation(it) => {
            let path = schedule_path("rotation").attr("items");
            all.extend(it.items.iter().enumerate().map(|(at, name)| (path.clone().index(at), name.as_str())));
        }
        ChannelSchedule::Grid(it) => {
            let path = schedule_path("grid").attr("programmes");
            all.extend(
                it.programmes
                    .iter()
                    .enumerate()
                    .map(|(at, it)| (path.clone().index(at).attr("asset"), it.asset.as_str())),
            );
        }
    }
    let path = Path::attribute("filler");
    all.extend(
        spec.filler.iter().flatten().enumerate().map(|(at, it)| (path.clone().index(at), it.as_str())),
    );
    let path = Path::attribute("ad_breaks").attr("spots");
    let spots = spec.ad_breaks.iter().filter_map(|it| it.spots.as_ref()).flatten();
    all.extend(spots.enumerate().map(|(at, it)| (path.clone().index(at), it.as_str())));
    all.push((Path::attribute("slate"), spec.slate.as_str()));
    all
}

fn names(view: &FastChannelSpecView, spec: &FastChannelSpec, out: &mut Diagnostics) {
    for name in view.sources.known().into_iter().flat_map(|all| all.keys()) {
        if let Err(error) = Name::parse(name) {
            out.error_at(
                Path::attribute("sources").key(name.as_str()),
                "No name of an asset",
                sentence(&error.to_string()),
            );
        }
    }
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for (path, name) in references(spec) {
        if spec.sources.contains_key(name) || !told.insert(name) || told.len() > MOST {
            continue;
        }
        let near = nearest(name, spec.sources.keys().map(String::as_str));
        let near = near.map(|it| format!(" Did you mean {it:?}?")).unwrap_or_default();
        out.error_at(
            path,
            "Not among the sources",
            format!(
                "{name:?} is not in `sources`, so that nobody could tell a misspelt name from an asset that is still being \
                 made.{near} Add `sources = {{ {name:?} = {{}} }}` if it is an asset."
            ),
        );
    }
}

/// Horizon and windows against the segment.
fn spans(view: &FastChannelSpecView, segment_ms: Option<u64>, out: &mut Diagnostics) {
    let segment = segment_ms.unwrap_or(USUAL_SEGMENT_MS);
    let of_what = match segment_ms {
        Some(_) => "the longest segment of its ladders",
        None => "a usual segment",
    };
    let shown = |ms: u64| Duration(std::time::Duration::from_millis(ms));
    let least = segment.saturating_mul(3);
    if let Some(horizon) = view.horizon.known() {
        if millis(*horizon) < least {
            out.error_at(
                FastChannelSpec::horizon(),
                "Horizon of a few segments",
                format!(
                    "A player has up to three segments ahead (RFC 8216 section 6.3.3), and {of_what} is {}: what it is to play \
                     must have been announced. Set at least {}.",
                    shown(segment),
                    shown(least)
                ),
            );
        } else if millis(*horizon) > 86_400_000 {
            out.error_at(
                FastChannelSpec::horizon(),
                "Horizon of days",
                "A changed schedule would take more than a day to be seen. Set at most 24h.",
            );
        }
    }
    if view.playlist_window.is_known_and(|it| millis(*it) < least) {
        out.error_at(
            FastChannelSpec::playlist_window(),
            "Playlist of a few segments",
            format!(
                "A live playlist has at least three segments (RFC 8216 section 6.2.2), and {of_what} is {}. Set at least {}.",
                shown(segment),
                shown(least)
            ),
        );
    }
    if view.playlist_window.is_known_and(|it| millis(*it) > 3_600_000) {
        out.error_at(
            FastChannelSpec::playlist_window(),
            "Playlist of hours",
            "Every player reads the whole of it again and again. Set at most 1h; `catch_up` is how far back viewers may go.",
        );
    }
    if view.catch_up.is_known_and(|it| millis(*it) > 30 * 86_400_000) {
        out.error_at(
            FastChannelSpec::catch_up(),
            "Catch-up of months",
            "What was announced is kept in the catalogue for so long, and read to answer. Set at most 30days.",
        );
    }
    if view.assumed_duration.is_known_and(|it| millis(*it) < 1_000) {
        out.error_at(
            FastChannelSpec::assumed_duration(),
            "Slot of no length",
            "A slot is at least a second long.",
        );
    }
}

/// Ends as a sentence does, and begins so.
fn sentence(text: &str) -> String {
    let mut all = text.chars();
    let first: String = all.next().map(|it| it.to_uppercase().collect()).unwrap_or_default();
    let rest = all.as_str();
    let stop = if rest.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{rest}{stop}")
}

/// An instant in a zone, for people: `2026-11-26 20:15`.
fn local(zone: &Zone, ms: u64) -> String {
    let instant = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    instant.map(|it| zone.0.to_datetime(it).strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
}
