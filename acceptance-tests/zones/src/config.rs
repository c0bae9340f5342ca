//! What a stand-in is started with, and what a test changes while it runs.

use std::path::Path;

use serde::{Deserialize, Serialize};
use streamverse_compute::simulate::Market;
use streamverse_model::compute::{CloudKind, Lifecycle, Money};

/// The key that it takes.
pub const KEY: &str = "zones-planted-key-71c4";

/// A Monday, midnight in UTC, in the middle of no month's end.
pub const EPOCH_MS: u64 = 1_767_571_200_000;

/// A world at its beginning.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The virtual time at the beginning, in milliseconds since the Unix epoch.
    pub epoch_ms: u64,
    /// How long an instance takes to get ready.
    pub cold_ms: u64,
    /// How long each tick of the market lasts.
    pub gap_ms: u64,
    /// The zones.
    pub zones: Vec<ZoneConfig>,
    /// What the account may have.
    pub quotas: Vec<QuotaConfig>,
    /// How the clouds behave.
    pub settings: Settings,
}

/// A zone of a cloud.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneConfig {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its cloud.
    pub cloud: CloudKind,
    /// The price of spot per hour; none is sold without one.
    pub spot: Option<Money>,
    /// The price on demand per hour.
    pub on_demand: Option<Money>,
    /// How many spot instances it gives, by tick; the last value holds for ever.
    pub available: Vec<u32>,
    /// How many on-demand instances it gives; any number where that is not said.
    pub on_demand_available: Option<u32>,
}

/// How many instances an account may have.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaConfig {
    /// In which cloud.
    pub cloud: CloudKind,
    /// In which region; everywhere where that is empty.
    pub region: String,
    /// Bought how.
    pub lifecycle: Lifecycle,
    /// So many.
    pub limit: u32,
}

/// How the clouds behave; a test changes it at any time. All times are virtual.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// So long lists miss what was made.
    pub list_late_ms: u64,
    /// So long lists show what is gone.
    pub gone_late_ms: u64,
    /// Things on each page of a list; all on one when it is zero.
    pub page_size: usize,
    /// Whether the account has no balance: 402.
    pub no_balance: bool,
    /// Calls per minute and cloud: throttled beyond; no limit when it is zero.
    pub per_minute: u32,
    /// Whether a group that is short goes on asking, as Auto Scaling, instance groups and scale sets do: a refusal is then no
    /// error, and what was taken away comes back by itself. Without it a group is as large as what it got.
    pub keeps: bool,
    /// How long before it takes an instance away a cloud says so; where it is not given, as each cloud does.
    pub notice_ms: Option<u64>,
}

impl Settings {
    /// How long before it takes an instance away a cloud says so.
    pub fn notice_ms(&self, cloud: CloudKind) -> u64 {
        self.notice_ms.unwrap_or(match cloud {
            CloudKind::Aws => 120_000,
            CloudKind::Gcp | CloudKind::Azure => 30_000,
            CloudKind::Runpod => 0,
        })
    }
}

impl Config {
    /// No zones yet; instances take five minutes to get ready.
    pub fn new() -> Config {
        Config {
            epoch_ms: EPOCH_MS,
            cold_ms: 300_000,
            gap_ms: 195_000,
            zones: Vec::new(),
            quotas: Vec::new(),
            settings: Settings::default(),
        }
    }

    /// One more zone, that gives so many all the time, spot for a third.
    #[must_use]
    pub fn zone(mut self, cloud: CloudKind, name: &str, spot: u32) -> Config {
        let region = name.strip_suffix(|it: char| it.is_ascii_lowercase()).unwrap_or(name).to_owned();
        self.zones.push(ZoneConfig {
            name: name.to_owned(),
            region,
            cloud,
            spot: Some(Money::micros(330_000)),
            on_demand: Some(Money::micros(1_000_000)),
            available: vec![spot],
            on_demand_available: None,
        });
        self
    }

    /// The zones of a market, all of one cloud. One that has any has `per_zone` of them, as the pure simulation takes it.
    pub fn of_market(market: &Market, cloud: CloudKind, per_zone: u32, spot_share: f64) -> Config {
        let mut config = Config { gap_ms: market.gap_ms, ..Config::new() };
        for zone in &market.zones {
            config = config.zone(cloud, &zone.name, 0);
            if let Some(made) = config.zones.last_mut() {
                made.region.clone_from(&zone.region);
                made.spot = Money::dollars(spot_share);
                // Behind its end a market has nothing, which is announced as any end is.
                let all = zone.available.iter().chain([&0]);
                made.available = all.map(|it| it.saturating_mul(per_zone)).collect();
            }
        }
        config
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}

/// The market that was recorded in nine zones: from the folder that `STREAMVERSE_SPOT_TRACES` names, or next to the project. `None`, told
/// aloud, where it is in neither.
///
/// # Panics
/// When the variable names a folder that has none.
pub fn recorded() -> Option<Market> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/traces/spot");
    let named = std::env::var("STREAMVERSE_SPOT_TRACES").ok();
    let found = folder(Path::new(named.as_deref().unwrap_or(beside)));
    assert!(found.is_some() || named.is_none(), "STREAMVERSE_SPOT_TRACES names no traces: {named:?}");
    if found.is_none() {
        eprintln!(
            "SKIPPED: the recorded spot market is not there, a made-up one is played: set STREAMVERSE_SPOT_TRACES"
        );
    }
    found
}

/// A market that was made up: two days of four zones.
///
/// # Panics
/// When its files are not in the checkout.
pub fn made_up() -> Market {
    let read = folder(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../provider/compute/testdata")));
    assert!(read.is_some(), "the made-up traces are part of the checkout");
    let Some(read) = read else { unreachable!("it was just asserted") };
    read
}

fn folder(path: &Path) -> Option<Market> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).ok()?.flatten() {
        if entry.path().extension().is_some_and(|it| it == "json") {
            files.push((entry.file_name().into_string().ok()?, std::fs::read_to_string(entry.path()).ok()?));
        }
    }
    Market::read(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).ok()
}
