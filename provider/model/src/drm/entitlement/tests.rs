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
    Request { assets, device, session: "", country: Some("FR"), usage: &[], is_persistent: false }
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

fn usage(rest: &serde_json::Value) -> crate::drm::UsageSpec {
    let mut all = json!({ "expiry": null, "offline": false, "rental": null, "tracks": null });
    all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

#[test]
fn a_licence_is_renewed_no_longer_than_its_asset_allows_and_another_stream_begins_anew() {
    let policy = policy(&json!({}));
    let mut account = with(&[("a", GrantKind::Subscription, "basic")]);
    let usage = usage(&json!({ "expiry": "100s" }));
    let all = [("film", &usage)];
    let mut at = |asset: &str, session: &str, now: u64| {
        let assets = [asset];
        let request = Request { usage: &all, session, ..ask(&assets, "tv") };
        let allowed = decide(&policy, &account, &request, Clock::around(now, 0)).map_err(Refusal::code)?;
        account = allowed.account.unwrap_or_else(|| account.clone());
        Ok(allowed.renew_after_ms)
    };
    assert_eq!(at("film", "", NOW), Ok(30_000));
    assert_eq!(at("film", "", NOW + 60_000), Ok(30_000));
    assert_eq!(at("film", "", NOW + 90_000), Ok(10_000), "it asks when the licence is over");
    assert_eq!(at("film", "", NOW + 100_000), Err("licence-expired"));
    // What has no end goes on, and does not begin the film anew; a stream that had none for so long does.
    assert_eq!(at("news-1", "", NOW + 100_000), Ok(30_000));
    assert_eq!(at("film", "", NOW + 149_999), Err("licence-expired"));
    assert_eq!(at("film", "", NOW + 150_000), Ok(30_000));
    assert_eq!(at("film", "", NOW + 210_000), Ok(30_000));
    assert_eq!(at("film", "", NOW + 249_999), Ok(1));
    assert_eq!(at("film", "", NOW + 250_000), Err("licence-expired"));
    assert_eq!(at("film", "other", NOW + 250_000), Ok(30_000));
}

#[test]
fn each_of_several_assets_has_its_own_time() {
    let policy = policy(&json!({}));
    let mut account = with(&[("a", GrantKind::Subscription, "basic")]);
    let (long, short) = (usage(&json!({ "expiry": "100s" })), usage(&json!({ "expiry": "50s" })));
    let all = [("news-1", &long), ("news-2", &short)];
    let mut at = |assets: &[&str], now: u64| {
        let request = Request { usage: &all, ..ask(assets, "tv") };
        let allowed = decide(&policy, &account, &request, Clock::around(now, 0)).map_err(Refusal::code)?;
        account = allowed.account.unwrap_or_else(|| account.clone());
        Ok(allowed.renew_after_ms)
    };
    assert_eq!(at(&["film"], NOW), Ok(30_000));
    assert_eq!(at(&["film", "news-1"], NOW + 40_000), Ok(30_000));
    assert_eq!(at(&["film", "news-1", "news-2"], NOW + 80_000), Ok(30_000), "not of the film's time");
    assert_eq!(at(&["news-1", "news-2"], NOW + 120_000), Ok(10_000));
    assert_eq!(at(&["film", "news-2"], NOW + 130_000), Err("licence-expired"));
    assert_eq!(at(&["news-1"], NOW + 139_999), Ok(1));
    assert_eq!(at(&["film", "news-1"], NOW + 140_000), Err("licence-expired"));
    assert_eq!(at(&["film"], NOW + 140_000), Ok(30_000));
}

#[test]
fn a_stream_has_no_more_assets_with_an_end_than_an_account_can_keep() {
    let policy = policy(&json!({}));
    let mut account = with(&[("a", GrantKind::Subscription, "basic")]);
    let usage = usage(&json!({ "expiry": "1h" }));
    let names: Vec<String> = (0..=1000).map(|it| format!("news-{it}")).collect();
    let all: Vec<_> = names.iter().map(|it| (it.as_str(), &usage)).collect();
    let assets: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut at = |assets: &[&str], now: u64| {
        play(&policy, &mut account, &Request { usage: &all, ..ask(assets, "tv") }, now)
    };
    assert_eq!(at(&assets[..1000], NOW), Ok(true));
    assert_eq!(at(&assets[1000..], NOW), Err("too-many-streams"));
    assert_eq!(at(&["film"], NOW), Ok(true));
    assert_eq!(at(&assets[1000..], NOW + 90_000), Ok(true), "they are over");
}

#[test]
fn a_rental_ends_when_the_policy_or_the_asset_says_whichever_is_first() {
    let policy = policy(&json!({}));
    let usage = usage(&json!({ "rental": { "start_within": "25days", "watch_within": "1day" } }));
    let all = [("other", &usage)];
    let rented = with(&[("r", GrantKind::Rental, "other")]);
    let assets = ["other"];
    let request = Request { usage: &all, ..ask(&assets, "tv") };
    let mut account = rented.clone();
    assert_eq!(play(&policy, &mut account, &request, NOW), Ok(true));
    assert_eq!(play(&policy, &mut account, &request, NOW + DAY - 1), Ok(true));
    assert_eq!(play(&policy, &mut account, &request, NOW + DAY), Err("rental-expired"));
    assert_eq!(play(&policy, &mut rented.clone(), &request, NOW + 24 * DAY), Err("rental-expired"));
    assert_eq!(play(&policy, &mut rented.clone(), &ask(&assets, "tv"), NOW + 24 * DAY), Ok(true));
}

#[test]
fn a_licence_is_kept_only_where_the_asset_allows_it_and_has_no_end() {
    let policy = policy(&json!({}));
    for (rest, wanted) in [
        (json!({}), Err("offline-not-allowed")),
        (json!({ "offline": true }), Ok(true)),
        (json!({ "offline": true, "expiry": "1h" }), Err("offline-not-allowed")),
        (
            json!({ "offline": true, "rental": { "start_within": "1day", "watch_within": "1day" } }),
            Err("offline-not-allowed"),
        ),
    ] {
        let usage = usage(&rest);
        let all = [("film", &usage)];
        let request = |assets| Request { usage: &all, is_persistent: true, ..ask(assets, "tv") };
        let mut account = with(&[("a", GrantKind::Subscription, "basic")]);
        assert_eq!(play(&policy, &mut account, &request(&["film"]), NOW), wanted, "{rest}");
        // Another one of which nothing is known.
        let both = play(&policy, &mut account, &request(&["film", "news-1"]), NOW);
        assert_eq!(both, Err("offline-not-allowed"));
    }
}

#[test]
fn a_right_that_ends_gives_no_licence_that_is_kept() {
    let usage = usage(&json!({ "offline": true }));
    let all = [("film", &usage), ("other", &usage), ("match", &usage)];
    let keep = |policy: &EntitlementPolicySpec, account: &Account, asset: &str| {
        let assets = [asset];
        let request = Request { usage: &all, is_persistent: true, ..ask(&assets, "tv") };
        play(policy, &mut account.clone(), &request, NOW)
    };
    let open = policy(&json!({}));
    let bought = with(&[("p", GrantKind::Purchase, "other")]);
    assert_eq!(keep(&open, &bought, "other"), Ok(true));
    assert_eq!(keep(&open, &with(&[("r", GrantKind::Rental, "other")]), "other"), Err("offline-not-allowed"));
    let mut ending = with(&[("a", GrantKind::Subscription, "basic")]);
    assert_eq!(keep(&open, &ending, "film"), Ok(true));
    for grant in ending.grants.values_mut() {
        grant.until_ms = Some(NOW + DAY);
    }
    assert_eq!(keep(&open, &ending, "film"), Err("offline-not-allowed"));
    // Beside a right that ends, one that does not is enough; without any it is said so.
    let mut both = ending.clone();
    both.grants.insert("p".to_owned(), Grant { of: "film".to_owned(), ..bought.grants["p"].clone() });
    assert_eq!(keep(&open, &both, "film"), Ok(true));
    assert_eq!(keep(&open, &ending, "other"), Err("not-entitled"));
    let event = policy(&json!({
        "events": [{ "name": "cup", "assets": ["match"], "from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z" }],
        "blackouts": null,
    }));
    assert_eq!(keep(&event, &with(&[("e", GrantKind::Event, "cup")]), "match"), Err("offline-not-allowed"));
    let black = policy(
        &json!({ "blackouts": [{ "assets": ["other"], "countries": ["CH"], "from": "2100-01-01T00:00:00Z" }] }),
    );
    assert_eq!(keep(&black, &bought, "other"), Err("offline-not-allowed"), "it is to come");
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
