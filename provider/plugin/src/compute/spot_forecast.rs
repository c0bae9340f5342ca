//! `streamverse_spot_forecast`: what to expect of a policy on a spot market. No cloud is asked, no clock is read.

use std::path::{Path as FilePath, PathBuf};
use std::time::Duration as Span;

use streamverse_compute::simulate::{
    Bounds, Market, Ours, Setting, Synthetic, forecast, omniscient, play, policy_under, pool_of,
};
use streamverse_model::compute::PolicySpec;
use streamverse_model::platform::SpecError;
use tfplugin_framework::schema::{Computed, Duration, Path};
use tfplugin_framework::{Context, DataSource, Error, Findings, Result, Schema, State, data_source};

use crate::provider::Streamverse;

/// What to expect of a pool's policy on a spot market, recorded or made up: how often all of its workers are ready, how often
/// none is, what it costs, and how often instances are taken away. The same market gives the same forecast; it promises
/// nothing about tomorrow's. Days × zones × workers may be 20,000, which takes seconds. It calls nobody, and reads the files of `trace` alone.
#[derive(Clone, Schema)]
#[schema(exactly_one_of(trace, synthetic))]
pub struct SpotForecast {
    /// A recorded market: a file in the schema of skypilot-org/spot-traces, or a folder with one for each zone.
    pub trace: Option<String>,
    /// A made-up market.
    pub synthetic: Option<SyntheticMarket>,
    /// How many workers are needed all the time.
    #[attribute(default = 4, validate(range = 1..=1000))]
    pub workers: u32,
    /// How long a worker takes to get ready; a day at most.
    #[attribute(default = "5m")]
    pub cold_start: Duration,
    /// How long before it takes an instance away the cloud says so; a day at most.
    #[attribute(default = "0s")]
    pub notice: Duration,
    /// The price of spot as a share of that on demand.
    #[attribute(default = 0.33, validate(range = 0.0..=1.0))]
    pub spot_share: f64,
    /// How many on-demand instances the controller may have. Without a `policy` the pool takes all of them; with one, as many as its
    /// `fallback.max` says, and a limit above that is refused.
    #[attribute(default = 1, validate(range = 0..=1000))]
    pub on_demand_limit: u32,
    /// The policy; the usual one where none is given.
    pub policy: Option<PolicySpec>,
    /// How many days the market has.
    pub days: Computed<f64>,
    /// How many zones it has.
    pub zones: Computed<u32>,
    /// The share of the time in which all workers are ready.
    pub all_ready: Computed<Expected>,
    /// The share of it in which none is.
    pub none_ready: Computed<Expected>,
    /// The cost as a share of as many on-demand instances all the time.
    pub cost: Computed<Expected>,
    /// What somebody would pay who knows the market's future, for all the capacity that it and the limit allow.
    pub cost_bound: Computed<f64>,
    /// Instances that are taken away, per day.
    pub preemptions_per_day: Computed<Expected>,
    /// Instances that are launched, per day.
    pub launches_per_day: Computed<f64>,
    /// Hours of on-demand instances, per day.
    pub on_demand_hours_per_day: Computed<f64>,
}

/// A market that is made up: the same numbers give the same market.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct SyntheticMarket {
    /// The seed.
    #[attribute(default = 1)]
    pub seed: u64,
    /// How many days it lasts.
    #[attribute(default = 45, validate(range = 1..=366))]
    pub days: u32,
    /// How many regions.
    #[attribute(default = 3, validate(range = 1..=20))]
    pub regions: u32,
    /// How many zones in each of them.
    #[attribute(default = 3, validate(range = 1..=26))]
    pub zones: u32,
    /// How many minutes a zone has capacity, on average.
    #[attribute(default = 120, validate(range = 1..=100_000))]
    pub up_minutes: u32,
    /// How many minutes it has none.
    #[attribute(default = 60, validate(range = 1..=100_000))]
    pub down_minutes: u32,
    /// How unequal these times are: 1 for an exponential distribution, more for many short and few long ones.
    #[attribute(default = 2.0, validate(range = 1.0..=100.0))]
    pub burstiness: f64,
    /// The share of its time in which a region has none in any zone.
    #[attribute(default = 0.08, validate(range = 0.0..=0.9))]
    pub region_out: f64,
}

/// A value, and between which two it lies in 90 of 100 draws of the market's days. A market of one or two days draws itself: its bounds
/// say nothing.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Expected {
    /// Over the whole market.
    pub value: f64,
    /// 5 of 100 draws are below.
    pub low: f64,
    /// 5 of 100 draws are above.
    pub high: f64,
}

impl From<Bounds> for Expected {
    fn from(it: Bounds) -> Expected {
        Expected { value: digits(it.value), low: digits(it.low), high: digits(it.high) }
    }
}

/// Longer nothing takes to start, and nothing is announced before.
const DAY: Span = Span::from_secs(86_400);

/// Six digits after the point: what is behind them is noise in a plan.
fn digits(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[data_source(name = "spot_forecast")]
impl DataSource for SpotForecast {
    type Provider = Streamverse;

    async fn read(_: &Context<Streamverse>, config: Self) -> Result<State<Self>> {
        let asked = config.clone();
        // Seconds of arithmetic: not on a thread that others wait for.
        let reckoned = tokio::task::spawn_blocking(move || reckon(&asked)).await;
        let computed = reckoned.map_err(|_| Error::invalid("the simulation was ended"))??;
        Ok(config.complete(computed))
    }

    fn validate(config: &SpotForecastView, findings: &mut Findings) {
        for (name, given) in [("cold_start", &config.cold_start), ("notice", &config.notice)] {
            if given.is_known_and(|it| it.0 > DAY) {
                let text = format!("`{name}` is a day at most, `24h`: no market is simulated with more.");
                findings.refuse(Path::attribute(name), "Too long", text);
            }
        }
    }
}

fn reckon(config: &SpotForecast) -> Result<SpotForecastComputed> {
    // What is known while planning was judged by then; this is what was not.
    let ms = |name: &str, it: Duration| match u64::try_from(it.0.as_millis()) {
        Ok(ms) if it.0 <= DAY => Ok(ms),
        _ => Err(Error::invalid(format!("`{name}` is a day at most, `24h`")).at(Path::attribute(name))),
    };
    let setting = Setting {
        workers: config.workers,
        cold_ms: ms("cold_start", config.cold_start)?,
        spot_share: config.spot_share,
        notice_ms: ms("notice", config.notice)?,
        limit: config.on_demand_limit,
        ..Setting::default()
    };
    let policy = policy_under(config.policy.clone(), setting.limit)
        .map_err(|error| Error::invalid(error.to_string()).at(Path::attribute("on_demand_limit")))?;
    let market = market(config, &setting)?;
    let pool = pool_of(&market, &setting, policy)?;
    let report = play("StreamVerse", &market, &setting, &mut Ours::new(pool, setting.limit));
    let expected = forecast(&report, market.gap_ms);
    let per_day = |sum: f64| digits(sum / expected.days.max(1e-9));
    Ok(SpotForecastComputed {
        days: digits(expected.days),
        zones: u32::try_from(market.zones.len()).unwrap_or(u32::MAX),
        all_ready: expected.all_ready.into(),
        none_ready: expected.none_ready.into(),
        cost: expected.cost.into(),
        cost_bound: digits(omniscient(&market, &setting).cost),
        preemptions_per_day: expected.preemptions_per_day.into(),
        launches_per_day: per_day(report.launches as f64),
        on_demand_hours_per_day: per_day(report.on_demand_hours),
    })
}

fn market(config: &SpotForecast, setting: &Setting) -> Result<Market> {
    if let Some(it) = &config.synthetic {
        let made_up = Synthetic {
            regions: it.regions,
            zones: it.zones,
            up_minutes: it.up_minutes.into(),
            down_minutes: it.down_minutes.into(),
            burstiness: it.burstiness,
            region_out: it.region_out,
            days: it.days,
            seed: it.seed,
        };
        let too_much = |error: SpecError| Error::invalid(error.to_string()).at(Path::attribute("synthetic"));
        made_up.check(setting).map_err(too_much)?;
        return Ok(made_up.market());
    }
    let at = || Path::attribute("trace");
    let wrong = |text: String| Error::invalid(text).at(at());
    let path = FilePath::new(config.trace.as_deref().unwrap_or_default());
    let mut paths: Vec<PathBuf> = vec![path.to_owned()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path)
            .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
        paths = entries.flatten().map(|it| it.path()).collect();
        paths.retain(|it| it.extension().is_some_and(|it| it == "json"));
        paths.sort();
    }
    let mut files = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
        files.push((path.display().to_string(), text));
    }
    let market = Market::read(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))
        .map_err(|error| wrong(error.to_string()))?;
    setting
        .check(market.length_ms(), market.gap_ms, market.zones.len())
        .map_err(|error| wrong(error.to_string()))?;
    Ok(market)
}
