//! What a cloud refuses until a person acts, or for as long as it says: no money, a wrong key, too many calls, a quota, a request that it does not take.
//! Decisions go on elsewhere or wait; people are told why.

use std::collections::{BTreeSet, HashMap};

use streamverse_compute::cloud::{CloudError, ErrorClass};
use streamverse_compute::policy::{Pool, PoolState};
use streamverse_model::compute::{CloudKind, GroupName, Lifecycle};

use super::view::candidate_key;

/// A group that cannot be deleted is asked for again after so long.
const AGAIN_MS: u64 = 60_000;

#[derive(Default)]
pub(super) struct Refusals {
    /// What was said last, by cloud and place; of an account as a whole the place is empty.
    said: HashMap<(CloudKind, String), String>,
    /// Groups that could not be deleted: when that was asked for last, and what was said.
    undeleted: HashMap<GroupName, (u64, String)>,
}

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
                self.said.insert((cloud, String::new()), error.to_string());
            }
            Some(error) if matches!(error.class, ErrorClass::Quota | ErrorClass::Permanent) => {
                self.said.insert((cloud, here), error.to_string());
            }
            // Want of capacity and lost answers are a market's, and say nothing of the account.
            Some(_) => {}
            None => {
                self.said.remove(&(cloud, String::new()));
                self.said.remove(&(cloud, here));
            }
        }
    }

    /// A group was deleted, or was not.
    pub(super) fn deleted(&mut self, group: &GroupName, error: Option<&CloudError>, now: u64) {
        // What nobody asks for any more is gone, or in use again.
        self.undeleted.retain(|it, (at, _)| it != group && now.saturating_sub(*at) < 2 * AGAIN_MS);
        if let Some(error) = error {
            self.undeleted.insert(group.clone(), (now, error.to_string()));
        }
    }

    /// Whether a group may be asked to be deleted: it was not a moment ago, in vain.
    pub(super) fn may_delete(&self, group: &GroupName, now: u64) -> bool {
        self.undeleted.get(group).is_none_or(|(at, _)| now.saturating_sub(*at) >= AGAIN_MS)
    }

    /// What a fleet's places are left alone for, now, and which of its groups stay though nothing is in them.
    pub(super) fn trouble(&self, pool: &Pool, memory: &PoolState, now: u64) -> Vec<String> {
        let mut told = BTreeSet::new();
        for (at, source) in memory.places.iter().zip(&pool.candidates) {
            let blocks = at.blocks.iter().flatten().filter(|it| !it.capacity && it.until_ms > now);
            let Some(until) = blocks.map(|it| it.until_ms).max() else { continue };
            let cloud = source.candidate.cloud;
            let said = |place: String| self.said.get(&(cloud, place));
            let text = said(place(&pool.name, &at.key)).or_else(|| said(String::new()));
            if let Some(text) = text {
                let minutes = until.saturating_sub(now).div_ceil(60_000);
                told.insert(format!(
                    "{cloud} refuses to start anything: {text}; it is asked again within {minutes} min"
                ));
            }
        }
        let its = self.undeleted.iter().filter(|(group, (at, _))| {
            group.pool.as_str() == pool.name && now.saturating_sub(*at) < 2 * AGAIN_MS
        });
        told.extend(its.map(|(group, (_, text))| {
            format!(
                "the group {group} cannot be deleted, in which nothing is any more: {text}; it is asked for again each minute"
            )
        }));
        told.into_iter().collect()
    }
}
