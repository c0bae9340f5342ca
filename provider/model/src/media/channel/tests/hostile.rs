//! Schedules that nobody should have written.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::kit::{asset, facts};
use crate::media::channel::{
    Audit, Cue, FastChannelSpec, Guide, Item, LAST_INSTANT_MS, Lengths, Playout, Rule, Splice, check_spec,
};

/// JSON of a spec in which anything may be anything.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "a",
            "b",
            "slate",
            "",
            "20:15",
            "99:99",
            "24:00:00:00",
            "1s",
            "0s",
            "9999999999years",
            "-1s",
            "UTC",
            "Europe/Berlin",
            "\u{0}",
            "monday"
        ])
        .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "a",
        "slate",
        "order",
        "grid",
        "rotation",
        "items",
        "programmes",
        "at",
        "asset",
        "days",
        "duration",
        "duration_ms",
        "every",
        "positions",
        "spots",
        "seed",
        "no_repeat_within",
        "ad_positions",
        "x",
    ]);
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

fn base() -> Value {
    json!({ "object_store": "file:///o", "catalogue": "sqlite:///c", "start": "2026-11-26T12:00:00Z", "slate": "slate",
        "sources": { "a": { "duration_ms": 60_000 }, "slate": {} }, "schedule": { "order": { "items": ["a"] } },
        "ad_breaks": { "every": "5m", "duration": "30s" } })
}

/// Everything that can be asked of a spec that was read: none of it may take long.
fn ask(spec: &FastChannelSpec) {
    let _ = check_spec(spec);
    let _ = Guide::of_first_day("x", spec);
    let lengths = Lengths::of(spec, &|_| None);
    let _ = Guide::of("x", spec, &lengths, LAST_INSTANT_MS - 1000, LAST_INSTANT_MS);
    let all = facts(&[("a", asset("g", &[&[4000; 9]])), ("slate", asset("g", &[&[0, 1, 0], &[], &[3000]]))]);
    if let Ok(playout) = Playout::new(spec) {
        for at in [0, 1_795_694_400_000, LAST_INSTANT_MS, u64::MAX - 1] {
            let _ = playout.extend(&playout.begin(at), &all, at.saturating_add(600_000));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_a_spec_or_a_stable_error(
        place in prop::sample::select(vec!["schedule", "sources", "ad_breaks", "filler", "slate", "start", "time_zone", "horizon",
            "assumed_duration", "languages", "x"]),
        value in anything(),
    ) {
        let mut spec = base();
        spec[place] = value;
        let read = || serde_json::from_value::<FastChannelSpec>(spec.clone());
        match read() {
            Ok(spec) => ask(&spec),
            Err(error) => prop_assert_eq!(error.to_string(), read().unwrap_err().to_string()),
        }
    }

    #[test]
    fn any_text_for_a_place_that_takes_text_is_taken_or_refused(
        at in "[0-9:]{0,9}|.{0,10}", zone in "[A-Za-z/_]{0,20}|.{0,10}", length in any::<u64>(), seed in any::<u64>(),
    ) {
        let mut spec = base();
        spec["time_zone"] = json!(zone);
        spec["sources"]["a"]["duration_ms"] = json!(length);
        spec["schedule"] = if seed % 2 == 0 {
            json!({ "grid": { "programmes": [{ "at": at, "asset": "a" }] } })
        } else {
            json!({ "rotation": { "items": ["a", "b", "c"], "seed": seed } })
        };
        ask(&serde_json::from_value(spec).unwrap());
    }
}

#[test]
fn a_million_entries_and_no_lengths_at_all_are_refused_quickly() {
    let begun = Instant::now();
    let many: Vec<Value> = (0..1_000_000).map(|_| json!({ "at": "12:00", "asset": "a" })).collect();
    let mut spec = base();
    spec["schedule"] = json!({ "grid": { "programmes": many } });
    let spec: FastChannelSpec = serde_json::from_value(spec).unwrap();
    assert!(Playout::new(&spec).unwrap_err().to_string().contains("at most 10000 entries"));
    assert!(check_spec(&spec).unwrap_err().to_string().contains("at most 10000 entries"));
    let mut spec = base();
    spec["schedule"] = json!({ "order": { "items": vec!["a"; 10_000] } });
    spec["sources"]["a"]["duration_ms"] = json!(1);
    let spec: FastChannelSpec = serde_json::from_value(spec).unwrap();
    ask(&spec);
    // Generous: a debug build on a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(300), "{:?}", begun.elapsed());
}

#[test]
fn assets_without_any_length_are_slate_and_nothing_at_all_is_silence() {
    let spec: FastChannelSpec = serde_json::from_value(base()).unwrap();
    let playout = Playout::new(&spec).unwrap();
    let begin = playout.begin(spec.start_ms());
    let empty = asset("g", &[&[0, 0], &[]]);
    let all = facts(&[("a", empty.clone()), ("slate", asset("g", &[&[4000]]))]);
    let (items, _) = playout.extend(&begin, &all, begin.at_ms + 20_000);
    assert!(items.len() == 5 && items.iter().all(|it| it.asset == "slate"));
    let (items, cursor) =
        playout.extend(&begin, &facts(&[("a", empty.clone()), ("slate", empty)]), begin.at_ms + 20_000);
    assert_eq!((items.len(), &cursor), (0, &begin), "the same call can be made again");
    assert_eq!(playout.extend(&begin, &(), u64::MAX).0.len(), 0);
}

#[test]
fn a_package_of_absurd_length_does_not_silence_the_channel() {
    let mut spec = base();
    spec["sources"] = json!({ "a": {}, "b": {}, "slate": {} });
    let all = facts(&[
        ("a", asset("g", &[&[4000; 5]])),
        ("b", asset("g", &[&[u64::MAX]])),
        ("slate", asset("g", &[&[4000]])),
    ]);
    for schedule in
        [json!({ "order": { "items": ["a", "b"] } }), json!({ "rotation": { "items": ["a", "b"] } })]
    {
        spec["schedule"] = schedule;
        let spec: FastChannelSpec = serde_json::from_value(spec.clone()).unwrap();
        let playout = Playout::new(&spec).unwrap();
        let begin = playout.begin(spec.start_ms());
        let (items, cursor) = playout.extend(&begin, &all, begin.at_ms + 40_000);
        assert!(!items.is_empty() && cursor.at_ms >= begin.at_ms + 40_000, "{items:#?}");
    }
}

/// Each rule is broken once, and only it is told of.
#[test]
fn an_audit_finds_what_is_wrong() {
    let mut spec = base();
    spec["ad_breaks"] =
        json!({ "positions": ["20s"], "duration": "30s", "spots": ["spot"], "max_per_hour": "30m" });
    let spec: FastChannelSpec = serde_json::from_value(spec).unwrap();
    let all = facts(&[
        ("a", asset("g", &[&[4000; 15]])),
        ("spot", asset("g", &[&[5000, 5000]])),
        ("slate", asset("g", &[&[4000]])),
    ]);
    let playout = Playout::new(&spec).unwrap();
    let begin = playout.begin(spec.start_ms());
    let (items, _) = playout.extend(&begin, &all, begin.at_ms + 180_000);
    let found = |change: &dyn Fn(&mut Vec<Item>)| {
        let mut items = items.clone();
        change(&mut items);
        let mut audit = Audit::new(&spec).unwrap();
        items.iter().for_each(|it| audit.see(it, &all));
        let mut rules: Vec<Rule> = audit.violations().iter().map(|it| it.rule).collect();
        rules.dedup();
        rules
    };
    let out = items.iter().position(|it| it.splice.is_some()).unwrap();
    let back = items.iter().position(|it| it.splice.as_ref().is_some_and(|it| it.cue == Cue::In)).unwrap();
    assert_eq!(found(&|_| {}), []);
    assert_eq!(found(&|it| it.iter_mut().skip(1).for_each(|it| it.msn += 1)), [Rule::MediaSequence]);
    assert_eq!(found(&|it| it.iter_mut().skip(1).for_each(|it| it.dsn += 1)), [Rule::DiscontinuitySequence]);
    assert_eq!(found(&|it| it.iter_mut().skip(1).for_each(|it| it.start_ms += 1)), [Rule::Gapless]);
    assert_eq!(found(&|it| it.iter_mut().skip(1).for_each(|it| it.programme += 5)), [Rule::Programmes]);
    assert_eq!(found(&|it| it[0].first = 11), [Rule::Exists]);
    assert_eq!(found(&|it| it[0].generation = "h".to_owned()), [Rule::Exists]);
    assert_eq!(found(&|it| it[back].splice = None)[0], Rule::Splices);
    assert_eq!(found(&|it| it[out].splice = None)[0], Rule::Splices);
    let said = Some(Splice { event_id: 1, cue: Cue::Out { duration_ms: 600_000 } });
    assert_eq!(found(&|it| it[out].splice.clone_from(&said)), [Rule::BreakLength]);
    let mut audit = Audit::new(
        &serde_json::from_value({
            let mut spec = base();
            spec["ad_breaks"] = json!({ "every": "5m", "duration": "30s", "max_per_hour": "15s" });
            spec
        })
        .unwrap(),
    )
    .unwrap();
    items.iter().for_each(|it| audit.see(it, &all));
    assert!(audit.violations().iter().all(|it| it.rule == Rule::AdLoad) && !audit.violations().is_empty());
    let mut long = all.clone();
    long.get_mut("slate").unwrap().index.segment_ms = 2000;
    let mut audit = Audit::new(&spec).unwrap();
    items.iter().for_each(|it| audit.see(it, &long));
    assert!(audit.violations().iter().all(|it| it.rule == Rule::TargetDuration), "{:#?}", audit.violations());
}
