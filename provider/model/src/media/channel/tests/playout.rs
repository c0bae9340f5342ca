//! What plays.

use serde_json::json;

use super::kit::{NOON, asset, channel, facts, plain, played, told};
use crate::media::channel::{Cue, ItemKind, Playout};

#[test]
fn assets_follow_one_another_and_begin_again() {
    let spec = channel(json!({ "schedule": { "order": { "items": ["one", "two"] } } }));
    let all = facts(&[("one", plain(8)), ("two", plain(10)), ("slate", plain(4))]);
    let items = played(&spec, &all, NOON, 36);
    assert_eq!(told(&items), ["one 0+2", "two 0+3", "one 0+2", "two 0+3"]);
    assert_eq!(items.iter().map(|it| it.start_ms - NOON).collect::<Vec<_>>(), [0, 8000, 18_000, 26_000]);
    assert_eq!(items.iter().map(|it| it.msn).collect::<Vec<_>>(), [0, 2, 5, 7]);
    assert_eq!(items.iter().map(|it| it.dsn).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(items.iter().map(|it| it.programme).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn a_channel_that_begins_late_is_where_the_schedule_is() {
    let spec = channel(json!({ "schedule": { "order": { "items": ["one", "two"] } } }));
    let all = facts(&[("one", plain(400)), ("two", plain(600)), ("slate", plain(4))]);
    // A thousand years of rounds later, and 500 s into a round.
    let then = NOON + 1_000_000 * 31_536_000 + 500_000;
    let items = played(&spec, &all, then, 4);
    let into = (then - NOON) % 1_000_000;
    let expected = if into < 400_000 { into.div_ceil(4000) } else { (into - 400_000).div_ceil(4000) };
    assert_eq!(items[0].first, expected);
    assert_eq!(items[0].asset, if into < 400_000 { "one" } else { "two" });
}

#[test]
fn a_break_comes_at_the_end_of_a_segment_and_slate_fills_what_spots_do_not() {
    let spec = channel(json!({
        "schedule": { "order": { "items": ["film"] } },
        "ad_breaks": { "positions": ["10s"], "duration": "30s", "spots": ["a", "b"] },
    }));
    let all = facts(&[("film", plain(40)), ("a", plain(12)), ("b", plain(10)), ("slate", plain(4))]);
    let items = played(&spec, &all, NOON, 140);
    assert_eq!(
        told(&items),
        [
            "film 0+3",
            "a 0+3 out",
            "b 0+3",
            "slate 0+1",
            "slate 0+1",
            "film 3+7 in",
            "film 0+3",
            "a 0+3 out",
            "b 0+3",
            "slate 0+1",
            "slate 0+1",
            "film 3+7 in"
        ]
    );
    let out = items[1].splice.clone().unwrap();
    assert_eq!(out.cue, Cue::Out { duration_ms: 30_000 });
    assert_eq!(items[5].splice.clone().unwrap().event_id, out.event_id);
    assert_ne!(items[7].splice.clone().unwrap().event_id, out.event_id);
    assert_eq!((items[1].kind, items[3].kind), (ItemKind::Ad, ItemKind::Slate));
}

#[test]
fn an_asset_that_is_not_there_is_slate_in_its_slot_and_is_joined_when_it_comes() {
    let spec = channel(json!({
        "sources": { "late": { "duration_ms": 60_000 } },
        "schedule": { "order": { "items": ["late", "next"] } },
    }));
    let mut all = facts(&[("next", plain(40)), ("slate", plain(10))]);
    let playout = Playout::new(&spec).unwrap();
    let (items, cursor) = playout.extend(&playout.begin(NOON), &all, NOON + 100_000);
    assert_eq!(
        told(&items),
        ["slate 0+3", "slate 0+3", "slate 0+3", "slate 0+3", "slate 0+3", "slate 0+3", "next 0+10"]
    );
    let (items, cursor) = playout.extend(&cursor, &all, NOON + 120_000);
    assert_eq!(told(&items), ["slate 0+3", "slate 0+3"]);
    all.insert("late".to_owned(), plain(60));
    let (items, _) = playout.extend(&cursor, &all, NOON + 160_000);
    assert_eq!(told(&items), ["late 5+10"], "20 s into its slot");
}

#[test]
fn parts_are_items_of_their_own() {
    let spec = channel(json!({ "schedule": { "order": { "items": ["film"] } } }));
    let all = facts(&[("film", asset("g", &[&[4000, 4000], &[4000, 2000]])), ("slate", plain(4))]);
    assert_eq!(told(&played(&spec, &all, NOON, 20)), ["film 0+2", "film p1:0+2", "film 0+2"]);
}

#[test]
fn however_far_each_call_goes_the_items_are_the_same() {
    let spec = channel(json!({
        "schedule": { "order": { "items": ["one", "two", "gone"] } }, "assumed_duration": "50s",
        "ad_breaks": { "positions": ["9s", "23s"], "duration": "20s", "spots": ["a", "b"], "max_per_hour": "3m" },
        "filler": ["f"],
    }));
    let all = facts(&[
        ("one", asset("g", &[&[4000; 9], &[3003; 7], &[1001]])),
        ("two", plain(90)),
        ("a", plain(8)),
        ("b", plain(15)),
        ("f", plain(13)),
        ("slate", asset("g", &[&[2002, 2002, 900]])),
    ]);
    let playout = Playout::new(&spec).unwrap();
    let end = NOON + 4 * 3_600_000;
    let (whole, after) = playout.extend(&playout.begin(NOON), &all, end);
    let (mut parts, mut cursor, mut until) = (Vec::new(), playout.begin(NOON), NOON);
    while cursor.at_ms < end {
        until = (until + 7_777).min(end);
        let (items, next) = playout.extend(&cursor, &all, until);
        parts.extend(items);
        cursor = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
    }
    assert_eq!(parts, whole);
    assert_eq!(cursor, after);
    for pair in whole.windows(2) {
        assert_eq!(pair[0].end_ms(), pair[1].start_ms);
        assert_eq!(pair[0].msn + pair[0].count, pair[1].msn);
        assert_eq!(pair[0].dsn + 1, pair[1].dsn);
    }
}
