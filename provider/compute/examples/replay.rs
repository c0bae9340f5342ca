//! How fast 45 days of a spot market are simulated: `cargo run --release -p streamverse-compute --example replay`.
#![allow(clippy::print_stdout, reason = "what it measured is its answer")]

use std::time::Instant;

use streamverse_compute::simulate::{Ours, Setting, Synthetic, play, pool_of, table};
use streamverse_model::compute::PolicySpec;
use streamverse_model::platform::SpecError;

fn main() -> Result<(), SpecError> {
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
