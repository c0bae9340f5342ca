//! What to expect of a policy on a market, with bounds: its days are drawn again and again, in blocks (a block bootstrap), because an
//! outage of today is part of that of yesterday.

use super::run::Report;
use super::synthetic::Dice;

/// A value, and between which two it lies in 90 of 100 draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The value over the whole market.
    pub value: f64,
    /// 5 of 100 draws are below.
    pub low: f64,
    /// 5 of 100 draws are above.
    pub high: f64,
}

/// What to expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// The share of the time in which all workers are ready.
    pub all_ready: Bounds,
    /// The share of it in which none is.
    pub none_ready: Bounds,
    /// The cost as a share of all on demand.
    pub cost: Bounds,
    /// Instances that are taken away, per day.
    pub preemptions_per_day: Bounds,
    /// How many days the market has.
    pub days: f64,
}

const DRAWS: u64 = 400;
const BLOCK_DAYS: usize = 2;

/// The forecast of a report. The same report gives the same bounds.
pub fn forecast(report: &Report, gap_ms: u64) -> Forecast {
    let per_day = usize::try_from(86_400_000 / gap_ms.max(1)).unwrap_or(1).max(1);
    let ticks_of_a_day = 86_400_000.0 / gap_ms.max(1) as f64;
    let days: Vec<[f64; 4]> = report
        .moments
        .chunks(per_day)
        .filter(|it| it.len() * 2 > per_day || report.moments.len() < per_day)
        .map(|day| {
            let mean = |of: fn(&super::run::Moment) -> f32| {
                day.iter().map(|it| f64::from(of(it))).sum::<f64>() / day.len().max(1) as f64
            };
            [
                mean(|it| it.all),
                mean(|it| it.none),
                mean(|it| it.cost),
                mean(|it| it.preempted) * ticks_of_a_day,
            ]
        })
        .collect();
    let mut dice = Dice::new(days.len() as u64);
    let mut draws: [Vec<f64>; 4] = Default::default();
    for _ in 0..DRAWS {
        let mut sums = [0.0; 4];
        let mut taken = 0_usize;
        while taken < days.len() {
            let start = usize::try_from(dice.below(days.len() as u64)).unwrap_or(0);
            for day in days.iter().cycle().skip(start).take(BLOCK_DAYS) {
                sums.iter_mut().zip(day).for_each(|(sum, it)| *sum += it);
                taken += 1;
            }
        }
        draws.iter_mut().zip(sums).for_each(|(all, sum)| all.push(sum / taken.max(1) as f64));
    }
    let [all, none, cost, preempted] = draws.map(|mut all| {
        all.sort_by(f64::total_cmp);
        let at = |share: f64| all.get((all.len() as f64 * share) as usize).copied();
        (at(0.05).unwrap_or(0.0), at(0.95).unwrap_or(0.0))
    });
    let bounds =
        |value: f64, (low, high): (f64, f64)| Bounds { value, low: low.min(value), high: high.max(value) };
    let length = report.moments.len() as f64 * gap_ms as f64 / 86_400_000.0;
    Forecast {
        all_ready: bounds(report.all_ready, all),
        none_ready: bounds(report.none_ready, none),
        cost: bounds(report.cost, cost),
        preemptions_per_day: bounds(report.preemptions as f64 / length.max(1e-9), preempted),
        days: length,
    }
}
