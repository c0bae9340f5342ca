//! What a test scripts to go wrong, call by call.

use serde::Deserialize;
use serde_json::Value;

/// A fault that waits for its call. `R` is how the cloud refuses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault<R> {
    /// `POST`; any where none is given.
    method: Option<String>,
    /// Only calls that change something: not `GET`.
    #[serde(default)]
    mutating: bool,
    /// What the path has in it, or what the stand-in calls the operation by where the path does not tell.
    #[serde(default)]
    path: String,
    /// What happens.
    what: What<R>,
    /// To so many calls.
    #[serde(default = "once")]
    times: u32,
    /// After so many calls that it fits were left alone.
    #[serde(default)]
    after: u32,
}

fn once() -> u32 {
    1
}

/// What happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What<R> {
    /// Refused as the cloud does that, and nothing is done.
    Refuse {
        /// Why.
        why: R,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// This answer, and nothing is done.
    Answer {
        /// Its status.
        status: u16,
        /// What its body says.
        #[serde(default, alias = "message", alias = "detail")]
        text: String,
        /// `Retry-After`, in seconds.
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
    /// It waits, and is done once the test lets it go; never where its caller is gone by then.
    HoldBefore,
    /// It is done, and the answer waits until the test lets it go.
    HoldAfter,
}

/// Of a cloud whose refusals a test writes out, as [`What::Answer`].
#[derive(Clone, Copy, Debug, Deserialize)]
pub enum NoRefusals {}

/// Faults in the order in which they were asked for.
#[derive(Debug)]
pub struct Faults<R>(Vec<Fault<R>>);

impl<R> Default for Faults<R> {
    fn default() -> Faults<R> {
        Faults(Vec::new())
    }
}

impl<R: Clone> Faults<R> {
    /// Adds some.
    pub fn add(&mut self, faults: Vec<Fault<R>>) {
        self.0.extend(faults);
    }

    /// Takes all back; how many nobody met.
    pub fn clear(&mut self) -> usize {
        std::mem::take(&mut self.0).len()
    }

    /// The fault of this call, if one waits for it.
    pub fn meet(&mut self, method: &str, path: &str) -> Option<What<R>> {
        let fits = |fault: &Fault<R>| {
            fault.method.as_deref().is_none_or(|it| it == method)
                && !(fault.mutating && method == "GET")
                && path.contains(&fault.path)
        };
        let index = self.0.iter().position(fits)?;
        let fault = self.0.get_mut(index)?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times = fault.times.saturating_sub(1);
        let what = fault.what.clone();
        if fault.times == 0 {
            self.0.remove(index);
        }
        Some(what)
    }
}
