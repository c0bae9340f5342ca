//! What a controller tells: its metrics, and decisions for as long as they are kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use streamverse_compute::policy::FleetState;
use streamverse_core::Metrics;
use streamverse_core::stores::Records;
use streamverse_model::compute::{CloudKind, FleetDecision, Lifecycle, fleet_collection};

use super::super::keep::{Keep, Measured};
use super::cloud::Paid;
use super::kit::{Memory, TICK_MS, World, fleet, queued};

/// The value of a metric with its labels.
fn value(metrics: &Metrics, series: &str) -> f64 {
    let text = metrics.text();
    let line = text.lines().find_map(|it| it.strip_prefix(&format!("streamverse_fleet_{series} ")));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
}

/// The values of a metric with two labels, by the second; those that are 0 left out.
fn by_label(metrics: &Metrics, series: &str) -> BTreeMap<String, u64> {
    let head = format!("streamverse_fleet_{series}{{fleet=\"gpu\",");
    let text = metrics.text();
    let one = |line: &str| {
        let (label, count) = line.strip_prefix(&head)?.split_once("} ")?;
        Some((label.split('"').nth(1)?.to_owned(), count.parse().ok()?))
    };
    text.lines().filter_map(one).filter(|it| it.1 > 0).collect()
}

/// What the cloud's ledger has of a lifecycle, in seconds.
fn seconds(ledger: &[Paid], lifecycle: Lifecycle, now: u64) -> f64 {
    let of = ledger.iter().filter(|it| it.lifecycle == lifecycle);
    of.map(|it| it.to_ms.unwrap_or(now) - it.from_ms).sum::<u64>() as f64 / 1000.0
}

fn counted<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    all.for_each(|it| *counts.entry(it).or_default() += 1);
    counts
}

#[tokio::test]
async fn metrics_say_what_the_ledger_has_while_spot_goes_and_comes_back() {
    let mut world = World::new(&[CloudKind::Aws], 1);
    let began = world.now.load(Ordering::Relaxed);
    world.cloud().inside().limit = 1;
    world.topics.0.lock().unwrap().insert("jobs".to_owned(), 0);
    let mut described = queued(fleet("gpu", CloudKind::Aws, 3, 4, 4), "jobs");
    described["definition"]["range"]["monthly_budget"] = json!(1000);
    world.put("gpu", described).await;
    world.ticks(8).await;
    let on_demand = "on_demand{cloud=\"aws\",class=\"gpu\"}";
    assert_eq!(value(&world.metrics, on_demand), 0.0);
    // Spot is gone everywhere, and one on demand stands in.
    let taken = world.cloud().running();
    world.cloud().inside().down.extend((0..3).map(|it| format!("region-{it}")));
    world.ticks(20).await;
    assert_eq!(value(&world.metrics, on_demand), 1.0);
    assert_eq!(value(&world.metrics, "on_demand_limit{cloud=\"aws\",class=\"gpu\"}"), 1.0);
    let places = counted(taken.iter().map(|it| it.place.replace("region-", "z")));
    assert!(taken.len() == 4 && places.len() > 1, "{places:?}");
    assert_eq!(by_label(&world.metrics, "preemptions_total"), places);
    // Spot is back.
    world.cloud().inside().down.clear();
    world.ticks(80).await;
    assert_eq!(value(&world.metrics, on_demand), 0.0);
    let workers = BTreeMap::from([("ready".to_owned(), 4)]);
    assert_eq!(by_label(&world.metrics, "workers"), workers);
    let ledger = world.cloud().inside().ledger.clone();
    let now = world.now.load(Ordering::Relaxed);
    let tick = TICK_MS as f64 / 1000.0;
    // What is taken between two looks is counted to the first of them.
    let spot = seconds(&ledger, Lifecycle::Spot, now) - 4.0 * tick;
    let full = seconds(&ledger, Lifecycle::OnDemand, now);
    assert!(full > 600.0, "{full}");
    let of = |metric: &str| value(&world.metrics, &format!("{metric}{{fleet=\"gpu\"}}"));
    let bought =
        |how: &str| value(&world.metrics, &format!("seconds_total{{fleet=\"gpu\",lifecycle=\"{how}\"}}"));
    assert_eq!((bought("spot"), bought("on_demand")), (spot, full));
    assert_eq!(of("fallback_seconds_total"), full);
    // 33 cents an hour as spot, a dollar on demand.
    let near = |one: f64, other: f64| (one - other).abs() < 1e-3;
    let cost = (spot * 0.33 + full) / 3600.0;
    assert!(near(of("cost_dollars_total"), cost), "{} and {cost}", of("cost_dollars_total"));
    assert!(near(of("on_demand_cost_dollars_total"), (spot + full) / 3600.0));
    // The month's account takes an instance for there until a list lacks it.
    let gone = ledger.iter().filter(|it| it.to_ms.is_some());
    let late: f64 = gone.map(|it| if it.lifecycle == Lifecycle::Spot { 0.33 } else { 1.0 }).sum();
    let spent = of("spent_dollars");
    assert!(spent >= cost - 1e-3 && spent <= cost + late * 2.0 * tick / 3600.0, "{spent} and {cost}");
    assert_eq!((of("budget_dollars"), of("target"), of("trouble")), (1000.0, 4.0, 0.0));
    assert_eq!((of("waiting_jobs"), of("backlog_seconds"), of("target_p95_seconds")), (0.0, 0.0, 1800.0));
    // Nobody says what it does, so that all have been idle since the queue was seen empty: at the first look.
    let idle = (now - began) as f64 / 1000.0 - tick;
    assert_eq!(of("idle_seconds"), idle);
    let told = world.decisions().await;
    let why = counted(told.iter().map(|it| it.why.clone()));
    assert_eq!(by_label(&world.metrics, "decisions_total"), why);
    assert!(["short", "spot_short", "spot_whole"].iter().all(|it| why.contains_key(*it)), "{why:?}");
    // What was asked for and is not in the ledger was refused.
    let asked = told.iter().filter(|it| it.line.starts_with("gpu: launch ")).count();
    let refused = BTreeMap::from([("capacity".to_owned(), (asked - ledger.len()) as u64)]);
    assert_eq!(by_label(&world.metrics, "refusals_total"), refused);
    // Eleven for each of four, a minute each.
    world.topics.0.lock().unwrap().insert("jobs".to_owned(), 44);
    world.tick().await;
    let of = |metric: &str| value(&world.metrics, &format!("{metric}{{fleet=\"gpu\"}}"));
    assert_eq!((of("waiting_jobs"), of("backlog_seconds"), of("idle_seconds")), (44.0, 660.0, 0.0));
}

#[tokio::test]
async fn decisions_are_kept_for_their_retention_and_looked_for_each_ten_minutes() {
    let records: Arc<dyn Records> = Arc::new(Memory::default());
    let mut keep = Keep::new(Arc::clone(&records), "c");
    let start = 1_794_744_000_000;
    let said = |at_ms| FleetDecision {
        at_ms,
        fleet: "gpu".to_owned(),
        line: String::new(),
        why: "short".to_owned(),
        outcome: None,
    };
    // An hour is kept. Minutes 0, 60, 70 and 131 are those in which it is looked for what is older.
    for (minute, left) in [
        (0, vec![0]),
        (5, vec![0, 5]),
        (60, vec![0, 5, 60]),
        (69, vec![0, 5, 60, 69]),
        (70, vec![60, 69, 70]),
        (131, vec![131]),
    ] {
        let now = start + minute * 60_000;
        assert!(
            keep.state(&FleetState::default(), &Measured::default(), vec![said(now)], true, now)
                .await
                .unwrap()
        );
        keep.decisions(|_| {}).await.unwrap();
        keep.prune(3_600_000, now).await.unwrap();
        let all = records.list(&keep.collection("why"), "", 100).await.unwrap();
        let minute_of = |it: &Value| (it["at_ms"].as_u64().unwrap() - start) / 60_000;
        let found: Vec<u64> = all.iter().map(|(_, it)| minute_of(&it.value)).collect();
        assert_eq!(found, left, "in minute {minute}");
    }
    // A clock that is a year ahead for a moment: what was told then is as old as what is told when that ends.
    for minute in [525_000, 142] {
        let now = start + minute * 60_000;
        let ahead = vec![said(now), said(now)];
        assert!(keep.state(&FleetState::default(), &Measured::default(), ahead, true, now).await.unwrap());
        keep.decisions(|_| {}).await.unwrap();
        if minute == 142 {
            keep.prune(3_600_000, now).await.unwrap();
        }
    }
    let all = records.list(&keep.collection("why"), "", 100).await.unwrap();
    let minutes: Vec<u64> =
        all.iter().map(|(_, it)| (it.value["at_ms"].as_u64().unwrap() - start) / 60_000).collect();
    assert_eq!(minutes, [131, 525_000, 525_000, 142, 142]);
    let latest = (start + 143 * 60_000) * 1000;
    assert!(all.iter().all(|(id, _)| id.parse::<u64>().unwrap() < latest), "{all:?}");
}

#[tokio::test]
async fn of_more_decisions_than_are_kept_it_is_told_how_many_were_left_out() {
    let mut world = World::new(&[CloudKind::Runpod], 1);
    let mut gpu = fleet("gpu", CloudKind::Runpod, 1, 507, 600);
    gpu["definition"]["policy"] = json!({ "launches_per_hour": 1000 });
    world.put("gpu", gpu).await;
    world.tick().await;
    let told = world.decisions().await;
    assert_eq!(told.iter().filter(|it| it.why == "short").count(), 500);
    assert_eq!(told.last().unwrap().line, "gpu: 7 more decisions of this look are in the log alone");
    let counted = BTreeMap::from([("short".to_owned(), 507)]);
    assert_eq!(by_label(&world.metrics, "decisions_total"), counted);
}

#[tokio::test]
async fn what_was_decided_and_then_taken_by_another_controller_is_told_by_nobody_and_what_was_written_is_told_once()
 {
    let mut world = World::new(&[CloudKind::Runpod], 1);
    world.put("gpu", fleet("gpu", CloudKind::Runpod, 1, 1, 1)).await;
    let mut other = world.another();
    world.tick().await;
    world.put("gpu", fleet("gpu", CloudKind::Runpod, 1, 2, 2)).await;
    let first = world.decisions().await;
    // Another one has written the state since, which this one does not know.
    other.tick().await.unwrap();
    let told = world.decisions().await;
    assert_eq!((first.len(), told.len()), (1, 2));
    let before = by_label(&world.metrics, "decisions_total");
    world.put("gpu", fleet("gpu", CloudKind::Runpod, 1, 4, 4)).await;
    world.pass(TICK_MS);
    assert_eq!(world.controller.tick().await.unwrap_err().code, "fleet-taken");
    assert_eq!(world.decisions().await, told, "it was not taken");
    assert_eq!(by_label(&world.metrics, "decisions_total"), before);
    world.ticks(2).await;
    let counted = counted(world.decisions().await.iter().map(|it| it.line.clone()));
    assert!(counted.len() == 4 && counted.values().all(|it| *it == 1), "{counted:?}");
}

#[tokio::test]
async fn a_decision_is_told_once_where_the_catalogue_fails_between_it_and_the_next() {
    let mut world = World::new(&[CloudKind::Runpod], 1);
    world.put("gpu", fleet("gpu", CloudKind::Runpod, 1, 4, 4)).await;
    *world.records.fails.lock().unwrap() = Some((fleet_collection("why", "c"), 2));
    world.pass(TICK_MS);
    assert_eq!(world.controller.tick().await.unwrap_err().code, "test");
    assert_eq!(world.cloud().running().len(), 0, "nothing is done that is not told");
    world.ticks(2).await;
    assert_eq!((world.decisions().await.len(), world.cloud().running().len()), (4, 4));
    let counted = BTreeMap::from([("short".to_owned(), 4)]);
    assert_eq!(by_label(&world.metrics, "decisions_total"), counted);
}

#[tokio::test]
async fn a_decision_whose_controller_was_killed_before_it_could_be_looked_for_is_told_by_the_next_one_once() {
    let records: Arc<dyn Records> = Arc::new(Memory::default());
    let start = 1_794_744_000_000;
    let said = |line: &str| FleetDecision {
        at_ms: start,
        fleet: "gpu".to_owned(),
        line: line.to_owned(),
        why: "short".to_owned(),
        outcome: None,
    };
    let mut killed = Keep::new(Arc::clone(&records), "c");
    killed.load().await.unwrap();
    let both = vec![said("gpu: launch 0"), said("gpu: launch 1")];
    assert!(
        killed.state(&FleetState::default(), &Measured::default(), both.clone(), true, start).await.unwrap()
    );
    let mut next = Keep::new(Arc::clone(&records), "c");
    assert_eq!(next.load().await.unwrap().0, FleetState::default());
    let told: Vec<FleetDecision> = next.decisions(|_| {}).await.unwrap().into_iter().map(|it| it.1).collect();
    assert_eq!(told, both);
    assert_eq!(records.list(&next.collection("why"), "", 100).await.unwrap().len(), 2);
    let mut third = Keep::new(Arc::clone(&records), "c");
    third.load().await.unwrap();
    assert_eq!(third.decisions(|_| {}).await.unwrap(), []);
}
