//! Groups: who reads which partition. Pure: time is an argument.
//!
//! An assignment moves as little as possible, and never away from a member that is at work on a record of it: it moves
//! when the record is committed or the member is gone.

use std::collections::BTreeMap;

/// A member that is silent for so long is gone.
pub(super) const SESSION_MS: u64 = 10_000;

#[derive(Debug, Default)]
pub(super) struct Group {
    /// Last sign of life.
    members: BTreeMap<String, u64>,
    owners: BTreeMap<u32, String>,
    /// Partitions of which a record was handed out and not committed.
    busy: BTreeMap<u32, u64>,
}

impl Group {
    /// A sign of life of a member, which joins if it is new.
    pub(super) fn alive(&mut self, member: &str, now: u64) {
        self.members.insert(member.to_owned(), now);
    }

    pub(super) fn leave(&mut self, member: &str) {
        self.members.remove(member);
        self.release();
    }

    /// The partitions of a member, after members that are gone have lost theirs.
    pub(super) fn partitions(&mut self, member: &str, count: u32, now: u64) -> Vec<u32> {
        self.members.retain(|_, seen| seen.saturating_add(SESSION_MS) > now);
        self.release();
        self.assign(count);
        self.owners.iter().filter(|(_, owner)| *owner == member).map(|(partition, _)| *partition).collect()
    }

    /// Whether the partition is the member's.
    pub(super) fn owns(&self, member: &str, partition: u32) -> bool {
        self.owners.get(&partition).is_some_and(|owner| owner == member)
    }

    pub(super) fn handed_out(&mut self, partition: u32, offset: u64) {
        self.busy.insert(partition, offset);
    }

    pub(super) fn committed(&mut self, partition: u32, offset: u64) {
        if self.busy.get(&partition).is_some_and(|busy| *busy <= offset) {
            self.busy.remove(&partition);
        }
    }

    fn release(&mut self) {
        let members = &self.members;
        let gone: Vec<u32> = self
            .owners
            .iter()
            .filter(|(_, owner)| !members.contains_key(*owner))
            .map(|(it, _)| *it)
            .collect();
        for partition in gone {
            self.owners.remove(&partition);
            self.busy.remove(&partition);
        }
    }

    fn assign(&mut self, count: u32) {
        if self.members.is_empty() {
            return;
        }
        let mut load: BTreeMap<String, Vec<u32>> =
            self.members.keys().map(|it| (it.clone(), Vec::new())).collect();
        for (partition, owner) in &self.owners {
            if let Some(list) = load.get_mut(owner) {
                list.push(*partition);
            }
        }
        for partition in 0..count {
            if self.owners.contains_key(&partition) {
                continue;
            }
            let Some(member) = least(&load) else { return };
            load.entry(member.clone()).or_default().push(partition);
            self.owners.insert(partition, member);
        }
        // Even out, with what nobody works on.
        loop {
            let (Some(few), Some(many)) = (least(&load), most(&load)) else { return };
            let count_of = |member: &String| load.get(member).map_or(0, Vec::len);
            if count_of(&many) <= count_of(&few) + 1 {
                return;
            }
            let idle =
                load.get(&many).and_then(|list| list.iter().position(|it| !self.busy.contains_key(it)));
            let Some(partition) = idle.and_then(|at| load.get_mut(&many).map(|list| list.remove(at))) else {
                return;
            };
            load.entry(few.clone()).or_default().push(partition);
            self.owners.insert(partition, few);
        }
    }
}

fn least(load: &BTreeMap<String, Vec<u32>>) -> Option<String> {
    load.iter().min_by_key(|(_, list)| list.len()).map(|(member, _)| member.clone())
}

fn most(load: &BTreeMap<String, Vec<u32>>) -> Option<String> {
    load.iter().max_by_key(|(_, list)| list.len()).map(|(member, _)| member.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_one_owner_and_shares_are_even() {
        let mut group = Group::default();
        for (now, member) in ["a", "b", "c"].iter().enumerate() {
            group.alive(member, now as u64);
        }
        let mut all: Vec<u32> = ["a", "b", "c"].iter().flat_map(|it| group.partitions(it, 8, 5)).collect();
        all.sort_unstable();
        assert_eq!(all, (0..8).collect::<Vec<_>>());
        assert!(["a", "b", "c"].iter().all(|it| (2..=3).contains(&group.partitions(it, 8, 5).len())));
    }

    #[test]
    fn work_under_way_is_not_taken_away_until_it_is_committed() {
        let mut group = Group::default();
        group.alive("a", 0);
        assert_eq!(group.partitions("a", 2, 1), [0, 1]);
        group.handed_out(0, 5);
        group.handed_out(1, 9);
        group.alive("b", 2);
        assert!(group.partitions("b", 2, 3).is_empty());
        group.committed(1, 9);
        assert_eq!(group.partitions("b", 2, 4), [1]);
        assert_eq!(group.partitions("a", 2, 4), [0]);
    }

    #[test]
    fn what_a_silent_member_had_goes_to_the_others() {
        let mut group = Group::default();
        group.alive("a", 0);
        group.partitions("a", 3, 0);
        group.handed_out(0, 0);
        group.alive("b", SESSION_MS);
        assert_eq!(group.partitions("b", 3, SESSION_MS + 1), [0, 1, 2]);
    }
}
