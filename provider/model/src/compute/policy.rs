//! How a pool is kept at its size while the market takes instances away: what is the same on every cloud.

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Duration, Schema};

fn seconds(seconds: u64) -> Duration {
    Duration(std::time::Duration::from_secs(seconds))
}

/// How a pool meets preemption, refusal and cost.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySpec {
    /// What is bought at the full price when spot is short. `max = 0` for nothing.
    pub fallback: Option<FallbackSpec>,
    /// How long a candidate is left alone after it had no capacity, or took an instance back.
    #[attribute(default = "3m")]
    pub capacity_block: Duration,
    /// How long a candidate is left alone after a quota was reached: more of it is granted by people, not by time.
    #[attribute(default = "30m")]
    pub quota_block: Duration,
    /// The most instances that are asked for within an hour, those that were refused not counted.
    #[attribute(default = 120, validate(range = 1..=100_000))]
    pub launches_per_hour: u32,
    /// No candidate holds more than so many of the pool's instances while another one could: 0 for no such limit. A zone
    /// loses all of them at once.
    #[attribute(default = 0, validate(range = 0..=10_000))]
    pub spread: u32,
    /// Instances in addition to what is needed, against the time that replacements take.
    #[attribute(default = 0, validate(range = 0..=100))]
    pub extra: u32,
    /// How long a worker that is not taken away may work on: segments that are begun are finished.
    #[attribute(default = "5m")]
    pub drain: Duration,
}

impl Default for PolicySpec {
    fn default() -> PolicySpec {
        PolicySpec {
            fallback: None,
            capacity_block: seconds(180),
            quota_block: seconds(1800),
            launches_per_hour: 120,
            spread: 0,
            extra: 0,
            drain: seconds(300),
        }
    }
}

impl PolicySpec {
    /// The safety net: the usual one where none is described.
    pub fn net(&self) -> FallbackSpec {
        self.fallback.clone().unwrap_or_default()
    }
}

/// On-demand instances as a safety net. The limit is shared by all pools of a controller, see
/// `streamverse_fleet_controller`.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FallbackSpec {
    /// The most that this pool takes of the controller's limit. When it is made smaller, those that are too many leave at the next tick.
    #[attribute(default = 1, validate(range = 0..=1000))]
    pub max: u32,
    /// How long spot must have been short before an on-demand instance is started.
    #[attribute(default = "150s")]
    pub after: Duration,
    /// How long spot must have been whole again before on-demand is given back.
    #[attribute(default = "10m")]
    pub return_after: Duration,
}

impl Default for FallbackSpec {
    fn default() -> FallbackSpec {
        FallbackSpec { max: 1, after: seconds(150), return_after: seconds(600) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_the_default_in_json_and_in_hcl() {
        let empty: PolicySpec = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, PolicySpec::default());
        let text = serde_json::to_string(&empty).unwrap();
        assert_eq!(serde_json::from_str::<PolicySpec>(&text).unwrap(), empty);
    }
}
