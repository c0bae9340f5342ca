//! What goes wrong on purpose: what a test scripts, call by call, and what dice with a seed decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;

use crate::dice::Dice;
use crate::world::Refusal;

/// A fault that waits for its call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// `POST`; any where none is given.
    pub(crate) method: Option<String>,
    /// Only calls that change something.
    #[serde(default)]
    pub(crate) mutating: bool,
    /// What the path has in it.
    #[serde(default)]
    pub(crate) path: String,
    /// What happens.
    pub(crate) what: What,
    /// To so many calls.
    #[serde(default = "once")]
    pub(crate) times: u32,
    /// After so many calls that it fits were left alone.
    #[serde(default)]
    pub(crate) after: u32,
}

fn once() -> u32 {
    1
}

/// What happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum What {
    /// Refused as the cloud does that, and nothing is done.
    Refuse { why: Refusal, retry_after: Option<u64> },
    /// This answer, and nothing is done.
    Answer {
        status: u16,
        #[serde(default)]
        message: String,
        retry_after: Option<u64>,
    },
    /// Nothing is done, and the connection breaks.
    Drop,
    /// It is done, and the connection breaks before the answer.
    Lose,
    /// It is done, and a server fails before the answer: 500.
    DoneThen500,
    /// It is done, and the answer comes so late (real milliseconds).
    Late(u64),
    /// It is done, and this is the answer: what no cloud sends.
    Garbage(Value),
    /// The call is held before it is done, until the caller goes or all faults are taken back; then it is done.
    HoldBefore,
    /// It is done, and the answer is held.
    HoldAfter,
}

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

/// Faults in the order in which they were asked for, and dice.
#[derive(Default)]
pub(crate) struct Faults {
    scripted: Vec<Fault>,
    chances: Chances,
    dice: Option<Dice>,
    /// Calls that were held, where each that changes something is: once before it is done, and once after.
    each: Option<BTreeMap<String, u8>>,
    /// How many calls are held now.
    pub(crate) held: u32,
    release: Arc<Notify>,
}

impl Faults {
    pub(crate) fn add(&mut self, faults: Vec<Fault>) {
        self.scripted.extend(faults);
    }

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

    /// A call is held from now on, until that is notified.
    pub(crate) fn hold(&mut self) -> Arc<Notify> {
        self.held += 1;
        Arc::clone(&self.release)
    }

    pub(crate) fn clear(&mut self) -> usize {
        // One permit each, so that none is missed that is about to wait.
        (0..self.held).for_each(|_| self.release.notify_one());
        (self.dice, self.each) = (None, None);
        self.chances = Chances::default();
        std::mem::take(&mut self.scripted).len()
    }

    /// The fault of this call, if one waits for it or the dice have one.
    pub(crate) fn meet(&mut self, method: &str, path: &str) -> Option<What> {
        let fits = |fault: &Fault| {
            fault.method.as_deref().is_none_or(|it| it == method)
                && path.contains(&fault.path)
                && !(fault.mutating && method == "GET")
        };
        if let Some(index) = self.scripted.iter().position(fits) {
            let fault = self.scripted.get_mut(index)?;
            if fault.after > 0 {
                fault.after -= 1;
                return None;
            }
            fault.times = fault.times.saturating_sub(1);
            let what = fault.what.clone();
            if fault.times == 0 {
                self.scripted.remove(index);
            }
            return Some(what);
        }
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
