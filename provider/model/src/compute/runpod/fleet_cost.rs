//! What a fleet of pods costs, by the dated table, and what that says about its limits.

use tfplugin_schema::{Diagnostics, Field as _, Maybe, Path};

use super::fleet::{FleetCandidateSpec, RunpodFleetSpec, RunpodFleetSpecView};
use super::fleet_check::{or, settled};
use crate::compute::{
    CloudKind, Lifecycle, Money, Night, NightSpec, PRICES_VERSION, Tenancy, gpu, price, range_cost,
};

/// Per hour and month at both ends of the range; what follows from a price that the table lacks is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetCost {
    /// Per hour at `min`, and `policy.extra` more, with the cheapest candidate below `price_ceiling`.
    pub hourly_min: Option<Money>,
    /// Per hour at `max`, with the dearest candidate that may be taken.
    pub hourly_max: Option<Money>,
    /// Per month at `min`, without the nights.
    pub monthly_min: Option<Money>,
    /// Per month at `max`, all the time that the schedule allows.
    pub monthly_max: Option<Money>,
    /// Candidates that the table has no price for, by their keys.
    pub unpriced: Vec<String>,
    /// The cheapest candidate of those that have a price, per hour and pod.
    pub cheapest: Option<Money>,
    /// The limits, as configured.
    ceiling: Option<Money>,
    budget: Option<Money>,
}

/// What a plan says of a budget that is broken at once.
pub const BUDGET_AT_MIN: &str = "The budget does not last for `min`";

/// The price of a pod of this candidate per hour, by the dated table. It has the secure cloud alone.
pub fn table_price(candidate: &FleetCandidateSpec) -> Option<Money> {
    if candidate.tenancy == Tenancy::Community {
        return None;
    }
    let name = gpu(&candidate.gpu)?.name;
    let row = price(CloudKind::Runpod, "", name, Lifecycle::OnDemand)?;
    Some(row.hourly.times(u64::from(candidate.gpus)))
}

impl FleetCost {
    /// The cost by the dated table, once all that it follows from is known.
    pub fn of(view: &RunpodFleetSpecView) -> Option<FleetCost> {
        FleetCost::at(view, table_price)
    }

    /// The cost at other prices, of a pod per hour: at today's, for example.
    pub fn at(
        view: &RunpodFleetSpecView,
        priced: impl Fn(&FleetCandidateSpec) -> Option<Money>,
    ) -> Option<FleetCost> {
        let candidates =
            view.candidates.known()?.iter().map(|it| settled(it.known()?)).collect::<Option<Vec<_>>>()?;
        let range = view.range.known()?;
        let (min, max) = (or(&range.min, 0)?, *range.max.known()?);
        let limit = |it: &Maybe<Money>| match it {
            Maybe::Known(it) => Some(Some(*it)),
            Maybe::Null => Some(None),
            Maybe::Unknown => None,
        };
        let (ceiling, budget) = (limit(&range.price_ceiling)?, limit(&range.monthly_budget)?);
        let night = night(view)?;
        // Those in addition are kept wherever any are.
        let extra = match &view.policy {
            Maybe::Known(policy) => or(&policy.extra, 0)?,
            Maybe::Null => 0,
            Maybe::Unknown => return None,
        };
        let with = |count: u32| if count == 0 { 0 } else { count.saturating_add(extra) };
        let prices: Vec<(String, Option<Money>)> =
            candidates.iter().map(|it| (it.key(), priced(it))).collect();
        let known: Vec<Money> = prices.iter().filter_map(|(_, price)| *price).collect();
        let unpriced: Vec<String> =
            prices.into_iter().filter_map(|(key, price)| price.is_none().then_some(key)).collect();
        let cheapest = known.iter().min().copied();
        // Above the ceiling nothing is bought, whatever the table says.
        let may = |price: &Money| ceiling.is_none_or(|ceiling| *price <= ceiling);
        let dearest = known.iter().filter(|it| may(it)).max().copied();
        // What no candidate may cost is never paid.
        let least = known.iter().filter(|it| may(it)).min().copied().unwrap_or(Money::ZERO);
        let low = if min == 0 { Some(Money::ZERO) } else { Some(least).filter(|_| unpriced.is_empty()) };
        let high = match (unpriced.is_empty(), ceiling) {
            _ if max == 0 => Some(Money::ZERO),
            (true, _) => dearest.or(Some(Money::ZERO)),
            // What has no price here is bought up to the ceiling.
            (false, ceiling) => ceiling,
        };
        let cost = range_cost(
            with(min),
            with(max),
            low.unwrap_or(Money::ZERO),
            high.unwrap_or(Money::ZERO),
            night.as_ref(),
        );
        Some(FleetCost {
            hourly_min: low.map(|_| cost.hourly_min),
            hourly_max: high.map(|_| cost.hourly_max),
            monthly_min: low.map(|_| cost.monthly_min),
            monthly_max: high.map(|_| cost.monthly_max),
            unpriced,
            cheapest,
            ceiling,
            budget,
        })
    }

    /// The cost of a fleet that is known.
    pub fn of_spec(spec: &RunpodFleetSpec) -> Option<FleetCost> {
        match RunpodFleetSpec::view(&RunpodFleetSpec::write(spec)) {
            Ok(Maybe::Known(view)) => FleetCost::of(&view),
            _ => None,
        }
    }

    /// What the monthly budget comes to at these prices, and when it is reached at `max`.
    ///
    /// # Errors
    /// `min` alone breaks it.
    pub fn budget(&self, prices: &str) -> Result<Option<String>, String> {
        let Some(budget) = self.budget else { return Ok(None) };
        if let Some(least) = self.monthly_min.filter(|it| *it > budget) {
            return Err(format!(
                "`min` costs {} per hour and {least} per month under the schedule ({prices}), and monthly_budget is {budget}. Raise it to {least} at least, lower min, or make the night longer.",
                self.hourly_min.unwrap_or_default()
            ));
        }
        let (Some(most), Some(hourly)) = (self.monthly_max.filter(|it| *it > budget), self.hourly_max) else {
            return Ok(None);
        };
        let hours = budget.as_micros() / hourly.as_micros().max(1);
        Ok(Some(format!(
            "At `max` the fleet costs {hourly} per hour and {most} per month ({prices}), and monthly_budget is {budget}: after {hours} hours at `max` all workers are drained until the month is over."
        )))
    }

    /// Refuses a budget that `min` alone breaks; says when it is reached at `max`, and what has no price.
    pub fn check(&self, out: &mut Diagnostics) {
        let range = |name: &str| Path::attribute("range").attr(name);
        match self.budget(&format!("prices of {PRICES_VERSION}")) {
            Err(text) => out.error_at(range("monthly_budget"), BUDGET_AT_MIN, text),
            Ok(Some(text)) => {
                out.warning_at(
                    range("monthly_budget"),
                    "The budget is reached before the month is over",
                    text,
                );
            }
            Ok(None) => {}
        }
        if let (Some(cheapest), Some(ceiling)) = (self.cheapest, self.ceiling)
            && cheapest > ceiling
            && self.unpriced.is_empty()
        {
            out.warning_at(
                range("price_ceiling"),
                "No candidate below the ceiling",
                format!(
                    "The cheapest candidate cost {cheapest} per hour on {PRICES_VERSION}, and price_ceiling is {ceiling}: unless it became cheaper, nothing is bought."
                ),
            );
        }
        if !self.unpriced.is_empty() {
            let bound = match self.ceiling {
                Some(ceiling) => {
                    format!("`hourly_max` and `monthly_max` reckon with price_ceiling, {ceiling}, instead.")
                }
                None => {
                    "What follows from their prices is null; with `price_ceiling` there is an upper bound."
                        .to_owned()
                }
            };
            out.warning_at(
                Path::attribute("candidates"),
                "Prices that the table does not have",
                format!(
                    "The table of {PRICES_VERSION} has no price of {}. {bound} The data source streamverse_gpu_offers has live ones.",
                    self.unpriced.join(", ")
                ),
            );
        }
    }
}

/// The night, where there is one and it can be read.
fn night(view: &RunpodFleetSpecView) -> Option<Option<Night>> {
    let schedule = match &view.schedule {
        Maybe::Known(schedule) => schedule,
        Maybe::Null => return Some(None),
        Maybe::Unknown => return None,
    };
    match &schedule.night {
        Maybe::Null => Some(None),
        Maybe::Unknown => None,
        Maybe::Known(night) => {
            let spec = NightSpec {
                from: night.from.known()?.clone(),
                to: night.to.known()?.clone(),
                time_zone: or(&night.time_zone, "UTC".to_owned())?,
            };
            spec.read().ok().map(Some)
        }
    }
}
