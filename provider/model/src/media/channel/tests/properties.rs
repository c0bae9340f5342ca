//! What must hold of every channel, over fifty years.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::kit::{asset, channel};
use crate::media::channel::{
    AssetFacts, Audit, Cursor, EARLY_MS, FastChannelSpec, Item, ItemKind, Lengths, Playout, Schedule,
    Scheduled, played_ms,
};

/// 2026-01-01T00:00:00Z.
const BEGIN: u64 = 1_767_225_600_000;
const FIFTY_YEARS: u64 = 50 * 31_557_600_000;
const DAY: u64 = 86_400_000;

const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago"];
const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "spot1", "spot2", "fill1", "fill2", "slate"];

/// Packages with coarse segments of awkward lengths, some in parts; some assets are not there.
fn some_facts() -> impl Strategy<Value = BTreeMap<String, AssetFacts>> {
    let segments = |least: u64, most: u64, count: std::ops::Range<usize>| {
        (least..most, count, 1..4_u64)
            .prop_map(|(length, count, last)| {
                let mut all = vec![length; count];
                all.push((length / last).max(1));
                all
            })
            .boxed()
    };
    let programme = prop::option::weighted(
        0.85,
        prop::collection::vec(segments(3_000, 9_000, 20..150), 1..3).prop_map(|parts| {
            let parts: Vec<&[u64]> = parts.iter().map(Vec::as_slice).collect();
            asset("g1", &parts)
        }),
    );
    let short = segments(1_500, 5_000, 2..8).prop_map(|it| asset("s1", &[&it]));
    (
        prop::collection::vec(programme, 5),
        prop::collection::vec(prop::option::weighted(0.9, short.clone()), 4),
        short,
    )
        .prop_map(|(programmes, shorts, slate)| {
            let all = programmes.into_iter().chain(shorts).chain([Some(slate)]);
            NAMES.iter().zip(all).filter_map(|(name, it)| Some(((*name).to_owned(), it?))).collect()
        })
}

fn some_schedule() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(&NAMES[..5]);
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let programme = (
        prop::option::of(prop::sample::subsequence(days.to_vec(), 1..4)),
        (0..24_u32, prop::sample::select(vec![0_u32, 15, 30, 45])),
        name.clone(),
    )
        .prop_map(|(days, (hour, minute), asset)| json!({ "days": days, "at": format!("{hour:02}:{minute:02}"), "asset": asset }));
    prop_oneof![
        prop::collection::vec(name, 1..6).prop_map(|items| json!({ "order": { "items": items } })),
        prop::collection::vec(programme, 1..30).prop_map(|all| json!({ "grid": { "programmes": all } })),
        (prop::sample::subsequence(NAMES[..5].to_vec(), 5), 0..3_u32, any::<u64>()).prop_map(
            |(items, apart, seed)| {
                json!({ "rotation": { "items": items, "no_repeat_within": apart, "seed": seed } })
            }
        ),
    ]
}

fn some_channel() -> impl Strategy<Value = FastChannelSpec> {
    let breaks = prop::option::of((
        prop_oneof![
            (60..1200_u64).prop_map(|it| json!({ "every": format!("{it}s") })),
            prop::collection::btree_set(1..40_u64, 1..4).prop_map(|all| {
                let all: Vec<String> = all.iter().map(|it| format!("{}s", it * 20)).collect();
                json!({ "positions": all })
            }),
        ],
        15..180_u64,
        prop::sample::subsequence(vec!["spot1", "spot2"], 0..=2),
        1..20_u64,
    ));
    (
        some_schedule(),
        prop::sample::select(&ZONES[..]),
        breaks,
        prop::option::of(prop::sample::subsequence(vec!["fill1", "fill2"], 1..=2)),
        (20..3600_u64, 60..900_u64),
        prop::option::of(100_000..900_000_u64),
    )
        .prop_map(|(schedule, zone, breaks, filler, (assumed, horizon), said)| {
            let breaks = breaks.map(|(mut it, duration, spots, most)| {
                it["duration"] = json!(format!("{duration}s"));
                it["spots"] = json!(spots);
                it["max_per_hour"] = json!(format!("{most}m"));
                it
            });
            let sources: Value =
                NAMES.iter().map(|it| ((*it).to_owned(), json!({ "duration_ms": said.filter(|_| *it == "a") }))).collect();
            channel(json!({ "schedule": schedule, "time_zone": zone, "ad_breaks": breaks, "filler": filler,
                "assumed_duration": format!("{assumed}s"), "horizon": format!("{horizon}s"), "sources": sources,
                "start": "2026-01-01T00:00:00Z" }))
        })
}

/// A run of a replica: by steps of this many seconds, up to a time.
fn run(
    spec: &FastChannelSpec,
    facts: &BTreeMap<String, AssetFacts>,
    cursor: &Cursor,
    until: u64,
    step: u64,
) -> (Vec<Item>, Cursor) {
    let playout = Playout::new(spec).unwrap();
    let (mut all, mut cursor) = (Vec::new(), cursor.clone());
    while cursor.at_ms < until {
        let aim = (cursor.at_ms + step * 1000).min(until);
        let (items, next) = playout.extend(&cursor, facts, aim);
        assert!(next.at_ms >= aim, "silent at {}", next.at_ms);
        all.extend(items);
        cursor = next;
    }
    (all, cursor)
}

/// The longest segment of filler and slate.
fn filler_ms(facts: &BTreeMap<String, AssetFacts>) -> u64 {
    let all = ["fill1", "fill2", "slate"].iter().filter_map(|it| facts.get(*it));
    all.flat_map(|it| it.index.parts[0].tracks[0].segments.clone()).max().unwrap()
}

/// That an item of a programme is where the schedule has it: begun at its time, or later by what may run over.
fn on_time(spec: &FastChannelSpec, facts: &BTreeMap<String, AssetFacts>, items: &[Item]) {
    let lengths = Lengths::of(spec, &|it| facts.get(it).map(|it| played_ms(&it.index)));
    let schedule = Schedule::new(spec, &lengths).unwrap();
    let grace = filler_ms(facts) + EARLY_MS;
    for item in items.iter().filter(|it| it.kind == ItemKind::Programme) {
        let Scheduled::Slot(slot) = schedule.at(item.start_ms + EARLY_MS) else {
            panic!("nothing is on: {item:?}")
        };
        assert_eq!(slot.asset, item.asset, "{item:?}");
        assert!(item.end_ms() <= slot.limit_ms + grace, "{item:?} runs over {slot:?}");
    }
}

/// Instants at which clocks do something: hours before a leap day, a year's end, and each change of a zone's offset.
fn odd_instants() -> Vec<u64> {
    let utc = |year: i16, month: i8, day: i8| {
        let date = jiff::civil::date(year, month, day).at(20, 0, 0, 0);
        u64::try_from(date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond()).unwrap()
    };
    let mut all: Vec<u64> = (2026..2076).map(|year| utc(year, 12, 31)).collect();
    all.extend((2028..2076).step_by(4).map(|year| utc(year, 2, 28)));
    let last = jiff::Timestamp::from_millisecond(i64::try_from(BEGIN + FIFTY_YEARS).unwrap()).unwrap();
    for zone in ZONES {
        let zone = jiff::tz::TimeZone::get(zone).unwrap();
        let begin = jiff::Timestamp::from_millisecond(i64::try_from(BEGIN).unwrap()).unwrap();
        let changes = zone.following(begin).map(|it| it.timestamp()).take_while(|it| *it < last);
        all.extend(changes.map(|it| u64::try_from(it.as_millisecond()).unwrap() - DAY / 8));
    }
    assert!(all.len() > 400, "{}", all.len());
    all.into_iter().filter(|it| *it > BEGIN).map(|it| it - BEGIN).collect()
}

/// A clock by which a replica announces: it goes on by about a step, and now and then slower, or back by a second and a half, as
/// one that smears a leap second or is corrected does.
fn slewed(
    spec: &FastChannelSpec,
    facts: &BTreeMap<String, AssetFacts>,
    cursor: &Cursor,
    until: u64,
    step: u64,
) -> (Vec<Item>, Cursor) {
    let playout = Playout::new(spec).unwrap();
    let (mut all, mut cursor, mut now, mut turn) = (Vec::new(), cursor.clone(), cursor.at_ms, 0_u64);
    while now < until {
        now = match turn % 5 {
            1 => now.saturating_sub(1_500),
            3 => now + step * 999,
            _ => now + step * 1000,
        }
        .min(until);
        turn += 1;
        let (items, next) = playout.extend(&cursor, facts, now);
        assert!(
            next.at_ms >= cursor.at_ms && next.msn >= cursor.msn && next.dsn >= cursor.dsn,
            "it went back"
        );
        all.extend(items);
        cursor = next;
    }
    (all, cursor)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn wherever_in_fifty_years_sequences_grow_segments_exist_and_replicas_agree(
        specs in prop::collection::vec((some_channel(), some_facts()), 1..4),
        mut windows in prop::collection::vec(prop_oneof![0..FIFTY_YEARS, prop::sample::select(odd_instants())], 3),
        steps in (20..400_u64, 100..4000_u64),
    ) {
        let mut cursor = Playout::new(&specs[0].0).unwrap().begin(BEGIN);
        // A channel only ever goes on, whatever was made of it since.
        windows.sort_unstable();
        for (turn, window) in windows.into_iter().enumerate() {
            let (spec, facts) = &specs[turn % specs.len()];
            let from = BEGIN + window;
            if from <= cursor.at_ms {
                continue;
            }
            // A replica that was silent until then goes on from the cursor that it has.
            let resumed = Playout::new(spec).unwrap().resume(&cursor, from);
            prop_assert!(resumed.msn >= cursor.msn && resumed.dsn >= cursor.dsn);
            let until = from + DAY / 4;
            let (one, end) = run(spec, facts, &resumed, until, steps.0);
            let (two, other) = run(spec, facts, &resumed, until, steps.1);
            prop_assert_eq!(&one, &two);
            prop_assert_eq!(&end, &other);
            let (three, third) = slewed(spec, facts, &resumed, until, steps.0);
            prop_assert_eq!(&one, &three);
            prop_assert_eq!(&end, &third);
            let mut audit = Audit::new(spec).unwrap();
            let back = resumed.back_from.is_some();
            for item in &one {
                audit.see(item, facts);
            }
            let found: Vec<_> = audit.violations().iter().skip(usize::from(back)).collect();
            prop_assert!(found.is_empty(), "{found:#?}");
            on_time(spec, facts, &one);
            cursor = end;
        }
    }

    #[test]
    fn whatever_is_changed_under_a_channel_what_was_announced_stays_and_sequences_go_on(
        specs in prop::collection::vec((some_channel(), some_facts()), 2..5),
        from in 0..FIFTY_YEARS,
        steps in prop::collection::vec(30..5000_u64, 2..12),
    ) {
        let from = BEGIN + from;
        let mut cursor = Playout::new(&specs[0].0).unwrap().begin(from);
        let mut audit = Audit::new(&specs[0].0).unwrap();
        // Who comes after reads the cursor as it was kept.
        for (turn, step) in steps.iter().enumerate() {
            let (spec, facts) = &specs[turn % specs.len()];
            audit.change(spec).unwrap();
            let kept: Cursor = serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap();
            let (items, next) = run(spec, facts, &kept, cursor.at_ms + step * 1000, 300);
            prop_assert_eq!(items.first().map(|it| (it.start_ms, it.msn, it.dsn)), Some((cursor.at_ms, cursor.msn, cursor.dsn)));
            for item in &items {
                audit.see(item, facts);
            }
            cursor = next;
        }
        prop_assert!(audit.violations().is_empty(), "{:#?}", audit.violations());
    }
}

/// All programmes of a grid on a local day, each with the instant that RFC 5545 gives it.
#[test]
fn days_whose_clock_changes_lose_nothing_that_a_plan_does_not_tell() {
    for zone in ZONES {
        let programmes: Vec<Value> =
            (0..24).map(|hour| json!({ "at": format!("{hour:02}:10"), "asset": NAMES[hour % 5] })).collect();
        let spec =
            channel(json!({ "time_zone": zone, "start": "2026-01-01T00:00:00Z", "assumed_duration": "40m",
            "sources": { "a": {}, "b": {}, "c": {}, "d": {}, "e": {}, "slate": {} },
            "schedule": { "grid": { "programmes": programmes } } }));
        let mut told = tfplugin_schema::Diagnostics::new();
        use tfplugin_schema::Field as _;
        let view = FastChannelSpec::view(&FastChannelSpec::write(&spec)).unwrap();
        crate::media::channel::check(view.known().unwrap(), &mut told);
        let lost = told.iter().filter(|it| it.summary.contains("is lost")).count();
        // A year: 24 for each of its days, but for those that were told of.
        let schedule = Schedule::new(&spec, &Lengths::of(&spec, &|_| None)).unwrap();
        let tz = jiff::tz::TimeZone::get(zone).unwrap();
        let first = jiff::civil::date(2026, 1, 2).to_zoned(tz.clone()).unwrap();
        let ms = |it: &jiff::Zoned| u64::try_from(it.timestamp().as_millisecond()).unwrap();
        let last = first.checked_add(jiff::Span::new().days(364)).unwrap();
        let slots = schedule.slots(ms(&first) + 600_000, ms(&last) + 600_000, 100_000);
        assert_eq!(slots.len() + lost, 24 * 364, "{zone}: {lost} told of");
    }
}
