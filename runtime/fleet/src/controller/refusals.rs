//! What a cloud refuses until a person acts, or for as long as it says: no money, a wrong key, too many calls, a quota, a request that it does not take.
//! Decisions go on elsewhere or wait; people are told why.

use std::collections::{BTreeSet, HashMap};

use streamverse_compute::cloud::{CloudError, ErrorClass};
use streamverse_compute::policy::{Pool, PoolState};
use streamverse_model::compute::{CloudKind, GroupName, Lifecycle, Money};

use super::view::candidate_key;

/// A group that cannot be deleted is asked for again after so long.
const AGAIN_MS: u64 = 60_000;
/// A cloud may answer a request that breaks a rule as it answers one that it has no machine for (RunPod does). A market moves: where all
/// places of a fleet say the same for so long, the request is suspected.
const SUSPECT_MS: u64 = 3_600_000;
/// A place that was not asked for so long may say something else by now.
const PAUSE_MS: u64 = 1_800_000;

/// What came of a launch that was not done, for people.
pub(super) fn refused(class: ErrorClass, error: Option<&CloudError>) -> String {
    let text = error.map_or_else(|| class.to_string(), ToString::to_string);
    match class {
        // It may be found yet, and accepted then.
        ErrorClass::Unknown => format!("nobody knew at first what came of it: {text}"),
        ErrorClass::Transient => format!("it failed: {text}"),
        _ => format!("it was refused: {text}"),
    }
}

/// What came of ending something that was not ended.
pub(super) fn failed(error: &CloudError) -> String {
    match error.class {
        ErrorClass::Unknown => refused(error.class, Some(error)),
        _ => format!("it failed: {error}"),
    }
}

/// A place that has no capacity, in the cloud's words: since when it has said the same, and when it did last.
struct Lack {
    text: String,
    since_ms: u64,
    last_ms: u64,
}

#[derive(Default)]
pub(super) struct Refusals {
    /// What places of fleets have no capacity for. It begins anew with a controller.
    lacks: HashMap<(CloudKind, String), Lack>,
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
    pub(super) fn heard(
        &mut self,
        cloud: CloudKind,
        group: &GroupName,
        error: Option<&CloudError>,
        now: u64,
    ) {
        let key = [Lifecycle::Spot, Lifecycle::OnDemand].into_iter().find_map(|it| candidate_key(group, it));
        let here = place(group.pool.as_str(), key.unwrap_or_default());
        match error {
            Some(error) if matches!(error.class, ErrorClass::Auth | ErrorClass::Throttle) => {
                self.said.insert((cloud, String::new()), error.to_string());
            }
            Some(error) if matches!(error.class, ErrorClass::Quota | ErrorClass::Permanent) => {
                self.said.insert((cloud, here), error.to_string());
            }
            // Want of capacity is a market's, and says nothing of the account, as long as it is that.
            Some(error) if error.class == ErrorClass::Capacity => {
                self.lacks.retain(|_, it| it.is_recent(now));
                let text = error.to_string();
                let here = self.lacks.entry((cloud, here));
                let lack = here.or_insert_with(|| Lack { text: text.clone(), since_ms: now, last_ms: now });
                if lack.text != text {
                    (lack.text, lack.since_ms) = (text, now);
                }
                lack.last_ms = now;
            }
            // Lost answers say nothing at all.
            Some(_) => {}
            None => {
                self.lacks.remove(&(cloud, here.clone()));
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
        told.extend(self.suspect(pool, memory, now));
        told.into_iter().collect()
    }

    /// Where nothing of a fleet runs that should, and each place that may be asked has given the same answer for an hour.
    fn suspect(&self, pool: &Pool, memory: &PoolState, now: u64) -> Option<String> {
        if memory.target == 0 || !memory.known.is_empty() {
            return None;
        }
        let mut said: Option<(CloudKind, &str)> = None;
        for (at, source) in memory.places.iter().zip(&pool.candidates) {
            let prices = [Lifecycle::Spot, Lifecycle::OnDemand].map(|it| source.hourly(it));
            let dear = |it: Money| pool.range.price_ceiling.is_some_and(|most| it > most);
            let sold = prices.into_iter().flatten().any(|it| !dear(it));
            let closed = at.blocks.iter().flatten().any(|it| !it.capacity && it.until_ms > now);
            if !sold || closed {
                continue;
            }
            let cloud = source.candidate.cloud;
            let lack = self.lacks.get(&(cloud, place(&pool.name, &at.key)))?;
            let long = lack.is_recent(now) && now.saturating_sub(lack.since_ms) >= SUSPECT_MS;
            if !long || said.is_some_and(|it| it != (cloud, lack.text.as_str())) {
                return None;
            }
            said = Some((cloud, lack.text.as_str()));
        }
        let (cloud, text) = said?;
        Some(format!(
            "nothing runs, and each place of {cloud} has given the same answer for an hour: {text}; a request that breaks a rule may be answered so too: if the cloud shows stock for a candidate, look at what the fleet asks for (image, template, disk, ports, volume)"
        ))
    }
}

impl Lack {
    fn is_recent(&self, now: u64) -> bool {
        now.saturating_sub(self.last_ms) < PAUSE_MS
    }
}
