//! The range of a pool: Terraform owns it, the live size in it is the controller's.

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Maybe, Schema};

use super::Money;

/// How few and how many, and what they may cost.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeSpec {
    /// So many workers are kept whenever there is capacity, except at night. 0: none, as long as nothing waits.
    #[attribute(default = 0, validate(range = 0..=10_000))]
    pub min: u32,
    /// So many at most. While one moves to another place there may be one more for minutes, `extra` and the on-demand net of
    /// the policy come on top. A new `max` acts within one tick of the controller.
    #[attribute(validate(range = 0..=10_000))]
    pub max: u32,
    /// No instance that costs more per hour, in US dollars; any where none is given.
    #[serde(default)]
    pub price_ceiling: Option<Money>,
    /// The most that the pool costs in a calendar month (UTC), in US dollars. What runs when it is reached is drained.
    #[serde(default)]
    pub monthly_budget: Option<Money>,
}

impl RangeSpec {
    /// Refuses what cannot work.
    pub fn check(view: &RangeSpecView, out: &mut Diagnostics) {
        let min = match &view.min {
            Maybe::Known(min) => *min,
            Maybe::Null => 0,
            Maybe::Unknown => return,
        };
        if let Some(max) = view.max.known().filter(|max| **max < min) {
            out.error_at(
                RangeSpec::max(),
                "Fewer at most than at least",
                format!("max = {max} is less than min = {min}. Raise max, or lower min."),
            );
        }
    }
}
