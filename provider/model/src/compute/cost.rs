//! What a range costs: per hour at both ends, and in a month under the schedule.

use super::{Money, Night};

/// Hours of the month that is reckoned with: a twelfth of 365.25 days.
pub const HOURS_PER_MONTH: f64 = 730.5;

/// What a pool costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeCost {
    /// Per hour at `min`.
    pub hourly_min: Money,
    /// Per hour at `max`.
    pub hourly_max: Money,
    /// Per month at `min`, without the nights.
    pub monthly_min: Money,
    /// Per month at `max` all the time that the schedule allows.
    pub monthly_max: Money,
}

/// The cost of a range: at `min` with the cheapest candidate, at `max` with the dearest one that may be taken.
pub fn range_cost(min: u32, max: u32, cheapest: Money, dearest: Money, night: Option<&Night>) -> RangeCost {
    let (hourly_min, hourly_max) = (cheapest.times(min.into()), dearest.times(max.into()));
    let hours = HOURS_PER_MONTH * (1.0 - night.map_or(0.0, Night::share));
    let month = |hourly: Money| hourly.per_hour_for_ms((hours * 3_600_000.0) as u64);
    RangeCost { hourly_min, hourly_max, monthly_min: month(hourly_min), monthly_max: month(hourly_max) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::NightSpec;

    #[test]
    fn nights_are_not_paid() {
        let price = Money::micros(1_000_000);
        let day = range_cost(1, 4, price, price.times(2), None);
        assert_eq!((day.hourly_min, day.hourly_max), (price, price.times(8)));
        assert_eq!(day.monthly_min, Money::micros(730_500_000));
        let night =
            NightSpec { from: "18:00".into(), to: "06:00".into(), time_zone: "UTC".into() }.read().unwrap();
        let half = range_cost(1, 4, price, price, Some(&night));
        assert_eq!(half.monthly_min, Money::micros(365_250_000));
    }
}
