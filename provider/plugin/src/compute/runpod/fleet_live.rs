//! What RunPod's catalogue says of a fleet today: warnings of prices that moved, machines and places that there are none of. Whatever cannot be asked is
//! not judged: no plan fails because RunPod does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use streamverse_compute_runpod::{Availability, Client, Cloud, GpuType, Limit, NetworkVolume, Product};
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

/// What the catalogue has of a GPU in one cloud.
struct Rented<'a> {
    found: &'a GpuType,
    /// Whether this cloud has it at all.
    there: bool,
    /// How many one pod may have.
    most: u32,
    /// Dollars per hour, of one.
    price: f64,
}

impl Rented<'_> {
    fn of(found: &GpuType, tenancy: Tenancy) -> Rented<'_> {
        let (there, most, price) = match tenancy {
            Tenancy::Secure => (found.secure, found.max_count.secure, found.price.secure),
            Tenancy::Community => (found.community, found.max_count.community, found.price.community),
        };
        Rented { found, there, most, price }
    }
}

impl Live {
    /// The answer to what this candidate needs; `None` where it was not asked for.
    fn answer(&self, it: &FleetCandidateSpec) -> Option<(&'static str, &[GpuType])> {
        Some((gpu(&it.gpu)?.runpod?, self.gpus.get(&(it.tenancy, it.gpus))?))
    }

    fn rented(&self, it: &FleetCandidateSpec) -> Option<Rented<'_>> {
        let (id, all) = self.answer(it)?;
        all.iter().find(|gpu| gpu.id == id).map(|found| Rented::of(found, it.tenancy))
    }
}

/// Per hour and pod, today; `None` of what is not for rent.
fn price(live: &Live, it: &FleetCandidateSpec) -> Option<Money> {
    let rented = live.rented(it).filter(|rented| rented.there && it.gpus <= rented.most)?;
    Some(Money::dollars(rented.price)?.times(u64::from(it.gpus)))
}

/// Which attribute of a candidate nobody can be given, and why: its controller would pass over it for good.
fn never(live: &Live, it: &FleetCandidateSpec) -> Option<(&'static str, String)> {
    let (id, all) = live.answer(it)?;
    let Some(rented) = live.rented(it) else {
        let mut there: Vec<&str> = all.iter().filter_map(|one| Some(gpu(&one.id)?.name)).collect();
        there.sort_unstable();
        return Some((
            "gpu",
            format!(
                "RunPod's catalogue has no {id:?} any more. Of those that we know it has {}.",
                there.join(", ")
            ),
        ));
    };
    if !rented.there {
        let other = match it.tenancy {
            Tenancy::Secure => Tenancy::Community,
            Tenancy::Community => Tenancy::Secure,
        };
        let next = if Rented::of(rented.found, other).there {
            format!(
                "The {} cloud has some: give `tenancy = \"{}\"`, or name another GPU.",
                other.as_str(),
                other.as_str()
            )
        } else {
            "Neither has the other: name another GPU.".to_owned()
        };
        return Some(("tenancy", format!("RunPod's {} cloud has no {id}. {next}", it.tenancy.as_str())));
    }
    (it.gpus > rented.most).then(|| {
        (
            "gpus",
            format!(
                "{} GPUs for each pod, and the largest machine with {id} that RunPod's {} cloud has is of {}. Lower `gpus`.",
                it.gpus,
                it.tenancy.as_str(),
                rented.most
            ),
        )
    })
}

/// Where there is none of it now, while others have some. Stock comes and goes, so that this is told of a new candidate alone.
fn sold_out(live: &Live, it: &FleetCandidateSpec) -> Option<String> {
    let (rented, centre) = (live.rented(it)?, it.data_centre.as_ref()?);
    let id = &rented.found.id;
    let some = rented.found.data_centers.iter().filter(|it| it.availability > Availability::None);
    let some: Vec<&str> = some.map(|it| it.id.as_str()).collect();
    if some.contains(&centre.as_str()) {
        return None;
    }
    let others = if some.is_empty() {
        "no other has either".to_owned()
    } else {
        format!("these have some: {}", some.join(", "))
    };
    let many = if it.gpus > 1 { format!("{} of ", it.gpus) } else { String::new() };
    Some(format!(
        "RunPod's {} cloud has no machine with {many}{id} in {centre} now; {others}. Nothing is bought here until there is one.",
        it.tenancy.as_str()
    ))
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
        if let Some((part, why)) = never(live, it) {
            if new {
                out.error_at(at(*index).attr(part), "Not for rent", why);
            } else {
                out.warning_at(
                    at(*index).attr(part),
                    "Not for rent any more",
                    format!("{why} Nothing is bought there any more."),
                );
            }
        } else if new
            && it.data_centre.as_ref().is_some_and(|it| live.centres.contains(it))
            && let Some(why) = sold_out(live, it)
        {
            out.warning_at(at(*index).attr("data_centre"), "None there now", why);
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
            "price": { "secure": secure, "community": 0.5 }, "maxCount": { "secure": 8, "community": 8 }, "availability": "HIGH",
            "dataCenters": [{ "id": "EU-RO-1", "availability": "HIGH" }],
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

    /// What is told of two L40S, as the catalogue is after a change.
    fn changed(change: &serde_json::Value, tenancy: Tenancy, centre: Option<&str>, new: bool) -> String {
        let mut gpu = serde_json::json!({
            "id": "NVIDIA L40S", "name": "L40S", "memory": 48, "secure": true, "community": true,
            "price": { "secure": 0.99, "community": 0.99 }, "maxCount": { "secure": 8, "community": 8 }, "availability": "HIGH",
            "dataCenters": [{ "id": "EU-RO-1", "availability": "HIGH" }, { "id": "US-KS-2", "availability": "NONE" }],
        });
        gpu.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let gpus = BTreeMap::from([((tenancy, 2), vec![serde_json::from_value(gpu).unwrap()])]);
        let live = Live { gpus, ..live(0.99) };
        let it = FleetCandidateSpec {
            gpu: "L40S".to_owned(),
            gpus: 2,
            data_centre: centre.map(str::to_owned),
            tenancy,
        };
        let mut out = Diagnostics::new();
        judge(&[(1, it)], &live, new, &mut out);
        out.iter().map(|it| format!("{:?} {it}", it.severity)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_no_machine_has_is_refused_at_its_candidate_and_of_an_applied_one_told() {
        let (secure, community) = (Tenancy::Secure, Tenancy::Community);
        let rows = [
            (
                serde_json::json!({ "id": "NVIDIA L40" }),
                secure,
                "candidates[1].gpu",
                "no \"NVIDIA L40S\" any more. Of those that we know it has L40.",
            ),
            (
                serde_json::json!({ "secure": false, "price": { "secure": 9.0, "community": 9.0 } }),
                secure,
                "candidates[1].tenancy",
                "secure cloud has no NVIDIA L40S. The community cloud has some",
            ),
            (
                serde_json::json!({ "community": false }),
                community,
                "candidates[1].tenancy",
                "give `tenancy = \"secure\"`",
            ),
            (
                serde_json::json!({ "maxCount": { "secure": 1, "community": 8 } }),
                secure,
                "candidates[1].gpus",
                "secure cloud has is of 1. Lower `gpus`",
            ),
            (
                serde_json::json!({ "maxCount": { "secure": 8, "community": 1 } }),
                community,
                "candidates[1].gpus",
                "community cloud has is of 1",
            ),
        ];
        for (change, tenancy, at, says) in rows {
            let refused = changed(&change, tenancy, None, true);
            assert!(
                refused.starts_with("Error") && refused.contains(at) && refused.contains(says),
                "{change}: {refused}"
            );
            let told = changed(&change, tenancy, None, false);
            assert!(
                told.starts_with("Warning") && told.contains("Nothing is bought there any more"),
                "{change}: {told}"
            );
            // What is not for rent has no price that could have moved.
            assert!(!refused.contains("Prices have moved"), "{refused}");
        }
        let fits = serde_json::json!({ "secure": false, "maxCount": { "secure": 0, "community": 2 } });
        assert_eq!(changed(&fits, community, None, true), "");
    }

    #[test]
    fn a_place_without_stock_is_told_with_those_that_have_some_while_it_is_new() {
        let at = |centre, new| changed(&serde_json::json!({}), Tenancy::Secure, centre, new);
        assert_eq!((at(Some("EU-RO-1"), true), at(None, true)), (String::new(), String::new()));
        let told = at(Some("US-KS-2"), true);
        assert!(
            told.starts_with("Warning")
                && told.contains("candidates[1].data_centre")
                && told.contains("no machine with 2 of NVIDIA L40S in US-KS-2 now; these have some: EU-RO-1"),
            "{told}"
        );
        assert_eq!(at(Some("US-KS-2"), false), "");
        let none = changed(&serde_json::json!({ "dataCenters": [] }), Tenancy::Secure, Some("US-KS-2"), true);
        assert!(none.contains("no other has either"), "{none}");
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
