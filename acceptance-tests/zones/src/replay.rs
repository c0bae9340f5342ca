//! A market of traces through the real controller and the adapter, beside the pure function on the same market.
#![allow(clippy::expect_used, reason = "a test stops at the first thing that is not as it must be")]

use streamverse_compute::simulate::{Market, Ours, Report, Setting, play, pool_of};
use streamverse_model::compute::{CloudKind, GpuClass, Lifecycle, PolicySpec};

use crate::config::{Config, EPOCH_MS};
use crate::process::StandIn;
use crate::rig::{Rig, controller_spec, fleet};
use crate::verdict::Account;

/// A market's first days.
pub fn first_days(market: &Market, days: f64) -> Market {
    let mut market = market.clone();
    let ticks = (days * 86_400_000.0 / market.gap_ms as f64).round() as usize;
    market.zones.iter_mut().for_each(|it| it.available.truncate(ticks));
    market
}

/// The policy as the pure function.
///
/// # Panics
/// On a market without zones.
pub fn pure(market: &Market, setting: &Setting) -> Report {
    let pool = pool_of(market, setting, PolicySpec::default()).expect("the market has zones");
    play("the pure function", market, setting, &mut Ours::new(pool, setting.limit))
}

/// The policy through the real controller and the adapter, against the stand-in.
///
/// # Panics
/// When a look fails: there are no faults.
pub async fn through_controller(market: &Market, setting: &Setting, keeps: bool) -> Report {
    let mut config = Config::of_market(market, CloudKind::Aws, setting.workers.max(1), setting.spot_share);
    config.cold_ms = setting.cold_ms;
    config.settings.notice_ms = Some(setting.notice_ms);
    config.settings.keeps = keeps;
    let zones: Vec<(&str, &str)> =
        market.zones.iter().map(|it| (it.name.as_str(), it.region.as_str())).collect();
    let described = fleet("simulated", CloudKind::Aws, &zones, setting.workers, setting.workers);
    let mut rig = Rig::new(StandIn::start(&config), &[CloudKind::Aws], controller_spec(setting.limit));
    rig.put(&described).await;
    rig.ticks(market.length_ms() / setting.tick_ms.max(1)).await;
    report(&rig.stand_in.account(), market, setting)
}

/// In which figures two replays of a market are apart by more than one percent, in words. Of the time in which nothing was ready, which is short,
/// one look more or less is no difference.
pub fn differences(one: &Report, other: &Report, market: &Market, setting: &Setting) -> Vec<String> {
    let look = setting.tick_ms as f64 / market.length_ms().max(1) as f64;
    let figures = [
        ("4 ready", one.all_ready, other.all_ready, 0.0),
        ("0 ready", one.none_ready, other.none_ready, look),
        ("capacity", one.capacity, other.capacity, 0.0),
        ("cost", one.cost, other.cost, 0.0),
        ("launches", one.launches as f64, other.launches as f64, 0.0),
        ("the most on demand", one.most_on_demand.into(), other.most_on_demand.into(), 0.0),
    ];
    let apart = |it: &&(&str, f64, f64, f64)| (it.1 - it.2).abs() > (it.2.abs() / 100.0).max(it.3);
    figures.iter().filter(apart).map(|(what, one, other, _)| format!("{what}: {one} and {other}")).collect()
}

/// What a ledger says of a replay, as the pure simulation reports it.
pub fn report(account: &Account, market: &Market, setting: &Setting) -> Report {
    let (from, to) = (EPOCH_MS, EPOCH_MS + market.length_ms());
    let ready = account.timeline(setting.workers, from, to);
    let (spot, full) = (account.seconds(Lifecycle::Spot, to), account.seconds(Lifecycle::OnDemand, to));
    let total = market.length_ms() as f64 / 1000.0 * f64::from(setting.workers.max(1));
    let most = account.most_on_demand();
    let gpus = most.iter().filter(|it| it.1 == GpuClass::Gpu);
    Report {
        name: "through the controller".to_owned(),
        all_ready: ready.all_ready,
        none_ready: ready.none_ready,
        capacity: ready.capacity,
        cost: (spot * setting.spot_share + full) / total,
        launches: account.launches() as u64,
        preemptions: account.preemptions() as u64,
        on_demand_hours: full / 3600.0,
        most_on_demand: gpus.map(|it| it.2).max().unwrap_or(0),
        moments: Vec::new(),
    }
}
