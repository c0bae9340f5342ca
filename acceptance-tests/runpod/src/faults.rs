//! What goes wrong on purpose.

use serde::Deserialize;
use serde_json::Value;

/// A fault that waits for its call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// `POST`; any where none is given.
    pub(crate) method: Option<String>,
    /// What the path begins with.
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
    /// This answer, and nothing is done.
    Answer {
        status: u16,
        #[serde(default)]
        detail: String,
        retry_after: Option<u64>,
    },
    /// Nothing is done, and the connection breaks.
    Drop,
    /// It is done, and the connection breaks before the answer.
    Lose,
    /// It is done, and a server fails before the answer: 500.
    DoneThen500,
    /// It is done, and the answer comes so late (milliseconds).
    Late(u64),
    /// It is done, and this is the answer: what no API sends.
    Garbage(Value),
}

/// Faults in the order in which they were asked for.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, faults: Vec<Fault>) {
        self.0.extend(faults);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn waiting(&self) -> usize {
        self.0.len()
    }

    /// The fault of this call, if one waits for it.
    pub(crate) fn meet(&mut self, method: &str, path: &str) -> Option<What> {
        let fits = |fault: &Fault| {
            fault.method.as_deref().is_none_or(|it| it == method) && path.starts_with(&fault.path)
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
