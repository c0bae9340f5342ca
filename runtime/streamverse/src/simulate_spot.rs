//! `streamverse simulate spot`: what a policy is worth on a recorded or made-up spot market. No clock and no cloud is asked.

use std::path::{Path, PathBuf};

use clap::Args;
use streamverse_compute::simulate::{
    Market, Setting, Synthetic, compare, forecast, policy_under, pool_of, svg, table,
};
use streamverse_core::{Error, Result};
use streamverse_model::compute::PolicySpec;
use streamverse_model::platform::SpecError;

/// Which market, which policy, and what is needed.
#[derive(Debug, Args)]
pub(crate) struct SpotArgs {
    /// A trace of a zone, or a folder of traces, in the schema of skypilot-org/spot-traces.
    #[arg(long, required_unless_present = "seed", conflicts_with = "seed")]
    trace: Option<PathBuf>,
    /// A made-up market of three regions with three zones, from this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// How unequal the runs of a made-up market are: 1 for an exponential distribution.
    #[arg(long, default_value_t = 2.0)]
    burstiness: f64,
    /// How many days a made-up market lasts.
    #[arg(long, default_value_t = 45)]
    days: u32,
    /// A file with the policy: the JSON of a pool's `policy` block. The default one where none is given.
    #[arg(long)]
    policy: Option<PathBuf>,
    /// How many workers are needed.
    #[arg(long, default_value_t = 4)]
    workers: u32,
    /// How many seconds a worker takes to get ready.
    #[arg(long, default_value_t = 300)]
    cold_start: u64,
    /// The price of spot as a share of that on demand.
    #[arg(long, default_value_t = 0.33)]
    spot_share: f64,
    /// How many seconds before it takes an instance away the cloud says so.
    #[arg(long, default_value_t = 0)]
    notice: u64,
    /// How many on-demand instances the controller may have. Without --policy the pool takes all of them.
    #[arg(long, default_value_t = 1)]
    limit: u32,
    /// Where to put the picture of capacity, cost and outages.
    #[arg(long)]
    svg: Option<PathBuf>,
}

/// The most days of a made-up market, and the most workers: what a machine simulates in seconds.
const MOST_DAYS: u32 = 3660;
const MOST_WORKERS: u32 = 1000;

fn usage(text: impl Into<String>) -> Error {
    Error::permanent("usage", text)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| usage(format!("{} cannot be read", path.display())).because(error))
}

#[allow(clippy::print_stdout, reason = "what it found is its answer")]
pub(crate) fn run(args: &SpotArgs) -> Result<()> {
    let setting = setting(args)?;
    let market = market(args, &setting)?;
    let policy = match &args.policy {
        None => None,
        Some(path) => {
            let read: PolicySpec = serde_json::from_str(&read(path)?)
                .map_err(|error| usage(format!("{} is no policy", path.display())).because(error))?;
            Some(read)
        }
    };
    let policy = policy_under(policy, setting.limit).map_err(|error| usage(error.to_string()))?;
    let pool = pool_of(&market, &setting, policy).map_err(|error| usage(error.to_string()))?;
    let shares: Vec<String> = (market.zones.iter().enumerate())
        .map(|(index, zone)| format!("{} {:.0} %", zone.name, market.availability(index) * 100.0))
        .collect();
    let days = market.length_ms() as f64 / 86_400_000.0;
    println!("{days:.1} days, {} zones with capacity: {}", market.zones.len(), shares.join(", "));
    println!(
        "{} workers, {} s to start, spot at {} of on-demand, {} s of notice, at most {} on demand\n",
        setting.workers, args.cold_start, setting.spot_share, args.notice, setting.limit
    );
    let reports = compare(&market, &setting, pool);
    println!("{}", table(&reports, &setting));
    let Some(ours) = reports.first() else { return Ok(()) };
    let expected = forecast(ours, market.gap_ms);
    println!(
        "StreamVerse, in 90 of 100 draws of these days: all ready {:.2} to {:.2} %, none ready {:.3} to {:.3} %, cost {:.3} to {:.3}, taken away {:.1} to {:.1} per day",
        expected.all_ready.low * 100.0,
        expected.all_ready.high * 100.0,
        expected.none_ready.low * 100.0,
        expected.none_ready.high * 100.0,
        expected.cost.low,
        expected.cost.high,
        expected.preemptions_per_day.low,
        expected.preemptions_per_day.high
    );
    match &args.svg {
        None => Ok(()),
        Some(path) => std::fs::write(path, svg(ours, &setting, market.gap_ms))
            .map_err(|error| usage(format!("{} cannot be written", path.display())).because(error)),
    }
}

fn setting(args: &SpotArgs) -> Result<Setting> {
    if args.workers == 0 || args.workers > MOST_WORKERS {
        return Err(usage(format!("--workers is 1 to {MOST_WORKERS}, not {}", args.workers)));
    }
    if !(0.0..=1.0).contains(&args.spot_share) {
        return Err(usage(format!("--spot-share is 0 to 1, not {}", args.spot_share)));
    }
    if args.cold_start > 86_400 || args.notice > 86_400 {
        return Err(usage("--cold-start and --notice are at most a day: 86400 s"));
    }
    Ok(Setting {
        workers: args.workers,
        cold_ms: args.cold_start * 1000,
        spot_share: args.spot_share,
        notice_ms: args.notice * 1000,
        limit: args.limit,
        ..Setting::default()
    })
}

/// The market that the arguments name.
fn market(args: &SpotArgs, setting: &Setting) -> Result<Market> {
    let too_much = |error: SpecError| usage(error.to_string());
    if let Some(seed) = args.seed {
        if args.days == 0 || args.days > MOST_DAYS || !(1.0..=100.0).contains(&args.burstiness) {
            return Err(usage(format!("--days is 1 to {MOST_DAYS}, --burstiness 1 to 100")));
        }
        let made_up =
            Synthetic { burstiness: args.burstiness, days: args.days, seed, ..Synthetic::default() };
        made_up.check(setting).map_err(too_much)?;
        return Ok(made_up.market());
    }
    let path = args.trace.as_deref().ok_or_else(|| usage("give --trace or --seed"))?;
    let mut paths = vec![path.to_owned()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path)
            .map_err(|error| usage(format!("{} cannot be read", path.display())).because(error))?;
        paths = entries.flatten().map(|it| it.path()).collect();
        paths.retain(|it| it.extension().is_some_and(|it| it == "json"));
        paths.sort();
    }
    let mut files = Vec::new();
    for path in paths {
        files.push((path.display().to_string(), read(&path)?));
    }
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let market = Market::read(files).map_err(|error| usage(error.to_string()))?;
    setting.check(market.length_ms(), market.gap_ms, market.zones.len()).map_err(too_much)?;
    Ok(market)
}
