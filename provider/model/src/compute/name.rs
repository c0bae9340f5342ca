//! Deterministic names of what is bought: they carry the deployment, so that whose an instance is can be read off any
//! cloud's list, and asking twice for the same one finds the first.
//!
//! `sv--DEPLOYMENT--POOL--KEY` is a group and `sv--DEPLOYMENT--POOL--KEY--NUMBER` one instance. `--` divides: no part may
//! have it. RunPod, which has neither tags nor keys against repetition, is the reason that it is the name that says it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::platform::Name;

/// What all of our names begin with.
pub const PREFIX: &str = "sv--";
/// No name of an instance is longer. A cloud that allows fewer characters (Google: 63) is the adapter's to serve: with a
/// digest as its name and this one as a label.
pub const NAME_LIMIT: usize = PREFIX.len() + 3 * Name::LONGEST + 3 * 2 + 20;

/// The name of a group: a candidate of a pool, under one lifecycle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupName {
    /// The installation.
    pub deployment: Name,
    /// The pool or fleet.
    pub pool: Name,
    /// Which of its candidates, and how it is bought: `s3-us-east-1a`, `d0`.
    pub key: Name,
}

/// The name of one instance: its group's, and a number that is never given twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceName {
    /// Its group.
    pub group: GroupName,
    /// Counted up by the controller, kept in its state before anything is asked for.
    pub number: u64,
}

/// A part of a name: without `--`, which divides.
fn part(text: &str) -> Option<Name> {
    if text.contains("--") { None } else { Name::parse(text).ok() }
}

impl GroupName {
    /// A group's name; `None` where a part has `--` or is no name.
    pub fn new(deployment: &str, pool: &str, key: &str) -> Option<GroupName> {
        Some(GroupName { deployment: part(deployment)?, pool: part(pool)?, key: part(key)? })
    }

    /// Reads a name that a cloud lists; `None` where it is none of ours.
    pub fn parse(text: &str) -> Option<GroupName> {
        let mut parts = text.strip_prefix(PREFIX)?.split("--");
        let name = GroupName::new(parts.next()?, parts.next()?, parts.next()?)?;
        parts.next().is_none().then_some(name)
    }
}

impl InstanceName {
    /// Reads a name that a cloud lists; `None` where it is none of ours.
    pub fn parse(text: &str) -> Option<InstanceName> {
        let (group, number) = text.rsplit_once("--")?;
        // "+7" and "07" are numbers to Rust and would make two names of one.
        let number: u64 = number.parse().ok().filter(|it: &u64| it.to_string() == number)?;
        Some(InstanceName { group: GroupName::parse(group)?, number })
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}--{}--{}", self.deployment, self.pool, self.key)
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}--{}", self.group, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_it_is_and_reads_back() {
        let group = GroupName::new("prod", "encode", "s0-us-east-1a").unwrap();
        assert_eq!(group.to_string(), "sv--prod--encode--s0-us-east-1a");
        assert_eq!(GroupName::parse(&group.to_string()), Some(group.clone()));
        let one = InstanceName { group: group.clone(), number: 7 };
        assert_eq!(InstanceName::parse("sv--prod--encode--s0-us-east-1a--7"), Some(one.clone()));
        assert_eq!(GroupName::parse(&one.to_string()), None, "an instance is no group");
        assert!(one.to_string().len() <= NAME_LIMIT);
    }

    #[test]
    fn what_is_not_ours_is_not_taken() {
        for text in [
            "worker-1",
            "sv--prod--encode",
            "sv--prod--encode--a--07",
            "sv--prod--encode--a--+7",
            "sv--a--b--c--d--e--1",
            "xsv--a--b--c--1",
        ] {
            assert_eq!(InstanceName::parse(text), None, "{text}");
        }
        assert_eq!(GroupName::new("a--b", "c", "d"), None, "two deployments must not have one name");
    }
}
