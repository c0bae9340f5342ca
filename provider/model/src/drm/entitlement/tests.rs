//! The decision, case by case. Sequences: `runtime/drm/tests`.

use serde_json::json;

use super::*;

const DAY: u64 = 86_400_000;
const NOW: u64 = 20_000 * DAY;

fn policy(rest: &serde_json::Value) -> EntitlementPolicySpec {
    let mut all = json!({
        "packages": [{ "name": "basic", "assets": ["film", "news-*"] }], "purchases": true,
        "rental": { "window": "2days", "start_within": "30days" },
        "events": [{ "name": "final", "assets": ["match"], "from": "2024-10-05T00:00:00Z", "to": "2024-10-06T00:00:00Z" }],
        "blackouts": [{ "countries": ["DE", "AT"], "assets": ["match"] }],
        "streams": 2, "devices": 3, "licence_duration": "1m",
    });
    all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    EntitlementPolicySpec::read(&all.to_string()).unwrap()
}

fn with(grants: &[(&str, GrantKind, &str)]) -> Account {
    let grants = grants.iter().map(|(id, kind, of)| {
        let grant = Grant {
            kind: *kind,
            of: (*of).to_owned(),
            from_ms: NOW - DAY,
            until_ms: None,
            first_play_ms: None,
        };
        ((*id).to_owned(), grant)
    });
    Account { grants: grants.collect(), ..Account::default() }
}

fn ask<'a>(assets: &'a [&'a str], device: &'a str) -> Request<'a> {
    Request { assets, device, session: "", country: Some("FR") }
}

/// Decides and keeps.
fn play(
    policy: &EntitlementPolicySpec,
    account: &mut Account,
    request: &Request<'_>,
    now: u64,
) -> Result<bool, &'static str> {
    let allowed = decide(policy, account, request, Clock::around(now, 0)).map_err(Refusal::code)?;
    let changed = allowed.account.is_some();
    *account = allowed.account.unwrap_or_else(|| account.clone());
    Ok(changed)
}

#[test]
fn a_package_covers_what_it_lists_and_nothing_else() {
    let policy = policy(&json!({}));
    let mut account = with(&[("a", GrantKind::Subscription, "basic")]);
    for (assets, wanted) in [
        (vec!["film"], Ok(true)),
        (vec!["film", "news-1"], Ok(false)),
        (vec!["film", "other"], Err("not-entitled")),
        (vec!["new"], Err("not-entitled")),
    ] {
        assert_eq!(play(&policy, &mut account, &ask(&assets, "tv"), NOW), wanted, "{assets:?}");
    }
    account.grants.get_mut("a").unwrap().until_ms = Some(NOW);
    assert_eq!(play(&policy, &mut account, &ask(&["film"], "tv"), NOW), Err("not-entitled"));
    assert_eq!(play(&policy, &mut Account::default(), &ask(&["film"], "tv"), NOW), Err("not-entitled"));
}

#[test]
fn a_rental_begins_with_its_first_play_and_not_where_something_else_covers_the_asset() {
    let policy = policy(&json!({}));
    let mut account = with(&[("r", GrantKind::Rental, "other"), ("s", GrantKind::Rental, "film")]);
    assert_eq!(play(&policy, &mut account, &ask(&["other"], "tv"), NOW), Ok(true));
    assert_eq!(account.grants["r"].first_play_ms, Some(NOW));
    assert_eq!(account.grants["s"].first_play_ms, None);
    assert_eq!(play(&policy, &mut account, &ask(&["other"], "tv"), NOW + 2 * DAY - 1), Ok(true));
    assert_eq!(play(&policy, &mut account, &ask(&["other"], "tv"), NOW + 2 * DAY), Err("rental-expired"));
    // Never begun in time.
    assert_eq!(play(&policy, &mut account, &ask(&["film"], "tv"), NOW + 29 * DAY), Err("rental-expired"));
    account.grants.extend(with(&[("z", GrantKind::Subscription, "basic")]).grants);
    assert_eq!(play(&policy, &mut account, &ask(&["film"], "tv"), NOW), Ok(true));
    assert_eq!(account.grants["s"].first_play_ms, None);
}

#[test]
fn an_event_is_open_in_its_window_and_blacked_out_where_the_policy_says() {
    let policy = policy(&json!({}));
    let mut account = with(&[("e", GrantKind::Event, "final")]);
    let opens = 20_001 * DAY;
    let mut at = |now: u64, country: Option<&str>| {
        let request = Request { country, ..ask(&["match"], "tv") };
        play(&policy, &mut account, &request, now)
    };
    assert_eq!(at(opens - 1, Some("FR")), Err("event-not-open"));
    assert_eq!(at(opens, Some("FR")), Ok(true));
    assert_eq!(at(opens, Some("DE")), Err("blackout"));
    assert_eq!(at(opens, None), Err("blackout"));
    assert_eq!(at(opens + DAY, Some("FR")), Err("event-not-open"));
}

#[test]
fn streams_and_devices_have_places_and_a_stream_that_goes_on_keeps_its_own() {
    let policy = policy(&json!({}));
    let mut account = with(&[("a", GrantKind::Subscription, "basic")]);
    let mut at = |device: &str, now: u64| play(&policy, &mut account, &ask(&["film"], device), now);
    assert_eq!(at("one", NOW), Ok(true));
    assert_eq!(at("two", NOW), Ok(true));
    assert_eq!(at("three", NOW), Err("too-many-streams"));
    // It goes on without a write while its place is taken for long enough, and with one then.
    assert_eq!(at("one", NOW + 30_000), Ok(false));
    assert_eq!(at("one", NOW + 60_000), Ok(true));
    // The other one did not ask again: one and a half of a minute later, its place is free.
    assert_eq!(at("three", NOW + 89_999), Err("too-many-streams"));
    assert_eq!(at("three", NOW + 90_000), Ok(true));
    assert_eq!(at("four", NOW + 900_000), Err("too-many-devices"));
}

#[test]
fn fewer_places_than_are_taken_leave_the_first_ones() {
    let mut account = with(&[("a", GrantKind::Subscription, "basic")]);
    for device in ["one", "two"] {
        assert_eq!(play(&policy(&json!({})), &mut account, &ask(&["film"], device), NOW), Ok(true));
    }
    let fewer = policy(&json!({ "streams": 1 }));
    assert_eq!(play(&fewer, &mut account, &ask(&["film"], "one"), NOW + 1), Ok(false));
    assert_eq!(play(&fewer, &mut account, &ask(&["film"], "two"), NOW + 1), Err("too-many-streams"));
    let fewer = policy(&json!({ "devices": 1 }));
    assert_eq!(play(&fewer, &mut account, &ask(&["film"], "two"), NOW + 1), Err("too-many-devices"));
}

#[test]
fn a_clock_that_may_be_off_opens_late_and_closes_early() {
    let policy = policy(&json!({}));
    let account = with(&[("e", GrantKind::Event, "final")]);
    let opens = 20_001 * DAY;
    let at = |now: u64| decide(&policy, &account, &ask(&["match"], "tv"), Clock::around(now, 2000)).is_ok();
    assert_eq!(
        [opens + 1999, opens + 2000, opens + DAY - 2001, opens + DAY - 2000].map(at),
        [false, true, true, false]
    );
}

#[test]
fn a_policy_that_cannot_work_is_refused_at_its_place() {
    for (rest, place) in [
        (json!({ "licence_duration": "1s" }), "licence"),
        (json!({ "rental": { "window": "1s", "start_within": "1day" } }), "rental"),
        (
            json!({ "packages": [{ "name": "a", "assets": ["x"] }, { "name": "a", "assets": ["x"] }] }),
            "Name taken",
        ),
        (json!({ "packages": [{ "name": "a", "assets": ["x", "x"] }] }), "twice"),
        (json!({ "packages": [{ "name": "a", "assets": ["X*y"] }] }), "asset's name"),
        (json!({ "blackouts": [{ "countries": ["DE", "XX"], "assets": ["x"] }] }), "ISO 3166-1"),
        (json!({ "blackouts": [{ "countries": ["de"], "assets": ["x"] }] }), "ISO 3166-1"),
        (
            json!({ "events": [{ "name": "a", "assets": ["x"], "from": "tomorrow", "to": "2024-01-01T00:00:00Z" }] }),
            "RFC 3339",
        ),
        (
            json!({ "events": [{ "name": "a", "assets": ["x"], "from": "2024-01-01T00:00:00Z", "to": "2024-01-01T00:00:00Z" }] }),
            "before it begins",
        ),
        (json!({ "streams": 0 }), "1 to 100"),
    ] {
        let mut all = json!({ "purchases": true, "streams": 2, "devices": 3, "licence_duration": "1m" });
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let error = EntitlementPolicySpec::read(&all.to_string()).unwrap_err().to_string();
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn codes_are_the_ones_that_are_promised_each_once() {
    let mut codes: Vec<_> = Refusal::ALL.iter().map(|it| it.code()).collect();
    assert!(codes.iter().all(|it| it.bytes().all(|it| it.is_ascii_lowercase() || it == b'-')));
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Refusal::ALL.len());
    assert!(codes.contains(&"too-many-streams") && codes.contains(&"token-replayed"));
}
