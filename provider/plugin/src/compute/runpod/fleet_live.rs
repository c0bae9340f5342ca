//! What RunPod's catalogue says of a fleet today: warnings of prices that moved, and places that there are none of. Whatever cannot be asked is not
//! judged: no plan fails because RunPod does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use streamverse_compute_runpod::{Client, Cloud, GpuType, Limit, NetworkVolume, Product};
use streamverse_model::compute::runpod::{FleetCandidateSpec, RunpodFleetSpecView, settled, table_price};
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
                    format!("The network volume lies in {there}, and this candidate is in {centre}."),
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

#[cfg(test)]
mod tests {
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
}
