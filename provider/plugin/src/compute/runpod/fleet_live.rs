//! What RunPod's catalogue says of a fleet today: warnings of prices that moved, and places that there are none of. Whatever cannot be asked is not
//! judged: no plan fails because RunPod does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use streamverse_compute_runpod::{Client, Cloud, GpuType, Limit, NetworkVolume, Product};
use streamverse_model::compute::runpod::{
    BUDGET_AT_MIN, FleetCandidateSpec, FleetCost, RunpodFleetSpecView, settled, table_price,
};
use streamverse_model::compute::{Money, PRICES_VERSION, Tenancy, gpu};
use tfplugin_framework::Context;
use tfplugin_framework::schema::validate::nearest;
use tfplugin_framework::schema::{Diagnostics, Path};

use crate::provider::Streamverse;

/// Longer than this no plan should wait for a price.
const LIMIT: Duration = Duration::from_secs(10);
/// Below this and above its inverse a price is told.
const FIFTH: f64 = 0.2;

/// What RunPod said.
struct Live {
    gpus: BTreeMap<(Tenancy, u32), Vec<GpuType>>,
    centres: BTreeSet<String>,
    /// The data centre of the volume; `None` where none is asked for or none was found.
    volume: Option<String>,
}

/// Looks at the live catalogue, where there is a key, and says what is wrong by it.
pub(super) async fn check(
    cx: &Context<Streamverse>,
    view: &RunpodFleetSpecView,
    new: bool,
    out: &mut Diagnostics,
) {
    if !cx.provider().runpod().has_key() {
        return;
    }
    let candidates: Vec<(usize, FleetCandidateSpec)> = view
        .candidates
        .known()
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, it)| Some((index, settled(it.known()?)?)))
        .collect();
    let Ok(client) = cx.provider().runpod().client(cx).await else { return };
    let limit = Limit::within(cx.time_left().map_or(LIMIT, |left| left.min(LIMIT)));
    let volume = view.network_volume.known().and_then(|it| it.id.known());
    let live = match ask(&client, &candidates, volume, limit).await {
        Ok(live) => live,
        // The dated table is all there is.
        Err(_) => return,
    };
    judge(&candidates, &live, new, out);
    unpriced(view, &candidates, (&live, table_price), new, out);
}

async fn ask(
    client: &Client,
    candidates: &[(usize, FleetCandidateSpec)],
    volume: Option<&String>,
    limit: Limit,
) -> Result<Live, streamverse_compute_runpod::Error> {
    let mut gpus = BTreeMap::new();
    for (_, it) in candidates {
        if gpus.contains_key(&(it.tenancy, it.gpus)) {
            continue;
        }
        let cloud = if it.tenancy == Tenancy::Community { Cloud::Community } else { Cloud::Secure };
        let found = client.gpus(Product::Pod, cloud, it.gpus, limit).await?;
        gpus.insert((it.tenancy, it.gpus), found);
    }
    let centres = client.data_centers(limit).await?.into_iter().map(|it| it.id).collect();
    let volume = match volume {
        Some(id) => client.get::<NetworkVolume>(id, limit).await?.map(|it| it.data_center),
        None => None,
    };
    Ok(Live { gpus, centres, volume })
}

/// Per hour and pod, today.
fn price(live: &Live, it: &FleetCandidateSpec) -> Option<Money> {
    let id = gpu(&it.gpu)?.runpod?;
    let found = live.gpus.get(&(it.tenancy, it.gpus))?.iter().find(|gpu| gpu.id == id)?;
    let one = if it.tenancy == Tenancy::Community { found.price.community } else { found.price.secure };
    Some(Money::dollars(one)?.times(u64::from(it.gpus)))
}

/// `new`: these candidates were not applied yet. One that was there and is no more is the cloud's doing, and ends no plan.
fn judge(candidates: &[(usize, FleetCandidateSpec)], live: &Live, new: bool, out: &mut Diagnostics) {
    let at = |index: usize| Path::attribute("candidates").index(index);
    let mut moved = Vec::new();
    for (index, it) in candidates {
        if let Some(centre) = &it.data_centre {
            if !live.centres.contains(centre) {
                let near = nearest(centre, live.centres.iter().map(String::as_str));
                let near = near.map_or_else(String::new, |near| format!(" Did you mean {near:?}?"));
                let all: Vec<&str> = live.centres.iter().map(String::as_str).collect();
                let place = at(*index).attr("data_centre");
                let text = format!("RunPod has no data centre {centre:?}.{near} It has {}.", all.join(", "));
                if new {
                    out.error_at(place, "No such data centre", text);
                } else {
                    out.warning_at(
                        place,
                        "The data centre is gone",
                        format!("{text} Nothing is bought there any more."),
                    );
                }
            } else if let Some(there) = live.volume.as_ref().filter(|there| *there != centre) {
                out.error_at(
                    at(*index).attr("data_centre"),
                    "Out of the volume's reach",
                    format!(
                        "The network volume lies in {there}, and this candidate is in {centre}. Buy in {there}, or name a volume that lies in {centre}."
                    ),
                );
            }
        }
        if let (Some(today), Some(table)) = (price(live, it), table_price(it))
            && (today.as_dollars() / table.as_dollars() - 1.0).abs() > FIFTH
        {
            moved.push(format!("{} costs {today} per hour, not {table}", it.key()));
        }
    }
    if !moved.is_empty() {
        out.warning_at(
            Path::attribute("candidates"),
            "Prices have moved",
            format!(
                "Today {}, as the table of {PRICES_VERSION} has it. The costs in the plan are the table's; budgets and ceilings hold by today's prices.",
                moved.join("; ")
            ),
        );
    }
}

/// Candidates that the table has no price of: what they cost today, and what the whole does. The plan's own costs do not have them, so that the budget is
/// judged by these.
fn unpriced(
    view: &RunpodFleetSpecView,
    candidates: &[(usize, FleetCandidateSpec)],
    (live, table): (&Live, fn(&FleetCandidateSpec) -> Option<Money>),
    new: bool,
    out: &mut Diagnostics,
) {
    let missing = candidates.iter().filter(|(_, it)| table(it).is_none());
    let each: Vec<String> = missing
        .filter_map(|(_, it)| Some(format!("{} costs {} per hour", it.key(), price(live, it)?)))
        .collect();
    if each.is_empty() {
        return;
    }
    let mut text = format!("Today {}.", each.join("; "));
    if let Some(today) = FleetCost::at(view, |it| price(live, it).or(table(it))) {
        let ends = [
            ("min", today.hourly_min.zip(today.monthly_min)),
            ("max", today.hourly_max.zip(today.monthly_max)),
        ];
        for (end, cost) in ends {
            if let Some((hour, month)) = cost {
                text += &format!(" At `{end}` the fleet costs {hour} per hour and {month} per month.");
            }
        }
        let budget = Path::attribute("range").attr("monthly_budget");
        match today.budget("today's prices") {
            // One that is there goes on until its budget is spent: a price that rose ends no plan.
            Err(broken) if new => out.error_at(budget, BUDGET_AT_MIN, broken),
            Err(broken) => out.warning_at(budget, BUDGET_AT_MIN, broken),
            Ok(Some(reached)) => text += &format!(" {reached}"),
            Ok(None) => {}
        }
    }
    text += " The costs in the plan are the dated table's, which lacks these; budgets and ceilings hold by today's prices.";
    out.warning_at(Path::attribute("candidates"), "What the others cost today", text);
}

#[cfg(test)]
mod tests {
    use streamverse_model::compute::runpod::RunpodFleetSpec;
    use tfplugin_framework::Maybe;
    use tfplugin_framework::schema::Field as _;

    use super::*;

    fn live(secure: f64) -> Live {
        let gpu: GpuType = serde_json::from_value(serde_json::json!({
            "id": "NVIDIA L40S", "name": "L40S", "memory": 48, "secure": true, "community": true,
            "price": { "secure": secure, "community": 0.5 }, "maxCount": { "secure": 8, "community": 8 },
        }))
        .unwrap();
        Live {
            gpus: BTreeMap::from([((Tenancy::Secure, 2), vec![gpu])]),
            centres: ["EU-RO-1", "US-KS-2"].map(str::to_owned).into(),
            volume: None,
        }
    }

    fn told(live: &Live, centre: &str) -> String {
        let one = FleetCandidateSpec {
            gpu: "L40S".to_owned(),
            gpus: 2,
            data_centre: Some(centre.to_owned()),
            tenancy: Tenancy::Secure,
        };
        let mut out = Diagnostics::new();
        judge(&[(3, one)], live, true, &mut out);
        out.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_price_is_told_when_it_moved_by_more_than_a_fifth() {
        assert_eq!(told(&live(0.99), "EU-RO-1"), "");
        assert_eq!(told(&live(1.18), "EU-RO-1"), "");
        let moved = told(&live(1.20), "EU-RO-1");
        assert!(moved.contains("l40s-eu-ro-1-x2 costs $2.40 per hour, not $1.98"), "{moved}");
        assert!(told(&live(0.5), "EU-RO-1").contains("costs $1.00"));
    }

    #[test]
    fn a_data_centre_that_there_is_none_of_is_told_the_nearest() {
        let refused = told(&live(0.99), "EU-RO-2");
        assert!(
            refused.contains("candidates[3].data_centre") && refused.contains("\"EU-RO-1\"?"),
            "{refused}"
        );
        let far = Live { volume: Some("US-KS-2".to_owned()), ..live(0.99) };
        assert!(told(&far, "EU-RO-1").contains("lies in US-KS-2"));
    }

    #[test]
    fn what_the_table_has_no_price_of_is_told_with_todays_and_what_that_does_to_cost_and_budget() {
        let live = Live {
            gpus: BTreeMap::from([(
                (Tenancy::Community, 2),
                live(0.99).gpus.into_values().flatten().collect(),
            )]),
            ..live(0.99)
        };
        let told = |budget: u32, new: bool| {
            let spec: RunpodFleetSpec = serde_json::from_value(serde_json::json!({
                "controller": "main", "image": "registry.example/worker:1",
                "candidates": [{ "gpu": "L40S", "gpus": 2, "tenancy": "community" }],
                "range": { "min": 1, "max": 4, "monthly_budget": f64::from(budget) },
            }))
            .unwrap();
            let candidates = [(0, spec.candidates[0].clone())];
            let Ok(Maybe::Known(view)) = RunpodFleetSpec::view(&RunpodFleetSpec::write(&spec)) else {
                panic!()
            };
            let mut out = Diagnostics::new();
            unpriced(&view, &candidates, (&live, |_| None), new, &mut out);
            out.iter().map(|it| format!("{:?} {it}", it.severity)).collect::<Vec<_>>().join("\n")
        };
        // Two at half a dollar each.
        let enough = told(9000, true);
        assert!(
            enough.contains("costs $1.00 per hour")
                && enough.contains("At `min` the fleet costs $1.00 per hour and $730.50 per month"),
            "{enough}"
        );
        assert!(
            enough.contains("At `max` the fleet costs $4.00 per hour")
                && !enough.contains("monthly_budget is"),
            "{enough}"
        );
        assert!(told(1000, true).contains("after 250 hours at `max`"), "{}", told(1000, true));
        let broken = told(500, true);
        assert!(
            broken.contains("Error")
                && broken.contains(
                    "$730.50 per month under the schedule (today's prices), and monthly_budget is $500"
                ),
            "{broken}"
        );
        let there = told(500, false);
        assert!(there.contains(BUDGET_AT_MIN) && !there.contains("Error"), "{there}");
    }
}
