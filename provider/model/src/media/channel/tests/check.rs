//! What a plan refuses and warns of.

#![allow(clippy::needless_pass_by_value, reason = "what `json!` makes")]

use serde_json::{Value, json};
use tfplugin_schema::{Diagnostics, Field as _, Maybe, Severity};

use super::kit::channel;
use crate::media::channel::{FastChannelSpec, check, check_spec};
use crate::media::default_ladder;

/// `E path: summary: detail`.
fn found(members: Value) -> Vec<String> {
    let spec = channel(members);
    let Ok(Maybe::Known(view)) = FastChannelSpec::view(&FastChannelSpec::write(&spec)) else {
        panic!("no view")
    };
    let mut out = Diagnostics::new();
    check(&view, &mut out);
    let all: Vec<String> = out
        .iter()
        .map(|it| {
            let severity = if it.severity == Severity::Error { "E" } else { "W" };
            let path = it.path.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{severity} {path}: {}: {}", it.summary, it.detail)
        })
        .collect();
    assert_eq!(check_spec(&spec).is_err(), all.iter().any(|it| it.starts_with('E')));
    all
}

fn one(members: Value, begins: &str, parts: &[&str]) {
    let all = found(members);
    assert!(all.len() == 1 && all[0].starts_with(begins), "{all:#?}");
    for part in parts {
        assert!(all[0].contains(part), "{part}: {all:#?}");
    }
}

fn with(base: &Value, change: Value) -> Value {
    let mut all = base.clone();
    all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    all
}

fn usual() -> Value {
    json!({
        "sources": { "film": { "duration_ms": 5_400_000 }, "news": { "duration_ms": 1_800_000 },
            "spot": { "duration_ms": 30_000 }, "slate": { "duration_ms": 10_000 } },
        "schedule": { "order": { "items": ["film", "news"] } },
    })
}

#[test]
fn what_works_is_not_spoken_of() {
    assert_eq!(found(usual()), [""; 0]);
    let breaks = json!({ "ad_breaks": { "every": "15m", "duration": "2m", "spots": ["spot"] } });
    assert_eq!(found(with(&usual(), breaks)), [""; 0]);
}

#[test]
fn a_name_that_is_no_source_is_told_the_nearest() {
    let items = json!({ "schedule": { "order": { "items": ["film", "newz"] } } });
    one(with(&usual(), items), "E schedule.order.items[1]: Not among", &["Did you mean \"news\"?"]);
    one(with(&usual(), json!({ "slate": "black" })), "E slate: Not among", &[]);
    one(
        with(&usual(), json!({ "time_zone": "Europe/Berln" })),
        "E time_zone: No such",
        &["\"Europe/Berlin\""],
    );
}

#[test]
fn a_steering_server_that_nobody_can_ask_is_refused() {
    let steering = |server: &str, pathway: &str| {
        with(&usual(), json!({ "steering": { "server_url": server, "pathway": pathway } }))
    };
    assert_eq!(found(steering("https://steering.example/live?a=1&b=2", "edge-a.1_")), [""; 0]);
    for (server, why) in [
        ("", "no URL"),
        ("/live", "no URL"),
        ("ftp://steering.example/", "by https://"),
        ("data:application/json,{}", "by https://"),
        ("https://ann:secret@steering.example/", "password"),
        ("https://steering.example/#a", "never sent"),
        ("https://steering.example/\"", "characters"),
        ("https://steering.example/\n#EXT-X-ENDLIST", "characters"),
    ] {
        one(steering(server, "main"), "E steering.server_url: No address", &[why]);
    }
    for pathway in ["", "a b", "a\"", "é", &"x".repeat(65)] {
        one(steering("https://steering.example/", pathway), "E steering.pathway: No name", &["4.4.6.2"]);
    }
}

#[test]
fn horizons_and_windows_of_a_few_segments_are_refused() {
    one(with(&usual(), json!({ "horizon": "8s" })), "E horizon: Horizon of a few", &["at least 12s"]);
    one(
        with(&usual(), json!({ "playlist_window": "5s" })),
        "E playlist_window: Playlist of a few",
        &["6.2.2"],
    );
    one(with(&usual(), json!({ "horizon": "2days" })), "E horizon: Horizon of days", &[]);
}

fn grid(zone: &str, programmes: Value) -> Value {
    let mut all = usual();
    all["sources"]["slate"] = json!({ "duration_ms": 86_400_000_u64 });
    with(
        &all,
        json!({ "time_zone": zone, "filler": ["slate"], "schedule": { "grid": { "programmes": programmes } } }),
    )
}

#[test]
fn overlaps_and_gaps_of_a_grid_are_told_where_they_are() {
    let programmes = json!([{ "at": "20:15", "asset": "film" }, { "at": "21:00", "asset": "news" }]);
    one(
        grid("UTC", programmes),
        "E schedule.grid.programmes[0]: Programme longer",
        &["begins on Monday at 20:15, takes 1h30m", "begins after 45m", "its last 45m"],
    );
    let programmes =
        json!([{ "at": "20:15", "asset": "film" }, { "days": ["friday"], "at": "20:15", "asset": "news" }]);
    one(
        grid("UTC", programmes),
        "E schedule.grid.programmes[0].at: Two programmes at once",
        &["Friday at 20:15"],
    );
    let mut gap = grid("UTC", json!([{ "at": "20:15", "asset": "film" }]));
    gap["filler"] = Value::Null;
    one(
        gap,
        "W schedule.grid.programmes[0]: Nothing scheduled",
        &["for 22h30m", "the slate plays", "7 such gaps"],
    );
}

#[test]
fn days_whose_clock_changes_are_told() {
    let programmes = json!([{ "at": "02:00", "asset": "news" }, { "at": "03:00", "asset": "film" }]);
    let all = found(with(&grid("Europe/Berlin", programmes), json!({ "start": "2026-01-01T00:00:00Z" })));
    assert_eq!(all.len(), 2, "{all:#?}");
    assert!(all[0].starts_with("W schedule.grid.programmes[0]: A programme is lost"), "{all:#?}");
    assert!(all[0].contains("On 2026-03-29 the clock of Europe/Berlin skips 02:00 to 03:00"), "{all:#?}");
    assert!(all[1].starts_with("W schedule.grid.programmes[0]: An hour comes twice"), "{all:#?}");
    assert!(all[1].contains("On 2026-10-25") && all[1].contains("has 02:00 to 03:00 twice"), "{all:#?}");
    let programmes = json!([{ "at": "02:30", "asset": "news" }, { "at": "20:00", "asset": "film" }]);
    let all = found(with(&grid("Europe/Berlin", programmes), json!({ "start": "2026-01-01T00:00:00Z" })));
    assert!(all[0].contains("A programme is moved") && all[0].contains("60 minutes later"), "{all:#?}");
    assert_eq!(found(grid("UTC", json!([{ "at": "02:30", "asset": "news" }]))), [""; 0]);
}

#[test]
fn assets_that_players_cannot_switch_between_are_refused() {
    let ladder = |height| serde_json::to_string(&default_ladder(height, None)).unwrap();
    let mut all = usual();
    for name in ["film", "news", "spot", "slate"] {
        all["sources"][name]["ladder"] = json!(ladder(1080));
    }
    assert_eq!(found(all.clone()), [""; 0]);
    all["sources"]["spot"]["ladder"] = json!(ladder(360));
    one(all.clone(), "E sources[\"spot\"].ladder: Renditions", &["lacks the rendition", "of \"film\""]);
    all["sources"]["spot"]["ladder"] = json!("{}");
    one(all, "E sources[\"spot\"].ladder: No ladder", &[]);
}

#[test]
fn protection_that_differs_is_refused_and_clear_is_warned_of() {
    let drm = |scheme: &str, systems: &[&str]| {
        json!({ "name": "main", "site": "default", "spec": { "scheme": scheme, "systems": systems,
            "key_granularity": "track_type", "key_service": "keys://h:1?secret=key-service.main" } })
        .to_string()
    };
    let mut all = usual();
    for name in ["film", "news", "spot", "slate"] {
        all["sources"][name]["drm"] = json!(drm("cbcs", &["clearkey"]));
    }
    assert_eq!(found(all.clone()), [""; 0]);
    all["sources"]["slate"]["drm"] = Value::Null;
    one(all.clone(), "W sources[\"slate\"].drm: Clear between", &[]);
    all["sources"]["slate"]["drm"] = json!(drm("cenc", &["clearkey"]));
    one(all.clone(), "E sources[\"slate\"].drm: Protection", &["another scheme"]);
    all["sources"]["slate"]["drm"] = json!(drm("cbcs", &["widevine"]));
    one(all, "E sources[\"slate\"].drm: Protection", &["all systems"]);
}

#[test]
fn breaks_that_cannot_be_filled_or_are_too_much_are_told() {
    let breaks = |it: Value| with(&usual(), json!({ "ad_breaks": it }));
    one(
        breaks(json!({ "every": "10m", "duration": "20s", "spots": ["spot"] })),
        "E ad_breaks.duration: No spot fits",
        &["30s", "20s"],
    );
    one(
        breaks(json!({ "every": "10m", "duration": "59s", "spots": ["spot"] })),
        "W ad_breaks.duration: A break longer than what fills it",
        &["at most 30s of 59s", "3 times"],
    );
    one(
        breaks(json!({ "every": "10m", "duration": "1m" })),
        "W ad_breaks: Breaks without spots",
        &["6 times"],
    );
    one(
        breaks(json!({ "every": "5m", "duration": "2m", "spots": ["spot"] })),
        "E ad_breaks.max_per_hour: More ads",
        &["an hour may have 12m"],
    );
    one(
        breaks(json!({ "every": "5m", "positions": ["5m"], "duration": "30s", "spots": ["spot"] })),
        "E ad_breaks.every: Breaks said twice",
        &[],
    );
    one(
        breaks(json!({ "positions": ["5m", "5m1s"], "duration": "30s", "spots": ["spot"] })),
        "E ad_breaks.positions[1]: Breaks on end",
        &[],
    );
    let mut own = breaks(json!({ "duration": "30s", "spots": ["spot"] }));
    own["sources"]["news"]["ad_positions"] = json!(["10m", "40m"]);
    one(own, "E sources[\"news\"].ad_positions[1]: A break after", &["30m"]);
}

#[test]
fn with_unknown_values_only_what_no_completion_can_save_is_refused() {
    let spec = channel(grid(
        "Europe/Berlin",
        json!([{ "at": "20:15", "asset": "film" }, { "at": "21:00", "asset": "newz" }]),
    ));
    let Ok(Maybe::Known(mut view)) = FastChannelSpec::view(&FastChannelSpec::write(&spec)) else {
        panic!("no view")
    };
    let told = |view: &_| {
        let mut out = Diagnostics::new();
        check(view, &mut out);
        out.iter()
            .filter(|it| it.severity == Severity::Error)
            .map(|it| it.summary.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&view), ["Not among the sources", "Programme longer than its slot"]);
    let Maybe::Known(sources) = &mut view.sources else { panic!("no sources") };
    let Some(Maybe::Known(film)) = sources.get_mut("film") else { panic!("no film") };
    film.duration_ms = Maybe::Unknown;
    assert_eq!(told(&view), ["Not among the sources"]);
    view.sources = Maybe::Unknown;
    assert_eq!(told(&view), [""; 0]);
    view.time_zone = Maybe::Known("Mars/Phobos".to_owned());
    assert_eq!(told(&view), ["No such time zone"]);
}
