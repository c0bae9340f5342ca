//! What `docs/compute.md` says of replays: `cargo run --release -p streamverse-compute --example replay` says how fast 45 days of a market are
//! simulated; `… -- tables` plays all policies on made-up markets, and on the recorded one where `STREAMVERSE_SPOT_TRACES` names its folder.
#![allow(clippy::print_stdout, reason = "what it measured is its answer")]

use std::error::Error;
use std::time::Instant;

use streamverse_compute::simulate::{
    Market, Ours, Setting, Synthetic, compare, forecast, play, pool_of, table,
};
use streamverse_model::compute::PolicySpec;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).is_some_and(|it| it == "tables") { tables() } else { speed() }
}

fn speed() -> Result<(), Box<dyn Error>> {
    let market = Synthetic::default().market();
    let setting = Setting::default();
    for _ in 0..5 {
        let pool = pool_of(&market, &setting, PolicySpec::default())?;
        let begun = Instant::now();
        let report = play("StreamVerse", &market, &setting, &mut Ours::new(pool, setting.limit));
        let days = market.length_ms() / 86_400_000;
        println!("{days} days of {} zones in {:?}", market.zones.len(), begun.elapsed());
        print!("{}", table(&[report], &setting));
    }
    Ok(())
}

fn tables() -> Result<(), Box<dyn Error>> {
    if let Some(folder) = std::env::var_os("STREAMVERSE_SPOT_TRACES") {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "json") {
                files.push((path.to_string_lossy().into_owned(), std::fs::read_to_string(path)?));
            }
        }
        let market = Market::read(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?;
        // What `zones-replay 45` plays through the controller.
        let mut shorter = market.clone();
        let ticks = usize::try_from(45 * 86_400_000 / market.gap_ms)?;
        shorter.zones.iter_mut().for_each(|it| it.available.truncate(ticks));
        for notice_ms in [0, 120_000] {
            let setting = Setting { notice_ms, ..Setting::default() };
            show("recorded", &market, &setting)?;
            show("recorded, its first 45 days", &shorter, &setting)?;
        }
    }
    for (burstiness, seed) in [(1.0, 11), (2.0, 12), (4.0, 13), (8.0, 14)] {
        let market = Synthetic { burstiness, seed, ..Synthetic::default() }.market();
        show(&format!("burstiness {burstiness}, seed {seed}"), &market, &Setting::default())?;
    }
    Ok(())
}

fn show(name: &str, market: &Market, setting: &Setting) -> Result<(), Box<dyn Error>> {
    let reports = compare(market, setting, pool_of(market, setting, PolicySpec::default())?);
    let days = market.length_ms() as f64 / 86_400_000.0;
    println!("\n{name}: {days:.2} days, notice {} s\n{}", setting.notice_ms / 1000, table(&reports, setting));
    if let Some(ours) = reports.first() {
        let all = forecast(ours, market.gap_ms);
        let each = [
            ("4 ready", all.all_ready),
            ("0 ready", all.none_ready),
            ("cost", all.cost),
            ("taken away per day", all.preemptions_per_day),
        ];
        for (what, it) in each {
            println!("{what}: {:.4} to {:.4} in 90 of 100 draws", it.low, it.high);
        }
    }
    Ok(())
}
