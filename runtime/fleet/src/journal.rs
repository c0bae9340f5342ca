//! What a controller's records say to people: its fleets, and why it did what it did.

use streamverse_core::Result;
use streamverse_core::stores::Records;
use streamverse_model::compute::{FleetDecision, FleetRecord, FleetStatus, fleet_collection};

const PAGE: u32 = 500;
/// How far back is looked first, in milliseconds; twice as far each time, until there is enough or nothing older.
const BACK_MS: u64 = 3_600_000;

/// A fleet, as it is described and as it is.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// Its record; `None` where it cannot be read, or is gone while something of it is left.
    pub record: Option<FleetRecord>,
    /// What its controller told last.
    pub status: Option<FleetStatus>,
}

/// All fleets of a controller, by name.
///
/// # Errors
/// A catalogue that does not answer.
pub async fn fleets(records: &dyn Records, controller: &str) -> Result<Vec<Told>> {
    let mut all = std::collections::BTreeMap::new();
    let fresh = |name: &String| Told { name: name.clone(), record: None, status: None };
    for (name, value) in whole(records, &fleet_collection("", controller)).await? {
        let told: &mut Told = all.entry(name.clone()).or_insert_with(|| fresh(&name));
        told.record = serde_json::from_value(value).ok();
    }
    for (name, value) in whole(records, &fleet_collection("status", controller)).await? {
        let told = all.entry(name.clone()).or_insert_with(|| fresh(&name));
        told.status = serde_json::from_value(value).ok();
    }
    Ok(all.into_values().collect())
}

async fn whole(records: &dyn Records, collection: &str) -> Result<Vec<(String, serde_json::Value)>> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = records.list(collection, &after, PAGE).await?;
        let full = u32::try_from(page.len()).unwrap_or(PAGE) >= PAGE;
        for (id, record) in page {
            after.clone_from(&id);
            all.push((id, record.value));
        }
        if !full {
            return Ok(all);
        }
    }
}

/// The last decisions about a fleet, or about all, oldest first.
///
/// # Errors
/// A catalogue that does not answer.
pub async fn why(
    records: &dyn Records,
    controller: &str,
    fleet: Option<&str>,
    last: usize,
) -> Result<Vec<FleetDecision>> {
    let collection = fleet_collection("why", controller);
    let newest = records.last(&collection).await?.and_then(|(id, _)| id.parse::<u64>().ok());
    // Ids are milliseconds and a count.
    let Some(newest) = newest.map(|it| it / 1000) else { return Ok(Vec::new()) };
    let (mut found, mut back, mut before) = (Vec::new(), BACK_MS, None::<String>);
    while found.len() < last {
        let from = newest.saturating_sub(back);
        let mut part = Vec::new();
        let mut after = format!("{:020}", from.saturating_mul(1000));
        'pages: loop {
            let page = records.list(&collection, &after, PAGE).await?;
            let full = u32::try_from(page.len()).unwrap_or(PAGE) >= PAGE;
            for (id, record) in page {
                if before.as_ref().is_some_and(|it| id > *it) {
                    break 'pages;
                }
                after.clone_from(&id);
                let decision: Option<FleetDecision> = serde_json::from_value(record.value).ok();
                part.extend(decision.filter(|it| fleet.is_none_or(|fleet| it.fleet == fleet)));
            }
            if !full {
                break;
            }
        }
        part.append(&mut found);
        found = part;
        if from == 0 {
            break;
        }
        before = Some(format!("{:020}", from.saturating_mul(1000)));
        // Nobody keeps them for ten years.
        back = if back > 10 * 365 * 86_400_000 { newest } else { back.saturating_mul(4) };
    }
    let first = found.len().saturating_sub(last);
    Ok(found.split_off(first))
}
