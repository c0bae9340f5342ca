//! Which programme is to be on.

#![allow(clippy::needless_pass_by_value, reason = "what `json!` makes")]

use serde_json::{Value, json};

use super::kit::{NOON, channel};
use crate::media::channel::{FastChannelSpec, Lengths, Schedule, Scheduled, Slot, Zone};

fn schedule(spec: &FastChannelSpec) -> Schedule {
    Schedule::new(spec, &Lengths::of(spec, &|_| None)).unwrap()
}

fn ms(text: &str) -> u64 {
    u64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_millisecond()).unwrap()
}

/// `20:00 news` for each, in the local time of the channel.
fn day(spec: &FastChannelSpec, from: &str, to: &str) -> Vec<String> {
    let zone = jiff::tz::TimeZone::get(&spec.time_zone).unwrap();
    let told = |slot: &Slot| {
        let begins = jiff::Timestamp::from_millisecond(i64::try_from(slot.start_ms).unwrap()).unwrap();
        format!("{} {}", begins.to_zoned(zone.clone()).strftime("%H:%M%z"), slot.asset)
    };
    schedule(spec).slots(ms(from), ms(to), 1000).iter().map(told).collect()
}

fn grid(zone: &str, programmes: Value) -> FastChannelSpec {
    channel(json!({ "time_zone": zone, "start": "2026-01-01T00:00:00Z", "assumed_duration": "30m",
        "schedule": { "grid": { "programmes": programmes } } }))
}

#[test]
fn a_grid_is_a_week_of_local_times() {
    let spec = grid(
        "America/New_York",
        json!([{ "at": "06:00", "asset": "news" }, { "days": ["saturday", "sunday"], "at": "20:15", "asset": "film" }]),
    );
    assert_eq!(
        day(&spec, "2026-11-27T11:00:00Z", "2026-11-30T10:00:00Z"),
        ["06:00-0500 news", "06:00-0500 news", "20:15-0500 film", "06:00-0500 news", "20:15-0500 film"]
    );
    let Scheduled::Slot(slot) = schedule(&spec).at(ms("2026-11-28T13:00:00Z")) else { panic!("nothing") };
    assert_eq!(slot.end_ms - slot.start_ms, 1_800_000, "as long as it is");
    assert_eq!(slot.limit_ms, ms("2026-11-29T01:15:00Z"), "filler until the next");
}

#[test]
fn a_skipped_hour_moves_what_is_in_it_and_a_doubled_one_plays_it_once() {
    let programmes = json!([{ "at": "01:30", "asset": "one" }, { "at": "02:30", "asset": "two" },
        { "at": "03:00", "asset": "three" }, { "at": "05:00", "asset": "five" }]);
    let spec = grid("Europe/Berlin", programmes);
    assert_eq!(
        day(&spec, "2026-03-29T00:00:00Z", "2026-03-29T04:00:00Z")[1..],
        ["01:30+0100 one", "03:00+0200 three", "03:30+0200 two", "05:00+0200 five"]
    );
    assert_eq!(
        day(&spec, "2026-10-24T23:30:00Z", "2026-10-25T05:00:00Z"),
        ["01:30+0200 one", "02:30+0200 two", "03:00+0100 three", "05:00+0100 five"]
    );
}

#[test]
fn of_two_at_one_instant_the_later_local_time_plays() {
    let spec = grid(
        "Europe/Berlin",
        json!([{ "at": "02:00", "asset": "lost" }, { "at": "03:00", "asset": "three" }]),
    );
    assert_eq!(
        day(&spec, "2026-03-29T00:00:00Z", "2026-03-30T02:00:00Z"),
        ["03:00+0100 three", "03:00+0200 three", "02:00+0200 lost", "03:00+0200 three"]
    );
}

#[test]
fn leap_days_are_days() {
    let spec = grid("UTC", json!([{ "days": ["tuesday"], "at": "12:00", "asset": "leap" }]));
    assert_eq!(day(&spec, "2028-02-29T12:00:00Z", "2028-03-07T00:00:00Z"), ["12:00+0000 leap"]);
}

fn rotation(count: usize, rest: Value) -> FastChannelSpec {
    let names: Vec<String> = (0..count).map(|it| format!("a{it}")).collect();
    let sources: Value = names
        .iter()
        .enumerate()
        .map(|(at, it)| (it.clone(), json!({ "series": format!("s{}", at % 4) })))
        .collect();
    let mut rotation = json!({ "items": names });
    rotation.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    channel(json!({ "assumed_duration": "1h", "sources": sources, "schedule": { "rotation": rotation } }))
}

#[test]
fn a_rotation_keeps_repetitions_and_episodes_apart_and_plays_each_once_in_a_round() {
    let spec = rotation(13, json!({ "no_repeat_within": 4, "seed": 7 }));
    // Years later, over many rounds.
    let from = NOON + 13 * 3_600_000 * 5_001;
    let slots = schedule(&spec).slots(from, from + 13 * 3_600_000 * 200, 10_000);
    assert_eq!(slots.len(), 13 * 200);
    let names: Vec<&str> = slots.iter().map(|it| it.asset.as_str()).collect();
    for (at, name) in names.iter().enumerate() {
        assert!(!names[at + 1..].iter().take(4).any(|it| it == name), "{name} again after {at}");
    }
    let series = |it: &str| it[1..].parse::<usize>().unwrap() % 4;
    let adjacent = names.windows(2).filter(|it| series(it[0]) == series(it[1])).count();
    assert_eq!(adjacent, 0);
    for round in names.chunks(13) {
        let mut all = round.to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 13);
    }
    assert!(names[..13] != names[13..26], "rounds differ");
    let other = rotation(13, json!({ "no_repeat_within": 4, "seed": 8 }));
    assert_ne!(schedule(&other).slots(from, from + 13 * 3_600_000, 13), slots[..13]);
}

#[test]
fn every_instant_has_the_slot_that_those_beside_it_say() {
    for spec in [
        rotation(5, json!({ "no_repeat_within": 2 })),
        channel(json!({ "assumed_duration": "7m", "schedule": { "order": { "items": ["a", "b", "a"] } } })),
        grid(
            "Australia/Lord_Howe",
            json!([{ "at": "01:45", "asset": "a" }, { "days": ["sunday"], "at": "02:15", "asset": "b" }]),
        ),
    ] {
        let schedule = schedule(&spec);
        let slots = schedule.slots(NOON, NOON + 40 * 86_400_000, 10_000);
        for pair in slots.windows(2) {
            assert_eq!(pair[0].limit_ms, pair[1].start_ms);
            for at in [pair[0].start_ms, (pair[0].start_ms + pair[0].limit_ms) / 2, pair[0].limit_ms - 1] {
                assert_eq!(schedule.at(at), Scheduled::Slot(pair[0].clone()));
            }
        }
    }
}

#[test]
fn what_cannot_be_planned_is_a_stable_error() {
    let told =
        |spec: &FastChannelSpec| Schedule::new(spec, &Lengths::of(spec, &|_| None)).unwrap_err().to_string();
    let many: Vec<&str> = vec!["a"; 1_000_000];
    let error = told(&channel(json!({ "schedule": { "order": { "items": many } } })));
    assert!(error.contains("at most 10000 entries, this one has 1000000"), "{error}");
    let error = told(&channel(json!({ "schedule": { "order": { "items": [] } } })));
    assert!(error.contains("at least one entry"), "{error}");
    let error = told(&rotation(6, json!({ "no_repeat_within": 3 })));
    assert!(error.contains("less than half of the 6 items"), "{error}");
    let error = told(&grid("UTC", json!([{ "at": "25:00", "asset": "a" }])));
    assert!(error.contains("programmes[0].at"), "{error}");
    assert!(Zone::named("Europe/Berln").unwrap_err().to_string().contains("Europe/Berlin"));
    for zone in ["", "../../etc/passwd", &"x".repeat(100_000)] {
        assert!(Zone::named(zone).unwrap_err().to_string().len() < 300);
    }
    // A length that cannot be is taken for the longest that can: it silences no channel.
    let endless = channel(json!({ "sources": { "a": { "duration_ms": u64::MAX } },
        "schedule": { "order": { "items": ["a"] } } }));
    let week = Schedule::new(&endless, &Lengths::of(&endless, &|_| None)).unwrap();
    let Scheduled::Slot(slot) = week.at(NOON) else { panic!("nothing plays") };
    assert_eq!(slot.limit_ms - slot.start_ms, 7 * 86_400_000);
}

#[test]
fn absurd_instants_have_nothing_on() {
    let spec = grid("UTC", json!([{ "at": "12:00", "asset": "a" }]));
    assert_eq!(schedule(&spec).at(u64::MAX), Scheduled::Nothing { until_ms: None });
    let first = ms("2026-01-01T12:00:00Z");
    assert_eq!(
        schedule(&spec).at(0),
        Scheduled::Nothing { until_ms: Some(first) },
        "fifty years before its start"
    );
    assert!(matches!(schedule(&spec).at(super::super::LAST_INSTANT_MS), Scheduled::Slot(_)));
    assert!(schedule(&spec).slots(0, u64::MAX, 3).len() <= 3);
}
