//! What goes wrong on purpose besides what a test scripts: what dice with a seed decide, and each call held in turn.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::dice::Dice;
use crate::world::Refusal;

/// What happens to a call.
pub(crate) type What = streamverse_stand_in::What<Refusal>;

/// How often what happens by chance, in parts of a thousand calls.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Chances {
    pub(crate) seed: u64,
    pub(crate) throttle: u64,
    pub(crate) quota: u64,
    pub(crate) capacity: u64,
    pub(crate) drop: u64,
    pub(crate) lose: u64,
    pub(crate) done_then_500: u64,
    pub(crate) unavailable: u64,
    /// A launch is listed 45 s late.
    pub(crate) late_lists: u64,
    /// A list lacks an instance that is there.
    pub(crate) forgotten: u64,
}

/// Dice, and calls that are held.
#[derive(Default)]
pub(crate) struct Faults {
    chances: Chances,
    dice: Option<Dice>,
    /// Calls that were held, where each that changes something is: once before it is done, and once after.
    each: Option<BTreeMap<String, u8>>,
}

impl Faults {
    pub(crate) fn random(&mut self, chances: Chances) {
        self.dice = Some(Dice::new(chances.seed));
        self.chances = chances;
    }

    /// From now on each call that changes something is held before it is done, and when it is repeated after it was done; then it
    /// is left alone.
    pub(crate) fn hold_each(&mut self) {
        self.each = Some(BTreeMap::new());
    }

    /// Whether this call is held.
    pub(crate) fn hold_this(&mut self, method: &str, call: String) -> Option<What> {
        let count = self.each.as_mut().filter(|_| method != "GET")?.entry(call).or_default();
        *count = count.saturating_add(1);
        match *count {
            1 => Some(What::HoldBefore),
            2 => Some(What::HoldAfter),
            _ => None,
        }
    }

    /// How many calls were held before they were done, and after.
    pub(crate) fn held_each(&self) -> [usize; 2] {
        let all = |least: u8| self.each.iter().flat_map(BTreeMap::values).filter(|it| **it >= least).count();
        [all(1), all(2)]
    }

    pub(crate) fn clear(&mut self) {
        *self = Faults::default();
    }

    /// What the dice have for this call.
    pub(crate) fn by_chance(&mut self, path: &str) -> Option<What> {
        let (dice, chances) = (self.dice.as_mut()?, &self.chances);
        let refuse = |why, retry_after| Some(What::Refuse { why, retry_after });
        if dice.chance(chances.throttle) {
            return refuse(Refusal::Throttle, Some(20));
        }
        if dice.chance(chances.unavailable) {
            return refuse(Refusal::Internal, None);
        }
        if dice.chance(chances.drop) {
            return Some(What::Drop);
        }
        if dice.chance(chances.lose) {
            return Some(What::Lose);
        }
        if dice.chance(chances.done_then_500) {
            return Some(What::DoneThen500);
        }
        if path.ends_with("/size") && dice.chance(chances.quota) {
            return refuse(Refusal::Quota, None);
        }
        None
    }

    /// Whether a launch is refused by chance.
    pub(crate) fn refuses(&mut self) -> bool {
        self.dice.as_mut().is_some_and(|it| it.chance(self.chances.capacity))
    }

    /// How late a launch is listed by chance.
    pub(crate) fn late_list(&mut self) -> u64 {
        let late = self.dice.as_mut().is_some_and(|it| it.chance(self.chances.late_lists));
        if late { 45_000 } else { 0 }
    }

    /// Whether a list lacks something by chance.
    pub(crate) fn forgets(&mut self) -> bool {
        self.dice.as_mut().is_some_and(|it| it.chance(self.chances.forgotten))
    }
}
