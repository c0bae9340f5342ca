//! Replays: of made-up markets always, of the recorded one where it is at hand.

use streamverse_model::compute::{FallbackSpec, Lifecycle, PolicySpec};

use super::*;

/// The recorded market of nine zones: from the folder that the variable names, or next to the project.
fn recorded() -> Option<Market> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/traces/spot");
    let named = std::env::var("STREAMVERSE_SPOT_TRACES").ok();
    let found = folder(named.as_deref().unwrap_or(beside));
    assert!(found.is_some() || named.is_none(), "STREAMVERSE_SPOT_TRACES names no folder: {named:?}");
    if found.is_none() {
        eprintln!(
            "SKIPPED: the recorded spot market is not there: set STREAMVERSE_SPOT_TRACES to the folder of its files"
        );
    }
    found
}

fn folder(path: &str) -> Option<Market> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).ok()?.flatten() {
        if entry.path().extension().is_some_and(|it| it == "json") {
            files.push((entry.file_name().into_string().ok()?, std::fs::read_to_string(entry.path()).ok()?));
        }
    }
    Some(Market::read(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap())
}

fn checked_in() -> Market {
    folder(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata")).unwrap()
}

fn ours(market: &Market, setting: &Setting) -> Report {
    let pool = pool_of(market, setting, PolicySpec::default()).unwrap();
    play("StreamVerse", market, setting, &mut Ours::new(pool, setting.limit))
}

/// What ours costs more than somebody who knows the future would pay for as much capacity.
fn above_bound(ours: &Report, bound: &Report, setting: &Setting) -> f64 {
    ours.cost / (bound.cost - (bound.capacity - ours.capacity) * setting.spot_share) - 1.0
}

#[test]
fn on_the_recorded_market_the_promises_are_kept() {
    let Some(market) = recorded() else { return };
    let setting = Setting::default();
    let (found, bound) = (ours(&market, &setting), omniscient(&market, &setting));
    println!("{}", table(&[found.clone(), bound.clone()], &setting));
    assert!(found.all_ready >= 0.96 && found.none_ready <= 0.001 && found.cost <= 0.34, "{}", found.cost);
    assert!(above_bound(&found, &bound, &setting) <= 0.10);
    assert_eq!(found.most_on_demand, 1);
}

#[test]
fn on_made_up_markets_of_any_burstiness_it_has_the_limit_and_its_cost_stays_near_the_bound() {
    for (burstiness, seed) in [(1.0, 11), (2.0, 12), (4.0, 13), (8.0, 14)] {
        let market = Synthetic { burstiness, seed, days: 15, ..Synthetic::default() }.market();
        let setting = Setting::default();
        let (found, bound) = (ours(&market, &setting), omniscient(&market, &setting));
        println!(
            "burstiness {burstiness}, seed {seed}\n{}",
            table(&[found.clone(), bound.clone()], &setting)
        );
        assert_eq!(found.most_on_demand, 1, "burstiness {burstiness}, seed {seed}");
        assert!(above_bound(&found, &bound, &setting) <= 0.10, "burstiness {burstiness}, seed {seed}");
        assert!(found.all_ready <= bound.all_ready, "nobody is better than who knows the future");
    }
}

#[test]
fn breadth_is_worth_more_than_on_demand() {
    let one = Synthetic { regions: 1, zones: 1, days: 10, region_out: 0.0, ..Synthetic::default() }.market();
    let nine = Synthetic { days: 10, ..Synthetic::default() }.market();
    let setting = Setting::default();
    assert!(ours(&one, &setting).all_ready + 0.1 < ours(&nine, &Setting { limit: 0, ..setting }).all_ready);
}

#[test]
fn a_limit_above_one_acts_or_is_refused_with_the_reason() {
    let market = Synthetic { regions: 1, zones: 2, days: 3, ..Synthetic::default() }.market();
    let setting = Setting { limit: 3, ..Setting::default() };
    let pool = pool_of(&market, &setting, policy_under(None, setting.limit).unwrap()).unwrap();
    let found = play("StreamVerse", &market, &setting, &mut Ours::new(pool, setting.limit));
    assert_eq!(found.most_on_demand, 3);
    let own = |max| PolicySpec {
        fallback: Some(FallbackSpec { max, ..FallbackSpec::default() }),
        ..PolicySpec::default()
    };
    assert_eq!(policy_under(Some(own(3)), 3).unwrap(), own(3));
    assert_eq!(policy_under(Some(own(0)), 1).unwrap(), own(0), "the usual limit is no wish");
    let error = policy_under(Some(PolicySpec::default()), 3).unwrap_err().to_string();
    assert!(error.contains("fallback.max to 3"), "{error}");
}

#[test]
fn what_would_take_minutes_is_refused_before_it_begins_and_says_what_would_do() {
    let all = Synthetic { days: 366, regions: 20, zones: 26, ..Synthetic::default() };
    let error = all.check(&Setting { workers: 1000, ..Setting::default() }).unwrap_err().to_string();
    assert!(error.contains("366.0 days of 520 zones with 1000 workers"), "{error}");
    let error = Synthetic { days: 366, ..Synthetic::default() }
        .check(&Setting { workers: 20, ..Setting::default() })
        .unwrap_err()
        .to_string();
    assert!(error.contains("at most 111.1 days"), "{error}");
    assert!(Synthetic { days: 366, ..Synthetic::default() }.check(&Setting::default()).is_ok());
    // Ticks of a second are looked at each second.
    let setting = Setting::default();
    assert!(
        setting.check(45 * 86_400_000, 1000, 36).is_err()
            && setting.check(45 * 86_400_000, 15_000, 36).is_ok()
    );
    assert!(setting.check(u64::MAX, 0, usize::MAX).is_err());
}

#[test]
fn a_notice_of_two_minutes_is_used() {
    let market = checked_in();
    let setting = Setting::default();
    let warned = Setting { notice_ms: 120_000, ..setting };
    let (without, with) = (ours(&market, &setting), ours(&market, &warned));
    assert!(with.all_ready > without.all_ready, "{} and {}", with.all_ready, without.all_ready);
}

#[test]
fn the_same_market_gives_the_same_report_and_the_same_bounds() {
    let market = checked_in();
    let setting = Setting::default();
    let report = ours(&market, &setting);
    assert_eq!(report, ours(&market, &setting));
    let found = forecast(&report, market.gap_ms);
    assert_eq!(found, forecast(&report, market.gap_ms));
    for it in [found.all_ready, found.none_ready, found.cost, found.preemptions_per_day] {
        assert!(it.low <= it.value && it.value <= it.high, "{it:?}");
    }
    // Each that was taken away is one of some tick's.
    let ticks: f64 = report.moments.iter().map(|it| f64::from(it.preempted)).sum();
    assert_eq!(ticks, report.preemptions as f64);
}

#[test]
fn days_that_lose_more_and_fewer_instances_are_bounds_of_preemptions() {
    let market = Synthetic { days: 10, seed: 7, ..Synthetic::default() }.market();
    let report = ours(&market, &Setting::default());
    let found = forecast(&report, market.gap_ms);
    let lost = found.preemptions_per_day;
    assert!((lost.value * found.days - report.preemptions as f64).abs() < 1e-6, "{lost:?}");
    assert!(0.0 < lost.low && lost.low < lost.value && lost.value < lost.high, "{lost:?}");
    // As many a day as its worst day are too many, as few as its best too few.
    let per_day = report.moments.len() / 10;
    let days =
        report.moments.chunks(per_day).map(|it| it.iter().map(|it| f64::from(it.preempted)).sum::<f64>());
    let (few, many) = days.fold((f64::MAX, 0.0_f64), |(few, many), it| (few.min(it), many.max(it)));
    assert!(few < lost.low && lost.high < many, "{few} {lost:?} {many}");
}

#[test]
fn what_the_table_says_is_what_the_ledger_has() {
    let market = checked_in();
    let setting = Setting::default();
    let all = compare(&market, &setting, pool_of(&market, &setting, PolicySpec::default()).unwrap());
    let named = |name: &str| all.iter().find(|it| it.name == name).unwrap();
    // Four that are never taken away cost all of it, and are ready all the time but the first five minutes.
    let full = named("all on demand");
    assert!((full.cost - 1.0).abs() < 1e-9 && full.launches == 4 && full.preemptions == 0);
    let days = market.length_ms() as f64;
    assert!((full.all_ready - (1.0 - 300_000.0 / days)).abs() < 1e-9, "{}", full.all_ready);
    assert_eq!(named("spot only").on_demand_hours, 0.0);
    assert_eq!(table(&all, &setting).lines().count(), all.len() + 1);
    let drawn = svg(named("StreamVerse"), &setting, market.gap_ms);
    assert!(drawn.starts_with("<svg") && drawn.ends_with("</svg>\n") && !drawn.contains("NaN"));
}

#[test]
fn a_zone_takes_back_all_of_its_spot_at_once_and_no_on_demand() {
    let text = r#"{"metadata": {"gap_seconds": 60}, "data": [1, 1, 0, 1]}"#;
    let market = Market::read([("z-1a_v100_1.json", text)]).unwrap();
    assert_eq!((market.zones[0].name.as_str(), market.zones[0].region.as_str()), ("z-1a", "z-1"));
    let mut world = World::new(&market, 30_000, 30_000, 2);
    assert!(world.launch(0, Lifecycle::Spot).is_some() && world.launch(0, Lifecycle::Spot).is_some());
    assert!(world.launch(0, Lifecycle::Spot).is_none(), "it is full");
    assert!(world.launch(0, Lifecycle::OnDemand).is_some());
    world.advance(90_000);
    assert!(
        world.instances.iter().filter(|it| it.doomed_ms == Some(120_000)).count() == 2,
        "it was announced"
    );
    world.advance(30_000);
    assert_eq!((world.instances.len(), world.ledger.preemptions[0]), (1, 2));
    assert!(world.launch(0, Lifecycle::Spot).is_none());
    world.advance(60_000);
    assert!(world.launch(0, Lifecycle::Spot).is_some());
    assert_eq!((world.ledger.spot_ms[0], world.ledger.on_demand_ms[0]), (240_000, 180_000));
}

#[test]
fn what_is_no_trace_is_refused_with_the_name_of_its_file() {
    for (text, word) in [
        ("[]", "gap_seconds"),
        (r#"{"metadata": {"gap_seconds": 0}, "data": [1]}"#, "1 to 86400"),
        (r#"{"metadata": {"gap_seconds": 5}, "data": []}"#, "0 ticks"),
        (r#"{"metadata": {"gap_seconds": 5}, "data": [-1]}"#, "invalid value"),
    ] {
        let error = Market::read([("bad.json", text)]).unwrap_err().to_string();
        assert!(error.contains("bad.json") && error.contains(word), "{error}");
    }
    let ticks = |gap: u32| format!(r#"{{"metadata": {{"gap_seconds": {gap}}}, "data": [1]}}"#);
    let error = Market::read([("a.json", ticks(5).as_str()), ("b.json", ticks(6).as_str())]).unwrap_err();
    assert!(error.to_string().contains("b.json"));
    assert!(Market::read([]).is_err());
}
