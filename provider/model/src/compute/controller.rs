//! The controller of pools and fleets: what it may spend and start, whatever its pools ask for.

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Duration, Maybe, Schema};

use super::{CloudKind, GpuClass, Money};

/// Keeps pools and fleets at their sizes. One of them acts at a time: it holds a lease.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetControllerSpec {
    /// How many on-demand instances all of its pools together may have, for each cloud and class; 1 where
    /// none is given. None is started above it. When it is made smaller, those that are too many leave at the next tick, idle and young
    /// ones first; one that works has the time to drain. RunPod has no spot: its pods are not counted.
    #[attribute(default = Vec::new())]
    #[serde(default)]
    pub on_demand_limits: Vec<OnDemandLimitSpec>,
    /// The most that all of its pools together cost in a calendar month (UTC), in US dollars. A fleet whose `min` alone costs more is refused by its
    /// plan; what several fleets cost together no plan compares with it: the controller holds them to it.
    #[serde(default)]
    pub monthly_budget: Option<Money>,
    /// The time between two looks at clouds and queues.
    #[attribute(default = "15s")]
    pub tick: Duration,
    /// How long decisions and what they cost are kept: what `streamverse fleet why` shows. The lines of its log are another matter: a node
    /// keeps the last 16 to 32 MB of each service, a cluster what its kubelets and your log collector keep. Metrics are kept by whoever scrapes
    /// them (`deploy/monitoring`).
    #[attribute(default = "30days")]
    pub retention: Duration,
}

/// A limit for a cloud and a class.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnDemandLimitSpec {
    /// The cloud.
    pub cloud: CloudKind,
    /// The class: instances with or without a GPU.
    pub class: GpuClass,
    /// The most on-demand instances.
    #[attribute(validate(range = 0..=1000))]
    pub max: u32,
}

impl FleetControllerSpec {
    /// The on-demand limit of a cloud and class; `None` for RunPod, where it does not apply.
    pub fn on_demand_limit(&self, cloud: CloudKind, class: GpuClass) -> Option<u32> {
        if cloud == CloudKind::Runpod {
            return None;
        }
        let found = self.on_demand_limits.iter().find(|it| it.cloud == cloud && it.class == class);
        Some(found.map_or(1, |it| it.max))
    }

    /// Refuses what cannot work.
    pub fn check(view: &FleetControllerSpecView, out: &mut Diagnostics) {
        let tick = match &view.tick {
            Maybe::Known(tick) => Some(tick.0),
            _ => None,
        };
        if tick.is_some_and(|it| it.as_secs() < 5 || it.as_secs() > 300) {
            out.error_at(FleetControllerSpec::tick(), "Unusable tick", "A tick is 5 s to 5 minutes: shorter ones meet the clouds' limits of requests, longer ones find what was taken away too late.");
        }
        let Maybe::Known(limits) = &view.on_demand_limits else { return };
        let mut seen = Vec::new();
        for (index, limit) in limits.iter().enumerate() {
            let Maybe::Known(limit) = limit else { continue };
            let (Some(cloud), Some(class)) = (limit.cloud.known(), limit.class.known()) else { continue };
            let at = FleetControllerSpec::on_demand_limits().at(index);
            if *cloud == CloudKind::Runpod {
                out.error_at(
                    at.clone().cloud(),
                    "No spot to fall back from",
                    "RunPod rents on-demand pods only: max of its fleets is their limit. Remove this one.",
                );
            }
            if seen.contains(&(*cloud, *class)) {
                out.error_at(
                    at,
                    "Limit given twice",
                    format!("{cloud} and {class} have two limits. Keep one."),
                );
            }
            seen.push((*cloud, *class));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runpod_has_no_on_demand_limit_and_the_others_have_one_of_one() {
        let spec: FleetControllerSpec = serde_json::from_value(serde_json::json!({
            "on_demand_limits": [{ "cloud": "gcp", "class": "gpu", "max": 3 }],
            "monthly_budget": 1000, "tick": "15s", "retention": "30days",
        }))
        .unwrap();
        assert_eq!(spec.on_demand_limit(CloudKind::Runpod, GpuClass::Gpu), None);
        assert_eq!(spec.on_demand_limit(CloudKind::Aws, GpuClass::Gpu), Some(1));
        assert_eq!(spec.on_demand_limit(CloudKind::Gcp, GpuClass::Gpu), Some(3));
    }
}
