//! The simulation: 45 days of a made-up market of nine zones, looked at each 15 s.

use serde_json::Value;
use streamverse_compute::simulate::{Ours, Setting, Synthetic, play, policy_under, pool_of};

use crate::{Outcome, row, timed};

pub(crate) fn measure(rounds: usize) -> Outcome<Vec<Value>> {
    let market = Synthetic::default().market();
    let setting = Setting::default();
    let mut took = Vec::new();
    let mut launches = 0;
    for _ in 0..rounds {
        let pool = pool_of(&market, &setting, policy_under(None, setting.limit)?)?;
        let (seconds, report) =
            timed(|| play("StreamVerse", &market, &setting, &mut Ours::new(pool, setting.limit)));
        launches = report.launches;
        took.push(seconds);
    }
    let note = format!("four workers, {launches} launches");
    Ok(vec![row("simulation: 45 days of nine zones", "s", took, Some(1.0), &note)])
}
