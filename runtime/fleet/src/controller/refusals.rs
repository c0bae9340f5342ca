//! What a cloud refuses until a person acts, or for as long as it says: no money, a wrong key, too many calls, a quota, a request that it does not take.
//! Decisions go on elsewhere or wait; people are told why.

use std::collections::{BTreeSet, HashMap};

use streamverse_compute::cloud::{CloudError, ErrorClass};
use streamverse_compute::policy::{Pool, PoolState};
use streamverse_model::compute::{CloudKind, GroupName, Lifecycle};

use super::view::candidate_key;

/// What was said last, by cloud and place; of an account as a whole the place is empty.
#[derive(Default)]
pub(super) struct Refusals(HashMap<(CloudKind, String), String>);

/// A place of a fleet.
fn place(fleet: &str, key: &str) -> String {
    format!("{fleet}/{key}")
}

impl Refusals {
    /// A launch in this group was answered so.
    pub(super) fn heard(&mut self, cloud: CloudKind, group: &GroupName, error: Option<&CloudError>) {
        let key = [Lifecycle::Spot, Lifecycle::OnDemand].into_iter().find_map(|it| candidate_key(group, it));
        let here = place(group.pool.as_str(), key.unwrap_or_default());
        match error {
            Some(error) if matches!(error.class, ErrorClass::Auth | ErrorClass::Throttle) => {
                self.0.insert((cloud, String::new()), error.to_string());
            }
            Some(error) if matches!(error.class, ErrorClass::Quota | ErrorClass::Permanent) => {
                self.0.insert((cloud, here), error.to_string());
            }
            // Want of capacity and lost answers are a market's, and say nothing of the account.
            Some(_) => {}
            None => {
                self.0.remove(&(cloud, String::new()));
                self.0.remove(&(cloud, here));
            }
        }
    }

    /// What a fleet's places are left alone for, now.
    pub(super) fn trouble(&self, pool: &Pool, memory: &PoolState, now: u64) -> Vec<String> {
        let mut told = BTreeSet::new();
        for (at, source) in memory.places.iter().zip(&pool.candidates) {
            let blocks = at.blocks.iter().flatten().filter(|it| !it.capacity && it.until_ms > now);
            let Some(until) = blocks.map(|it| it.until_ms).max() else { continue };
            let cloud = source.candidate.cloud;
            let said = |place: String| self.0.get(&(cloud, place));
            let text = said(place(&pool.name, &at.key)).or_else(|| said(String::new()));
            if let Some(text) = text {
                let minutes = until.saturating_sub(now).div_ceil(60_000);
                told.insert(format!(
                    "{cloud} refuses to start anything: {text}; it is asked again within {minutes} min"
                ));
            }
        }
        told.into_iter().collect()
    }
}
