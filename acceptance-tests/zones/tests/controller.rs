//! The real controller on the stand-in, in this process: markets, limits, faults. Every verdict is the ledger's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it must be"
)]

use serde_json::{Value, json};
use streamverse_compute::simulate::Setting;
use streamverse_model::compute::{CloudKind, GpuClass, Lifecycle};
use streamverse_zones_stand_in::rig::{Rig, controller_spec, fleet, tombstone};
use streamverse_zones_stand_in::{Config, StandIn, first_days, made_up, pure, recorded, through_controller};

const ZONES: [(&str, &str); 3] = [("z-1a", "z-1"), ("z-1b", "z-1"), ("y-1a", "y-1")];

/// A controller, and so much spot in each of three zones of AWS.
fn rig(spot: [u32; 3], limit: u32) -> Rig {
    let zones = ZONES.iter().zip(spot);
    let config = zones.fold(Config::new(), |it, ((zone, _), spot)| it.zone(CloudKind::Aws, zone, spot));
    Rig::new(StandIn::start(&config), &[CloudKind::Aws], controller_spec(limit))
}

fn pool(name: &str, min: u32) -> Value {
    fleet(name, CloudKind::Aws, &ZONES, min, min)
}

fn say(rig: &Rig, spot: u32) {
    for (zone, _) in ZONES {
        rig.stand_in.market(&json!({ "zone": zone, "spot": spot }));
    }
}

#[tokio::test]
async fn what_a_group_was_granted_stays_granted_when_it_is_refused_more_in_the_same_look() {
    let mut rig = rig([1, 0, 0], 0);
    rig.put(&fleet("encode", CloudKind::Aws, &ZONES[..2], 2, 2)).await;
    rig.ticks(4).await;
    let granted = rig.decisions().await;
    let granted = granted.iter().filter(|it| it.line.contains("launch") && it.outcome.is_none());
    assert_eq!((granted.count(), rig.stand_in.account().launches()), (1, 1));
}

#[tokio::test]
async fn when_the_market_kills_spot_on_demand_goes_from_none_to_one_to_none_and_two_pools_share_the_one() {
    let mut rig = rig([4, 4, 4], 1);
    rig.put(&pool("encode", 2)).await;
    rig.put(&pool("filter", 2)).await;
    rig.ticks(40).await;
    let running = |rig: &Rig, lifecycle| {
        rig.stand_in.account().running(rig.now(), |it| it.launch.lifecycle == lifecycle)
    };
    assert_eq!((running(&rig, Lifecycle::Spot), running(&rig, Lifecycle::OnDemand)), (4, 0));
    say(&rig, 0);
    rig.ticks(40).await;
    assert_eq!((running(&rig, Lifecycle::Spot), running(&rig, Lifecycle::OnDemand)), (0, 1));
    say(&rig, 4);
    rig.ticks(100).await;
    assert_eq!((running(&rig, Lifecycle::Spot), running(&rig, Lifecycle::OnDemand)), (4, 0));
    let account = rig.stand_in.account();
    assert_eq!(account.most_on_demand(), [(CloudKind::Aws, GpuClass::Gpu, 1)]);
    assert_eq!(account.on_demand_steps(), [0, 1, 0]);
    for name in ["encode", "filter"] {
        rig.put(&tombstone(pool(name, 2))).await;
    }
    rig.ticks(4).await;
    assert_eq!(rig.stand_in.account().left(), Vec::<String>::new());
    assert!(rig.status("encode").await.unwrap().deleted && rig.status("filter").await.unwrap().deleted);
}

/// How far two figures are apart, as a share of the second.
fn apart(one: f64, other: f64) -> f64 {
    (one - other).abs() / other.abs().max(1e-9)
}

#[tokio::test]
async fn the_real_controller_on_a_market_of_traces_does_what_the_pure_function_does_within_one_percent() {
    let days = std::env::var("STREAMVERSE_REPLAY_DAYS").ok().and_then(|it| it.parse().ok()).unwrap_or(0.5);
    let market = first_days(&recorded().unwrap_or_else(made_up), days);
    for (notice_ms, keeps) in [(0, false), (120_000, false), (120_000, true)] {
        let setting = Setting { notice_ms, ..Setting::default() };
        let found = through_controller(&market, &setting, keeps).await;
        let pure = pure(&market, &setting);
        println!("{}", streamverse_compute::simulate::table(&[found.clone(), pure.clone()], &setting));
        for (what, one, other) in [
            ("4 ready", found.all_ready, pure.all_ready),
            ("capacity", found.capacity, pure.capacity),
            ("cost", found.cost, pure.cost),
            ("launches", found.launches as f64, pure.launches as f64),
        ] {
            assert!(apart(one, other) <= 0.01, "notice {notice_ms}, {what}: {one} and {other}");
        }
        assert!((found.none_ready - pure.none_ready).abs() <= 0.01);
        assert_eq!(found.most_on_demand, pure.most_on_demand);
    }
}
